import { debug } from '../../../debug.js'
import type { StoredSession } from '../store-driver.js'

/** A document of a collection, or a part of one. */
export type Doc = Record<string, unknown>

/** What the driver uses of a collection of the package mongodb, which has had the same methods since version 4. */
export interface Collection {
  readonly writeConcern?: WriteConcern | undefined
  findOne(filter: Doc, options: Doc): Promise<Doc | null>
  find(filter: Doc, options: Doc): { toArray(): Promise<Doc[]> }
  findOneAndUpdate(filter: Doc, update: Doc[], options: Doc): Promise<{ value: Doc | null }>
  updateOne(filter: Doc, update: Doc, options: Doc): Promise<{ matchedCount: number; upsertedCount: number }>
  deleteOne(filter: Doc, options: Doc): Promise<unknown>
}

interface WriteConcern {
  readonly w?: unknown
}

/** What the bus uses of a collection of the package mongodb, which has had the same methods since version 4. */
export interface MessageCollection {
  insertOne(document: Doc, options: Doc): Promise<unknown>
  createIndex(fields: Doc, options: Doc): Promise<unknown>
  watch(pipeline: Doc[], options: Doc): ChangeStream
}

export interface ChangeStream {
  readonly resumeToken: unknown
  readonly closed: boolean
  once(event: 'resumeTokenChanged', listener: () => void): unknown
  /** Resolves with `null` where no change came in time. */
  tryNext(): Promise<Doc | null>
  close(): Promise<void>
}

/** How a store keeps the content of a session in the field `session` of a document. */
export interface Format {
  /** The field by which the contents of two documents are compared. */
  readonly path: string
  /** @returns the field `session`, and the session's token */
  encode(text: string): Promise<{ session: unknown; token?: string }>
  decode(session: unknown): Promise<StoredSession>
  /** What the field at `path` is while a document has this content. `undefined`: there is no such field. */
  comparedText(stored: StoredSession): string | undefined
}

/** The sessions of a store, in the documents that its own methods read and write. The store's options may change at any time. */
export interface Sessions {
  /** The name of the store's package. */
  readonly name: string
  readonly format: Format
  readonly expiresField: string
  /** ms that a session without an end lives. */
  readonly ttl: number
  /** ms after a write or a touch for which a touch does nothing: the document has `lastModified`. `0`: it has no such field. */
  readonly touchAfter: number
  /** The documents have `createdAt` and `updatedAt`. */
  readonly timestamps: boolean
  /** The one that the store's own methods ask for; `undefined`: that of the collection. */
  readonly writeConcern: WriteConcern | undefined
  collection(): Promise<Collection>
  /** The collection of the bus, beside that of the sessions. */
  messages(): Promise<MessageCollection>
  /** The value of `_id`. */
  idOf(sid: string): unknown
  /** Tells the store's listeners. Absent where the store's own methods do not. @param session for those of `touch` */
  emit?(event: 'get' | 'set' | 'create' | 'update' | 'touch' | 'destroy', sid: string, session?: () => unknown): void
  /** The same for a statement that has failed. */
  failed?(error: unknown): void
}

/** What has become of a touch. `skipped`: the last one is not long ago. */
export type TouchOutcome = 'written' | 'skipped' | 'missing'

/** A document that is to be written. */
export interface Write {
  session: unknown
  expires: Date
  /** The end of what is there, if it is later, stays. */
  atLeast: boolean
  now: Date
}

/** A document that has a session which is not over, by the clock of the application, as the stores compare it. */
export function aliveAt({ expiresField }: Sessions, now: Date): Doc {
  return { $or: [{ [expiresField]: { $exists: false } }, { [expiresField]: { $gt: now } }] }
}

export function writingTo(collection: Collection, { writeConcern }: Sessions): Doc {
  const asked = writeConcern ?? collection.writeConcern
  // Without an answer nobody would know whether the document was the expected one.
  return { writeConcern: asked?.w === 0 ? { w: 1 } : asked }
}

export function messagesOf(collectionName: string): string {
  return `${collectionName}.messages`
}

/** Calls the store's listeners after a statement has ended: one that throws does not change that. */
export function guarded(callListeners: () => unknown): void {
  try {
    callListeners()
  } catch (error) {
    debug('a listener of the store threw: %s', (error as Error | undefined)?.message)
  }
}

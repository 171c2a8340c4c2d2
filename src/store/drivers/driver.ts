import type { Bus } from '../../cluster/bus.js'
import type { JsonObject } from '../../document/json.js'
import type { Stats } from '../../types.js'
import type { Document } from '../document.js'
import type { StoreFields } from '../store-fields.js'

/** What a store holds of a session at one moment. */
export interface Snapshot {
  readonly document: Document
  /** Names exactly this content: a digest of the stored bytes. */
  readonly etag: string
  /** The whole session as JSON, where the driver has it anyway. */
  readonly json?: string
  /** What the store itself puts beside the data: it is given back, and is not in the document. */
  readonly storeFields?: JsonObject | undefined
}

/** How long the session lives in the store after a write. */
export type TtlPolicy =
  /** At least as long as it would have: a merge never shortens a session's life. */
  | 'atLeast'
  /** As its cookie says: the writer changed the maximum age. */
  | 'asCookie'

/** What became of a conditional write. */
export type WriteResult =
  | { written: true; held: Snapshot }
  /** The store held something else, or nothing; it comes with the refusal, so that no read is needed to try again. */
  | {
      written: false
      held: Snapshot | undefined
      /** The client may have sent the write more than once by itself: this may be the answer to the second time. */
      resent?: boolean
    }

/** A write was sent, and its answer lost: it may have happened, and may still happen. */
export class IndeterminateWriteError extends Error {
  constructor(cause: unknown) {
    super((cause as Error | undefined)?.message, { cause })
  }
}

/** What is to be told in the same step as a write. */
export interface OutgoingMessage {
  topic: string
  text: string
}

/** What every driver does, whether its store can compare or not. */
interface BaseDriver {
  /** As `stats()` names it. */
  readonly name: Stats['driver']
  /** What the store's own methods call back with where nothing went wrong. Absent: what they last said. */
  readonly done?: readonly (null | undefined)[]
  /** The store was told to do nothing on a touch. `undefined`: a touch will show. */
  readonly touchDisabled?: boolean | undefined
  /** Who is on a bus may have no right to what is stored: messages say that a session changed, and not how. */
  readonly opaque?: boolean
  read(sid: string): Promise<Snapshot | undefined>
  destroy(sid: string, note?: OutgoingMessage): Promise<void>
  /** Several sessions in one round trip, in the order of the ids. Absent: there is no such read. */
  readMany?(sids: readonly string[]): Promise<(Snapshot | undefined)[]>
  /** The bus that the store itself is; `undefined` where the store's client cannot listen. */
  bus?(): Bus | undefined
  /** What the session is called on the bus. Shows nothing of the id. Absent: a digest of the id. */
  topic?(sid: string): string
}

/** A store that can compare and set: what is written holds across processes. */
export interface CompareAndSetDriver extends BaseDriver {
  readonly compares: true
  /** Where the store's own `get` answers `null` for a session that it has not, and not `undefined`. */
  readonly missingValue?: null
  /** A touch changes what is stored, so that it has another token after it. */
  readonly touchChangesContent?: boolean
  /**
   * Writes the document if the store still holds what is expected. One round trip.
   * @param expected `undefined`: the session is not in the store
   * @param note is published in the same step, if the document is written; only by the driver that the bus names in `publishedByDriver`
   * @throws {IndeterminateWriteError} where it was sent and the answer lost; any other error means that nothing was written
   */
  write(
    sid: string,
    document: Document,
    expected: Snapshot | undefined,
    life: TtlPolicy,
    note?: OutgoingMessage,
  ): Promise<WriteResult>
  /** Refreshes a session's life. @returns whether the store still has it */
  touch(sid: string, document: Document): Promise<boolean>
}

/** A store that can only `get` and `set`: its caller reads before it writes, and keeps the writers of this process apart. */
export interface PlainDriver extends BaseDriver {
  readonly compares: false
  readonly stamps: StoreFields
  /** The store has no touch, so that one writes the whole document: it has to be what the store holds at that moment. */
  readonly touchWrites: boolean
  /** @param held what the store holds, by a read just before */
  write(sid: string, document: Document, held: Snapshot | undefined, life: TtlPolicy): Promise<void>
  /** @param document what the store holds, under the cookie to store @returns whether the store still has it */
  touch(sid: string, document: Document): Promise<boolean>
}

/** How one kind of store reads and writes. */
export type Driver = CompareAndSetDriver | PlainDriver

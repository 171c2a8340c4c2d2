import { aliveAt, type Collection, type Doc, type Sessions, type TouchOutcome, type Write, writingTo } from './collection.js'

/**
 * Statements that read what a document is and write what it is to be, as one step, and bring what it was. MongoDB carries them out since 4.2.
 */
export class PipelineStatements {
  readonly #sessions: Sessions

  constructor(sessions: Sessions) {
    this.#sessions = sessions
  }

  /** @returns the document as it was. It is written if it had that name at the format's path */
  async replace(collection: Collection, id: unknown, write: Write, name: string | undefined): Promise<Doc | null> {
    const path = `$${this.#sessions.format.path}`
    const isExpected = name === undefined ? isMissing(path) : { $eq: [path, { $literal: name }] }
    const filter = { _id: id, ...aliveAt(this.#sessions, write.now) }
    return this.#run(collection, filter, changeIf(isExpected, this.#written(write)))
  }

  /** @returns the document as it was. It is written if there was none, or one whose session was over */
  async create(collection: Collection, id: unknown, write: Write): Promise<Doc | null> {
    const { expiresField, timestamps } = this.#sessions
    const end = `$${expiresField}`
    const isOver = { $and: [{ $not: [isMissing(end)] }, { $lte: [end, write.now] }] }
    const created = timestamps && { createdAt: { $cond: [isMissing('$session'), '$$NOW', '$createdAt'] } }
    const update = changeIf({ $or: [isMissing('$session'), isOver] }, { ...this.#written(write), ...created })
    return this.#run(collection, { _id: id }, update, { upsert: true })
  }

  /** Leaves a document alone whose last touch is not long ago. */
  async touch(collection: Collection, id: unknown, expires: Date, now: Date): Promise<TouchOutcome> {
    const { expiresField, touchAfter, timestamps } = this.#sessions
    const due = new Date(now.getTime() - touchAfter)
    const isDue = { $or: [isMissing('$lastModified'), { $lte: ['$lastModified', due] }] }
    const update = changeIf(isDue, { [expiresField]: expires, lastModified: now, ...(timestamps && UPDATED) })
    const filter = { _id: id, ...aliveAt(this.#sessions, now) }
    const before = await this.#run(collection, filter, update, { projection: { lastModified: 1 } })
    if (!before) return 'missing'
    return before.lastModified instanceof Date && before.lastModified > due ? 'skipped' : 'written'
  }

  async #run(collection: Collection, filter: Doc, update: Doc[], options: Doc = {}): Promise<Doc | null> {
    // Clients up to version 5 answer so without being asked.
    const answering = { includeResultMetadata: true, ...writingTo(collection, this.#sessions), ...options }
    return (await collection.findOneAndUpdate(filter, update, answering)).value
  }

  #written({ session, expires, atLeast, now }: Write): Doc {
    const { expiresField, touchAfter, timestamps } = this.#sessions
    return {
      session: { $literal: session },
      [expiresField]: atLeast ? { $max: [`$${expiresField}`, expires] } : expires,
      ...(touchAfter > 0 && { lastModified: now }),
      ...(timestamps && UPDATED),
    }
  }
}

const UPDATED = { updatedAt: '$$NOW' }

function changeIf(condition: Doc, fields: Doc): Doc[] {
  return [{ $replaceWith: { $cond: [condition, { $mergeObjects: ['$$ROOT', fields] }, '$$ROOT'] } }]
}

function isMissing(path: string): Doc {
  return { $eq: [{ $type: path }, 'missing'] }
}

import { aliveAt, type Collection, type Doc, type Sessions, type TouchOutcome, type Write, writingTo } from './collection.js'
import { isDuplicate } from './errors.js'

/** Statements for servers that take no pipelines. Each is one step, and a refusal does not bring what there is. */
export class PlainStatements {
  readonly #sessions: Sessions

  constructor(sessions: Sessions) {
    this.#sessions = sessions
  }

  /** @returns whether the document had that name at the format's path, and is written */
  async replace(collection: Collection, id: unknown, write: Write, name: string | undefined): Promise<boolean> {
    const filter = { _id: id, [this.#sessions.format.path]: name ?? { $exists: false }, ...aliveAt(this.#sessions, write.now) }
    const { matchedCount } = await collection.updateOne(filter, this.#update(write), writingTo(collection, this.#sessions))
    return matchedCount === 1
  }

  /** @returns whether there was no document, or one whose session was over, and it is written */
  async create(collection: Collection, id: unknown, write: Write): Promise<boolean> {
    const filter = { _id: id, [this.#sessions.expiresField]: { $lte: write.now } }
    const options = { ...writingTo(collection, this.#sessions), upsert: true }
    try {
      await collection.updateOne(filter, this.#update(write), options)
      return true
    } catch (error) {
      if (isDuplicate(error)) return false
      throw error
    }
  }

  async touch(collection: Collection, id: unknown, expires: Date, now: Date): Promise<TouchOutcome> {
    const { expiresField, touchAfter, timestamps } = this.#sessions
    const filter = { _id: id, ...aliveAt(this.#sessions, now) }
    const due = { $or: [{ lastModified: { $exists: false } }, { lastModified: { $lte: new Date(now.getTime() - touchAfter) } }] }
    const update = {
      $set: { [expiresField]: expires, ...(touchAfter > 0 && { lastModified: now }) },
      ...(timestamps && UPDATED),
    }
    const isDue = touchAfter > 0 ? { $and: [filter, due] } : filter
    const { matchedCount } = await collection.updateOne(isDue, update, writingTo(collection, this.#sessions))
    if (matchedCount === 1) return 'written'
    if (touchAfter === 0) return 'missing'
    const found = await collection.findOne(filter, { projection: { _id: 1 }, readPreference: 'primary' })
    return found ? 'skipped' : 'missing'
  }

  #update({ session, expires, atLeast, now }: Write): Doc {
    const { expiresField, touchAfter, timestamps } = this.#sessions
    return {
      $set: { session, ...(!atLeast && { [expiresField]: expires }), ...(touchAfter > 0 && { lastModified: now }) },
      ...(atLeast && { $max: { [expiresField]: expires } }),
      ...(timestamps && { ...UPDATED, $setOnInsert: { createdAt: now } }),
    }
  }
}

const UPDATED = { $currentDate: { updatedAt: true } }

import type { Bus } from '../../../bus.js'
import { withoutContents } from '../errors.js'
import {
  IndeterminateWriteError,
  type NextSession,
  type StoreDriver,
  type StoredSession,
  type TouchedSession,
  type WriteAnswer,
} from '../store-driver.js'
import { MongoBus } from './bus.js'
import { aliveAt, type Collection, type Doc, type Sessions, type TouchOutcome, type Write, writingTo } from './collection.js'
import { isDuplicate, isRefusal, writeError } from './errors.js'
import { PipelineStatements } from './pipelines.js'
import { PlainStatements } from './plain-statements.js'

/** Other members of a replica set may be behind. */
const READING = { readPreference: 'primary' }

/**
 * connect-mongo and connect-mongodb-session with writes that compare and set. Documents and ends are those of the stores. Each call is one
 * statement for one document, which MongoDB carries out in one step.
 */
export class MongoDriver implements StoreDriver {
  readonly #sessions: Sessions
  readonly #pipelines: PipelineStatements
  readonly #plain: PlainStatements
  /** Does the server take pipelines? `undefined`: it has not been seen to. */
  #takesPipelines: boolean | undefined

  constructor(sessions: Sessions) {
    this.#sessions = sessions
    this.#pipelines = new PipelineStatements(sessions)
    this.#plain = new PlainStatements(sessions)
  }

  get name(): string {
    return this.#sessions.name
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    const filter = { _id: this.#sessions.idOf(sid), ...aliveAt(this.#sessions, new Date()) }
    const stored = await this.#in(async (collection) => this.#decoded(await collection.findOne(filter, READING)))
    this.#sessions.emit?.('get', sid)
    return stored
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    const ids = sids.map((sid) => this.#sessions.idOf(sid))
    const filter = { _id: { $in: ids }, ...aliveAt(this.#sessions, new Date()) }
    const options = { ...READING, batchSize: ids.length }
    const found = await this.#in((collection) => collection.find(filter, options).toArray())
    const byId = new Map(found.map((document) => [JSON.stringify(document._id), document]))
    return Promise.all(ids.map((id) => this.#decoded(byId.get(JSON.stringify(id)))))
  }

  async write(sid: string, next: NextSession, expected: StoredSession | undefined): Promise<WriteAnswer> {
    const { session, token } = await this.#sessions.format.encode(next.text)
    // A session that is created has no end before it.
    const atLeast = next.atLeast && expected !== undefined
    const write = { session, expires: this.#endOf(next.expires), atLeast, now: new Date() }
    const id = this.#sessions.idOf(sid)
    const answer = await this.#in(async (collection) => {
      try {
        return await (expected ? this.#replace(collection, id, write, expected) : this.#create(collection, id, write))
      } catch (error) {
        throw writeError(error)
      }
    })
    if (!answer.written) return answer
    this.#sessions.emit?.(expected ? 'update' : 'create', sid)
    this.#sessions.emit?.('set', sid)
    return { written: true, stored: { text: next.text, token } }
  }

  async touch(sid: string, expires: Date | undefined, touched: TouchedSession): Promise<boolean> {
    const outcome = await this.#in((collection) => {
      const args = [collection, this.#sessions.idOf(sid), this.#endOf(expires), new Date()] as const
      const plain = (): Promise<TouchOutcome> => this.#plain.touch(...args)
      return this.#sessions.touchAfter > 0 ? this.#either(() => this.#pipelines.touch(...args), plain) : plain()
    })
    if (outcome === 'written') this.#sessions.emit?.('touch', sid, () => JSON.parse(touched.text))
    return outcome !== 'missing'
  }

  async destroy(sid: string): Promise<void> {
    await this.#in((collection) => collection.deleteOne({ _id: this.#sessions.idOf(sid) }, writingTo(collection, this.#sessions)))
    this.#sessions.emit?.('destroy', sid)
  }

  /** Where the server is a member of a replica set, or `mongos`. */
  bus(): Bus {
    return new MongoBus(() => this.#sessions.messages())
  }

  async #in<T>(use: (collection: Collection) => Promise<T>): Promise<T> {
    try {
      return await use(await this.#sessions.collection())
    } catch (error) {
      const cause = withoutContents(error instanceof IndeterminateWriteError ? error.cause : error)
      this.#sessions.failed?.(cause)
      throw error
    }
  }

  #replace(collection: Collection, id: unknown, write: Write, expected: StoredSession): Promise<WriteAnswer> {
    const { format } = this.#sessions
    const name = format.comparedText(expected)
    return this.#either(
      async () => {
        const before = await this.#pipelines.replace(collection, id, write, name)
        if (before && valueAt(before, format.path) === name) return { written: true }
        return { written: false, stored: await this.#decoded(before) }
      },
      async () => ({ written: await this.#plain.replace(collection, id, write, name) }),
    )
  }

  #create(collection: Collection, id: unknown, write: Write): Promise<WriteAnswer> {
    return this.#either(
      async () => {
        try {
          const before = await this.#pipelines.create(collection, id, write)
          if (this.#isOver(before, write.now)) return { written: true }
          return { written: false, stored: await this.#decoded(before) }
        } catch (error) {
          // Somebody else has created it while the server was about to.
          if (isDuplicate(error)) return { written: false }
          throw error
        }
      },
      async () => ({ written: await this.#plain.create(collection, id, write) }),
    )
  }

  /** By a pipeline, unless the server has refused the first one and taken the same statement without. */
  async #either<Answer>(byPipeline: () => Promise<Answer>, plainly: () => Promise<Answer>): Promise<Answer> {
    if (this.#takesPipelines === false) return plainly()
    try {
      const answer = await byPipeline()
      this.#takesPipelines = true
      return answer
    } catch (error) {
      if (this.#takesPipelines || !isRefusal(error)) throw error
    }
    const answer = await plainly()
    this.#takesPipelines = false
    return answer
  }

  async #decoded(document: Doc | null | undefined): Promise<StoredSession | undefined> {
    return document?.session === undefined ? undefined : this.#sessions.format.decode(document.session)
  }

  #isOver(document: Doc | null, now: Date): boolean {
    const end = document?.[this.#sessions.expiresField]
    return document?.session === undefined || (end instanceof Date && end <= now)
  }

  /** As the stores compute it. */
  #endOf(expires: Date | undefined): Date {
    return expires ?? new Date(Date.now() + this.#sessions.ttl)
  }
}

function valueAt(document: Doc, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => Object(value)[name], document)
}

import { Aggregator } from 'mingo'
import { BSON } from 'mongodb'
import { type Doc, failed } from './mongo-commands.js'

interface Cursor {
  namespace: string
  pipeline: Doc[]
  /** How many changes it has passed. */
  position: number
}

/** ms that a server waits for a change where the client does not say. */
const AWAIT = 1000

/** The change streams of a replica set of one server. It keeps all changes, until a test makes it lose them. */
export class ChangeStreams {
  readonly #changes: Doc[] = []
  /** Before that, no stream can begin any more. */
  #kept = 0
  readonly #cursors = new Map<number, Cursor>()
  #lastCursor = 0
  readonly #waiting = new Set<() => void>()
  #failure: Doc | undefined
  /** None can be opened. */
  isDown = false

  /** How many are open. */
  get open(): number {
    return this.#cursors.size
  }

  record(change: Doc): void {
    this.#changes.push({ _id: tokenOf(this.#changes.length + 1), ...change })
    this.#wake()
  }

  /** The answer to an `aggregate` that begins with `$changeStream`. */
  start({ $db, aggregate, pipeline }: Doc): Doc {
    if (this.isDown) return failed(11600, 'InterruptedAtShutdown', 'interrupted at shutdown')
    const [{ $changeStream }, ...rest] = pipeline
    const token = $changeStream.resumeAfter ?? $changeStream.startAfter
    const position = token ? Number(token._data) : this.#changes.length
    if (position < this.#kept) return LOST
    const cursor: Cursor = { namespace: `${$db}.${aggregate}`, pipeline: rest, position }
    this.#cursors.set(++this.#lastCursor, cursor)
    return this.#answer(this.#lastCursor, cursor, 'firstBatch', [])
  }

  /** The answer to a `getMore`, which waits for a change. */
  async more({ getMore, maxTimeMS = AWAIT }: Doc): Promise<Doc> {
    const id = Number(getMore)
    const end = Date.now() + maxTimeMS
    for (;;) {
      const cursor = this.#cursors.get(id)
      if (!cursor) return this.#failure ?? failed(43, 'CursorNotFound', `cursor id ${id} not found`)
      const batch = this.#next(cursor)
      if (batch.length > 0 || Date.now() >= end) return this.#answer(id, cursor, 'nextBatch', batch)
      await this.#change(end - Date.now())
    }
  }

  kill(ids: unknown[]): void {
    for (const id of ids) this.#cursors.delete(Number(id))
    this.#wake()
  }

  /** Ends all of them. @param failure what they are told. Default: that the cursor is not found, after which clients resume by themselves */
  break(failure?: Doc): void {
    this.#failure = failure
    this.#cursors.clear()
    this.#wake()
  }

  /** Ends all of them, and forgets the changes: none can be resumed. */
  lose(): void {
    // So that what happened until now is not found, and a stream of this moment is not either.
    this.#changes.push({ _id: tokenOf(this.#changes.length + 1), operationType: 'none' })
    this.#kept = this.#changes.length
    this.break(LOST)
  }

  #next(cursor: Cursor): Doc[] {
    const changes = this.#changes.slice(cursor.position).filter(({ ns }) => `${ns?.db}.${ns?.coll}` === cursor.namespace)
    cursor.position = this.#changes.length
    return new Aggregator(cursor.pipeline).run(changes) as Doc[]
  }

  #answer(id: number, { namespace, position }: Cursor, name: string, batch: Doc[]): Doc {
    return {
      ok: 1,
      cursor: { id: BSON.Long.fromNumber(id), ns: namespace, [name]: batch, postBatchResumeToken: tokenOf(position) },
    }
  }

  /** Resolves at the next change, and after that time. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      timer.unref()
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }
}

const LOST: Doc = {
  ...failed(286, 'ChangeStreamHistoryLost', 'Resume of change stream was not possible'),
  errorLabels: ['NonResumableChangeStreamError'],
}

/** Names how many changes there were. */
function tokenOf(count: number): Doc {
  return { _data: String(count).padStart(12, '0') }
}

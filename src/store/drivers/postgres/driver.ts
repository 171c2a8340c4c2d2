import { channelOf, MAX_TEXT, payloadOf } from '../../../cluster/buses/postgres-channels.js'
import { promisifyStoreCall } from '../../../util/timeout.js'
import { type Document, toCookie, toStored, toText } from '../../document.js'
import type { StoreMethods } from '../../original-store.js'
import { TextSnapshot } from '../../snapshot.js'
import {
  type CompareAndSetDriver,
  IndeterminateWriteError,
  type OutgoingMessage,
  type Snapshot,
  type TtlPolicy,
  type WriteResult,
} from '../driver.js'
import { type Statements, statementsFor, type Telling } from './statements.js'
import type { PostgresTable, Row } from './table.js'

/** connect-pg-simple: rows and lives are those of the store, only that a write is compare-and-set. */
export class PostgresDriver implements CompareAndSetDriver {
  readonly name = 'postgres'
  readonly compares = true
  readonly done = [null]
  /** No bus asks for rights as its table does: not NOTIFY, and not the Redis of socket.io's adapter. */
  readonly opaque = true
  readonly #table: PostgresTable
  readonly #methods: Pick<StoreMethods, 'createSession' | 'destroy'>
  #made: { table: string; statements: Statements } | undefined

  constructor(table: PostgresTable, methods: Pick<StoreMethods, 'createSession' | 'destroy'>) {
    this.#table = table
    this.#methods = methods
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    this.#table.begin(sid)
    return toHeld(await this.#table.query(this.#statements.read, [sid, this.#table.now]))
  }

  async write(
    sid: string,
    document: Document,
    expected: Snapshot | undefined,
    life: TtlPolicy,
    note?: OutgoingMessage,
  ): Promise<WriteResult> {
    this.#table.begin(sid)
    const { cookie } = document
    const statement = this.#statementFor(expected, life)
    const json = toText(cookie, document)
    const values = [json, sid, ...(expected ? [expected.etag] : []), this.#table.end(cookie), this.#table.now, sid]
    const row = await this.#conditional(statement, values, told(note), expected?.etag)
    if (row?.written) return { written: true, held: new TextSnapshot(json, { name: String(row.token), cookie }) }
    return { written: false, held: isStale(row, expected) ? await this.read(sid) : toHeld(row) }
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    const { touch, exists } = this.#statements
    const { cookie } = document
    const touches = this.#table.touches(sid, () => toStored(toCookie(this.#methods, cookie), document))
    const row = touches
      ? this.#table.query(touch, [sid, this.#table.end(cookie), this.#table.now])
      : this.#table.query(exists, [sid, this.#table.now])
    return (await row)?.held === true
  }

  get touchDisabled(): boolean | undefined {
    return this.#table.untouched
  }

  async destroy(sid: string, note?: OutgoingMessage): Promise<void> {
    const values = told(note)
    if (values) await this.#table.query(this.#statements.destroy, [sid, ...values])
    else await promisifyStoreCall((done) => this.#methods.destroy(sid, done))
  }

  async readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[]> {
    const row = await this.#table.query(this.#statements.readMany, [sids, this.#table.now])
    const found: Row[] = JSON.parse(String(row?.found ?? '[]'))
    const bySid = new Map(found.map((each) => [each.sid, each]))
    return sids.map((sid) => toHeld(bySid.get(sid)))
  }

  /** By the table of this moment: a subclass may have one for each tenant. */
  get #statements(): Statements {
    const { name } = this.#table
    if (this.#made?.table !== name) this.#made = { table: name, statements: statementsFor(name) }
    return this.#made.statements
  }

  #statementFor(expected: Snapshot | undefined, life: TtlPolicy): Telling {
    const { create, replaceAtLeast, replaceAsCookie } = this.#statements
    if (!expected) return create
    return life === 'atLeast' ? replaceAtLeast : replaceAsCookie
  }

  async #conditional(
    { silent, telling }: Telling,
    values: unknown[],
    notification: [channel: string, payload: string] | undefined,
    token: string | undefined,
  ): Promise<Row | undefined> {
    try {
      return await (notification ? this.#table.query(telling, [...values, ...notification]) : this.#table.query(silent, values))
    } catch (error) {
      // A pool whose transactions are stricter than READ COMMITTED says so where another writer was faster.
      const code = String((error as { code?: unknown } | null)?.code)
      if (!LOST.includes(code)) throw isReported(code) || isUnsent(error) ? error : new IndeterminateWriteError(error)
      return { written: false, token }
    }
  }
}

/** A write must not fail for what it tells: a payload that is too long would. */
function told(note: OutgoingMessage | undefined): [channel: string, payload: string] | undefined {
  if (!note || Buffer.byteLength(note.text) > MAX_TEXT) return undefined
  return [channelOf(note.topic), payloadOf(note.topic, note.text)]
}

/** By an SQLSTATE the server says that it did nothing; those of lost connections and of shutdowns say less. */
function isReported(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code) && !/^(08|57P|XX)/.test(code)
}

/** There was no connection to send it on. */
function isUnsent(error: unknown): boolean {
  return (error as { syscall?: unknown } | null)?.syscall === 'connect'
}

const LOST = ['40001', '40P01']

/**
 * The current row is seen as of the statement's start, the write as of its end. Where both say that nobody interfered and yet the
 * write did not happen, or where there is no row and yet it could not be made, somebody did in between: what is there has to be read.
 */
function isStale(row: Row | undefined, expected: Snapshot | undefined): boolean {
  return row === undefined ? expected === undefined : row.token === expected?.etag
}

function toHeld(row: Row | undefined): Snapshot | undefined {
  return row && new TextSnapshot(String(row.sess), { name: String(row.token) })
}

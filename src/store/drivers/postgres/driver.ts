import { promisifyStoreCall, type StoreMethods } from '../../original-store.js'
import { Snapshot } from '../../snapshot.js'
import type { OutgoingMessage, TtlPolicy } from '../../transaction.js'
import { type CompareAndSetDriver, IndeterminateWriteError, type WriteResult } from '../driver.js'
import { isStale, outcomeOf } from './answers.js'
import { notificationFor } from './channels.js'
import { type ConditionalStatement, type Statements, statementsFor } from './statements.js'
import type { PostgresTable, Row } from './table.js'

/** connect-pg-simple with writes that compare and set. Rows and lifetimes are those of the store. */
export class PostgresDriver implements CompareAndSetDriver {
  readonly name = 'postgres'
  readonly compares = true
  readonly done = [null]
  /** No bus has the access rights of the table: not NOTIFY, and not the Redis of socket.io's adapter. */
  readonly opaque = true
  readonly #table: PostgresTable
  readonly #methods: Pick<StoreMethods, 'createSession' | 'destroy'>
  #cached: { table: string; statements: Statements } | undefined

  constructor(table: PostgresTable, methods: Pick<StoreMethods, 'createSession' | 'destroy'>) {
    this.#table = table
    this.#methods = methods
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    this.#table.startPruning(sid)
    return toSnapshot(await this.#table.query(this.#statements.read, [sid, this.#table.now]))
  }

  async write(
    sid: string,
    snapshot: Snapshot,
    expected: Snapshot | undefined,
    ttl: TtlPolicy,
    message?: OutgoingMessage,
  ): Promise<WriteResult> {
    this.#table.startPruning(sid)
    const statement = this.#statementFor(expected, ttl)
    const text = snapshot.toText()
    const etag = expected?.etag
    const expiry = this.#table.expiry(snapshot.cookie)
    const values = [text, sid, ...(expected ? [etag] : []), expiry, this.#table.now, sid]
    const row = await this.#conditional(statement, values, notificationFor(message), etag)
    if (row?.written) return { written: true, current: snapshot.storedAs(text, String(row.etag)) }
    return { written: false, current: isStale(row, expected?.etag) ? await this.read(sid) : toSnapshot(row) }
  }

  async touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    const { touch, exists } = this.#statements
    const touches = this.#table.touches(sid, () => snapshot.toSession(this.#methods))
    const row = touches
      ? this.#table.query(touch, [sid, this.#table.expiry(snapshot.cookie), this.#table.now])
      : this.#table.query(exists, [sid, this.#table.now])
    return (await row)?.held === true
  }

  get touchDisabled(): boolean | undefined {
    return this.#table.touchDisabled
  }

  async destroy(sid: string, message?: OutgoingMessage): Promise<void> {
    const values = notificationFor(message)
    if (values) await this.#table.query(this.#statements.destroy, [sid, ...values])
    else await promisifyStoreCall((done) => this.#methods.destroy(sid, done))
  }

  async readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[]> {
    const row = await this.#table.query(this.#statements.readMany, [sids, this.#table.now])
    const found: Row[] = JSON.parse(String(row?.found ?? '[]'))
    const bySid = new Map(found.map((each) => [each.sid, each]))
    return sids.map((sid) => toSnapshot(bySid.get(sid)))
  }

  /** For the table of this moment: a subclass may have one for each tenant. */
  get #statements(): Statements {
    const { name } = this.#table
    if (this.#cached?.table !== name)
      this.#cached = { table: name, statements: statementsFor({ table: name, sid: 'sid', expire: 'expire' }) }
    return this.#cached.statements
  }

  #statementFor(expected: Snapshot | undefined, ttl: TtlPolicy): ConditionalStatement {
    const { create, replaceExtending, replaceExactly } = this.#statements
    if (!expected) return create
    return ttl === 'extend' ? replaceExtending : replaceExactly
  }

  async #conditional(
    { plain, notifying }: ConditionalStatement,
    values: unknown[],
    notification: [channel: string, payload: string] | undefined,
    etag: string | undefined,
  ): Promise<Row | undefined> {
    try {
      return await (notification ? this.#table.query(notifying, [...values, ...notification]) : this.#table.query(plain, values))
    } catch (error) {
      const outcome = outcomeOf(error)
      if (outcome === 'conflict') return { written: false, etag }
      throw outcome === 'unknown' ? new IndeterminateWriteError(error) : error
    }
  }
}

function toSnapshot(row: Row | undefined): Snapshot | undefined {
  return row && Snapshot.from(String(row.sess), String(row.etag))
}

import type { Bus } from '../../../bus.js'
import { assertConflict } from '../errors.js'
import type { DriverMessage, NextSession, StoreDriver, StoredSession, WriteAnswer } from '../store-driver.js'
import { isStale, outcomeOf } from './answers.js'
import { notificationFor } from './channels.js'
import { type ConditionalStatement, type Statements, statementsFor, type TableNames } from './statements.js'

/** The first row of an answer. */
export type Row = Record<string, unknown>

/** The table of a store. */
export interface Table {
  /** As of this moment: a subclass of a store may have one for each tenant. */
  readonly names: TableNames
  /** Of the store's own methods. */
  readonly done?: readonly null[]
  /** Do touches leave the row alone? `undefined`: not known before the first touch. */
  readonly touchDisabled?: boolean | undefined
  /** The moment in seconds since the epoch, by the clock that the store compares with: the application's, not the server's. */
  readonly now: number
  /** When a session ends, in seconds since the epoch, as the store computes it. */
  end(expires: Date | undefined): number
  /** Runs one statement on the store's own connections, and results in the first row. */
  query(text: string, values: unknown[]): Promise<Row | undefined>
  /** To be called before a query: what the store's own methods would do. */
  onUse?(sid: string): void
  /** Does a touch change the row? Absent: it does. */
  touches?(sid: string): boolean
  bus?(): Bus | undefined
}

/**
 * A store that keeps its sessions in Postgres: connect-pg-simple, and connect-session-knex. Each call is one statement, also one that is
 * refused, and one with a notification in it. Nobody's bus has the access rights of the table: not NOTIFY, and not that of socket.io's adapter.
 */
export class PostgresDriver implements StoreDriver {
  readonly name: string
  readonly done: readonly null[]
  readonly #table: Table
  #cached: { table: string; statements: Statements } | undefined

  constructor(name: string, table: Table) {
    this.name = name
    this.done = table.done ?? []
    this.#table = table
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    this.#table.onUse?.(sid)
    return toStored(await this.#table.query(this.#statements.read, [sid, this.#table.now]))
  }

  async write(
    sid: string,
    next: NextSession,
    expected: StoredSession | undefined,
    message?: DriverMessage,
  ): Promise<WriteAnswer> {
    this.#table.onUse?.(sid)
    const { create, replaceExtending, replaceExactly } = this.#statements
    const statement = expected ? (next.atLeast ? replaceExtending : replaceExactly) : create
    const token = expected?.token
    const values = [next.text, sid, ...(expected ? [token] : []), this.#table.end(next.expires), this.#table.now, sid]
    const row = await this.#conditional(statement, values, notificationFor(message), token)
    if (row?.written) return { written: true, stored: { text: next.text, token: String(row.etag) } }
    return { written: false, stored: isStale(row, token) ? await this.read(sid) : toStored(row) }
  }

  async touch(sid: string, expires: Date | undefined): Promise<boolean> {
    const { touch, exists } = this.#statements
    const { now } = this.#table
    const touches = this.#table.touches?.(sid) ?? true
    const row = touches ? this.#table.query(touch, [sid, this.#table.end(expires), now]) : this.#table.query(exists, [sid, now])
    return (await row)?.held === true
  }

  get touchDisabled(): boolean | undefined {
    return this.#table.touchDisabled
  }

  async destroy(sid: string, message?: DriverMessage): Promise<void> {
    this.#table.onUse?.(sid)
    const { destroy, destroyQuietly } = this.#statements
    const notification = notificationFor(message)
    await (notification ? this.#table.query(destroy, [sid, ...notification]) : this.#table.query(destroyQuietly, [sid]))
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    const row = await this.#table.query(this.#statements.readMany, [sids, this.#table.now])
    const found: Row[] = JSON.parse(String(row?.found ?? '[]'))
    const bySid = new Map(found.map((each) => [each.sid, each]))
    return sids.map((sid) => toStored(bySid.get(sid)))
  }

  bus(): Bus | undefined {
    return this.#table.bus?.()
  }

  get #statements(): Statements {
    const { names } = this.#table
    if (this.#cached?.table !== names.table) this.#cached = { table: names.table, statements: statementsFor(names) }
    return this.#cached.statements
  }

  async #conditional(
    { plain, notifying }: ConditionalStatement,
    values: unknown[],
    notification: [channel: string, payload: string] | undefined,
    token: string | undefined,
  ): Promise<Row | undefined> {
    try {
      return await (notification ? this.#table.query(notifying, [...values, ...notification]) : this.#table.query(plain, values))
    } catch (error) {
      assertConflict(outcomeOf(error), error)
      return { written: false, etag: token }
    }
  }
}

function toStored(row: Row | undefined): StoredSession | undefined {
  return row && { text: String(row.sess), token: String(row.etag) }
}

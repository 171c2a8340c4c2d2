import { IndeterminateWriteError } from '../driver.js'
import { isStale, outcomeOf } from '../postgres/answers.js'
import { notificationFor } from '../postgres/channels.js'
import { type ConditionalStatement, type Statements, statementsFor } from '../postgres/statements.js'
import type { DriverMessage, NextSession, StoreDriver, StoredSession, WriteAnswer } from '../store-driver.js'
import type { KnexTable } from './knex-table.js'

type Row = Record<string, unknown>

/** connect-session-knex on Postgres. Each call is one statement, also one that is refused, and one with a notification in it. */
export class KnexPostgresDriver implements StoreDriver {
  readonly name: string
  readonly #store: KnexTable
  readonly #statements: Statements
  readonly #delete: string

  constructor(name: string, store: KnexTable) {
    this.name = name
    this.#store = store
    const { knex, tableName, sidFieldName } = store
    const quoted = (identifier: string): string => knex.raw('??', [identifier]).toString().replaceAll('?', '\\?')
    const [table, sid] = [quoted(tableName), quoted(sidFieldName)]
    this.#statements = statementsFor({ table, sid, expire: 'expired' })
    this.#delete = `DELETE FROM ${table} WHERE ${sid} = $1`
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    return toStored(await this.#query(this.#statements.read, [sid, now()]))
  }

  async write(
    sid: string,
    next: NextSession,
    expected: StoredSession | undefined,
    message?: DriverMessage,
  ): Promise<WriteAnswer> {
    const { create, replaceExtending, replaceExactly } = this.#statements
    const statement = expected ? (next.atLeast ? replaceExtending : replaceExactly) : create
    const token = expected?.token
    const values = [next.text, sid, ...(expected ? [token] : []), this.#store.end(next.expires) / 1000, now(), sid]
    const row = await this.#conditional(statement, values, notificationFor(message), token)
    if (row?.written) return { written: true, token: String(row.etag) }
    return { written: false, stored: isStale(row, token) ? await this.read(sid) : toStored(row) }
  }

  async touch(sid: string, expires: Date | undefined): Promise<boolean> {
    return (await this.#query(this.#statements.touch, [sid, this.#store.end(expires) / 1000, now()]))?.held === true
  }

  async destroy(sid: string, message?: DriverMessage): Promise<void> {
    const notification = notificationFor(message)
    if (notification) await this.#query(this.#statements.destroy, [sid, ...notification])
    else await this.#query(this.#delete, [sid])
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    const row = await this.#query(this.#statements.readMany, [sids, now()])
    const found: Row[] = JSON.parse(String(row?.found ?? '[]'))
    const bySid = new Map(found.map((each) => [each.sid, each]))
    return sids.map((sid) => toStored(bySid.get(sid)))
  }

  async #conditional(
    { plain, notifying }: ConditionalStatement,
    values: unknown[],
    notification: [channel: string, payload: string] | undefined,
    etag: string | undefined,
  ): Promise<Row | undefined> {
    try {
      return await (notification ? this.#query(notifying, [...values, ...notification]) : this.#query(plain, values))
    } catch (error) {
      const outcome = outcomeOf(error)
      if (outcome === 'conflict') return { written: false, etag }
      throw outcome === 'unknown' ? new IndeterminateWriteError(error) : error
    }
  }

  /** @returns the first row */
  async #query(statement: string, values: unknown[]): Promise<Row | undefined> {
    const ordered: unknown[] = []
    // knex has its own placeholders. What is in quotes is a name.
    const text = statement.replace(/"[^"]*"|\$(\d+)/g, (match, number) => {
      if (number === undefined) return match
      ordered.push(values[Number(number) - 1])
      return '?'
    })
    return (await this.#store.run(text, ordered)).rows[0]
  }
}

/** In seconds, by the clock that the store compares with: the application's. */
function now(): number {
  return Date.now() / 1000
}

function toStored(row: Row | undefined): StoredSession | undefined {
  return row && { text: String(row.sess), token: String(row.etag) }
}

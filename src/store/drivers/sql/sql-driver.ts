import { assertConflict } from '../errors.js'
import {
  IndeterminateWriteError,
  type NextSession,
  type StoreDriver,
  type StoredSession,
  type WriteAnswer,
} from '../store-driver.js'
import { createRow } from './create-row.js'
import type { Dialect, Statements, Table } from './dialect.js'
import { inOrder } from './in-order.js'
import type { Statement, Values } from './statement.js'

export interface Answer {
  rows: readonly Record<string, unknown>[]
  /** How many rows were written. */
  count: number
}

/** A store that keeps its sessions in a table. */
export interface SqlStore {
  readonly name: string
  readonly dialect: Dialect
  readonly table: Table
  /** The names of the table and of the column with the sessions. Absent for a dialect that does not ask for its type. */
  readonly column?: readonly [table: string, column: string]
  /** Runs one statement on the store's own connections. */
  run(text: string, values: unknown[]): Promise<Answer>
  /** As the column keeps ends. */
  now(): unknown
  /** @param expires `undefined`: as long as the store lets such a session live */
  end(expires: Date | undefined): unknown
  /** The store is configured to do nothing on a touch. */
  touchDisabled?(): boolean
}

/** A store in a database without notifications. What a refused write brings is read after it. */
export class SqlDriver implements StoreDriver {
  readonly name: string
  readonly #store: SqlStore
  readonly #statements: Statements
  #serverToken: Promise<Statement | undefined> | undefined

  constructor(store: SqlStore) {
    this.name = store.name
    this.#store = store
    this.#statements = store.dialect.statementsFor(store.table)
  }

  get touchDisabled(): boolean {
    return this.#store.touchDisabled?.() ?? false
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    const { rows } = await this.#run(this.#statements.read, { sid })
    return toStored(rows[0])
  }

  async write(sid: string, next: NextSession, expected: StoredSession | undefined): Promise<WriteAnswer> {
    const { dialect } = this.#store
    const { replaceExtending, replaceExactly } = this.#statements
    const serverToken = await this.#tokenStatement()
    const values = { sid, text: next.text, end: this.#store.end(next.expires), expected: expected?.token ?? expected?.text }
    if (!expected) {
      const answer = await this.#create(values)
      if (!answer.written) return answer
    } else if (!(await this.#send(next.atLeast ? replaceExtending : replaceExactly, values))) {
      return { written: false, stored: await this.read(sid) }
    }
    const token = serverToken ? await this.#askForToken(serverToken, values) : dialect.tokenOf(next.text)
    return { written: true, stored: { text: next.text, token } }
  }

  async touch(sid: string, expires: Date | undefined): Promise<boolean> {
    const { touch, exists } = this.#statements
    if (!this.touchDisabled && (await this.#run(touch, { sid, end: this.#store.end(expires) })).count > 0) return true
    // A client may be configured not to count a row that has this end already.
    return (await this.#run(exists, { sid })).rows.length > 0
  }

  async destroy(sid: string): Promise<void> {
    await this.#run(this.#statements.destroy, { sid })
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    if (sids.length === 0) return []
    const { rows } = await this.#run(this.#statements.readMany(sids), { sid: '' })
    return inOrder(sids, rows, toStored, (sid) => this.read(sid))
  }

  #create(values: Omit<Values, 'now'>): Promise<WriteAnswer> {
    const { create, replaceEnded } = this.#statements
    return createRow({
      insert: () => this.#send(create, values),
      replaceEnded: async () => replaceEnded !== undefined && this.#send(replaceEnded, values),
      isDuplicate: this.#store.dialect.isDuplicate,
      read: () => this.read(values.sid),
    })
  }

  /** Runs a write. @returns whether a row was written */
  async #send(statement: Statement, values: Omit<Values, 'now'>): Promise<boolean> {
    try {
      return (await this.#run(statement, values)).count > 0
    } catch (error) {
      assertConflict(this.#store.dialect.outcomeOf(error), error)
      return false
    }
  }

  #run(statement: Statement, values: Omit<Values, 'now'>): Promise<Answer> {
    return this.#store.run(statement.text, statement.valuesOf({ ...values, now: this.#store.now() }))
  }

  /** How to ask for the token of a text, where only the server knows it. The column's type is asked for once. */
  #tokenStatement(): Promise<Statement | undefined> | undefined {
    const { dialect, column } = this.#store
    const { serverToken } = dialect
    if (!column || !serverToken) return undefined
    this.#serverToken ??= this.#run(serverToken.typeOf(...column), { sid: '' }).then(
      ({ rows }) => serverToken.of(String(rows[0]?.type)),
      (error) => {
        this.#serverToken = undefined
        throw error
      },
    )
    return this.#serverToken
  }

  /** The text has been written: an error of this is none of the write. */
  async #askForToken(statement: Statement, values: Omit<Values, 'now'>): Promise<string> {
    try {
      const { rows } = await this.#run(statement, values)
      return String(rows[0]?.token)
    } catch (error) {
      throw new IndeterminateWriteError(error)
    }
  }
}

function toStored(row: Record<string, unknown> | undefined): StoredSession | undefined {
  return row && { text: String(row.sess), ...(row.token !== undefined && { token: String(row.token) }) }
}

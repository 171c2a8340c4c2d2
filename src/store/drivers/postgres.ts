import { type Document, toCookie, toDocument, toImage, toStored } from '../document.js'
import { type Driver, type Held, type Life, Unsettled, type WriteResult } from '../driver.js'
import { operation } from '../operation.js'
import type { StoreMethods } from '../raw.js'
import { type Statements, statementsFor } from './postgres-statements.js'
import type { PostgresTable, Row } from './postgres-table.js'

/** connect-pg-simple: rows and lives are those of the store, only that a write is compare-and-set. */
export class PostgresDriver implements Driver {
  readonly name = 'postgres'
  readonly compares = true
  readonly #table: PostgresTable
  readonly #methods: Pick<StoreMethods, 'createSession' | 'destroy'>
  readonly #statements: Statements

  constructor(table: PostgresTable, methods: Pick<StoreMethods, 'createSession' | 'destroy'>) {
    this.#table = table
    this.#methods = methods
    this.#statements = statementsFor(table.name)
  }

  async read(sid: string): Promise<Held | undefined> {
    return toHeld(await this.#table.query(this.#statements.read, [sid]))
  }

  async write(sid: string, document: Document, expected: Held | undefined, life: Life): Promise<WriteResult> {
    const cookie = toCookie(this.#methods, document.cookie)
    const session = toStored(cookie, document.data)
    const row = await this.#conditional(sid, JSON.stringify(session), expected?.token, this.#table.end(session), life)
    if (row?.written) {
      return { written: true, held: { document: { cookie: toImage(cookie), data: document.data }, token: String(row.token) } }
    }
    return { written: false, held: isStale(row, expected) ? await this.read(sid) : toHeld(row) }
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    const { touch, exists } = this.#statements
    if (this.#table.untouched) return (await this.#table.query(exists, [sid]))?.held === true
    const session = toStored(toCookie(this.#methods, document.cookie), document.data)
    return (await this.#table.query(touch, [sid, this.#table.end(session)]))?.held === true
  }

  destroy(sid: string): Promise<void> {
    return operation((done) => this.#methods.destroy(sid, done))
  }

  async #conditional(sid: string, json: string, token: string | undefined, end: number, life: Life): Promise<Row | undefined> {
    const { create, replaceAtLeast, replaceAsCookie } = this.#statements
    try {
      return token === undefined
        ? await this.#table.query(create, [json, sid, end, sid])
        : await this.#table.query(life === 'atLeast' ? replaceAtLeast : replaceAsCookie, [json, sid, token, end, sid])
    } catch (error) {
      // A pool whose transactions are stricter than READ COMMITTED says so where another writer was faster.
      const code = String((error as { code?: unknown } | null)?.code)
      if (!LOST.includes(code)) throw isReported(code) || isUnsent(error) ? error : new Unsettled(error)
      return { written: false, token }
    }
  }
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
function isStale(row: Row | undefined, expected: Held | undefined): boolean {
  return row === undefined ? expected === undefined : row.token === expected?.token
}

function toHeld(row: Row | undefined): Held | undefined {
  return row && { document: toDocument(String(row.sess)), token: String(row.token) }
}

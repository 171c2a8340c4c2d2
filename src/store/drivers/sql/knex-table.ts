import { foreignMethods, type Methods } from '../../own-methods.js'
import { withoutStatement } from './errors.js'
import type { Answer } from './sql-driver.js'

const DAY = 86_400_000

/** The part of a knex that is used. */
export interface Knex {
  raw(text: string, values: readonly unknown[]): Promise<unknown> & { toString(): string }
  client: { dialect: string; driver?: { Client?: unknown }; connectionSettings?: object }
}

/** The public members of a connect-session-knex store. */
interface KnexStore {
  options: { knex: Knex; tableName: string; sidFieldName: string }
  /** The table is there. */
  ready: Promise<unknown>
}

/** The names that the methods of connect-session-knex 5 access. */
const METHODS: Methods = {
  get: ['andWhereRaw dateAsISO expiredCondition from options parse ready select sess where'],
  set: [
    'client cookie dateAsISO forUpdate from getMssqlFastQuery getMysqlFastQuery getPostgresFastQuery getSqliteFastQuery getTime insert isMSSQL isMySQL isPostgres isSqlite3 length options raw ready select stringify transaction update version where',
  ],
  touch: ['andWhereRaw cookie dateAsISO expiredCondition expires options ready update where'],
  destroy: ['del from options ready where'],
}

function isKnexStore(store: object): store is KnexStore {
  const { options, ready } = store as Partial<KnexStore>
  const { knex, tableName, sidFieldName } = Object(options) as Partial<KnexStore['options']>
  const isThere = typeof knex === 'function' && typeof tableName === 'string' && typeof sidFieldName === 'string'
  return isThere && ready instanceof Promise
}

/** The table of a connect-session-knex store. */
export class KnexTable {
  readonly tableName: string
  readonly sidFieldName: string
  /** Is called when the store has another knex. */
  onReplaced: () => void = () => undefined
  readonly #store: KnexStore
  #lastKnex: Knex

  private constructor(store: KnexStore) {
    this.#store = store
    const { knex, tableName, sidFieldName } = store.options
    this.#lastKnex = knex
    this.tableName = tableName
    this.sidFieldName = sidFieldName
  }

  /** @returns `undefined` for another store */
  static of(store: object): KnexTable | undefined {
    return isKnexStore(store) ? new KnexTable(store) : undefined
  }

  /** The store's methods that are not connect-session-knex' own. */
  get foreign(): string[] {
    return foreignMethods(this.#store, METHODS)
  }

  /** The application may give the store another one at any time. */
  get knex(): Knex {
    const { knex } = this.#store.options
    const isReplaced = knex !== this.#lastKnex
    this.#lastKnex = knex
    if (isReplaced) this.onReplaced()
    return knex
  }

  /** Runs a statement when the store has made its table. */
  async run(text: string, values: readonly unknown[]): Promise<Answer> {
    await this.#store.ready
    try {
      return answerOf(await this.knex.raw(text, values))
    } catch (error) {
      throw withoutStatement(error as Error, messageOf(error as Error))
    }
  }

  /** When a session ends, in ms since the epoch, as the store computes it. */
  end(expires: Date | undefined): number {
    return expires?.getTime() ?? Date.now() + DAY
  }
}

/** Postgres: a result. MySQL: rows or a result, and fields. SQLite: rows. */
function answerOf(result: unknown): Answer {
  const first: unknown = Array.isArray(result) && (Array.isArray(result[0]) || isHeader(result[0])) ? result[0] : result
  if (Array.isArray(first)) return { rows: first, count: first.length }
  const { rows = [], affectedRows = 0 } = Object(first) as { rows?: Answer['rows']; affectedRows?: number }
  return { rows, count: affectedRows }
}

function isHeader(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'affectedRows' in value
}

/** The message is the statement, a hyphen, and that of the server. */
function messageOf({ message }: Error): string {
  return message.slice(message.lastIndexOf(' - ') + 1).replace(/^- /, '')
}

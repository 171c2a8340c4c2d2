import { foreignMethods, type Methods } from '../../own-methods.js'
import type { KnownStore } from '../driver-names.js'
import type { StoreDriver } from '../store-driver.js'
import { withoutStatement } from './errors.js'
import { mysql } from './mysql.js'
import { type Answer, SqlDriver } from './sql-driver.js'
import { identifier, sql, value } from './statement.js'

/** The public members of an express-mysql-session store. */
interface MysqlStore {
  options: {
    /** In ms. */
    expiration: number
    disableTouch: boolean
    schema: { tableName: string; columnNames: Record<'session_id' | 'expires' | 'data', string> }
  }
  query(text: string, values: unknown[]): Promise<[rows: unknown, fields: unknown]>
}

/** All of them are the same function around others, which look at the last argument. */
const WITH_CALLBACK = ['apply call catch length prototype slice then']

/** The names that the methods of express-mysql-session 3 access. */
const METHODS: Methods = {
  get: WITH_CALLBACK,
  set: WITH_CALLBACK,
  touch: WITH_CALLBACK,
  destroy: WITH_CALLBACK,
  query: ['catch connection query then'],
}

function isMysqlStore(store: object): store is MysqlStore {
  const { options } = store as Partial<MysqlStore>
  return typeof options?.schema?.columnNames === 'object' && 'onReady' in store
}

/** express-mysql-session 3; `undefined` for another store. */
export function mysqlStore(store: object): KnownStore | undefined {
  if (!isMysqlStore(store)) return undefined
  return { name: 'express-mysql-session', foreign: foreignMethods(store, METHODS), driver: () => driverOf(store) }
}

/** Ends are whole seconds since the epoch. */
function driverOf(store: MysqlStore): StoreDriver {
  const { tableName, columnNames } = store.options.schema
  const seconds = (ms: number): number => Math.round(ms / 1000)
  const end = identifier(columnNames.expires)
  return new SqlDriver({
    name: 'express-mysql-session',
    dialect: mysql,
    table: {
      name: identifier(tableName),
      sid: identifier(columnNames.session_id),
      data: identifier(columnNames.data),
      end,
      alive: sql`${end} >= ${value('now')}`,
    },
    column: [tableName, columnNames.data],
    // As the store's own methods, this does not wait for `onReady()`, which never settles any more when the table could not be made.
    async run(text, values) {
      try {
        return answerOf(await store.query(text, values))
      } catch (error) {
        throw withoutStatement(error as Error)
      }
    },
    now: () => seconds(Date.now()),
    end: (expires) => seconds(expires?.getTime() ?? Date.now() + store.options.expiration),
    touchDisabled: () => store.options.disableTouch,
  })
}

function answerOf([rows]: [rows: unknown, fields: unknown]): Answer {
  if (Array.isArray(rows)) return { rows, count: rows.length }
  return { rows: [], count: Number((rows as { affectedRows?: unknown }).affectedRows) }
}

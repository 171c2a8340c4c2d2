import { getOrInsert } from '../../../util/maps.js'
import { foreignMethods, hasPackageMethod, type Methods, runGet } from '../../own-methods.js'
import type { KnownStore } from '../driver-names.js'
import { type Answer, SqlDriver, type SqlStore } from './sql-driver.js'
import { sqlite } from './sqlite.js'
import { sql, value } from './statement.js'

const DAY = 86_400_000

/** The public members of a connect-sqlite3 store. */
interface ConnectSqlite3 {
  /** Not quoted in the store's own statements, nor here. */
  table: string
  /** A `Database` of the package sqlite3. */
  db: { all(text: string, values: unknown[], done: (error: unknown, rows?: Answer['rows']) => void): unknown }
}

/** The names that the methods of connect-sqlite3 0.9 access. */
const CONNECT_SQLITE3: Methods = {
  get: ['db get getTime parse sess table'],
  set: ['all apply cookie db getTime maxAge stringify table'],
  touch: ['cookie db expires getTime run table'],
  destroy: ['db run table'],
}

function isConnectSqlite3(store: object): store is ConnectSqlite3 {
  const { table, db } = store as Partial<ConnectSqlite3>
  return typeof table === 'string' && typeof db?.all === 'function' && hasPackageMethod(store, CONNECT_SQLITE3)
}

/** Ends are ms since the epoch. */
function connectSqlite3(store: ConnectSqlite3): SqlStore {
  return {
    name: 'connect-sqlite3',
    dialect: sqlite,
    table: {
      name: sql`${store.table}`,
      sid: sql`sid`,
      data: sql`sess`,
      end: sql`expired`,
      alive: sql`${value('now')} <= expired`,
    },
    run: (text, values) =>
      new Promise((resolve, reject) => {
        store.db.all(text, values, (error, rows = []) => (error ? reject(error) : resolve({ rows, count: rows.length })))
      }),
    now: () => Date.now(),
    end: (expires) => expires?.getTime() ?? Date.now() + DAY,
  }
}

/** The public members of a better-sqlite3-session-store. */
interface BetterSqlite3Store {
  /** A `Database` of the package better-sqlite3. */
  client: { prepare(text: string): Prepared }
}

interface Prepared {
  /** It results in rows. */
  readonly reader: boolean
  all(...values: unknown[]): Answer['rows']
  run(...values: unknown[]): { changes: number }
}

/** The names that the methods of better-sqlite3-session-store 0.1 access. A bundler leaves out comments, in which there are two more. */
const BETTER_SQLITE3: Methods = {
  get: ['client get parse prepare sess'],
  set: [
    'client com cookie getTime html maxAge prepare run stringify toISOString',
    'client cookie getTime maxAge prepare run stringify toISOString',
  ],
  touch: ['client cookie expire expires getTime prepare run toISOString'],
  destroy: ['client prepare run'],
}

function isBetterSqlite3(store: object): store is BetterSqlite3Store {
  const { client } = store as Partial<BetterSqlite3Store>
  return typeof client?.prepare === 'function' && hasPackageMethod(store, BETTER_SQLITE3)
}

/** The table of which the store's own `get` reads; `undefined` where it reads otherwise than that of the package. */
function tableOf(store: BetterSqlite3Store): string | undefined {
  let read = ''
  runGet(store, 'sid', {
    prepare(text: string) {
      read = text
      return { get: () => undefined }
    },
  })
  const pattern = /^SELECT sess FROM (\S+) WHERE sid = @sid AND datetime\('now'\) < datetime\(expire\)$/
  return pattern.exec(read.replace(/\s+/g, ' ').trim())?.[1]
}

/** Ends are ISO texts, of which seconds are compared. A session has ended in the second of its end. */
function betterSqlite3(store: BetterSqlite3Store, table = 'sessions'): SqlStore {
  const preparedBy = new WeakMap<object, Map<string, Prepared>>()
  return {
    name: 'better-sqlite3-session-store',
    dialect: sqlite,
    table: {
      name: sql`${table}`,
      sid: sql`sid`,
      data: sql`sess`,
      end: sql`expire`,
      alive: sql`datetime(${value('now')}) < datetime(expire)`,
    },
    async run(text, values) {
      // The application may give the store another one at any time.
      const { client } = store
      const prepared = getOrInsert(preparedBy, client, () => new Map<string, Prepared>())
      const statement = prepared.get(text) ?? client.prepare(text)
      if (!text.includes(' IN (')) prepared.set(text, statement)
      if (!statement.reader) return { rows: [], count: statement.run(...values).changes }
      const rows = statement.all(...values)
      return { rows, count: rows.length }
    },
    now: () => new Date().toISOString(),
    end: (expires) => (expires ?? new Date(Date.now() + DAY)).toISOString(),
  }
}

/** connect-sqlite3 and better-sqlite3-session-store; `undefined` for another store. */
export function sqliteStore(store: object): KnownStore | undefined {
  if (isConnectSqlite3(store)) {
    const foreign = foreignMethods(store, CONNECT_SQLITE3)
    return { name: 'connect-sqlite3', foreign, driver: () => new SqlDriver(connectSqlite3(store)) }
  }
  if (!isBetterSqlite3(store)) return undefined
  const foreign = foreignMethods(store, BETTER_SQLITE3)
  // A copy of the package may have a table of its own.
  const table = foreign.includes('get') ? undefined : tableOf(store)
  if (table === undefined && foreign.length === 0) foreign.push('get')
  return { name: 'better-sqlite3-session-store', foreign, driver: () => new SqlDriver(betterSqlite3(store, table)) }
}

import betterSqlite3SessionStore from 'better-sqlite3-session-store'
import { ConnectSessionKnexStore } from 'connect-session-knex'
import connectSessionSequelize from 'connect-session-sequelize'
import expressSession, { type Store } from 'express-session'
import knex from 'knex'
import { Sequelize } from 'sequelize'
import { installSqlite } from '../support/sqlite-modules.js'
import type { Backend, Reader } from './history.js'

/** ms that a process waits while another one writes the file. */
const BUSY = 10_000

const BetterStore = betterSqlite3SessionStore(expressSession)

async function openBetter(file: string): Promise<any> {
  const client = new ((await installSqlite())('better-sqlite3'))(file, { timeout: BUSY })
  client.pragma('journal_mode = WAL')
  return client
}

/** All of these stores keep a session in such a row. */
async function readRow(file: string, table: string, column: string): Promise<Reader> {
  const client = await openBetter(file)
  return {
    async read(sid) {
      const row = client.prepare(`SELECT ${column} AS text FROM ${table} WHERE sid = ?`).get(sid)
      return row && JSON.parse(row.text)
    },
    close: async () => client.close(),
  }
}

async function openConnectSqlite3(file: string): Promise<Store> {
  const load = await installSqlite()
  const db = new (load('sqlite3').Database)(file)
  db.configure('busyTimeout', BUSY)
  const store = new (load('connect-sqlite3')(expressSession))({ db })
  // The store makes its table before this.
  await new Promise((resolve) => db.exec('PRAGMA journal_mode = WAL', resolve))
  return store
}

async function openKnex(filename: string): Promise<Store> {
  const load = await installSqlite()
  // knex looks for the bindings beside itself.
  const { default: Dialect } = await import('knex/lib/dialects/sqlite3/index.js' as string)
  class Client extends Dialect {
    _driver(): unknown {
      return load('sqlite3')
    }
  }
  const database = knex({ client: Client as never, connection: { filename }, useNullAsDefault: true })
  await database.raw(`PRAGMA busy_timeout = ${BUSY}`)
  await database.raw('PRAGMA journal_mode = WAL')
  const store = new ConnectSessionKnexStore({ knex: database, cleanupInterval: 0 })
  await store.ready
  return store
}

const SequelizeStore = connectSessionSequelize(expressSession.Store)

async function openSequelize(storage: string): Promise<any> {
  const dialectModule = (await installSqlite())('sqlite3')
  const database = new Sequelize({ dialect: 'sqlite', dialectModule, storage, logging: false })
  await database.query(`PRAGMA busy_timeout = ${BUSY}`)
  await database.query('PRAGMA journal_mode = WAL')
  const store = new SequelizeStore({ db: database, checkExpirationInterval: -1 })
  await store.sync()
  return store
}

/** Their url is the path of the file. The first one that is opened makes the table. */
export const SQLITE_STORES = {
  'better-sqlite3': {
    open: async (file) => new BetterStore({ client: await openBetter(file) }),
    async read(file) {
      new BetterStore({ client: await openBetter(file) })
      return readRow(file, 'sessions', 'sess')
    },
  },
  'connect-sqlite3': {
    open: openConnectSqlite3,
    async read(file) {
      await openConnectSqlite3(file)
      return readRow(file, 'sessions', 'sess')
    },
  },
  'knex-sqlite': {
    open: openKnex,
    async read(file) {
      await openKnex(file)
      return readRow(file, 'sessions', 'sess')
    },
  },
  'sequelize-sqlite': {
    open: openSequelize,
    async read(file) {
      await openSequelize(file)
      return readRow(file, 'Sessions', 'data')
    },
  },
} satisfies Record<string, Backend>

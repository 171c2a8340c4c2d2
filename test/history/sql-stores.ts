import betterSqlite3SessionStore from 'better-sqlite3-session-store'
import { ConnectSessionKnexStore } from 'connect-session-knex'
import connectSessionSequelize from 'connect-session-sequelize'
import expressMySqlSession from 'express-mysql-session'
import expressSession, { type Store } from 'express-session'
import knex, { type Knex } from 'knex'
import { createPool } from 'mysql2/promise'
import { Sequelize } from 'sequelize'
import { installSqlite } from '../support/sqlite-modules.js'
import type { Reader } from './history.js'

/** A store in an SQL database. */
interface SqlStore {
  open(url: string): Promise<Store>
  read(url: string): Promise<Reader>
}

function onKnex(client: 'pg' | 'mysql2'): SqlStore {
  const silent = { warn() {}, error() {}, debug() {}, deprecate() {} }
  const connect = (url: string): Knex => knex({ client, connection: url, pool: { min: 0, max: 6 }, log: silent })
  const store = async (database: Knex): Promise<Store> => {
    const made = new ConnectSessionKnexStore({ knex: database, cleanupInterval: 0 })
    await made.ready
    return made
  }
  return {
    open: (url) => store(connect(url)),
    async read(url) {
      const database = connect(url)
      await store(database)
      return {
        async read(sid) {
          const [row] = await database('sessions').where({ sid })
          return typeof row?.sess === 'string' ? JSON.parse(row.sess) : row?.sess
        },
        close: () => database.destroy(),
      }
    },
  }
}

const MySqlStore = expressMySqlSession(expressSession)

async function openMySql(url: string): Promise<{ store: any; pool: ReturnType<typeof createPool> }> {
  const pool = createPool({ uri: url, connectionLimit: 6 })
  const store = new MySqlStore({ clearExpired: false }, pool)
  await store.onReady()
  return { store, pool }
}

const BetterStore = betterSqlite3SessionStore(expressSession)

/** @param file the path of the database */
async function openSqlite(file: string): Promise<{ store: any; client: any }> {
  const client = new ((await installSqlite())('better-sqlite3'))(file)
  client.pragma('journal_mode = WAL')
  return { store: new BetterStore({ client }), client }
}

/** A model for Sequelize, whose store defines it. */
async function openSequelize(url: string): Promise<{ store: any; database: Sequelize }> {
  const database = new Sequelize(url, { logging: false, pool: { max: 6 } })
  const store = new SequelizeStore({ db: database, checkExpirationInterval: -1 })
  await store.sync()
  return { store, database }
}

const SequelizeStore = connectSessionSequelize(expressSession.Store)

export const SQL_STORES = {
  'sequelize-mariadb': {
    open: async (url) => (await openSequelize(url)).store,
    async read(url) {
      const { store, database } = await openSequelize(url)
      return {
        async read(sid) {
          const row = await store.sessionModel.findOne({ where: { sid } })
          return row ? JSON.parse(row.data) : undefined
        },
        close: () => database.close(),
      }
    },
  },
  'knex-postgres': onKnex('pg'),
  'knex-mariadb': onKnex('mysql2'),
  'express-mysql-session': {
    open: async (url) => (await openMySql(url)).store,
    async read(url) {
      const { pool } = await openMySql(url)
      return {
        async read(sid) {
          const [rows] = await pool.query<any>('SELECT data FROM sessions WHERE session_id = ?', [sid])
          return rows[0] && JSON.parse(rows[0].data)
        },
        close: () => pool.end(),
      }
    },
  },
  'better-sqlite3': {
    open: async (file) => (await openSqlite(file)).store,
    async read(file) {
      const { client } = await openSqlite(file)
      return {
        async read(sid) {
          const row = client.prepare('SELECT sess FROM sessions WHERE sid = ?').get(sid)
          return row && JSON.parse(row.sess)
        },
        close: async () => client.close(),
      }
    },
  },
} satisfies Record<string, SqlStore>

export type SqlStoreName = keyof typeof SQL_STORES

export function isSqlStore(name: string): name is SqlStoreName {
  return name in SQL_STORES
}

import { ConnectSessionKnexStore } from 'connect-session-knex'
import connectSessionSequelize from 'connect-session-sequelize'
import expressMySqlSession from 'express-mysql-session'
import expressSession, { type Store } from 'express-session'
import knex, { type Knex } from 'knex'
import { createPool } from 'mysql2/promise'
import { Sequelize } from 'sequelize'
import type { Backend } from './history.js'

function onKnex(client: 'pg' | 'mysql2'): Backend {
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

/** A model for Sequelize, whose store defines it. */
async function openSequelize(url: string): Promise<{ store: any; database: Sequelize }> {
  const database = new Sequelize(url, { logging: false, pool: { max: 6 } })
  const store = new SequelizeStore({ db: database, checkExpirationInterval: -1 })
  await store.sync()
  return { store, database }
}

const SequelizeStore = connectSessionSequelize(expressSession.Store)

const onSequelize: Backend = {
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
}

export const SQL_STORES = {
  'sequelize-mariadb': onSequelize,
  'sequelize-postgres': onSequelize,
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
} satisfies Record<string, Backend>

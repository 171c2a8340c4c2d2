import createBetterSqlite3Store from 'better-sqlite3-session-store'
import connectDynamoDb from 'connect-dynamodb'
import connectMongo from 'connect-mongo'
import connectMongoDbSession from 'connect-mongodb-session'
import { ConnectSessionKnexStore } from 'connect-session-knex'
import connectSessionSequelize from 'connect-session-sequelize'
import createMysqlStore from 'express-mysql-session'
import expressSession, { type Store } from 'express-session'
import knex from 'knex'
import memorystore from 'memorystore'
import { MongoClient } from 'mongodb'
import { Sequelize } from 'sequelize'
import { SQLITE_STORES } from '../test/history/sqlite-stores.js'
import { installSqlite } from '../test/support/sqlite-modules.js'
import { openStore } from './stores.js'

/** Where the servers of a run are. */
export interface DriverUrls {
  redis: string
  postgres: string
  mariadb: string
  mongo: string
  dynamodb: string
}

/** How the store of a process is opened. */
export interface StoreToOpen {
  urls: Partial<DriverUrls>
  /** Whose sessions these are: contenders share a server, and must not meet there. */
  owner: string
  /** Of a file for a database, without its ending. */
  file: string
}

/** How many sessions or writers there are at once, and so how many connections are of use. */
export const AT_ONCE = 16

const owned = ({ owner }: StoreToOpen): string => `sessions_${owner}`

/** The packages' classes are typed for other versions of express-session, or not at all. */
type Class = new (options: object, ...more: unknown[]) => Store & Record<string, any>

async function onSequelize(url: string, dialect: 'mysql' | 'postgres', at: StoreToOpen): Promise<Store> {
  const db = new Sequelize(url, { dialect, logging: false, pool: { max: AT_ONCE } })
  const SequelizeStore = connectSessionSequelize(expressSession.Store) as unknown as Class
  const store = new SequelizeStore({ db, checkExpirationInterval: -1, tableName: owned(at) })
  await store.sync()
  return store
}

async function onMongo(stringify: boolean, at: StoreToOpen): Promise<Store> {
  const client = await new MongoClient(at.urls.mongo!, { maxPoolSize: AT_ONCE }).connect()
  return connectMongo.create({ client: client as never, collectionName: owned(at), stringify }) as unknown as Store
}

async function onKnex(options: object, at: StoreToOpen): Promise<Store> {
  const store = new ConnectSessionKnexStore({ knex: knex(options), tableName: owned(at), cleanupInterval: 0 })
  await store.ready
  return store
}

/** By what the tables call them. `needs`: the server. */
export const DRIVER_STORES: Record<string, { needs?: keyof DriverUrls; open(at: StoreToOpen): Promise<Store> }> = {
  MemoryStore: { open: async () => new expressSession.MemoryStore() },
  memorystore: { open: async () => new (memorystore(expressSession))({}) as Store },
  'connect-redis': { needs: 'redis', open: async ({ urls, owner }) => (await openStore('redis', urls, owner)).store },
  'connect-pg-simple': { needs: 'postgres', open: async ({ urls, owner }) => (await openStore('postgres', urls, owner)).store },
  'connect-session-knex, Postgres': {
    needs: 'postgres',
    open: (at) => onKnex({ client: 'pg', connection: at.urls.postgres, pool: { min: 0, max: AT_ONCE } }, at),
  },
  'connect-session-knex, MariaDB': {
    needs: 'mariadb',
    open: (at) => onKnex({ client: 'mysql2', connection: at.urls.mariadb, pool: { min: 0, max: AT_ONCE } }, at),
  },
  'express-mysql-session, MariaDB': {
    needs: 'mariadb',
    async open(at) {
      const { hostname: host, port, username: user, pathname } = new URL(at.urls.mariadb!)
      const server = { host, port: Number(port), user, database: pathname.slice(1), connectionLimit: AT_ONCE }
      const MysqlStore = createMysqlStore(expressSession as never) as unknown as Class
      const store = new MysqlStore({ ...server, clearExpired: false, schema: { tableName: owned(at) } })
      await store.onReady()
      return store
    },
  },
  'connect-session-knex, SQLite': { open: ({ file }) => SQLITE_STORES['knex-sqlite'].open(`${file}.knex.db`) },
  'connect-session-sequelize, MariaDB': { needs: 'mariadb', open: (at) => onSequelize(at.urls.mariadb!, 'mysql', at) },
  'connect-session-sequelize, Postgres': { needs: 'postgres', open: (at) => onSequelize(at.urls.postgres!, 'postgres', at) },
  'connect-session-sequelize, SQLite': { open: ({ file }) => SQLITE_STORES['sequelize-sqlite'].open(`${file}.sequelize.db`) },
  'connect-sqlite3': {
    async open({ file }) {
      const load = await installSqlite()
      const SqliteStore = load('connect-sqlite3')(expressSession) as Class
      const { Database } = load('sqlite3')
      const store = new SqliteStore({ db: new Database(`${file}.db`) })
      await new Promise((resolve) => store.all?.(resolve as never))
      return store
    },
  },
  'better-sqlite3-session-store': {
    async open({ file }) {
      const Database = (await installSqlite())('better-sqlite3')
      return new (createBetterSqlite3Store(expressSession as never) as unknown as Class)({
        client: new Database(`${file}.better.db`),
      })
    },
  },
  'connect-mongo, a stand-in': { needs: 'mongo', open: (at) => onMongo(true, at) },
  'connect-mongo, documents, a stand-in': { needs: 'mongo', open: (at) => onMongo(false, at) },
  'connect-mongodb-session, a stand-in': {
    needs: 'mongo',
    async open(at) {
      const MongoDbStore = connectMongoDbSession(expressSession) as unknown as Class
      const store = new MongoDbStore({ uri: at.urls.mongo!, collection: owned(at) })
      await new Promise((resolve) => store.once('connected', resolve))
      return store
    },
  },
  'connect-dynamodb, dynalite': {
    needs: 'dynamodb',
    async open(at) {
      const { DynamoDBClient } = await import('@aws-sdk/client-dynamodb')
      const credentials = { accessKeyId: 'none', secretAccessKey: 'none' }
      const client = new DynamoDBClient({ endpoint: at.urls.dynamodb!, region: 'local', credentials })
      const DynamoDbStore = connectDynamoDb(expressSession as never) as unknown as Class
      const store = new DynamoDbStore({ client, table: owned(at), initialized: false })
      await store.initialize()
      return store
    },
  },
}

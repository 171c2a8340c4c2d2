import connectPgSimple from 'connect-pg-simple'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { openDynamoDb, readDynamoDb } from './dynamodb-store.js'
import type { Reader } from './history.js'
import { isMongoStore, type MongoStoreName, openMongoStore, readMongo } from './mongo-stores.js'
import { isRedisStore, REDIS_STORES, type RedisStoreName, readRedis } from './redis-stores.js'
import { isSqlStore, SQL_STORES, type SqlStoreName } from './sql-stores.js'

export type StoreName = 'memory' | 'postgres' | 'dynamodb' | RedisStoreName | SqlStoreName | MongoStoreName

/** The store of a writer process. */
export async function openStore(name: StoreName, url: string): Promise<Store> {
  if (name === 'memory') return new expressSession.MemoryStore()
  if (isSqlStore(name)) return persistently(() => SQL_STORES[name].open(url))
  if (isMongoStore(name)) return persistently(() => openMongoStore(name, url))
  if (name === 'dynamodb') return persistently(() => openDynamoDb(url))
  if (isRedisStore(name)) return REDIS_STORES[name](url)
  const pool = new pg.Pool({ connectionString: url, max: 6 })
  pool.on('error', () => undefined)
  return new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false })
}

/** ms for which a connection may be cut. */
const PERSISTENCE = 20_000

/** These stores look for their table once, and are of no use where the connection is cut then. */
async function persistently<T>(open: () => Promise<T>): Promise<T> {
  const end = performance.now() + PERSISTENCE
  for (;;) {
    try {
      return await open()
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

/** Makes the store ready for the processes, and reads it past them. Not for `memory`, which only its process can read. */
export async function openReader(name: Exclude<StoreName, 'memory'>, url: string): Promise<Reader> {
  if (isSqlStore(name)) return SQL_STORES[name].read(url)
  if (isMongoStore(name)) return readMongo(url)
  if (name === 'dynamodb') return readDynamoDb(url)
  if (isRedisStore(name)) return readRedis(url)
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  await client.query(
    'CREATE TABLE IF NOT EXISTS "session" ("sid" varchar NOT NULL PRIMARY KEY, "sess" json NOT NULL, "expire" timestamp(6) NOT NULL)',
  )
  return {
    read: async (sid) => (await client.query('SELECT sess FROM "session" WHERE sid = $1', [sid])).rows[0]?.sess,
    close: () => client.end(),
  }
}

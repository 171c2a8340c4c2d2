import expressSession, { type Store } from 'express-session'
import type { Backend, Reader } from './history.js'

/** A process loads only what its store needs: all of them take longer than the rest of its start. */
const redis = async () => (await import('./redis-stores.js')).REDIS_STORES
const postgres = async () => ({ postgres: (await import('./postgres-store.js')).POSTGRES_STORE })
const sql = async () => (await import('./sql-stores.js')).SQL_STORES
const sqlite = async () => (await import('./sqlite-stores.js')).SQLITE_STORES
const mongo = async () => (await import('./mongo-stores.js')).MONGO_STORES
const dynamodb = async () => ({ dynamodb: (await import('./dynamodb-store.js')).DYNAMODB_STORE })

const FAMILIES = {
  redis,
  'connect-redis-10': redis,
  'connect-redis-8': redis,
  'connect-redis-6': redis,
  'connect-redis-6-legacy-mode': redis,
  'connect-redis-5': redis,
  'connect-redis-4': redis,
  postgres,
  'knex-postgres': sql,
  'knex-mariadb': sql,
  'express-mysql-session': sql,
  'sequelize-mariadb': sql,
  'sequelize-postgres': sql,
  'better-sqlite3': sqlite,
  'connect-sqlite3': sqlite,
  'knex-sqlite': sqlite,
  'sequelize-sqlite': sqlite,
  'connect-mongo': mongo,
  'connect-mongo-documents': mongo,
  'connect-mongodb-session': mongo,
  dynamodb,
}

/** A store on a server, or in a file. */
export type ServedStoreName = keyof typeof FAMILIES
export type StoreName = 'memory' | ServedStoreName

async function backend(name: ServedStoreName): Promise<Backend> {
  const family: Partial<Record<ServedStoreName, Backend>> = await FAMILIES[name]()
  return family[name] as Backend
}

type Given = ReturnType<NonNullable<Backend['options']>>

/** The store of a writer process, and what the application gives beside it. */
export async function openStore(name: StoreName, url: string): Promise<{ store: Store; given: Given }> {
  if (name === 'memory') return { store: new expressSession.MemoryStore(), given: {} }
  const { open, options } = await backend(name)
  const store = await persistently(() => open(url))
  return { store, given: options?.(store) ?? {} }
}

/** ms for which a connection may be cut. */
const PERSISTENCE = 20_000

/** Some stores look for their table once, and are of no use where the connection is cut then. */
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

/** Makes the store ready for the processes, and reads it past them. */
export async function openReader(name: ServedStoreName, url: string): Promise<Reader> {
  return (await backend(name)).read(url)
}

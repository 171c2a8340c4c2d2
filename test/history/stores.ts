import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { createClient } from 'redis'
import type { Doc } from './history.js'

export type StoreName = 'memory' | 'redis' | 'postgres'

/** The store of a writer process. */
export async function openStore(name: StoreName, url: string): Promise<Store> {
  if (name === 'memory') return new expressSession.MemoryStore()
  if (name === 'redis') {
    const client = createClient({ url })
    // It reconnects by itself; what fails meanwhile is reported to whoever asked.
    client.on('error', () => undefined)
    await client.connect()
    return new RedisStore({ client })
  }
  const pool = new pg.Pool({ connectionString: url, max: 6 })
  pool.on('error', () => undefined)
  return new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false })
}

/** Reads the store past the library. */
export interface Reader {
  read(sid: string): Promise<Doc | undefined>
  close(): Promise<unknown>
}

/** Makes the store ready for the processes, and reads it past them. Not for `memory`, which only its process can read. */
export async function openReader(name: Exclude<StoreName, 'memory'>, url: string): Promise<Reader> {
  if (name === 'redis') {
    const client = createClient({ url })
    client.on('error', () => undefined)
    await client.connect()
    return {
      async read(sid) {
        const json = await client.get(`sess:${sid}`)
        return json === null ? undefined : JSON.parse(String(json))
      },
      close: async () => client.destroy(),
    }
  }
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

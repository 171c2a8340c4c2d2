import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import type { Backend } from './history.js'

export const POSTGRES_STORE: Backend = {
  async open(url) {
    const pool = new pg.Pool({ connectionString: url, max: 6 })
    pool.on('error', () => undefined)
    return new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false })
  },
  async read(url) {
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
  },
}

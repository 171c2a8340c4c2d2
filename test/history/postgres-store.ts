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
    // Many sessions are read at once.
    const pool = new pg.Pool({ connectionString: url, max: 2 })
    pool.on('error', () => undefined)
    await pool.query(
      'CREATE TABLE IF NOT EXISTS "session" ("sid" varchar NOT NULL PRIMARY KEY, "sess" json NOT NULL, "expire" timestamp(6) NOT NULL)',
    )
    return {
      read: async (sid) => (await pool.query('SELECT sess FROM "session" WHERE sid = $1', [sid])).rows[0]?.sess,
      close: () => pool.end(),
    }
  },
}

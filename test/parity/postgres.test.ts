import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { type Opened, promises } from './harness.js'
import { withoutRecord } from './memory.js'
import { describeSessions } from './sessions.js'

const PgStore = connectPgSimple(expressSession)

await withService('Postgres', startPostgres, (postgres) => {
  describe('connect-pg-simple', () => {
    let pool: pg.Pool

    beforeAll(async () => {
      pool = new pg.Pool({ connectionString: postgres().url })
      await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
    })
    afterAll(() => pool.end())

    async function open(options = {}): Promise<Opened> {
      await pool.query('DELETE FROM session')
      const beside = new PgStore({ pool, pruneSessionInterval: false })
      return {
        store: new PgStore({ pool, pruneSessionInterval: false, ...options }),
        async held(sid) {
          const { rows } = await pool.query('SELECT sess FROM session WHERE sid = $1', [sid])
          return withoutRecord(rows[0]?.sess)
        },
        put: (sid, session) => new Promise((done) => beside.set(sid, session as never, done as () => void)),
        async left(sid) {
          const query = 'SELECT 1000 * extract(epoch FROM expire - localtimestamp) AS ms FROM session WHERE sid = $1'
          return Number((await pool.query(query, [sid])).rows[0]?.ms)
        },
      }
    }

    describeSessions(open)

    const untouched = (): Promise<Opened> => open({ disableTouch: true })
    promises('resave: true keeps a session alive with disableTouch', untouched, { session: { resave: true } }, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      await pool.query(`UPDATE session SET expire = localtimestamp + interval '1 minute'`)
      expect((await visitor.ask('/show')).body.user).toBe('ada')
      expect(await site.left(visitor.sid)).toBeGreaterThan(23 * 3_600_000)
    })
  })
})

import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import type { Opened } from './harness.js'
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

    describeSessions(async (): Promise<Opened> => {
      await pool.query('DELETE FROM session')
      const open = (): InstanceType<typeof PgStore> => new PgStore({ pool, pruneSessionInterval: false })
      const beside = open()
      return {
        store: open(),
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
    })
  })
})

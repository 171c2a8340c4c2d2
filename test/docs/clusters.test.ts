import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { postgresBus } from '../../src/index.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { next } from '../support/wait.js'
import { cleanup, client, cookieOf, listen, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

await withService('Postgres', startPostgres, (postgres) => {
  afterEach(tidy)

  describe('clusters', () => {
    it('Postgres: a write by HTTP on one node reaches a socket on the other', async () => {
      const pool = new pg.Pool({ connectionString: postgres().url })
      await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
      await pool.end()

      const node = async () => {
        const around = surroundings()
        const process = { env: { DATABASE_URL: postgres().url } }
        const given = { connectPgSimple, expressSession, pg, postgresBus, sharedsession, process }
        const { pool, session, shared } = await run('postgres', given, 'pool', 'session', 'shared')
        cleanup(() => pool.end())
        around.app.use(session)
        around.app.get('/visit', (req, res) => {
          req.session.visits = (req.session.visits ?? 0) + 1
          res.json({})
        })
        shared.attach(around.io)
        return { ...around, url: await listen(around, shared) }
      }
      const [one, two] = [await node(), await node()]
      const cookie = cookieOf(await fetch(`${one.url}/visit`))!
      const connected = next(two.io, 'connection')
      await next(client(two.url, cookie), 'connect')
      const changed = next(await connected, 'session:changed')
      await fetch(`${one.url}/visit`, { headers: { cookie } })
      expect(await changed).toMatchObject({ keys: ['visits'], origin: 'remote' })
    })
  })
})

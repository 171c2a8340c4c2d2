import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, vi } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { until } from '../support/wait.js'
import { type Opened, promises } from './harness.js'
import { withoutRecord } from './memory.js'
import { sameSurface } from './surface.js'

const PgStore = connectPgSimple(expressSession)
const MONTH = 30 * 24 * 3_600_000

await withService('Postgres', startPostgres, (postgres) => {
  let pool: pg.Pool
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: postgres().url })
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
  })
  afterAll(() => pool.end())
  afterEach(() => void vi.useRealTimers())

  async function open(options = {}) {
    await pool.query('DELETE FROM session')
    return new PgStore({ pool, pruneSessionInterval: false, ...options })
  }
  const rows = async (): Promise<number> => (await pool.query('SELECT FROM session')).rows.length

  describe('the methods of connect-pg-simple, called by the application', () => {
    for (const options of [{}, { disableTouch: true }]) {
      sameSurface(
        `with callbacks and without: ${JSON.stringify(options)}`,
        () => open(options),
        async ({ call, bare }) => {
          const session = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, user: 'ada' }
          return [
            (await call('get', 'nobody')).said?.[1],
            await call('set', 'one', session),
            await call('get', 'one'),
            await call('touch', 'one', session),
            await call('touch', 'nobody', session),
            await call('destroy', 'one'),
            await call('destroy', 'nobody'),
            await bare('set', 'two', session),
            // The store itself says nothing of when it is there.
            await until(async () => (await rows()) === 1),
            await call('get', 'two'),
          ]
        },
      )
    }

    sameSurface('a session is kept as it was given, with or without a cookie', open, async ({ call }) => {
      const expires = '2100-01-01T00:00:00.000Z'
      const given = {
        bare: { foo: 'bar' },
        short: { cookie: { expires } },
        empty: { cookie: {} },
        own: { cookie: { color: 'red' } },
      }
      const found = []
      for (const [sid, session] of Object.entries(given)) {
        await call('set', sid, session)
        found.push(await call('get', sid))
      }
      const { sess } = (await pool.query(`SELECT sess FROM session WHERE sid = 'bare'`)).rows[0]
      expect(sess).toEqual({ foo: 'bar' })
      return found
    })

    sameSurface('what is no session, or has no id, is the error that it was', open, async ({ call }) => [
      await call('set', 'nothing', null),
      await call('set', undefined, { cookie: {}, n: 1 }),
      await call('get', undefined),
      await call('destroy', undefined),
    ])

    sameSurface(
      'errors',
      () => open({ tableName: 'nowhere' }),
      async ({ call }) => [
        await call('get', 'one'),
        await call('set', 'one', { cookie: {} }),
        await call('touch', 'one', { cookie: {} }),
        await call('destroy', 'one'),
      ],
    )
  })

  describe('a site on connect-pg-simple', () => {
    async function opened(): Promise<Opened> {
      const store = await open()
      return {
        store,
        held: async (sid) => withoutRecord((await pool.query('SELECT sess FROM session WHERE sid = $1', [sid])).rows[0]?.sess),
        put: () => Promise.reject(new Error('not needed')),
        left: () => Promise.reject(new Error('not needed')),
      }
    }
    const session = { saveUninitialized: true, cookie: { maxAge: MONTH } }

    promises('a session for each visitor, and one for each who comes again', opened, { session }, async (site) => {
      const [first, second] = [site.visitor(), site.visitor()]
      expect(await rows()).toBe(0)
      await first.ask('/show')
      expect((await pool.query('SELECT FROM session WHERE sid = $1', [first.sid])).rows).toHaveLength(1)
      await first.ask('/show')
      expect(await rows()).toBe(1)
      await second.ask('/show')
      expect(await rows()).toBe(2)
    })

    promises(
      'who does not come again is pruned, by the application’s clock; who comes is not',
      opened,
      { session },
      async (site) => {
        const start = Date.now()
        vi.useFakeTimers({ toFake: ['Date'], now: start })
        const pruned = (): Promise<unknown> =>
          new Promise((resolve, reject) => {
            ;(site.store as any).pruneSessions((error: unknown) => (error ? reject(error) : resolve(undefined)))
          })
        const [first, second] = [site.visitor(), site.visitor()]
        await first.ask('/show')
        await second.ask('/show')
        vi.setSystemTime(start + MONTH * 0.6)
        await pruned()
        expect(await rows()).toBe(2)
        expect((await second.ask('/show')).status).toBe(200)
        vi.setSystemTime(start + MONTH * 1.2)
        await pruned()
        expect(await rows()).toBe(1)
        vi.useRealTimers()
      },
    )
  })
})

import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession, { type SessionData, type Store } from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { collect, tab } from '../support/live.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { FileLikeStore, MongoLikeStore } from '../support/stores.js'
import { next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

const PgStore = connectPgSimple(expressSession)
const HOUR = 3_600_000

afterEach(closeApps)

interface Kind {
  open(): Store | Promise<Store>
  /** ms that a session has left by the store's own account. Absent: by its cookie. */
  left?(sid: string): Promise<number>
  /** A touch stores no end, so that the session may live for longer than what is stored says: a save of others does not cut that off. */
  tellsNoEnd?: boolean
  touchless?: boolean
}

const called = (store: Store, method: 'get' | 'set' | 'touch', ...args: unknown[]): Promise<any> =>
  new Promise((resolve, reject) => {
    ;(store as any)[method](...args, (error: any, value: unknown) =>
      error && error.code !== 'ENOENT' ? reject(error) : resolve(value),
    )
  })

/** An application that changes the end of a stored session by the store's own methods. */
function describeEnds(name: string, { open, left, tellsNoEnd = false, touchless = false }: Kind): void {
  describe(name, () => {
    async function start() {
      const store = await open()
      const app = await startApp({
        store,
        session: { cookie: { maxAge: HOUR } },
        shared: { bus: false, revalidate: false, touch: false },
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const sid = sidOf(browser)
      const found: SessionData = await called(store, 'get', sid)
      const leftOf = left ?? (async () => new Date((await called(store, 'get', sid)).cookie.expires).getTime() - Date.now())
      const end = async (): Promise<number> => Math.round((await leftOf(sid)) / 60_000)
      return { app, store, browser, sid, found, end }
    }
    const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000)

    it.each([
      ['a Date', (): any => inMinutes(-1)],
      ['a text', (): any => inMinutes(-1).toISOString()],
    ])('an expiry in the past ends the session, given as %s', async (_form, at) => {
      expectWarning('SESSION_ENDED')
      const { app, store, browser, sid, found } = await start()
      const { socket, session } = await tab(app, browser)
      const ended = next(socket, 'session:destroyed')
      found.cookie.expires = at()
      await called(store, 'set', sid, found)
      expect((await called(store, 'get', sid)) ?? null).toBeNull()
      expect(await ended).toMatchObject({ reason: 'destroyed' })
      session.late = 1
      await app.shared.flush()
      expect((await called(store, 'get', sid)) ?? null).toBeNull()
      expect((await browser.get('/session')).body).not.toHaveProperty('user')
    })

    it.each([10, 120])('a changed expiry is stored without changed data: in %i minutes', async (minutes) => {
      const { store, sid, found, end } = await start()
      const at = inMinutes(minutes)
      // express-session derives it from the clock, so that it can be a millisecond short.
      const { originalMaxAge } = found.cookie
      found.cookie.expires = at
      await called(store, 'set', sid, found)
      expect(await end()).toBe(minutes)
      const { cookie } = await called(store, 'get', sid)
      expect(cookie).toMatchObject({ expires: at.toISOString(), originalMaxAge })
    })

    it.skipIf(touchless)('a touch gives another end as well, and ends a session', async () => {
      const { app, store, browser, sid, found, end } = await start()
      const { socket } = await tab(app, browser)
      found.cookie.expires = inMinutes(10)
      await called(store, 'touch', sid, found)
      expect(await end()).toBe(10)
      const ended = next(socket, 'session:destroyed')
      found.cookie.expires = inMinutes(-1)
      await called(store, 'touch', sid, found)
      await ended
      expect((await called(store, 'get', sid)) ?? null).toBeNull()
    })

    it('a changed expiry with changed data is merged with what others wrote meanwhile', async () => {
      const { store, sid, found, end, browser } = await start()
      await browser.get('/set?theme=dark')
      const at = inMinutes(10)
      Object.assign(found, { n: 1 }).cookie.expires = at
      await called(store, 'set', sid, found)
      expect(await called(store, 'get', sid)).toMatchObject({
        user: 'ada',
        theme: 'dark',
        n: 1,
        cookie: { expires: at.toISOString() },
      })
      expect(await end()).toBe(10)
    })

    it('a session that store.set() creates has the expiry that it was given', async () => {
      const { store, sid, end } = await start()
      const cookie = { originalMaxAge: HOUR, expires: inMinutes(10).toISOString(), httpOnly: true, path: '/' }
      await called(store, 'set', sid, { cookie, user: 'ada' })
      expect(await end()).toBe(10)
    })

    it.skipIf(tellsNoEnd)('a socket’s save keeps to it', async () => {
      const { app, store, browser, sid, found, end } = await start()
      const { client } = await tab(app, browser)
      found.cookie.expires = inMinutes(10)
      await called(store, 'set', sid, found)
      await client.emitWithAck('set', 'n', 1)
      expect(await called(store, 'get', sid)).toMatchObject({ n: 1, cookie: { expires: found.cookie.expires.toISOString() } })
      expect(await end()).toBe(10)
    })

    it('a request extends the session by its maximum age, as without this package', async () => {
      const { store, browser, sid, found, end } = await start()
      found.cookie.expires = inMinutes(10)
      await called(store, 'set', sid, found)
      await browser.get('/set?theme=dark')
      expect(await end()).toBe(60)
    })

    it('a save of unchanged data neither ends nor shortens the session', async () => {
      const { app, store, browser, sid, found, end } = await start()
      const { socket } = await tab(app, browser)
      const ends = collect(socket, 'session:destroyed')
      await called(store, 'set', sid, found)
      await called(store, 'set', sid, { ...found, n: 2 })
      expect(await end()).toBe(60)
      expect(ends).toEqual([])
    })
  })
}

describeEnds('MemoryStore', { open: () => new expressSession.MemoryStore() })
describeEnds('a store of any kind', { open: () => new MongoLikeStore(), tellsNoEnd: true })
describeEnds('a store without touch', { open: () => new FileLikeStore(), tellsNoEnd: true, touchless: true })

await withService('Redis', startRedis, (redis) => {
  let client: TestClient
  beforeAll(async () => {
    client = await nodeRedis(redis().port)
  })
  afterAll(() => client.end())

  describeEnds('connect-redis', {
    open: () => new RedisStore({ client: client.client }),
    left: async (sid) => Number(await client.command('PTTL', `sess:${sid}`)),
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  let pool: pg.Pool
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: postgres().url })
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
  })
  afterAll(() => pool.end())

  describeEnds('connect-pg-simple', {
    open: () => new PgStore({ pool, pruneSessionInterval: false }),
    async left(sid) {
      const query = 'SELECT 1000 * extract(epoch FROM expire - localtimestamp) AS ms FROM session WHERE sid = $1'
      return Number((await pool.query(query, [sid])).rows[0]?.ms)
    },
  })
})

import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { aged, comparing, newSid, snapshot } from './drivers/fixture.js'

const PgStore = connectPgSimple(expressSession)
const MINUTE = 60_000

await withService('Postgres: whose clock', startPostgres, (postgres) => {
  let pool: pg.Pool
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: postgres().url })
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
  })
  afterAll(() => pool.end())
  afterEach(async () => {
    vi.useRealTimers()
    await closeApps()
  })

  const newStore = () => new PgStore({ pool, pruneSessionInterval: false })
  const called = (store: object, method: string, ...args: unknown[]): Promise<any> =>
    new Promise((resolve, reject) => {
      ;(store as any)[method](...args, (error: unknown, value: unknown) => (error ? reject(error) : resolve(value)))
    })

  describe.each([-120, 0, 120])('the application’s clock is %i minutes from the server’s', (skew) => {
    const start = Date.now() + skew * MINUTE
    const clock = (minutes: number) => vi.setSystemTime(start + minutes * MINUTE)
    const begin = () => void vi.useFakeTimers({ toFake: ['Date'], now: start })

    it('a session lives for as long as with the store alone', async () => {
      begin()
      const app = await startApp({ store: newStore(), shared: { bus: false }, session: { cookie: { maxAge: 30 * MINUTE } } })
      const beside = newStore()
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const sid = sidOf(browser)
      const alone = async (): Promise<boolean> => (await called(beside, 'get', sid)) !== undefined
      const here = async (): Promise<boolean> => (await called(app.store, 'get', sid)) !== undefined
      clock(29)
      expect([await here(), await alone()]).toEqual([true, true])
      // A touch, by a request.
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
      clock(58)
      expect([await here(), await alone()]).toEqual([true, true])
      // A write, by a socket.
      const client = await browser.connect()
      await client.emitWithAck('set', 'n', 1)
      expect(await called(beside, 'get', sid)).toMatchObject({ user: 'ada', n: 1 })
      clock(95)
      expect([await here(), await alone()]).toEqual([false, false])
      await expect(app.shared.update(sid, () => ({ n: 2 }))).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
      await called(beside, 'pruneSessions')
      expect((await pool.query('SELECT FROM session WHERE sid = $1', [sid])).rows).toEqual([])
    })

    it('every statement of the driver uses the application’s clock', async () => {
      begin()
      const store = newStore()
      const driver = comparing(store)
      const sid = newSid()
      const { current } = await driver.write(sid, snapshot({ n: 1 }, aged(30 * MINUTE)), undefined, 'exact')
      expect((await driver.write(sid, snapshot({ n: 2 }, aged(30 * MINUTE)), undefined, 'exact')).written).toBe(false)
      clock(29)
      expect(await driver.read(sid)).toBeDefined()
      expect((await driver.readMany?.([sid]))?.[0]).toBeDefined()
      expect(await driver.touch(sid, snapshot({}, aged(30 * MINUTE)))).toBe(true)
      const second = await driver.write(sid, snapshot({ n: 3 }, aged(30 * MINUTE)), current, 'exact')
      expect(second.written).toBe(true)
      clock(60)
      expect(await driver.read(sid)).toBeUndefined()
      expect(await driver.readMany?.([sid])).toEqual([undefined])
      expect(await driver.touch(sid, snapshot({}, aged(30 * MINUTE)))).toBe(false)
      expect(await driver.write(sid, snapshot({ n: 4 }), second.current, 'extend')).toEqual({
        written: false,
        current: undefined,
      })
      expect((await driver.write(sid, snapshot({ n: 5 }, aged(MINUTE)), undefined, 'exact')).written).toBe(true)
    })

    it('every statement of the driver uses the application’s clock with disableTouch, too', async () => {
      begin()
      const store = new PgStore({ pool, pruneSessionInterval: false, disableTouch: true })
      const driver = comparing(store)
      const sid = newSid()
      await driver.write(sid, snapshot({ n: 1 }, aged(30 * MINUTE)), undefined, 'exact')
      clock(29)
      expect(await driver.touch(sid, snapshot({}, aged(30 * MINUTE)))).toBe(true)
      expect(driver.touchDisabled).toBe(true)
      clock(31)
      expect(await driver.touch(sid, snapshot({}, aged(30 * MINUTE)))).toBe(false)
    })
  })
})

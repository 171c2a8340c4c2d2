import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp } from '../support/app.js'
import { startRedis } from '../support/redis.js'
import { ioRedis, nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { deferred, next } from '../support/wait.js'
import { describeProcesses } from './several-processes.js'

await withService('Redis', startRedis, (redis) => {
  let direct: TestClient
  const clients: TestClient[] = []

  beforeAll(async () => {
    direct = await nodeRedis(redis().port)
  })
  afterAll(() => direct.end())
  afterEach(async () => {
    for (const { end } of clients.splice(0)) await end()
  })

  async function connected(connect: typeof nodeRedis, port: number): Promise<any> {
    const client = await connect(port)
    clients.push(client)
    return client.client
  }

  async function stored(sid: string): Promise<any> {
    const json = await direct.command('GET', `sess:${sid}`)
    return json === null ? undefined : JSON.parse(json)
  }

  const common = {
    driver: 'redis',
    port: () => redis().port,
    stored,
    isWrite: (request: Buffer) => /\r\neval(sha)?\r\n/i.test(request.toString('latin1')),
  }

  describe('connect-redis 9 on node-redis', () => {
    describeProcesses({
      ...common,
      open: async (port) => ({ store: new RedisStore({ client: await connected(nodeRedis, port) }) }),
    })
  })

  describe('connect-redis 8 on ioredis, lent by the option', () => {
    describeProcesses({
      ...common,
      async open(port) {
        const client = await connected(ioRedis, port)
        return { store: new RedisStore8({ client }), shared: { redis: client } }
      },
    })
  })

  describe('the lifetime of a session', () => {
    afterEach(closeApps)

    const HOUR = 3_600_000

    async function lasting(): Promise<{ app: App; browser: Browser; left(): Promise<number>; waiting: Promise<void> }> {
      const [waiting, goOn] = [deferred(), deferred()]
      const store = new RedisStore({ client: await connected(nodeRedis, redis().port) })
      const app = await startApp({
        store,
        session: { cookie: { maxAge: HOUR } },
        routes(http) {
          http.get('/wait', async (_req, res) => {
            waiting.resolve()
            await goOn.promise
            res.json({})
          })
          http.get('/remember', (req, res) => {
            req.session.cookie.maxAge = 30 * HOUR
            req.session.remember = true
            res.json({})
            goOn.resolve()
          })
          http.get('/shorten', (req, res) => {
            req.session.cookie.maxAge = 60_000
            req.session.short = true
            res.end()
          })
        },
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const left = async () => Number(await direct.command('PTTL', `sess:${sidOf(browser)}`))
      return { app, browser, left, waiting: waiting.promise }
    }

    it('is not shortened by a save that merges', async () => {
      const { app, browser, left } = await lasting()
      await browser.connect()
      await direct.command('PEXPIRE', `sess:${sidOf(browser)}`, String(2 * HOUR))
      await app.shared.update<any>(sidOf(browser), (draft) => {
        draft.n = 1
      })
      const session = app.shared.session(app.sockets[0]!) as Record<string, any>
      session.m = 1
      await app.shared.flush()
      expect(await left()).toBeGreaterThan(1.9 * HOUR)
    })

    it('is not shortened by the touch of a request that ends while another one saves a longer maximum age', async () => {
      const { browser, left, waiting } = await lasting()
      const other = browser.get('/wait')
      await waiting
      await Promise.all([browser.get('/remember'), other])
      expect(await left()).toBeGreaterThan(29 * HOUR)
    })

    it('is shortened by a request that sets a shorter maximum age', async () => {
      const { browser, left } = await lasting()
      await browser.get('/shorten')
      expect(await left()).toBeLessThanOrEqual(60_000)
    })
  })

  describe('out of memory', () => {
    afterEach(async () => {
      await direct.command('CONFIG', 'SET', 'maxmemory', '0')
      await closeApps()
    })

    it('fails a save with SAVE_FAILED; the changes are kept, and saved when there is room', async () => {
      const store = new RedisStore({ client: await connected(nodeRedis, redis().port) })
      const app = await startApp({ store, shared: { retry: { attempts: 2, minDelay: 1, maxDelay: 2 } } })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      await browser.connect()
      const socket = app.sockets[0]!
      const session = app.shared.session(socket) as Record<string, any>
      await direct.command('CONFIG', 'SET', 'maxmemory', '1')
      const error = next(socket, 'session:error')
      session.kept = 'yes'
      expect(await error).toMatchObject({ code: 'SAVE_FAILED' })
      expect(session.kept).toBe('yes')
      expect(await stored(sidOf(browser))).not.toHaveProperty('kept')
      await direct.command('CONFIG', 'SET', 'maxmemory', '0')
      await app.shared.flush()
      expect(await stored(sidOf(browser))).toMatchObject({ user: 'ada', kept: 'yes' })
    })
  })
})

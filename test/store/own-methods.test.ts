import { createHash } from 'node:crypto'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSessionOptions } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { turnedAway } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

const PgStore = connectPgSimple(expressSession)
const METHODS = ['get', 'set', 'touch', 'destroy'] as const
type Method = (typeof METHODS)[number]
type Overridden = { store: Store; calls: string[] }

afterEach(closeApps)

/** The ways in which an application puts something of its own over a store's methods. */
function waysOver(make: (Class: any) => Store, Class: any): [string, () => Overridden][] {
  const counted = (target: any, method: Method, calls: string[]): void => {
    const before = target[method]
    target[method] = function (this: Store, sid: string, ...rest: unknown[]) {
      calls.push(method)
      return before.call(this, sid, ...rest)
    }
  }
  return [
    [
      'a subclass',
      () => {
        const calls: string[] = []
        class Own extends Class {
          async get(...args: unknown[]) {
            calls.push('get')
            return super.get(...args)
          }
          async set(...args: unknown[]) {
            calls.push('set')
            return super.set(...args)
          }
          async touch(...args: unknown[]) {
            calls.push('touch')
            return super.touch(...args)
          }
          async destroy(...args: unknown[]) {
            calls.push('destroy')
            return super.destroy(...args)
          }
        }
        return { store: make(Own), calls }
      },
    ],
    [
      'wrappers on the store',
      () => {
        const calls: string[] = []
        const store = make(Class)
        for (const method of METHODS) counted(store, method, calls)
        return { store, calls }
      },
    ],
    [
      'wrappers on the class',
      () => {
        const calls: string[] = []
        class Own extends Class {}
        Object.defineProperties(Own.prototype, Object.getOwnPropertyDescriptors(Class.prototype))
        for (const method of METHODS) counted(Own.prototype, method, calls)
        return { store: make(Own), calls }
      },
    ],
    [
      'a proxy',
      () => {
        const calls: string[] = []
        const inner = make(Class) as any
        const wrapped = Object.fromEntries(
          METHODS.map((method) => [
            method,
            new Proxy(inner[method], {
              apply(target, _self, args) {
                calls.push(method)
                return Reflect.apply(target, inner, args)
              },
            }),
          ]),
        )
        const get = (target: any, key: string): unknown => {
          if (Object.hasOwn(target, key)) return target[key]
          return wrapped[key] ?? (typeof target[key] === 'function' ? target[key].bind(target) : target[key])
        }
        return { store: new Proxy(inner, { get }) as Store, calls }
      },
    ],
  ]
}

/** What an application sees of its own methods, over HTTP and over a socket. */
async function visit(store: Store, shared: SharedSessionOptions = {}) {
  const app = await startApp({ store, shared: { bus: false, ...shared }, session: { cookie: { maxAge: 60_000 } } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.get('/session')
  const client = await browser.connect()
  await client.emitWithAck('set', 'n', 1)
  expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', n: 1 })
  await browser.get('/destroy')
  return { driver: app.shared.stats().driver, sid: sidOf(browser) }
}

function describeOverrides(driver: 'redis' | 'postgres', make: (Class?: any) => Store, Class: unknown): void {
  describe.each(waysOver(make, Class))('methods of the application’s own: %s', (_name, overridden) => {
    it('are called, for HTTP and for sockets', async () => {
      expectWarning('of its own, not those of')
      const { store, calls } = overridden()
      expect((await visit(store)).driver).toBe('generic')
      for (const method of METHODS) expect(calls).toContain(method)
    })

    it('are not called where the application insists on the driver', async () => {
      const { store, calls } = overridden()
      expect((await visit(store, { driver })).driver).toBe(driver)
      expect(calls.filter((method) => method !== 'destroy')).toEqual([])
    })
  })

  it.each(METHODS)('one overridden method is enough for the generic driver: %s', (method) => {
    expectWarning('of its own, not those of')
    const store = make() as any
    const before = store[method].bind(store)
    store[method] = (...args: unknown[]) => before(...args)
    expect(driverOf(store)).toBe('generic')
  })

  it('a subclass that only adds methods of other names has the driver of its package', async () => {
    class Own extends (Class as any) {
      count() {
        return 1
      }
    }
    expect((await visit(make(Own))).driver).toBe(driver)
  })

  it('a method overridden after sharedsession() is called by HTTP alone, and gets its answer', async () => {
    const store = make() as any
    const app = await startApp({ store, shared: { bus: false } })
    const { set } = store
    let calls = 0
    store.set = (...args: unknown[]) => {
      calls++
      return set(...args)
    }
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(calls).toBe(1)
    const client = await browser.connect()
    await client.emitWithAck('set', 'n', 1)
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', n: 1 })
    expect(calls).toBe(1)
    expect(app.shared.stats().driver).toBe(driver)
  })

  it('a store that was closed a moment ago gets its driver again', async () => {
    const store = make()
    const app = await startApp({
      store,
      shared: { bus: false },
      routes: (http) =>
        http.get('/again', (_req, res) => {
          // The methods of the first call stand while this request is in flight.
          app.shared.close().then(() => res.json({ driver: driverOf(store, { revalidate: 1000 }) }))
        }),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect((await browser.get('/again')).body).toEqual({ driver })
  })

  it('one warning per store with overridden methods says what they cost, and what to do', async () => {
    const warnings = expectWarning('of its own, not those of')
    const before = warnings.length
    for (const store of [make(), make()] as any[]) {
      store.get = store.get.bind(store)
      driverOf(store)
      driverOf(store)
    }
    await until(() => warnings.length >= before + 2)
    driverOf(make())
    await turns()
    expect(warnings.slice(before)).toEqual([
      expect.stringMatching(new RegExp(`has get\\(\\) of its own.*two processes.*driver: '${driver}'`)),
      expect.stringContaining('of its own'),
    ])
  })

  it('choosing a driver calls no method of the store', () => {
    expectWarning('of its own, not those of')
    class Strict extends (Class as any) {
      touch(_sid: string, session: any) {
        return session.user.name
      }
      quotedTable() {
        throw new Error('no tenant yet')
      }
    }
    expect(driverOf(make(Strict))).toBe('generic')
  })

  it('the content of a store with overridden methods is not published', async () => {
    const { GenericDriver } = await import('../../src/store/drivers/generic.js')
    const { chooseDriver } = await import('../../src/store/drivers/choose.js')
    const choose = (store: any, needs = {}) => chooseDriver(store, store, needs).driver
    expect(choose(make(), { driver: 'generic' })).toMatchObject({ opaque: driver === 'postgres' })
    const store = make() as any
    store.set = store.set.bind(store)
    expect(choose(store)).toBeInstanceOf(GenericDriver)
    expect(choose(store)).toMatchObject({ opaque: true })
  })
}

/** Which driver a call of this package takes. */
function driverOf(store: Store, options: SharedSessionOptions = {}): string {
  const session = expressSession({ secret: 's', store, resave: false, saveUninitialized: false })
  const shared = sharedsession(session, { bus: false, ...options })
  const { driver } = shared.stats()
  shared.close()
  return driver
}

await withService('Redis', startRedis, (redis) => {
  let redisClient: TestClient
  beforeAll(async () => {
    redisClient = await nodeRedis(redis().port)
  })
  afterAll(() => redisClient.end())

  describe('connect-redis', () => {
    describeOverrides('redis', (Class = RedisStore) => new Class({ client: redisClient.client }), RedisStore)

    it.each(['getTTL', '_getTTL'])('an overridden %s counts as well: it decides how long a session lives', async (name) => {
      expectWarning('of its own, not those of')
      class Short extends (name === 'getTTL' ? RedisStore : RedisStore8) {
        constructor() {
          super({ client: redisClient.client })
          Object.assign(this, { [name]: () => 7 })
        }
      }
      const make = () => new Short() as unknown as Store
      expect(driverOf(make(), { redis: redisClient.client })).toBe('generic')
      const app = await startApp({ store: make(), shared: { bus: false } })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      expect(await redisClient.command('TTL', `sess:${sidOf(browser)}`)).toBeLessThanOrEqual(7)
    })

    it('an overridden get that refuses a session is obeyed', async () => {
      expectWarning('STORE_FAILED')
      expectWarning('of its own, not those of')
      class Banning extends RedisStore {
        override async get(sid: string, done?: any): Promise<any> {
          const found: any = await super.get(sid)
          const error = found?.user === 'eve' ? new Error('banned') : null
          return done ? done(error, found) : found
        }
      }
      const app = await startApp({ store: new Banning({ client: redisClient.client }), shared: { bus: false } })
      app.http.use((error: any, _req: any, res: any, _next: unknown) => void res.status(403).json({ error: error.message }))
      const browser = app.browser()
      await browser.get('/set?user=eve')
      expect(await browser.get('/session')).toMatchObject({ status: 403, body: { error: 'banned' } })
      await turnedAway(browser.open())
    })

    it.each([
      ['makes other keys', (sid: string): string => createHash('sha256').update(sid).digest('hex')],
      [
        'takes no ids but those of its application',
        (sid: string): string => {
          if (sid.length < 32) throw new Error('no id of ours')
          return `other:${sid}`
        },
      ],
    ])('a copy that %s gets the generic driver, although its methods access the same names', async (_what, digest) => {
      expectWarning('has get() of its own')
      const answer = (done: any, error: unknown, found?: unknown): unknown => done(error, found)
      class Digesting extends RedisStore {
        override async get(sid: string, done?: any): Promise<any> {
          const key = this.prefix + digest(sid)
          const found = await this.client.get(key)
          return answer(done, null, found && (await this.serializer.parse(found)))
        }
        override async set(sid: string, session: any, done?: any): Promise<any> {
          const key = this.prefix + digest(sid)
          const ttl = (this as any).getTTL(session)
          if (ttl <= 0) return this.destroy(sid, done)
          const text = this.serializer.stringify(session) as string
          if (this.disableTTL) await this.client.set(key, text)
          else await this.client.set(key, text, { expiration: { type: 'EX', value: ttl } })
          return answer(done, null)
        }
        override async touch(sid: string, session: any, done?: any): Promise<any> {
          const key = this.prefix + digest(sid)
          if (!this.disableTouch && !this.disableTTL) await this.client.expire(key, (this as any).getTTL(session))
          return answer(done, null)
        }
        override async destroy(sid: string, done?: any): Promise<any> {
          await this.client.del([this.prefix + digest(sid)])
          return answer(done, null)
        }
      }
      const app = await startApp({ store: new Digesting({ client: redisClient.client }), shared: { bus: false } })
      expect(app.shared.stats().driver).toBe('generic')
      const browser = app.browser()
      await browser.get('/set?user=ada')
      expect(await redisClient.command('EXISTS', `sess:${sidOf(browser)}`)).toBe(0)
      expect(await redisClient.command('EXISTS', `sess:${digest(sidOf(browser))}`)).toBe(1)
    })

    it('a look-alike that does something more gets the generic driver', () => {
      expectWarning('of its own, not those of')
      class Indexing extends (expressSession as unknown as { Store: new () => Store }).Store {
        client = redisClient.client
        prefix = 'sess:'
        serializer = JSON
        ttl = 60
        get = RedisStore.prototype.get
        override touch = RedisStore.prototype.touch as any
        destroy = RedisStore.prototype.destroy
        getTTL = (RedisStore.prototype as any).getTTL
        override async set(sid: string, session: any, done?: any) {
          await this.client.sAdd(`user:${session.user}`, sid)
          return RedisStore.prototype.set.call(this as any, sid, session, done)
        }
      }
      expect(driverOf(new Indexing())).toBe('generic')
    })
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  let pool: pg.Pool
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: postgres().url })
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
  })
  afterAll(() => pool.end())

  describe('connect-pg-simple', () => {
    const make = (Class: any = PgStore, options = {}): Store => new Class({ pool, pruneSessionInterval: false, ...options })
    describeOverrides('postgres', make, PgStore)

    it('is asked for its query and its table each time, as the store itself does', async () => {
      await pool.query('CREATE TABLE tenant_b (LIKE session INCLUDING ALL)')
      let tenant = 'session'
      const asked: string[] = []
      class Tenants extends PgStore {
        quotedTable() {
          return `"${tenant}"`
        }
        query(text: string, ...rest: unknown[]) {
          asked.push(text)
          return (PgStore.prototype as any).query.call(this, text, ...rest)
        }
      }
      const app = await startApp({ store: make(Tenants), shared: { bus: false } })
      expect(app.shared.stats().driver).toBe('postgres')
      tenant = 'tenant_b'
      await app.browser().get('/set?user=ada')
      expect((await pool.query('SELECT sess FROM tenant_b')).rows).toHaveLength(1)
      expect(asked.some((text) => text.includes('tenant_b'))).toBe(true)
    })

    it('starts its pruning with the first session, without a query', async () => {
      const store = make(PgStore, { pruneSessionInterval: 60 }) as any
      const app = await startApp({ store, shared: { bus: false } })
      expect(store.pruneTimer).toBeUndefined()
      const texts: string[] = []
      const query = store.query.bind(store)
      store.query = (text: string, ...rest: unknown[]) => {
        texts.push(text)
        return query(text, ...rest)
      }
      await app.browser().get('/set?user=ada')
      expect(store.pruneTimer).toBeDefined()
      expect(texts).toHaveLength(1)
      store.close()
    })
  })
})

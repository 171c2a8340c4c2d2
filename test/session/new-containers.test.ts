import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { apply } from '../../src/document/patch.js'
import { type Bus, postgresBus, type SharedSessionOptions } from '../../src/index.js'
import { type App, type Browser, closeApps, startApp } from '../support/app.js'
import { collect, type Live, live, QUICK, tab, turns } from '../support/live.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { FileLikeStore, MongoLikeStore, plainStore } from '../support/stores.js'
import { deferred, until } from '../support/wait.js'

const PgStore = connectPgSimple(expressSession)

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0)) await end()
})

/** What most code does with a session: it makes what is missing, and puts something of its own into it. */
function contribute(session: any, own: string): void {
  session.cart ??= {}
  session.cart[own] = 1
  session.log ??= []
  session.log.push(own)
  session.deep ??= {}
  session.deep.list ??= []
  session.deep.list.push(own)
  session.deep.map ??= {}
  session.deep.map[own] = { by: own }
}

function expectAll(session: any, writers: string[]): void {
  const sorted = writers.toSorted()
  expect(Object.keys(session.cart).sort()).toEqual(sorted)
  expect([...session.log].sort()).toEqual(sorted)
  expect([...session.deep.list].sort()).toEqual(sorted)
  expect(Object.keys(session.deep.map).sort()).toEqual(sorted)
}

/** A barrier: the callers of `arrive` wait until `open`. `complete` resolves when all have arrived. */
function barrier(count: number) {
  const complete = deferred()
  const open = deferred()
  let missing = count
  const arrive = (): Promise<void> => {
    if (--missing === 0) complete.resolve()
    return open.promise
  }
  return { arrive, complete: complete.promise, open: () => open.resolve() }
}

/** A route whose requests have loaded their session, and go on together. */
function start(store: Store, { arrive }: { arrive(): Promise<void> }, shared: SharedSessionOptions = {}): Promise<App> {
  return startApp({
    store,
    shared: { retry: { attempts: 10, minDelay: 1, maxDelay: 10 }, ...shared },
    routes: (http) =>
      http.get('/contribute', async (req, res) => {
        await arrive()
        contribute(req.session, String(req.query.by))
        res.json({})
      }),
  })
}

interface Opened {
  store: Store
  bus?: Bus
}

/** @param open a store for each node */
function describeContainers(nodes: number, open: () => Promise<Opened>): void {
  const node = async (meet: { arrive(): Promise<void> }, shared: SharedSessionOptions = {}): Promise<App> => {
    const { store, ...bus } = await open()
    return start(store, meet, { ...bus, ...shared })
  }

  it('has what requests, sockets, update() and store.set() put into it at once, each once, and no conflict', async () => {
    const { arrive, complete, open: letThrough } = barrier(4)
    const apps = await Promise.all(Array.from({ length: nodes }, async () => node({ arrive })))
    const first = apps[0]!.browser()
    await first.get('/set?user=ada')
    const sid = sidOf(first)
    const places = [0, 1].map((index) => apps[index % nodes]!)
    const browsers: Browser[] = places.map((app) => Object.assign(app.browser(), { cookie: first.cookie }))
    const tabs = await Promise.all(places.map((app, index) => tab(app, browsers[index]!)))
    const conflicts = apps.map((app) => collect(app.shared.events, 'session:conflict'))
    const read = ({ store }: App): Promise<any> => new Promise((done) => store.get(sid, (_error, found) => done(found)))
    const direct = await Promise.all(places.map(read))
    const answers = [0, 1, 2, 3].map((n) => browsers[n % 2]!.get(`/contribute?by=http${n}`))
    await complete
    const work: Promise<unknown>[] = []
    letThrough()
    for (const [index, { store, shared }] of places.entries()) {
      const { session } = tabs[index]!
      contribute(session, `socket${index}`)
      work.push(session.save())
      work.push(shared.update(sid, (draft: any) => contribute(draft, `update${index}`)))
      contribute(direct[index], `direct${index}`)
      work.push(new Promise((resolve, reject) => store.set(sid, direct[index], (error) => (error ? reject(error) : resolve(0)))))
    }
    await Promise.all(work)
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200)
    for (const app of apps) await app.shared.flush()
    const writers = ['http0', 'http1', 'http2', 'http3', 'socket0', 'socket1', 'update0', 'update1', 'direct0', 'direct1']
    expectAll(await read(apps[0]!), writers)
    for (const { session } of tabs) {
      await until(() => session.log.length === writers.length)
      expectAll(session, writers)
    }
    expect(conflicts.flat()).toEqual([])
  })

  it('that a socket has made and not saved gets what a request puts into it, and stays the same object', async () => {
    const apps = await Promise.all(
      Array.from({ length: nodes }, async () => node({ arrive: async () => {} }, { autoSave: false })),
    )
    const [here, there] = [apps[0]!, apps.at(-1)!]
    const browser = here.browser()
    await browser.get('/set?user=ada')
    const { session } = await tab(here, browser)
    const conflicts = collect(here.shared.events, 'session:conflict')
    // What a page would have that follows what its socket is told.
    const page: any = { user: 'ada' }
    here.sockets[0]!.on('session:changed', ({ patches }) => void apply(page, patches))
    for (const one of [session, page]) contribute(one, 'early')
    const { cart, log } = session
    await Object.assign(there.browser(), { cookie: browser.cookie }).get('/contribute?by=http')
    await until(() => session.cart.http)
    expectAll(session, ['early', 'http'])
    cart.late = 1
    log.push('late')
    await session.save!()
    const { body } = await browser.get('/session')
    expect(body.cart).toEqual({ early: 1, http: 1, late: 1 })
    expect(body.log).toEqual(['http', 'early', 'late'])
    expect(body.deep.list).toEqual(['http', 'early'])
    page.cart.late = 1
    const { cookie: _cookie, ...data } = body
    expect(page).toEqual(data)
    expect(conflicts).toEqual([])
  })
}

describe('a container that several writers make at once', () => {
  const stores: Record<string, () => Store> = {
    MemoryStore: () => new expressSession.MemoryStore(),
    'a store with own, async methods': plainStore,
    'a store that changes what it is given': () => new MongoLikeStore(),
    'a store without touch': () => new FileLikeStore(),
  }
  describe.each(Object.entries(stores))('on %s', (_name, make) => describeContainers(1, async () => ({ store: make() })))

  describe('on one node', () => {
    it('two requests that overlap: both are answered, both keys are there', async () => {
      const { arrive, complete, open } = barrier(2)
      const app = await start(new expressSession.MemoryStore(), { arrive })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const answers = ['a', 'b'].map((by) => browser.get(`/contribute?by=${by}`))
      await complete
      open()
      expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200])
      expectAll((await browser.get('/session')).body, ['a', 'b'])
    })

    it("with 'whole' it is one value, and the conflict says whose", async () => {
      const { arrive, complete, open } = barrier(2)
      const app = await start(new expressSession.MemoryStore(), { arrive }, { merge: { '*': 'whole' } })
      const conflicts = collect(app.shared.events, 'session:conflict')
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const answers = ['a', 'b'].map((by) => browser.get(`/contribute?by=${by}`))
      await complete
      open()
      await Promise.all(answers)
      expect(Object.keys((await browser.get('/session')).body.cart)).toHaveLength(1)
      expect(conflicts.map(({ path }) => path)).toEqual([['cart'], ['log'], ['deep']])
    })
  })

  describe('whose save is repeated', () => {
    async function shop(): Promise<Live> {
      const here = await live({
        shared: { retry: QUICK, autoSave: false },
        routes: (http) =>
          http.get('/contribute', (req, res) => {
            contribute(req.session, 'http')
            res.json({})
          }),
      })
      return here
    }
    const expectOnce = ({ store, sid }: Live, writers: string[]) => expectAll(store.stored(sid), writers)

    it('a socket whose write took effect, and whose answer was an error: everything is there once', async () => {
      const here = await shop()
      const set = here.store.hold('set', { afterwards: true })
      contribute(here.session, 'mine')
      const saved = here.session.save!()
      await set.called
      set.fail()
      await saved
      expectOnce(here, ['mine'])
      contribute(here.session, 'more')
      await here.session.save!()
      expectOnce(here, ['mine', 'more'])
    })

    it('a socket whose write failed, while another process made the same', async () => {
      const here = await shop()
      const theirs: any = { user: 'ada' }
      contribute(theirs, 'theirs')
      const set = here.store.hold('set')
      contribute(here.session, 'mine')
      const saved = here.session.save!()
      await set.called
      here.store.foreign(here.sid, theirs)
      set.fail()
      await saved
      expectOnce(here, ['mine', 'theirs'])
      expectAll(here.session, ['mine', 'theirs'])
    })

    it('a request that saves twice', async () => {
      const here = await live({
        routes: (http) =>
          http.get('/twice', async (req, res) => {
            contribute(req.session, 'first')
            await new Promise((done) => req.session.save(done))
            here.store.foreign(here.sid, await other())
            contribute(req.session, 'second')
            res.json({})
          }),
      })
      const other = async (): Promise<any> => {
        const stored: any = here.store.stored(here.sid)
        contribute(stored, 'theirs')
        return stored
      }
      await here.browser.get('/twice')
      expectOnce(here, ['first', 'second', 'theirs'])
    })

    it('a request that asks for update() before its own save', async () => {
      const here = await live({
        routes: (http) =>
          http.get('/both', async (req, res) => {
            contribute(req.session, 'request')
            await here.app.shared.update(req, (draft: any) => contribute(draft, 'recipe'))
            contribute(req.session, 'after')
            res.json(req.session)
          }),
      })
      const { body } = await here.browser.get('/both')
      expectAll(body, ['request', 'recipe', 'after'])
      expectOnce(here, ['request', 'recipe', 'after'])
    })
  })

  it('a default value that several writers set alike is there once, and what they add to it is kept', async () => {
    const { arrive, complete, open } = barrier(2)
    const app = await startApp({
      routes: (http) =>
        http.get('/login', async (req, res) => {
          await arrive()
          req.session.roles ??= ['guest']
          req.session.prefs ??= { theme: 'dark', columns: ['a', 'b'] }
          res.json({})
        }),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { session } = await tab(app, browser)
    const changes = collect(app.sockets[0]!, 'session:changed')
    const answers = [browser.get('/login'), browser.get('/login')]
    await complete
    open()
    await Promise.all(answers)
    await turns()
    const fresh = { roles: ['guest'], prefs: { theme: 'dark', columns: ['a', 'b'] } }
    expect(JSON.parse(JSON.stringify(session))).toMatchObject(fresh)
    expect((await browser.get('/session')).body).toMatchObject(fresh)
    expect(changes).toHaveLength(1)
  })
})

await withService('Redis', startRedis, (redis) => {
  describe('a container that several writers make at once on two nodes with Redis', () => {
    describeContainers(2, async () => {
      const { client, end } = await nodeRedis(redis().port)
      ends.push(end)
      return { store: new RedisStore({ client }) }
    })
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  describe('a container that several writers make at once on two nodes with Postgres', () => {
    beforeAll(async () => {
      const client = new pg.Client({ host: '127.0.0.1', port: postgres().port, user: 'test', database: 'postgres' })
      await client.connect()
      await client.query('CREATE TABLE containers (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
      await client.end()
    })

    describeContainers(2, async () => {
      const pool = new pg.Pool({ host: '127.0.0.1', port: postgres().port, user: 'test', database: 'postgres', max: 10 })
      pool.on('error', () => undefined)
      ends.push(() => pool.end())
      const store = new PgStore({ pool, tableName: 'containers', pruneSessionInterval: false })
      return { store, bus: postgresBus({ pool }) }
    })
  })
})

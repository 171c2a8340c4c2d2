import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import { Client, Pool } from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { postgresBus } from '../../../src/index.js'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { collect, tab, thrown } from '../../support/live.js'
import { startPostgres } from '../../support/postgres.js'
import { withService } from '../../support/service.js'
import { sidOf } from '../../support/sid.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { next, until } from '../../support/wait.js'
import { describeBus } from './conformance.js'

const RETRY = { attempts: 20, minDelay: 1, maxDelay: 20, timeout: 2000 }

await withService('Postgres', startPostgres, (postgres) => {
  const ends: (() => unknown)[] = []

  beforeAll(async () => {
    const pool = poolOn()
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
    await pool.end()
    ends.length = 0
  })

  afterEach(async () => {
    await closeApps()
    for (const end of ends.splice(0).reverse()) await end()
  })

  function poolOn(port = postgres().port, max = 2): Pool {
    const pool = new Pool({ connectionString: postgres().url.replace(`:${postgres().port}`, `:${port}`), max })
    pool.on('error', () => undefined)
    ends.push(() => pool.ended || pool.end())
    return pool
  }

  async function proxied(): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(postgres().port)
    ends.push(() => proxy.stop())
    return proxy
  }

  async function node(pool = poolOn(), lent = pool): Promise<App> {
    const store = new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false, errorLog: () => undefined })
    return startApp({ store, shared: { bus: postgresBus({ pool: lent }), retry: RETRY, revalidate: false, touch: false } })
  }

  /** A tab of one visitor on each node; both listen. */
  async function visitor(...apps: App[]) {
    const browser = apps[0]!.browser()
    await browser.get('/set?user=ada')
    const tabs = []
    for (const app of apps) tabs.push(await tab(app, Object.assign(app.browser(), { cookie: browser.cookie }) as Browser))
    return { browser, tabs, sid: sidOf(browser) }
  }

  it.each([2, 1])(
    'a write on one process is notified on the other, and a logout ends its sockets (a pool of %i)',
    async (max) => {
      const apps = [await node(poolOn(undefined, max)), await node(poolOn(undefined, max))]
      const { browser, tabs } = await visitor(...apps)
      const reads = apps[1]!.shared.stats().reads
      const heard = next(tabs[1]!.socket, 'session:changed')
      await browser.get('/set?theme=dark')
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
      // Every role can listen: what was changed is not told.
      expect(apps[1]!.shared.stats().reads).toBe(reads + 1)
      const ended = next(tabs[1]!.socket, 'session:destroyed')
      await browser.get('/destroy')
      expect(await ended).toEqual({ reason: 'destroyed' })
    },
  )

  it('a change that is too long for a notification makes the session be read', async () => {
    const apps = [await node(), await node()]
    const { tabs, sid } = await visitor(...apps)
    const heard = next(tabs[1]!.socket, 'session:changed')
    await apps[0]!.shared.update(sid, (draft: any) => {
      draft.long = '€'.repeat(4000)
    })
    expect(await heard).toMatchObject({ keys: ['long'] })
    expect(tabs[1]!.session.long).toHaveLength(4000)
  })

  it('a refused write publishes nothing', async () => {
    const apps = [await node(), await node()]
    const { sid } = await visitor(...apps)
    const spy = new Client({ connectionString: postgres().url })
    await spy.connect()
    ends.push(() => spy.end())
    const heard = collect(spy as never, 'notification')
    for (let channel = 0; channel < 64; channel++) await spy.query(`LISTEN sharedsession_${channel}`)
    const countRefusals = (): number => apps.reduce((sum, { shared }) => sum + shared.stats().refusals, 0)
    let rounds = 0
    // Chance decides in which round the two are in each other's way.
    while (countRefusals() === 0) {
      rounds++
      await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          apps[n % 2]!.shared.update(sid, (draft: any) => {
            draft.count = (draft.count ?? 0) + 1
          }),
        ),
      )
    }
    await spy.query('SELECT 1')
    expect(heard).toHaveLength(20 * rounds)
    for (const { payload } of heard) expect(payload).not.toContain(sid)
  })

  it('subscribes again, and finds what it missed, when the server was restarted', async () => {
    const apps = [await node(), await node()]
    const { browser, tabs } = await visitor(...apps)
    await postgres().restart()
    await until(async () => (await browser.get('/set?theme=dark')).status === 200)
    await until(() => tabs[1]!.session.theme === 'dark')
    const heard = next(tabs[1]!.socket, 'session:changed')
    await browser.get('/set?theme=light')
    expect(await heard).toMatchObject({ keys: ['theme'] })
  })

  it('finds many sessions in one read after a gap', async () => {
    const proxy = await proxied()
    const apps = [await node(), await node(poolOn(), poolOn(proxy.port))] as const
    const visitors = [await visitor(...apps), await visitor(...apps), await visitor(...apps)]
    proxy.down()
    for (const { browser } of visitors) await browser.get('/set?theme=dark')
    const before = apps[1].shared.stats().reads
    proxy.up()
    await until(() => visitors.every(({ tabs }) => tabs[1]!.session.theme === 'dark'))
    expect(apps[1].shared.stats().reads).toBe(before + 1)
  })

  it('closes at once while the server is frozen', async () => {
    const app = await node()
    await visitor(app)
    postgres().pause()
    try {
      await app.close()
    } finally {
      postgres().resume()
    }
  })

  describeBus('Postgres', async () => {
    const proxy = await proxied()
    return {
      buses: [postgresBus({ pool: poolOn() }), postgresBus({ pool: poolOn(proxy.port) })],
      cut: () => proxy.down(),
      restore: () => proxy.up(),
    }
  })

  it('runs one query at a time on its own connection', async () => {
    const proxy = await proxied()
    const [pool, texts] = [poolOn(proxy.port), [] as string[]]
    let running = 0
    let most = 0
    class Watched extends Client {
      // As the bus calls it: a text, and a promise for an answer.
      override query(...args: any[]): any {
        texts.push(args[0])
        most = Math.max(most, ++running)
        return super.query(...(args as [string])).finally(() => running--)
      }
    }
    Object.assign(pool, { Client: Watched })
    const bus = postgresBus({ pool })
    ends.push(() => bus.close())
    let gaps = 0
    const heard: string[] = []
    bus.start({ heard: (topic) => heard.push(topic), gap: () => gaps++ })
    const topics = Array.from({ length: 300 }, (_, n) => `sharedsession:${process.pid}-${n}`)
    await Promise.all(topics.map((topic) => bus.subscribe(topic)))
    for (const topic of topics.slice(1)) bus.unsubscribe(topic)
    for (const topic of topics.slice(2)) bus.subscribe(topic)
    await bus.subscribe(topics[1]!)
    proxy.down()
    // Whatever was asked is answered no more.
    running = 0
    proxy.up()
    await until(() => gaps === 1)
    const other = postgresBus({ pool: poolOn() })
    for (const topic of topics) await other.publish(topic, 'hello')
    await until(() => heard.length === topics.length)
    expect(most).toBe(1)
    expect(texts.length).toBeLessThan(8)
  })

  it('serves one store only', () => {
    const bus = postgresBus({ pool: poolOn() })
    const listener = { heard: () => undefined, gap: () => undefined }
    bus.start(listener)
    expect(thrown(() => bus.start(listener))).toMatchObject({ code: 'BAD_OPTION' })
    bus.close()
    bus.start(listener)
  })
})

describe('postgresBus()', () => {
  it.each([undefined, null, {}, { query: () => undefined }, { Client }])('throws BAD_OPTION for what is no pool: %s', (pool) => {
    expect(thrown(() => postgresBus({ pool: pool as never }))).toMatchObject({ code: 'BAD_OPTION' })
  })

  it('throws BAD_OPTION where it is given nothing', () => {
    expect(thrown(() => (postgresBus as () => unknown)())).toMatchObject({ code: 'BAD_OPTION' })
  })
})

import type { Knex } from 'knex'
import { afterEach, expect, it } from 'vitest'
import { knexStore, openKnex } from '../../store/drivers/sql/knex-stores.js'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { collect, tab } from '../../support/live.js'
import { startPostgres } from '../../support/postgres.js'
import { withService } from '../../support/service.js'
import { sidOf } from '../../support/sid.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { next, until } from '../../support/wait.js'

const RETRY = { attempts: 20, minDelay: 1, maxDelay: 20, timeout: 2000 }

await withService('Postgres', startPostgres, (postgres) => {
  const ends: (() => unknown)[] = []

  afterEach(async () => {
    await closeApps()
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function node(port = postgres().port): Promise<App> {
    const database: Knex = openKnex('pg', port)
    ends.push(() => database.destroy())
    const store = knexStore(database)
    await store.ready
    return startApp({ store, shared: { retry: RETRY, revalidate: false, touch: false } })
  }

  /** A tab of one visitor on each node. */
  async function visitor(...apps: App[]) {
    const browser = apps[0]!.browser()
    await browser.get('/set?user=ada')
    const tabs = []
    for (const app of apps) tabs.push(await tab(app, Object.assign(app.browser(), { cookie: browser.cookie }) as Browser))
    return { browser, tabs, sid: sidOf(browser) }
  }

  it('connect-session-knex on Postgres finds its bus by itself: a write and a logout are heard on the other node', async () => {
    const [one, two] = [await node(), await node()]
    expect(two.shared.stats()).toMatchObject({ driver: 'connect-session-knex', bus: 'postgres', severalProcesses: true })
    const { browser, tabs, sid } = await visitor(one, two)
    const other = tabs[1]!
    const changed = next(other.socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
    expect(other.session.theme).toBe('dark')
    const destroyed = next(other.socket, 'session:destroyed')
    await one.shared.destroy(sid)
    expect(await destroyed).toMatchObject({ reason: 'destroyed' })
  })

  it('the notification is in the statement that writes: a change is one round trip', async () => {
    const proxy = await TcpProxy.start(postgres().port)
    ends.push(() => proxy.stop())
    const [one, two] = [await node(proxy.port), await node()]
    const { tabs } = await visitor(one, two)
    const [first, second] = tabs as [(typeof tabs)[number], (typeof tabs)[number]]
    for (const value of [1, 2, 3]) {
      const changed = next(second.socket, 'session:changed')
      const before = proxy.roundTrips
      await first.client.emitWithAck('set', 'n', value)
      expect(proxy.roundTrips - before).toBe(1)
      await changed
      expect(second.session.n).toBe(value)
    }
  })

  it('a store that is given another database: messages arrive from there', async () => {
    const open = (database?: string): Knex => {
      const opened = openKnex('pg', postgres().port, database)
      ends.push(() => opened.destroy())
      return opened
    }
    const [first, second] = [open(), open('second')]
    await first.raw('CREATE DATABASE second')
    const store = knexStore(first)
    const storeOfOther = knexStore(second)
    await Promise.all([store.ready, storeOfOther.ready])
    const shared = { retry: RETRY, revalidate: false as const, touch: false }
    const [app, other] = [await startApp({ store, shared }), await startApp({ store: storeOfOther, shared })]
    const { browser, tabs } = await visitor(app)
    const [{ socket }] = tabs as [(typeof tabs)[number]]
    await second('sessions').insert(await first('sessions').where({ sid: sidOf(browser) }))
    store.options.knex = second
    // The next call of the store shows that it is another one.
    await app.browser().get('/set?somebody=else')
    const elsewhere = Object.assign(other.browser(), { cookie: browser.cookie }) as Browser
    // The first one may be in the read that follows on the replacement.
    for (const theme of ['dark', 'light']) {
      const changed = next(socket, 'session:changed')
      await elsewhere.get(`/set?theme=${theme}`)
      expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
    }
  })

  it('a lost connection is replaced, and what was missed is read', async () => {
    const proxy = await TcpProxy.start(postgres().port)
    ends.push(() => proxy.stop())
    const [one, two] = [await node(), await node(proxy.port)]
    const { browser, tabs } = await visitor(one, two)
    const other = tabs[1]!
    const changes = collect(other.socket, 'session:changed')
    proxy.down()
    await browser.get('/set?theme=dark')
    proxy.up()
    await until(() => other.session.theme === 'dark')
    expect(changes.length).toBeGreaterThan(0)
  })
})

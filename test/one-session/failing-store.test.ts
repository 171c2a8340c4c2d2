import type { ServerResponse } from 'node:http'
import type { Store } from 'express-session'
import { IndeterminateWriteError, type StoreDriver } from 'sharedsession/driver'
import type { Socket as Client } from 'socket.io-client'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { CookieBrowser, closePages, type Transports } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn, turnedAway } from '../support/handshake.js'
import { MemoryBus } from '../support/memory-bus.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { closeSites, type Site, type SiteOptions, shown, startSite } from './site.js'

const WEBSOCKET: { transports: Transports } = { transports: ['websocket'] }

afterEach(async () => {
  vi.restoreAllMocks()
  closePages()
  await closeSites()
})

/** A browser whose session is stored. */
async function visited(options: SiteOptions = {}) {
  const store = new ControlledStore()
  const site = await startSite({ store, ...options })
  // From the first handshake on, sessions are read before it is answered.
  await letIn(new CookieBrowser().open(site.url, WEBSOCKET))
  const browser = new CookieBrowser()
  await browser.fetch(`${site.url}/add?item=old`, { method: 'POST' })
  return { store, site, browser, sid: store.ids()[0] as string }
}

/** A tab whose connection is open, and that has not asked for its namespace. The store has not answered by then. */
function opening(browser: CookieBrowser, { url }: Site) {
  const tab = browser.open(url, { ...WEBSOCKET, autoConnect: false })
  return { tab, opened: new Promise((resolve) => tab.io.open(resolve)) }
}

/** Of the connected sockets. */
function sidsAt({ sockets }: Site): Set<string> {
  return new Set(sockets.filter(({ connected }) => connected).map(({ handshake }) => handshake.sessionID as string))
}

describe('the store answers a handshake so late that it was answered without its session, and the tab reconnects', () => {
  it('when the session is destroyed meanwhile', async () => {
    const { store, site, browser } = await visited()
    const get = store.hold('get')
    const { tab, opened } = opening(browser, site)
    await get.called
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    await opened
    get.release()
    await letIn(tab.connect())
    await tab.emitWithAck('add', 'x')
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
  })

  it('again a minute later, where the handshake in between has come to another node', async () => {
    const { store, site, browser, sid } = await visited()
    const slow = async (): Promise<Client> => {
      const get = store.hold('get')
      const { tab, opened } = opening(browser, site)
      await Promise.all([get.called, opened])
      store.gone(sid)
      get.release()
      return tab
    }
    const before = await slow()
    const lost = turnedAway(before).then(() => before.disconnect())
    before.connect()
    await lost
    const { now } = performance
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 60_000)
    const tab = await slow()
    await letIn(tab.connect())
    await tab.emitWithAck('add', 'x')
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
  })

  it('when the cookie of a regenerated session was on its way', async () => {
    const { store, site, browser } = await visited()
    const left = new Promise((resolve) =>
      site.http.prependOnceListener('request', (_, response: ServerResponse) => response.once('finish', resolve)),
    )
    const arrives = deferred()
    const login = browser.fetch(`${site.url}/login?regenerate`, { method: 'POST', arrives: arrives.promise })
    await left
    const get = store.hold('get')
    const { tab, opened } = opening(browser, site)
    await get.called
    arrives.resolve()
    await Promise.all([login, opened])
    get.release()
    await letIn(tab.connect())
    await tab.emitWithAck('add', 'x')
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ user: 'ada', socket: ['x'] })
  })

  it('when the session of its handshake cookie is destroyed meanwhile', async () => {
    const { store, site, browser } = await visited()
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    const first = await letIn(browser.open(site.url, WEBSOCKET))
    await first.emitWithAck('add', 'first')
    const [sid] = store.ids() as [string]
    first.disconnect()
    // A tab that comes soon after the first one reconnects anyway.
    const { now } = performance
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 5000)
    const get = store.hold('get', { sid })
    const { tab, opened } = opening(browser, site)
    await get.called
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    await opened
    get.release()
    await letIn(tab.connect())
    await tab.emitWithAck('add', 'x')
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
  })
})

describe('regenerate() fails because the store cannot destroy the session, and the browser gets another one', () => {
  interface World {
    store: ControlledStore
    site: Site
    browser: CookieBrowser
  }

  async function failingLogin({ store, site, browser }: World, failures = 1, sid?: string): Promise<void> {
    for (let failure = 0; failure < failures; failure++) store.fail('destroy', undefined, sid)
    const { status } = await browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
    expect(status).toBe(500)
  }

  it.each([1, 3])(
    'the first one is destroyed as soon as the store can do it, and a tab reconnects to the other (failures: %s)',
    async (failures) => {
      const world = await visited()
      const { store, site, browser, sid } = world
      const tab = await letIn(browser.open(site.url, WEBSOCKET))
      const ended = next(site.sockets.at(-1)!, 'session:destroyed')
      const back = next(tab, 'connect')
      await failingLogin(world, failures)
      expect(await ended).toEqual({ reason: 'regenerated' })
      expect(store.stored(sid)).toBeUndefined()
      expect(store.count('destroy')).toBe(failures + 1)
      await back
      await tab.emitWithAck('add', 'x')
      expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
    },
  )

  it.each([
    ['before', true],
    ['after', false],
  ])('a tab reconnects that finds its session gone %s the answer to the destroy is known to be lost', async (_when, isEarly) => {
    const { store, site, browser, sid } = await visited()
    const get = store.hold('get')
    const { tab, opened } = opening(browser, site)
    await Promise.all([get.called, opened])
    store.hold('destroy', { afterwards: true }).fail()
    const ended = next(site.shared.events, 'session:destroyed')
    const { status } = await browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
    expect(status).toBe(500)
    const lookedUp = store.hold('get', { sid })
    await lookedUp.called
    if (!isEarly) {
      lookedUp.release()
      await ended
    }
    get.release()
    await letIn(tab.connect())
    lookedUp.release()
    const [other] = store.ids()
    await until(() => sidsAt(site).has(other as string))
  })

  it('a tab of its node reconnects where only the answer to the destroy is lost, although a logout would disconnect it', async () => {
    const { store, site, browser } = await visited({ shared: { onEnd: { destroyed: 'disconnect' } } })
    const tab = await letIn(browser.open(site.url, WEBSOCKET))
    const ended = next(site.sockets.at(-1)!, 'session:destroyed')
    const back = next(tab, 'connect')
    store.hold('destroy', { afterwards: true }).fail()
    const { status } = await browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
    expect(status).toBe(500)
    expect(await ended).toEqual({ reason: 'regenerated' })
    await back
    await tab.emitWithAck('add', 'x')
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
  })

  it('a tab on another node reconnects', async () => {
    const bus = new MemoryBus()
    const one = await visited({ shared: { bus: bus.end(), revalidate: false } })
    const store = new ControlledStore()
    ;(store as any).sessions = (one.store as any).sessions
    const two = await startSite({ store, shared: { bus: bus.end(), revalidate: false } })
    const { browser } = one
    const tab = await letIn(browser.open(two.url, WEBSOCKET))
    const back = next(tab, 'connect')
    await failingLogin(one)
    await back
    await tab.emitWithAck('add', 'x')
    expect(await browser.json(`${two.url}/session`)).toMatchObject({ socket: ['x'] })
  })

  it.each(['', '?language'])('without a session cookie in the response the browser keeps the session (%s)', async (query) => {
    const world = await visited()
    const { store, site, browser, sid } = world
    const tab = await letIn(browser.open(site.url, WEBSOCKET))
    store.fail('destroy')
    await browser.fetch(`${site.url}/late-login${query}`, { method: 'POST' })
    // That of another browser is tried again later than that of the first one would be.
    const other = { ...world, browser: new CookieBrowser() }
    await other.browser.fetch(`${site.url}/add?item=other`, { method: 'POST' })
    const otherSid = store.ids().find((id) => id !== sid && store.stored(id)?.http?.[0] === 'other') as string
    await failingLogin(other, 2, otherSid)
    await until(() => store.stored(otherSid) === undefined)
    await tab.emitWithAck('add', 'x')
    expect(store.stored(sid)).toMatchObject({ socket: ['x'] })
    expect(browser.connections).toBe(1)
  })
})

it('a tab reconnects where the read before the answer to its handshake has failed, and has a session with a cookie then', async () => {
  const { store, site, browser, sid } = await visited()
  site.io.of('/other')
  store.gone(sid)
  store.fail('get')
  expectWarning('STORE_FAILED')
  const first = browser.open(site.url, { ...WEBSOCKET, autoConnect: false })
  const second = first.io.socket('/other')
  first.connect()
  await letIn(second.connect())
  await browser.fetch(`${site.url}/add?item=new`, { method: 'POST' })
  const sids = [...site.io.of('/other').sockets.values()].map(({ handshake }) => handshake.sessionID)
  expect(sids).toEqual(store.ids())
})

it('a tab reconnects where its session is found to be gone when its handshake was answered, and has a session with a cookie then', async () => {
  const { store, site, browser, sid } = await visited()
  store.gone(sid)
  const get = store.hold('get')
  const { tab, opened } = opening(browser, site)
  await Promise.all([get.called, opened])
  get.release()
  await letIn(tab.connect())
  await tab.emitWithAck('add', 'x')
  expect(browser.connections).toBe(1)
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
})

it.each([
  ['that tells which headers it writes', true],
  ['that does not, as some packages', false],
])(
  'a tab reconnects where its session is found to be gone when its transport was upgraded, by a server %s',
  async (_what, tells) => {
    const { store, site, browser, sid } = await visited()
    if (!tells) (site.io.engine as any).ws.removeAllListeners('headers')
    store.gone(sid)
    const get = store.hold('get')
    const tab = browser.open(site.url, { autoConnect: false })
    const opened = new Promise((resolve) => tab.io.open(resolve))
    await Promise.all([get.called, opened, next(tab.io.engine, 'upgrade')])
    get.release()
    await letIn(tab.connect())
    await tab.emitWithAck('add', 'x')
    expect(browser.connections).toBe(1)
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
  },
)

it('a tab that came with the cookie of a session that is stored later comes to that session', async () => {
  const { store, site, browser, sid } = await visited()
  const set = store.hold('set')
  const login = browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
  const stored = await set.called
  await until(() => browser.cookie?.includes(stored))
  const tab = await letIn(browser.open(site.url, { transports: ['polling'] }))
  expect(sidsAt(site)).not.toContain(stored)
  set.release()
  await login
  await until(() => sidsAt(site).has(stored))
  expect(await tab.emitWithAck('get')).toMatchObject({ user: 'ada' })
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ user: 'ada' })
  expect(store.stored(sid)).toBeUndefined()
})

it('a request with two handshake cookies has the session of the second one where that of the first one is known to be gone', async () => {
  const { store, site } = await visited()
  const cookies = await Promise.all(
    ['x', 'y'].map(async (item) => {
      const one = new CookieBrowser()
      const tab = await letIn(one.open(site.url, WEBSOCKET))
      await tab.emitWithAck('add', item)
      tab.disconnect()
      return { cookie: one.cookie as string, item }
    }),
  )
  const [first, second] = cookies.sort((a, b) => (a.cookie < b.cookie ? -1 : 1)) as [(typeof cookies)[0], (typeof cookies)[0]]
  store.gone(store.ids().find((id) => store.stored(id)?.socket?.[0] === first.item) as string)
  const browser = new CookieBrowser(`${first.cookie}; ${second.cookie}`)
  await browser.fetch(`${site.url}/session`)
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: [second.item] })
})

it.each([0, 1, 2])(
  'a tab that has found a session that was stored late comes to the one that a request was given before that, also where the store fails at first (%i failures)',
  async (failures) => {
    const { store, site, browser } = await visited()
    const set = store.hold('set')
    const login = browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
    const stored = await set.called
    await until(() => browser.cookie?.includes(stored))
    const posted = browser.fetch(`${site.url}/add?item=new&slow`, { method: 'POST' })
    await until(() => store.calls.some(({ method, sid }) => method === 'get' && sid === stored))
    set.release()
    await login
    const tab = await letIn(browser.open(site.url, WEBSOCKET))
    expect(sidsAt(site)).toContain(stored)
    const back = next(tab, 'connect')
    site.slow.resolve(undefined)
    await posted
    const target = store.ids().find((id) => store.stored(id)?.http?.[0] === 'new') as string
    // The mark, and then the join.
    if (failures > 1) store.fail('set', undefined, stored)
    if (failures > 0) store.fail('set', undefined, target)
    await back
    await until(async () => (await shown(tab)).user)
    expect(await shown(tab)).toMatchObject({ http: ['new'], user: 'ada' })
  },
)

it('a tab that finds a session late comes to the one that its browser has by then', async () => {
  const { store, site, browser } = await visited()
  const set = store.hold('set')
  const login = browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
  const stored = await set.called
  await until(() => browser.cookie?.includes(stored))
  const posted = browser.fetch(`${site.url}/add?item=new&slow`, { method: 'POST' })
  await site.waiting.promise
  const get = store.hold('get', { sid: stored })
  const { tab, opened } = opening(browser, site)
  await Promise.all([get.called, opened])
  site.slow.resolve(undefined)
  await posted
  await browser.fetch(`${site.url}/regenerate`, { method: 'POST' })
  await browser.fetch(`${site.url}/add?item=newer`, { method: 'POST' })
  set.release()
  await login
  get.release()
  await letIn(tab.connect())
  expect(await tab.emitWithAck('get')).toMatchObject({ http: ['newer'] })
})

it('tabs have the session of the next request where a session was stored between their handshakes', async () => {
  const { store, site, browser, sid } = await visited()
  const held = store.stored(sid) as object
  store.gone(sid)
  const early = new CookieBrowser(browser.cookie)
  const tab = await letIn(browser.open(site.url, WEBSOCKET))
  await tab.emitWithAck('add', 'x')
  store.foreign(sid, held)
  // Its handshake was sent before its browser had the cookie of the other tab.
  const other = await letIn(early.open(site.url, WEBSOCKET))
  expect(await other.emitWithAck('get')).toMatchObject({ http: ['old'] })
  early.cookie = browser.cookie
  const back = next(other, 'connect')
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['old'], socket: ['x'] })
  await back
  expect(sidsAt(site)).not.toContain(sid)
  expect(await other.emitWithAck('get')).toMatchObject({ http: ['old'], socket: ['x'] })
})

it('a tab comes to the new session of a request that had the cookie of a session that is gone, and another one of the tab', async () => {
  const { store, site, browser, sid } = await visited()
  const other = new CookieBrowser()
  const tab = await letIn(other.open(site.url, WEBSOCKET))
  await tab.emitWithAck('add', 'x')
  store.gone(sid)
  other.cookie = `${browser.cookie}; ${other.cookie}`
  const back = next(tab, 'connect')
  await other.fetch(`${site.url}/add?item=new`, { method: 'POST' })
  await back
  expect(await tab.emitWithAck('get')).toMatchObject({ http: ['new'], socket: ['x'] })
})

it('a tab reconnects where a request has got its browser a new session before the store answered its handshake', async () => {
  const { store, site, browser, sid } = await visited()
  store.gone(sid)
  const get = store.hold('get')
  const { tab, opened } = opening(browser, site)
  await get.called
  await opened
  await browser.fetch(`${site.url}/add?item=new`, { method: 'POST' })
  tab.connect()
  get.release()
  const [other] = store.ids() as [string]
  await until(() => tab.connected && sidsAt(site).has(other))
  expect(await tab.emitWithAck('get')).toMatchObject({ http: ['new'] })
})

it('a session that another one was joined to is not brought back by a first try of that, which arrives when it was repeated and the session has ended', async () => {
  const { store, site, browser, sid } = await visited({ shared: { retry: { timeout: 500 } } })
  const other = new CookieBrowser()
  const first = await letIn(other.open(site.url, WEBSOCKET))
  await first.emitWithAck('add', 'x')
  first.disconnect()
  browser.cookie = `${browser.cookie}; ${other.cookie}`
  const set = store.hold('set', { sid })
  await browser.fetch(`${site.url}/session`)
  await set.called
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['old'], socket: ['x'] })
  await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
  const before = store.count('destroy')
  set.release()
  await until(() => store.count('destroy') > before && store.stored(sid) === undefined)
})

it('a session of an earlier handshake is moved although the browser has a session cookie whose session is gone, and another one instead', async () => {
  const { store, site, browser, sid } = await visited()
  const other = new CookieBrowser()
  const first = await letIn(other.open(site.url, WEBSOCKET))
  await first.emitWithAck('add', 'x')
  first.disconnect()
  store.gone(sid)
  browser.cookie = `${browser.cookie}; ${other.cookie}`
  const second = await letIn(browser.open(site.url, WEBSOCKET))
  await second.emitWithAck('add', 'y')
  expect((await browser.json(`${site.url}/session`)).socket).toEqual(['y', 'x'])
})

it('a session that a node has stored for another one, and lost the answer, is not stored again when the other one has ended it', async () => {
  let rows = new Map<string, { text: string }>()
  const driver = sample((all) => {
    rows = all
    return {}
  })
  let isDown = false
  const failing: StoreDriver = Object.assign(Object.create(driver), {
    async write(...call: Parameters<StoreDriver['write']>) {
      isDown = true
      await driver.write(...call)
      throw new IndeterminateWriteError(new Error('the connection was lost'))
    },
    async read(sid: string) {
      if (isDown) throw new Error('down')
      return driver.read(sid)
    },
    async readMany(sids: string[]) {
      if (isDown) throw new Error('down')
      return driver.readMany!(sids)
    },
  })
  const bus = new MemoryBus()
  const node = (own: StoreDriver, store: Store = new DriverStore()): Promise<Site> =>
    startSite({ store, shared: { driver: own, bus: bus.end(), revalidate: false, touch: false } })
  const store: Store = new DriverStore()
  const [one, two] = [await node(failing, store), await node(driver)]
  const browser = new CookieBrowser()
  const tab = await letIn(browser.open(one.url, WEBSOCKET))
  // As a request does that goes on for long.
  const [own] = sidsAt(one) as Set<string>
  const loaded = await new Promise<any>((resolve) => store.get(own as string, (_error, session) => resolve(session)))
  // The other node asks for the session.
  const other = await letIn(browser.open(two.url, WEBSOCKET))
  const [sid] = sidsAt(one) as Set<string>
  expect(sidsAt(two)).toEqual(new Set([sid]))
  expect([...rows.keys()]).toEqual([sid])
  other.disconnect()
  bus.weather = () => undefined
  await browser.fetch(`${two.url}/destroy`, { method: 'POST' })
  expect(rows.size).toBe(0)
  failing.write = driver.write
  isDown = false
  await Promise.race([next(tab, 'disconnect'), tab.emitWithAck('add', 'x')])
  expect(rows.has(sid as string)).toBe(false)
  const saved = new Promise<void>((resolve, reject) => {
    store.set(own as string, Object.assign(loaded, { late: 1 }), (error) => (error ? reject(error) : resolve()))
  })
  // Nobody can tell whether it has ended, or was never there.
  await expect(saved).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(rows.has(sid as string)).toBe(false)
})

it('a first write is not made twice whose answer is lost, where the read that follows is not answered, and a request writes then', async () => {
  const { store, site } = await visited({ shared: { retry: { attempts: 1, timeout: 2000 } } })
  const browser = new CookieBrowser()
  await letIn(browser.open(site.url, WEBSOCKET))
  const socket = site.sockets.at(-1)!
  const { session, sessionID: sid } = socket.handshake as any
  store.hold('set', { afterwards: true }).fail()
  store.hang('get', sid)
  expectWarning(/SAVE_FAILED|OUTCOME/)
  const reads = store.count('get')
  session.list = ['x']
  await until(() => store.count('get') > reads)
  session.list.push('y')
  // It has loaded the session by the time at which the read is given up.
  await browser.fetch(`${site.url}/add?item=a`, { method: 'POST' })
  await session.save()
  expect(store.stored(sid)).toMatchObject({ http: ['a'], list: ['x', 'y'] })
})

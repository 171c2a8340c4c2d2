import { afterEach, describe, expect, it, vi } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { closeSites, type Site, startSite } from './site.js'

afterEach(async () => {
  vi.restoreAllMocks()
  closePages()
  await closeSites()
})

const WEBSOCKET = { transports: ['websocket' as const] }
const SHARED = { revalidate: false as const, touch: false as const }

interface Moved {
  store: ControlledStore
  site: Site
  browser: CookieBrowser
  /** The session of a tab that is open since before the move. */
  from: string
  /** The browser's other session, which has the data of both. */
  to: string
  /** The response to a request that has loaded `from` before the move, and goes on when `site.slow` is resolved. */
  response: Promise<Response> | undefined
}

/** @param path of a request that waits, if there is to be one */
async function moved(path?: '/destroy' | '/regenerate', retry?: { timeout: number }): Promise<Moved> {
  const store = new ControlledStore()
  const site = await startSite({ store, shared: { ...SHARED, ...(retry && { retry }) } })
  const browser = new CookieBrowser()
  const tab = await letIn(browser.open(site.url, WEBSOCKET))
  await tab.emitWithAck('add', 'x')
  const [from] = store.ids() as [string]
  const early = new CookieBrowser()
  await early.fetch(`${site.url}/add?item=a`, { method: 'POST' })
  const to = store.ids().find((id) => id !== from) as string
  const { cookie } = browser
  const response = path && new CookieBrowser(cookie).fetch(`${site.url}${path}?slow`, { method: 'POST' })
  if (response) await site.waiting.promise
  browser.cookie = `${early.cookie}; ${cookie}`
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  expect(store.ids()).toEqual([to])
  return { store, site, browser, from, to, response }
}

describe('a session is destroyed after it was moved, and the session that has its data ends as well', () => {
  it('by a request that has loaded it before', async () => {
    const { store, site, response } = await moved('/destroy')
    site.slow.resolve(undefined)
    expect((await response)?.status).toBe(200)
    expect(store.ids()).toEqual([])
  })

  it('by a second destroy, where the store could not destroy the other session at the first one', async () => {
    const { store, site, from, to, response } = await moved('/destroy')
    store.fail('destroy', undefined, to)
    site.slow.resolve(undefined)
    expect((await response)?.status).toBe(500)
    expect(store.ids()).toEqual([to])
    await site.shared.destroy(from)
    expect(store.ids()).toEqual([])
  })

  it('by a destroy that the store answers too late', async () => {
    const { store, site, from, to, response } = await moved('/destroy', { timeout: 200 })
    const destroy = store.hold('destroy', { sid: from })
    site.slow.resolve(undefined)
    expect((await response)?.status).toBe(500)
    expect(store.ids()).toEqual([to])
    destroy.release()
    await until(() => store.ids().length === 0)
  })

  it('by a socket whose handler has waited meanwhile', async () => {
    const { store, site } = await moved()
    const { session } = site.sockets[0]!.handshake as any
    await session.destroy()
    expect(store.ids()).toEqual([])
  })

  it('by a socket, which hears where the store could not destroy the other session', async () => {
    const { store, site, to } = await moved()
    store.fail('destroy', undefined, to)
    const { session } = site.sockets[0]!.handshake as any
    await expect(session.destroy()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await session.destroy()
    expect(store.ids()).toEqual([])
  })

  it('by regenerate(), and the tabs of the other session reconnect', async () => {
    const { store, site, browser, to, response } = await moved('/regenerate')
    const before = site.sockets.length
    await letIn(browser.open(site.url, WEBSOCKET))
    await until(() => site.sockets.length > before)
    const ended = next(site.sockets.at(-1)!, 'session:destroyed')
    site.slow.resolve(undefined)
    expect((await response)?.status).toBe(200)
    expect(await ended).toEqual({ reason: 'regenerated' })
    expect(store.ids()).not.toContain(to)
  })

  it.each(['from', 'to'] as const)(
    'by regenerate(), later, where the store cannot destroy one of both at once (%s)',
    async (which) => {
      const world = await moved('/regenerate')
      const { store, site, to, response } = world
      store.fail('destroy', undefined, world[which])
      site.slow.resolve(undefined)
      expect((await response)?.status).toBe(500)
      expect(store.ids()).toContain(to)
      await until(() => !store.ids().includes(to))
    },
  )

  it('by regenerate(), later, where the store fails for more than a minute', async () => {
    const { store, site, from, to, response } = await moved('/regenerate')
    store.fail('destroy', undefined, from)
    site.slow.resolve(undefined)
    expect((await response)?.status).toBe(500)
    const { now } = performance
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 70_000)
    await until(() => !store.ids().includes(to))
  })

  it('on a node that knows of the move only because it has met the mark of another node', async () => {
    const driver = sample()
    const startNode = () => startSite({ store: new DriverStore(), shared: { ...SHARED, driver, bus: false } })
    const [one, two] = [await startNode(), await startNode()]
    const browser = new CookieBrowser()
    const tab = await letIn(browser.open(one.url, WEBSOCKET))
    await tab.emitWithAck('add', 'x')
    const early = new CookieBrowser()
    await early.fetch(`${one.url}/add?item=a`, { method: 'POST' })
    const { cookie } = browser
    const response = new CookieBrowser(cookie).fetch(`${two.url}/destroy?slow`, { method: 'POST' })
    await two.waiting.promise
    browser.cookie = `${early.cookie}; ${cookie}`
    expect(await browser.json(`${one.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
    // It looks for the moved session, to move a third one into it.
    const other = new CookieBrowser()
    const third = await letIn(other.open(two.url, WEBSOCKET))
    await third.emitWithAck('add', 'y')
    const value = /=~([^;]+)/.exec(cookie as string)?.[1]
    await new CookieBrowser(`connect.sid=${value}; ${other.cookie}`).fetch(`${two.url}/session`)
    two.slow.resolve(undefined)
    expect((await response)?.status).toBe(200)
    expect(await early.json(`${one.url}/session`)).not.toHaveProperty('http')
  })
})

it('a session that regenerate() could not destroy, and that was moved to the new one, does not take that one along', async () => {
  const store = new ControlledStore()
  const site = await startSite({ store, shared: SHARED })
  const browser = new CookieBrowser()
  const tab = await letIn(browser.open(site.url, WEBSOCKET))
  await tab.emitWithAck('add', 'x')
  const [from] = store.ids() as [string]
  store.fail('destroy', undefined, from)
  const response = browser.fetch(`${site.url}/regenerate-slowly`, { method: 'POST' })
  await until(() => browser.cookie?.includes('connect.sid=') === true)
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
  const to = store.ids()
  const again = store.hold('get', { sid: from })
  site.slow.resolve(undefined)
  await response
  await again.called
  again.release()
  await turns()
  expect(to).not.toContain(from)
  expect(store.ids()).toEqual(to)
})

it('sessions that are moved to each other by two nodes at once end once', async () => {
  const { site, store, from, to } = await moved()
  const mark = (sid: string, movedTo: string): void => {
    const cookie = { path: '/', originalMaxAge: null, sharedsession: { v: 1, ids: ['anything'], movedTo } }
    store.foreign(sid, { cookie })
  }
  mark(to, from)
  await expect(site.shared.update(to, () => undefined)).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  await site.shared.destroy(from)
  expect(store.ids()).toEqual([])
})

it('a new session under the id of a moved one is destroyed alone', async () => {
  const { store, site, from, to } = await moved()
  await new Promise((resolve) => store.set(from, { cookie: { path: '/', originalMaxAge: null }, n: 1 }, resolve))
  expect(store.ids()).toContain(from)
  await site.shared.destroy(from)
  expect(store.ids()).toEqual([to])
})

it('long after a move a destroy of the moved session leaves the other one alone', async () => {
  const { store, site, from, to } = await moved()
  const { now } = performance
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 61_000)
  await site.shared.destroy(from)
  expect(store.ids()).toEqual([to])
})

describe('a session that a login has replaced is not moved to the new one, though the browser sends the cookies of both', () => {
  /** @param path of a request that has loaded the guest's session before the login, and goes on when `site.slow` is resolved */
  async function loggedIn(path?: string) {
    const store = new ControlledStore()
    const site = await startSite({ store, shared: SHARED })
    const browser = new CookieBrowser()
    const tab = await letIn(browser.open(site.url, WEBSOCKET))
    await tab.emitWithAck('add', 'x')
    const guest = browser.cookie as string
    const response = path && new CookieBrowser(guest).fetch(`${site.url}${path}`, { method: 'POST' })
    if (response) await site.waiting.promise
    await browser.fetch(`${site.url}/login?regenerate`, { method: 'POST' })
    browser.cookie = `${browser.cookie}; ${guest}`
    const session = await browser.json(`${site.url}/session`)
    expect(session).toMatchObject({ user: 'ada' })
    return { site, browser, response, session }
  }

  it('a destroy() by the old socket leaves it alone', async () => {
    const { site, browser, session } = await loggedIn()
    await (site.sockets[0]!.handshake as any).session.destroy()
    expect(await browser.json(`${site.url}/session`)).toEqual(session)
  })

  it.each(['/destroy?slow', '/regenerate?slow', '/add?slow&item=late'])(
    'so does a request to %s that had loaded it',
    async (path) => {
      const { site, browser, session, response } = await loggedIn(path)
      site.slow.resolve(undefined)
      await response
      expect(await browser.json(`${site.url}/session`)).toEqual(session)
    },
  )
})

it('a second destroy ends the other session although the first one, whose store failed, was just within the minute', async () => {
  const { store, site, from, to } = await moved()
  const { now } = performance
  let later = 59_000
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + later)
  store.fail('destroy', undefined, to)
  await expect(site.shared.destroy(from)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  later = 70_000
  await site.shared.destroy(from)
  expect(store.ids()).toEqual([])
})

it('a request that had loaded a session that was never stored writes to the one that it was moved to', async () => {
  const store = new ControlledStore()
  const site = await startSite({ store, shared: SHARED })
  const browser = new CookieBrowser()
  await letIn(browser.open(site.url, WEBSOCKET))
  const { cookie } = browser
  const response = new CookieBrowser(cookie).fetch(`${site.url}/add?slow&item=late`, { method: 'POST' })
  await site.waiting.promise
  const early = new CookieBrowser()
  await early.fetch(`${site.url}/login`, { method: 'POST' })
  browser.cookie = `${early.cookie}; ${cookie}`
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ user: 'ada' })
  site.slow.resolve(undefined)
  await response
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ user: 'ada', http: ['late'] })
  expect(store.ids()).toHaveLength(1)
})

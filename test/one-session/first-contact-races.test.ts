import { afterEach, expect, it, vi } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { CookieBrowser, closePages, type Transports } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { next, until } from '../support/wait.js'
import { closeSites, type Site, shown, startSite } from './site.js'

const WEBSOCKET: { transports: Transports } = { transports: ['websocket'] }

afterEach(async () => {
  vi.restoreAllMocks()
  closePages()
  await closeSites()
})

interface Node extends Site {
  store: ControlledStore
  sids(): string[]
}

async function startNode(bus: MemoryBus, shared: SharedSessionOptions): Promise<Node> {
  const store = new ControlledStore()
  const site = await startSite({ store, shared: { bus: bus.end(), revalidate: false, ...shared } })
  const sids = (): string[] => site.sockets.filter(({ connected }) => connected).map(({ handshake }) => handshake.sessionID)
  return Object.assign(site, { store, sids })
}

/** Two nodes on one store that cannot compare, and a tab at the first one. Its session is not stored. */
async function firstTab(shared: SharedSessionOptions = {}) {
  const bus = new MemoryBus()
  const [one, two] = [await startNode(bus, shared), await startNode(bus, shared)]
  ;(two.store as any).sessions = (one.store as any).sessions
  const browser = new CookieBrowser()
  const first = await letIn(browser.open(one.url, WEBSOCKET))
  const [sid] = one.sids() as [string]
  return { bus, one, two, browser, first, sid }
}

const isQuestion = ({ text }: { text: string }): boolean => JSON.parse(text).kind === 'missing'

/** No node is told that another one has given a browser another session. */
function loseAnnouncements(bus: MemoryBus): void {
  bus.weather = (deliver) => {
    if (JSON.parse(bus.texts.at(-1)!.text).kind !== 'answered') deliver()
  }
}

it('the node that made a session stores it once, on a store that cannot compare', async () => {
  const { one, two, browser } = await firstTab()
  await letIn(browser.open(two.url, WEBSOCKET))
  expect(two.sids()).toEqual(one.sids())
  expect([one.store.count('set'), two.store.count('set')]).toEqual([1, 0])
  expect(browser.connections).toBe(2)
})

it('a question that is lost is asked again', async () => {
  const { bus, one, two, browser } = await firstTab()
  bus.weather = (deliver) => {
    if (bus.texts.filter(isQuestion).length !== 1) deliver()
  }
  await letIn(browser.open(two.url, WEBSOCKET))
  expect(two.sids()).toEqual(one.sids())
})

it('the first tab of a visit is told when another node has destroyed its session, and stays away as the application wants it', async () => {
  const { one, two, browser, first } = await firstTab({ onEnd: 'disconnect' })
  await first.emitWithAck('add', 'x')
  const ended = next(one.sockets.at(-1)!, 'session:destroyed')
  const left = next<string>(first, 'disconnect')
  await browser.fetch(`${two.url}/destroy`, { method: 'POST' })
  expect(await ended).toMatchObject({ reason: 'destroyed' })
  expect(await left).toBe('io server disconnect')
})

it('a session that is being destroyed when another node asks for it is not stored', async () => {
  const { bus, one, two, browser, sid } = await firstTab()
  const { cookie } = browser
  const destroy = one.store.hold('destroy')
  const destroyed = one.sockets[0]!.handshake.session.destroy()
  await destroy.called
  const tab = new CookieBrowser(cookie).open(two.url, WEBSOCKET)
  await until(() => bus.texts.some(isQuestion))
  await turns()
  destroy.release()
  await destroyed
  await letIn(tab)
  expect(two.sids()).not.toContain(sid)
  expect(one.store.stored(sid)).toBeUndefined()
  expect(one.store.calls.filter(({ method }) => method === 'set')).toEqual([])
})

it('a session that is destroyed while it is stored for another node is gone', async () => {
  const { one, two, browser, sid } = await firstTab()
  const set = one.store.hold('set', { sid })
  const tab = new CookieBrowser(browser.cookie).open(two.url, WEBSOCKET)
  await set.called
  const destroyed = one.sockets[0]!.handshake.session.destroy()
  set.release()
  await destroyed
  await letIn(tab)
  await until(() => !two.sids().includes(sid))
  expect(one.store.stored(sid)).toBeUndefined()
})

it('what a socket writes while its session is stored for another node is kept', async () => {
  const { one, two, browser, first, sid } = await firstTab()
  const set = one.store.hold('set', { sid })
  const second = browser.open(two.url, WEBSOCKET)
  await set.called
  const acknowledged = first.emitWithAck('add', 'x')
  set.release()
  await acknowledged
  await letIn(second)
  expect(two.sids()).toEqual([sid])
  await until(async () => (await second.emitWithAck('get')).socket)
  expect(one.store.stored(sid)).toMatchObject({ socket: ['x'] })
})

it('a session that is stored when the other node has given up waiting for it becomes one with the new one', async () => {
  const { one, two, browser, first, sid } = await firstTab()
  const set = one.store.hold('set', { sid: sid })
  const second = await letIn(browser.open(two.url, WEBSOCKET))
  expect(two.sids()).not.toEqual(one.sids())
  await second.emitWithAck('add', 'y')
  set.release()
  await until(() => one.sids().length === 1 && one.sids()[0] === two.sids()[0])
  expect(await first.emitWithAck('get')).toMatchObject({ socket: ['y'] })
})

it.each([
  ['', false],
  [', which has not heard of the login', true],
])(
  'a tab comes to the session of a login where its own one is stored after that, and the other node had given up waiting for it%s',
  async (_what, isLost) => {
    const { bus, one, two, browser, sid } = await firstTab()
    const set = one.store.hold('set', { sid })
    const tab = await letIn(browser.open(one.url, WEBSOCKET))
    loseAnnouncements(bus)
    const other = await letIn(browser.open(two.url, WEBSOCKET))
    await other.emitWithAck('add', 'y')
    const { topic } = bus.texts.at(-1)!
    if (isLost) bus.weather = (deliver) => bus.texts.at(-1)!.topic !== topic && deliver()
    await browser.fetch(`${one.url}/login?regenerate`, { method: 'POST' })
    expect(await tab.emitWithAck('get')).not.toHaveProperty('user')
    set.release()
    await until(async () => (await shown(tab)).user === 'ada')
    expect(one.store.stored(sid)).toBeUndefined()
  },
)

it('what a tab has written is in the session of the requests where its own one is stored after the new one was moved to that', async () => {
  const { bus, one, two, browser, sid } = await firstTab()
  loseAnnouncements(bus)
  const set = one.store.hold('set', { sid })
  const tab = await letIn(browser.open(one.url, WEBSOCKET))
  const written = tab.emitWithAck('add', 'x')
  await letIn(browser.open(two.url, WEBSOCKET))
  const page = new CookieBrowser()
  await page.fetch(`${two.url}/add?item=a`, { method: 'POST' })
  browser.cookie = `${page.cookie}; ${browser.cookie}`
  await browser.fetch(`${two.url}/session`)
  set.release()
  await written
  await until(async () => (await shown(tab)).http)
  expect(await browser.json(`${two.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
})

it('the same where its socket has written to it, and the store fails at first when they become one', async () => {
  const { one, two, browser, first, sid } = await firstTab()
  const set = one.store.hold('set', { sid })
  first.emit('add', 'x', () => undefined)
  await set.called
  const second = await letIn(browser.open(two.url, WEBSOCKET))
  const [target] = two.sids() as [string]
  expect(target).not.toBe(sid)
  await second.emitWithAck('add', 'y')
  two.store.fail('set', undefined, target)
  set.release()
  await until(() => one.store.stored(sid)?.socket)
  await until(() => one.store.stored(target)?.socket.length === 2)
  expect(await browser.json(`${two.url}/session`)).toMatchObject({ socket: ['y', 'x'] })
})

it('a session that is stored while the other node looks for it for the last time becomes one with the new one', async () => {
  const { one, two, browser, sid } = await firstTab()
  const set = one.store.hold('set', { sid })
  two.store.pass('get', sid)
  two.store.pass('get', sid)
  const get = two.store.hold('get', { sid, afterwards: true })
  const second = browser.open(two.url, WEBSOCKET)
  await get.called
  set.release()
  await until(() => one.store.stored(sid))
  await turns()
  get.release()
  await letIn(second)
  await until(() => one.sids().length === 1 && one.sids()[0] === two.sids()[0])
  expect(one.sids()).not.toEqual([sid])
})

it('a session that is stored when handshakes were answered without a cookie for long is that of the tab', async () => {
  const { one, two, browser, sid } = await firstTab()
  const { cookie } = browser
  const set = one.store.hold('set', { sid })
  const get = two.store.hold('get', { sid })
  const second = browser.open(two.url, { ...WEBSOCKET, autoConnect: false })
  await new Promise((resolve) => second.io.open(resolve))
  const again = next(second.io, 'reconnect_attempt')
  get.release()
  second.connect()
  await again
  const late = two.store.hold('get', { sid })
  await next(second.io, 'open')
  const { now } = performance
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 20_000)
  late.release()
  await letIn(second)
  expect(browser.cookie).toBe(cookie)
  expect(two.sids()).not.toContain(sid)
  set.release()
  await until(() => two.sids()[0] === sid)
  expect(one.sids()).toEqual([sid])
})

it('where the store fails the other node makes a session of its own, and the first tab comes to it', async () => {
  const { one, two, browser, first } = await firstTab()
  one.store.fail('set')
  one.store.fail('set')
  const second = await letIn(browser.open(two.url, WEBSOCKET))
  await until(() => first.connected && second.connected && one.sids().length === 1 && `${one.sids()}` === `${two.sids()}`)
  await first.emitWithAck('add', 'x')
  await until(async () => (await second.emitWithAck('get')).socket?.includes('x'))
})

it('a second tab of the node that cannot store its session comes to that of the other node', async () => {
  const { one, two, browser, sid } = await firstTab()
  const set = one.store.hold('set', { sid })
  await letIn(browser.open(one.url, WEBSOCKET))
  expect(one.sids()).toEqual([sid, sid])
  await letIn(browser.open(two.url, WEBSOCKET))
  const [other] = two.sids()
  await until(() => one.sids().length === 2 && one.sids().every((each) => each === other))
  set.release()
})

it('so does one whose handshake came before the browser was given that session', async () => {
  const { one, two, browser, first, sid } = await firstTab()
  const set = one.store.hold('set', { sid })
  const get = one.store.hold('get', { sid })
  const late = browser.open(one.url, WEBSOCKET)
  await get.called
  const back = next(first, 'connect')
  await letIn(browser.open(two.url, WEBSOCKET))
  await back
  get.release()
  await letIn(late)
  const [other] = two.sids()
  await until(() => one.sids().length === 2 && one.sids().every((each) => each === other))
  set.release()
})

it('a question about a stored session, or about none, stores nothing', async () => {
  const { bus, one, first } = await firstTab()
  await first.emitWithAck('add', 'x')
  const { topic, text } = bus.texts[0]!
  const question = JSON.stringify({ sharedsession: 1, node: 'forged', kind: 'missing' })
  expect(JSON.parse(text).kind).toBe('commit')
  bus.forge(topic, question)
  bus.forge('another', question)
  await turns()
  expect(one.store.count('set')).toBe(1)
})

it('a tab and a request keep a session that is not stored where a request on another node has stored a new one, and has sent no cookie', async () => {
  const { one, two, browser, first, sid } = await firstTab()
  const { cookie } = browser
  const response = browser.fetch(`${one.url}/add?slow&item=late`, { method: 'POST' })
  await one.waiting.promise
  await browser.fetch(`${two.url}/save`, { method: 'POST' })
  expect(one.store.ids()).toHaveLength(1)
  expect(browser.cookie).toBe(cookie)
  await turns()
  one.slow.resolve(undefined)
  await response
  expect(await first.emitWithAck('get')).toMatchObject({ http: ['late'] })
  expect(one.sids()).toEqual([sid])
})

it('the first tab keeps its own session until it connects again where the bus has lost the messages about it', async () => {
  const { bus, one, two, browser, first, sid } = await firstTab()
  bus.weather = () => undefined
  const second = await letIn(browser.open(two.url, WEBSOCKET))
  bus.weather = (deliver) => deliver()
  await second.emitWithAck('add', 'x')
  await first.emitWithAck('get')
  expect(one.sids()).toEqual([sid])
  expect(two.sids()).not.toContain(sid)
  first.disconnect()
  await letIn(first.connect())
  await until(() => one.sids().length === 1)
  expect(one.sids()).toEqual(two.sids())
})

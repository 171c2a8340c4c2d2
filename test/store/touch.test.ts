import expressSession from 'express-session'
import memoryStore from 'memorystore'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type App, type AppOptions, type ConnectOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/handshake.js'
import { live, tab, turns } from '../support/live.js'
import { ObjectStore } from '../support/stores.js'
import { deferred, inSeconds, until } from '../support/wait.js'

afterEach(async () => {
  vi.useRealTimers()
  await closeApps()
})

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

async function connected(options: AppOptions, how?: ConnectOptions) {
  const store = new ControlledStore()
  // Only the clock: timers and sockets are real. A client whose clock jumps past a heartbeat would close.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  const app = await startApp({ store, io: { pingInterval: 24 * 60 * MINUTE }, ...options })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect(how)
  const sid = sidOf(browser)
  return {
    app,
    browser,
    store,
    client,
    sid,
    /** Sends a message when so much time has passed. @returns how often the store was touched since the last time */
    async later(ms: number): Promise<number> {
      const before = store.count('touch')
      vi.setSystemTime(Date.now() + ms)
      await client.emitWithAck('get')
      await app.shared.flush()
      return store.count('touch') - before
    },
    expires: () => new Date(store.stored(sid)!.cookie.expires).getTime(),
  }
}

describe('messages of a socket touch the session', () => {
  it('at most once per tenth of its maximum age, in the store as well', async () => {
    const { later, expires } = await connected({ session: { cookie: { maxAge: 10 * MINUTE } } })
    const first = expires()
    expect(await later(MINUTE / 2)).toBe(0)
    expect(await later(MINUTE)).toBe(1)
    expect(await later(MINUTE / 2)).toBe(0)
    expect(await later(MINUTE)).toBe(1)
    expect(expires()).toBeGreaterThanOrEqual(first + 3 * MINUTE)
  })

  it('without a maximum age, at most once a minute, however often the store is read meanwhile', async () => {
    const { app, browser, later, sid } = await connected({})
    expect(await later(MINUTE)).toBe(1)
    expect(await later(MINUTE / 2)).toBe(0)
    // A read, as by `revalidate`, prolongs nothing.
    await app.shared.session(app.sockets[0]!).reload()
    expect(await later(MINUTE / 2)).toBe(1)
    // Each of its tabs is one of the session's sockets.
    const other = await browser.connect()
    await other.emitWithAck('get')
    await app.shared.flush()
    expect(await later(MINUTE / 2)).toBe(0)
    expect(sidOf(browser)).toBe(sid)
  })

  it('without a maximum age, not a store without a touch: it would have to be written', async () => {
    const store = new ObjectStore()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const app = await startApp({ store, io: { pingInterval: 24 * 60 * MINUTE } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    const stored = store.sessions.get(sidOf(browser))
    vi.setSystemTime(Date.now() + 5 * MINUTE)
    await client.emitWithAck('get')
    await app.shared.flush()
    await turns()
    expect(store.sessions.get(sidOf(browser))).toBe(stored)
    expect(app.shared.stats().touches).toBe(0)
  })

  it.each([
    ['not MemoryStore, whose sessions do not end', () => new expressSession.MemoryStore(), 0],
    ['memorystore, which ends them after a day', () => new (memoryStore(expressSession))({}), 1],
  ])('without a maximum age, %s', async (_what, open, touches) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const app = await startApp({ store: open(), io: { pingInterval: 24 * 60 * MINUTE } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    vi.setSystemTime(Date.now() + 5 * MINUTE)
    await client.emitWithAck('get')
    await turns()
    expect(app.shared.stats()).toMatchObject({ driver: 'memory', touches })
  })

  it('with touch as a number, at most once per so many ms', async () => {
    const { later } = await connected({ session: { cookie: { maxAge: 10 * MINUTE } }, shared: { touch: 1000 } })
    await later(0)
    expect(await later(500)).toBe(0)
    expect(await later(600)).toBe(1)
    expect(await later(500)).toBe(0)
  })

  it('with touch: false, never', async () => {
    const { later } = await connected({ session: { cookie: { maxAge: 10 * MINUTE } }, shared: { touch: false } })
    expect(await later(9 * MINUTE)).toBe(0)
  })

  it('but not a session that was never stored', async () => {
    const { app, store } = await connected({ session: { cookie: { maxAge: 10 * MINUTE } } })
    const stranger = await app.browser().connect()
    vi.setSystemTime(Date.now() + 5 * MINUTE)
    await stranger.emitWithAck('get')
    expect(store.count('touch')).toBe(0)
    expect(store.ids()).toHaveLength(1)
  })
})

describe.each(['websocket', 'polling'])('a socket by %s', (transport) => {
  it('makes no store call for heartbeats and idle polls, and touches the session for a message', async () => {
    // Whatever touched would be seen: at most once per ms.
    const { app, store, browser } = await live({ shared: { touch: 1, revalidate: false }, io: { pingInterval: 5 } })
    const client = await browser.connect({ transports: [transport] })
    const { conn } = app.sockets.at(-1)!
    let heartbeats = 0
    let polls = 0
    conn.on('heartbeat', () => heartbeats++)
    app.server.on('request', () => polls++)
    const before = store.calls.length
    await until(() => heartbeats >= 5)
    expect(store.calls.slice(before)).toEqual([])
    if (transport === 'polling') expect(polls).toBeGreaterThan(5)
    await client.emitWithAck('get')
    await until(() => store.count('touch') > 0)
    expect(store.count('touch')).toBe(1)
  })

  it.each([true, false])(
    'rolling: %s, a message prolongs the stored session, and never the cookie of the browser',
    async (rolling) => {
      const session = { rolling, cookie: { maxAge: 10 * MINUTE } }
      const { app, browser, later, expires } = await connected({ session }, { transports: [transport] })
      const set: unknown[] = []
      app.server.on('request', (_request, response) => {
        response.on('finish', () => {
          if (response.getHeader('set-cookie')) set.push(response.getHeader('set-cookie'))
        })
      })
      // Longer than the browser keeps its cookie.
      for (let minutes = 0; minutes < 12; minutes += 4) expect(await later(4 * MINUTE)).toBe(1)
      expect(inSeconds(expires() - Date.now())).toBe(600)
      expect(set).toEqual([])
      // What only a response can do, and does with `rolling`.
      const [cookie] = (await browser.get('/session')).headers.getSetCookie()
      const end = /Expires=([^;]+)/.exec(cookie ?? '')?.[1]
      if (rolling) expect(Date.parse(end!)).toBeGreaterThan(Date.now() + 9 * MINUTE)
      else expect(cookie).toBeUndefined()
    },
  )
})

it('a touch on MemoryStore, which writes the session, makes no later save start from what is not there any more', async () => {
  const app = await startApp({ session: { cookie: { maxAge: 60_000 } } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { session } = await tab(app, browser)
  session.theme = 'dark'
  await app.shared.flush()
  await browser.get('/session')
  session.theme = 'light'
  await app.shared.flush()
  expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'light' })
  expect(app.shared.stats()).toMatchObject({ driver: 'memory', refusals: 0 })
})

describe.each([
  ['MemoryStore', () => new expressSession.MemoryStore()],
  ['a store that cannot compare', () => new ControlledStore()],
])('a maximum age that a request is just saving, on %s, is not undone', (_what, open) => {
  /** `/wait` has loaded the session before `/remember` changes its maximum age, and both end in the same turn, `/remember` first. */
  async function remembering(then: (app: App) => void = () => undefined) {
    const [waiting, goOn] = [deferred(), deferred()]
    const store: any = open()
    const app = await startApp({
      store,
      session: { cookie: { maxAge: 60 * MINUTE } },
      shared: { touch: false },
      routes(http) {
        http.get('/wait', async (_req, res) => {
          waiting.resolve()
          await goOn.promise
          res.json({})
        })
        http.get('/remember', (req, res) => {
          req.session.cookie.maxAge = 30 * DAY
          req.session.remember = true
          res.json({})
          goOn.resolve()
          then(app)
        })
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    return { app, browser, waiting, cookie: () => JSON.parse(store.sessions[sidOf(browser)]).cookie }
  }

  it('by the touch of another request', async () => {
    const { browser, waiting, cookie } = await remembering()
    const other = browser.get('/wait')
    await waiting.promise
    await Promise.all([browser.get('/remember'), other])
    expect(inSeconds(cookie().originalMaxAge)).toBe((30 * DAY) / 1000)
    expect(Date.parse(cookie().expires)).toBeGreaterThan(Date.now() + 29 * DAY)
  })

  it("by a socket's own touch", async () => {
    const { app, browser, cookie } = await remembering(({ shared, sockets }) => shared.session(sockets[0]!).touch())
    await browser.connect()
    await browser.get('/remember')
    await app.shared.flush()
    expect(app.shared.stats().touches).toBeGreaterThan(0)
    expect(inSeconds(cookie().originalMaxAge)).toBe((30 * DAY) / 1000)
    expect(Date.parse(cookie().expires)).toBeGreaterThan(Date.now() + 29 * DAY)
  })
})

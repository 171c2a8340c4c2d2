import { get } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type App,
  type AppOptions,
  type Browser,
  type ConnectOptions,
  closeApps,
  startApp,
  type TestClient,
} from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn, sidOf } from '../support/handshake.js'
import { collect } from '../support/live.js'
import { slowLogin } from '../support/slow-routes.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(async () => {
  vi.useRealTimers()
  await closeApps()
})

/** A client that comes back by itself, each time with the cookie that the browser then has. */
async function tab(browser: Browser, options: ConnectOptions = {}): Promise<TestClient> {
  const client = browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0, ...options })
  client.io.on('reconnect_attempt', () => {
    Object.assign(client.io.opts, { extraHeaders: { cookie: browser.cookie } })
  })
  return letIn(client)
}

const sidAt = (app: App): string => (app.sockets.at(-1)!.handshake as any).sessionID

/** A server with a log-in that regenerates and answers when `answer` is called, and a visitor with a session. */
async function start(options: AppOptions = {}) {
  const { regenerated, answer, routes } = slowLogin()
  const store = new ControlledStore()
  const app = await startApp({
    store,
    ...options,
    routes(http) {
      routes(http)
      http.get('/logout', (req, res) => {
        req.session.regenerate(() => req.session.destroy(() => res.json({})))
      })
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  return { app, store, browser, sid: sidOf(browser), regenerated, answer }
}

const TRANSPORTS: Record<string, string[]> = {
  'websocket only': ['websocket'],
  'polling only': ['polling'],
  'polling that upgrades': ['polling', 'websocket'],
}

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  describe(`by ${name}, a client reconnects`, () => {
    it('after a log-in that regenerates: to the new session, and not before the response has left', async () => {
      const order: string[] = []
      const { app, browser, sid, regenerated, answer } = await start()
      const client = await tab(browser, { transports })
      app.sockets[0]!.on('session:destroyed', ({ reason }) => order.push(reason))
      app.sockets[0]!.on('disconnect', () => order.push('gone'))
      const back = next(client, 'connect')
      const login = browser.get('/login').then(() => order.push('answered'))
      await regenerated
      // Longer than a close that waits for nothing: requests of others, and a whole handshake.
      const other = app.browser()
      await other.get('/set?user=eve')
      await other.connect({ transports })
      expect(order).toEqual(['regenerated'])
      expect(client.connected).toBe(true)
      answer()
      await Promise.all([login, back])
      expect(order[0]).toBe('regenerated')
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'grace' })
      expect(sidAt(app)).toBe(sidOf(browser))
      expect(sidAt(app)).not.toBe(sid)
      // And it is still logged in: nothing that came back has overwritten the cookie or the session.
      expect((await browser.get('/session')).body).toMatchObject({ user: 'grace' })
      expect(sidOf(browser)).toBe(sidAt(app))
    })

    it('after a log-out: as nobody, although its browser still sends the old cookie', async () => {
      const { app, store, browser, sid } = await start()
      const client = await tab(browser, { transports })
      const back = next(client, 'connect')
      await browser.get('/destroy')
      await back
      expect(sidOf(browser)).toBe(sid)
      expect(sidAt(app)).not.toBe(sid)
      expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
      expect(store.ids()).toEqual([])
    })

    it('after its session expired, although it only receives', async () => {
      const { app, store, browser, sid } = await start({ session: { cookie: { maxAge: 300 } } })
      const client = await tab(browser, { transports })
      const [news, back] = [collect(client, 'news'), next(client, 'connect')]
      const ended = next(app.sockets[0]!, 'session:destroyed')
      app.io.emit('news', 1)
      expect(await ended).toEqual({ reason: 'expired' })
      await back
      expect(news).toEqual([1])
      expect(sidAt(app)).not.toBe(sid)
      expect(store.ids()).toEqual([])
    })

    it('not at all for changes that do not end its session', async () => {
      const { browser } = await start({ shared: { onEnd: { destroyed: 'disconnect' } } })
      const client = await tab(browser, { transports })
      const gone = next(client, 'disconnect')
      await browser.get('/destroy')
      expect(await gone).toBe('io server disconnect')
      expect(client.active).toBe(false)
    })
  })
}

describe('the response of a log-in that regenerates', () => {
  it('never leaves: the sockets end after some seconds', async () => {
    const { app, browser, regenerated, answer } = await start()
    const client = await browser.connect()
    const gone = next(client, 'disconnect')
    const closed = next(app.sockets[0]!.conn, 'close')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const login = browser.get('/login')
    await regenerated
    vi.advanceTimersByTime(4900)
    await new Promise(setImmediate)
    expect(app.sockets[0]!.connected).toBe(true)
    vi.advanceTimersByTime(200)
    await closed
    await gone
    answer()
    await login
  })

  it('is aborted by its client: the sockets end at once', async () => {
    const { app, browser, regenerated } = await start()
    const client = await browser.connect()
    const gone = next(client, 'disconnect')
    const request = get(`${app.url}/login`, { headers: { cookie: browser.cookie! } })
    request.on('error', () => undefined)
    await regenerated
    request.destroy()
    await gone
  }, 4000)
})

describe('a client that reconnects before the response of the log-in has reached its browser', () => {
  it('is refused with the old cookie, and reconnects with the new one', async () => {
    const { app, browser, sid, regenerated, answer } = await start()
    const slow = Object.assign(app.browser(), { cookie: browser.cookie })
    const client = await tab(slow)
    const tries: string[] = []
    client.io.on('reconnect_attempt', () => {
      tries.push(sidOf(slow))
      // What the browser has by the time of the next try.
      slow.cookie = browser.cookie
    })
    const back = next(client, 'connect')
    const login = browser.get('/login')
    await regenerated
    answer()
    await Promise.all([login, back])
    expect(tries).toEqual([sid, sidOf(browser)])
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'grace' })
    expect(app.sockets).toHaveLength(2)
  })

  it('connects at once if no other cookie is on its way to it', async () => {
    const { app, browser, sid } = await start()
    const client = await tab(browser)
    let tries = 0
    client.io.on('reconnect_attempt', () => tries++)
    const back = next(client, 'connect')
    await browser.get('/logout')
    await back
    expect(tries).toBe(1)
    expect(sidOf(browser)).toBe(sid)
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    expect(sidAt(app)).not.toBe(sid)
  })
})

describe('an attacker who knows the session id of a visitor, or has given it to him', () => {
  it('does not get the session of the log-in: neither with an open socket nor with one that reconnects', async () => {
    const { app, browser: victim, sid, regenerated, answer } = await start()
    const attacker = Object.assign(app.browser(), { cookie: victim.cookie })
    const spy = await tab(attacker)
    const spied = app.sockets[0]!
    const heard: string[] = []
    spy.onAny((event) => heard.push(event))
    const mine = await tab(victim)
    const [mineBack, spyBack] = [next(mine, 'connect'), next(spy, 'connect')]
    const login = victim.get('/login')
    await regenerated
    // While the response is on its way, when the new session is there already.
    expect(app.shared.session(spied)).not.toMatchObject({ user: 'grace' })
    spy.emit('set', 'user', 'mallory')
    answer()
    await Promise.all([login, mineBack, spyBack])
    app.io.to(app.shared.room(sidOf(victim))).emit('secret')
    app.io.emit('public')
    await until(() => heard.includes('public'))
    expect(heard).toEqual(['public'])
    expect(Object.keys(await spy.emitWithAck('get'))).toEqual(['cookie'])
    await spy.emitWithAck('set', 'user', 'mallory')
    expect((await victim.get('/session')).body).toMatchObject({ user: 'grace' })
    expect(await mine.emitWithAck('get')).toMatchObject({ user: 'grace' })
    const ids = app.sockets.filter(({ connected }) => connected).map(({ handshake }) => (handshake as any).sessionID)
    expect(ids.filter((id) => id === sidOf(victim))).toHaveLength(1)
    expect(ids).not.toContain(sid)
  })

  it('does not get the session of the log-in with onEnd keep either: the socket stays, and neither gets nor makes changes', async () => {
    expectWarning('SESSION_ENDED')
    const { app, browser: victim, regenerated, answer, store } = await start({ shared: { onEnd: 'keep' } })
    const attacker = Object.assign(app.browser(), { cookie: victim.cookie })
    const spy = await attacker.connect()
    const heard = collect(app.sockets[0]!, 'session:changed')
    const secret = collect(spy, 'secret')
    const login = victim.get('/login')
    await regenerated
    answer()
    await login
    await app.shared.update<any>(sidOf(victim), (draft) => {
      draft.balance = 100
    })
    app.io.to(app.shared.room(sidOf(victim))).emit('secret')
    spy.emit('set', 'user', 'mallory')
    expect(await spy.emitWithAck('get')).not.toHaveProperty('balance')
    await app.shared.flush()
    expect([heard, secret]).toEqual([[], []])
    expect(store.ids()).toEqual([sidOf(victim)])
    expect(store.stored(sidOf(victim))).toMatchObject({ user: 'grace', balance: 100 })
  })
})

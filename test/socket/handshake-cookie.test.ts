import { afterEach, describe, expect, it } from 'vitest'
import { type App, type AppOptions, type Browser, type ConnectOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { collectGarbage } from '../support/garbage.js'
import { isNobodyConnecting, letIn, sidOf } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

async function start(options: AppOptions = {}): Promise<{ app: App; store: ControlledStore; browser: Browser }> {
  const store = new ControlledStore()
  const app = await startApp({ store, wire: (io, shared) => void shared.attach(io), ...options })
  return { app, store, browser: app.browser() }
}

/** Connects as a browser does: with its cookie, and keeping the one it is given. */
async function arrive(browser: Browser, options: ConnectOptions = {}) {
  const client = browser.open({ withCredentials: true, ...options })
  const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
  const given = pairOf(lines)
  if (given) browser.cookie = given
  return { client, lines, given }
}

describe.each([
  ['websocket', ['websocket']],
  ['polling', ['polling']],
  ['the default transports', ['polling', 'websocket']],
])('a client whose first contact is a socket, on %s', (_name, transports) => {
  it('gets its cookie with the handshake; its next HTTP request reads what a handler wrote', async () => {
    const { app, store, browser } = await start()
    const { client, given } = await arrive(browser, { transports })
    expect(given).toBeDefined()
    expect(sidOf(browser)).toBe((app.sockets[0]!.handshake as any).sessionID)
    expect(store.calls).toEqual([])
    await client.emitWithAck('set', 'cart', ['apple'])
    expect((await browser.get('/session')).body).toMatchObject({ cart: ['apple'] })
    expect(store.ids()).toEqual([sidOf(browser)])
  })

  it('is stored if something was written to it, and not otherwise', async () => {
    const { app, store, browser } = await start()
    const { client } = await arrive(browser, { transports })
    await client.emitWithAck('get')
    client.disconnect()
    await next(app.sockets[0]!, 'disconnect')
    await app.shared.flush()
    expect(store.calls).toEqual([])
  })

  it('is stored by an HTTP request that writes nothing, where the session middleware has saveUninitialized', async () => {
    for (const saveUninitialized of [true, false]) {
      const { store, browser } = await start({ session: { saveUninitialized } })
      await arrive(browser, { transports })
      expect(store.ids()).toEqual([])
      await browser.get('/session')
      expect(store.ids()).toEqual(saveUninitialized ? [sidOf(browser)] : [])
    }
  })

  it('never gets another session cookie than the one it sent, genuine or not: its handshake cookie has a name of its own', async () => {
    const { app, store } = await start()
    const ways = [
      (cookie: string) => cookie,
      (cookie: string) => `${cookie}x`,
      () => 'connect.sid=made.up',
      (cookie: string) => `a=1; ${cookie}`,
    ]
    for (const sent of ways) {
      const visitor = app.browser()
      await visitor.get('/set?user=ada')
      store.gone(sidOf(visitor))
      const browser = app.browser()
      browser.cookie = sent(visitor.cookie as string)
      const { lines, client } = await arrive(browser, { transports })
      expect(lines).toEqual([expect.stringMatching(/^connect\.sid\.socket\./)])
      await client.emitWithAck('set', 'user', 'grace')
    }
  })
})

describe('the handshake of a connection', () => {
  it('reads the session once for each socket, however often its connection polls, and touches nothing', async () => {
    const { app, store } = await start()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    store.calls.length = 0
    const client = await browser.connect({ transports: ['polling', 'websocket'] })
    if (client.io.engine.transport.name === 'polling') await next(client.io.engine, 'upgrade')
    const polling = await browser.connect({ transports: ['polling'] })
    for (let message = 0; message < 5; message++) await polling.emitWithAck('get')
    expect(store.calls.map(({ method }) => method)).toEqual(['get', 'get'])
    expect(app.sockets).toHaveLength(2)
    app.io.of('/other')
    await letIn(polling.io.socket('/other').connect())
    expect(store.calls.map(({ method }) => method)).toEqual(['get', 'get', 'get'])
  })
})

describe('one connection', () => {
  it('has one session in all its namespaces', async () => {
    const { app, browser } = await start()
    const chat: any[] = []
    app.io.of('/chat').on('connection', (socket) => chat.push(socket))
    const { client } = await arrive(browser)
    const other = client.io.socket('/chat', {})
    await letIn(other)
    expect(chat[0].handshake.sessionID).toBe(sidOf(browser))
    await client.emitWithAck('set', 'user', 'ada')
    expect(chat[0].handshake.session.user).toBe('ada')
    // Stored by now: a third one reads it.
    const third = client.io.socket('/third', {})
    app.io.of('/third').on('connection', (socket) => chat.push(socket))
    await letIn(third)
    expect(chat[1].handshake.session).toMatchObject({ user: 'ada' })
  })

  it('never returns to its session after the session has ended', async () => {
    const { app, store, browser } = await start({ shared: { onEnd: 'keep' } })
    const { client } = await arrive(browser)
    await client.emitWithAck('set', 'user', 'ada')
    const sid = sidOf(browser)
    await app.shared.destroy(sid)
    const seen = next<any>(app.io.of('/chat'), 'connection')
    await letIn(client.io.socket('/chat', {}))
    const { handshake } = await seen
    expect(handshake.sessionID).not.toBe(sid)
    handshake.session.user = 'grace'
    await app.shared.flush()
    expect(store.ids()).toEqual([handshake.sessionID])
  })

  it('never returns to a session that ended before anything was written to it', async () => {
    const { app, store, browser } = await start({ shared: { onEnd: 'keep' } })
    const { client } = await arrive(browser)
    const ended = next(app.sockets[0]!, 'session:destroyed')
    await browser.get('/destroy')
    await ended
    const seen = next<any>(app.io.of('/chat'), 'connection')
    await letIn(client.io.socket('/chat', {}))
    const { handshake } = await seen
    handshake.session.user = 'grace'
    await app.shared.flush()
    expect(store.ids()).toEqual([handshake.sessionID])
    expect(handshake.sessionID).not.toBe(sidOf(browser))
  })

  it('lets no other socket connect while its session is regenerated: the client has to reconnect', async () => {
    const response = deferred()
    const { app, browser } = await start({
      routes: (http) =>
        http.get('/slow-login', (req, res) => {
          req.session.regenerate(() => void response.promise.then(() => res.end()))
        }),
    })
    const { client } = await arrive(browser)
    let others = 0
    app.io.of('/chat').on('connection', () => others++)
    const ended = next(app.sockets[0]!, 'session:destroyed')
    const answer = browser.get('/slow-login')
    await ended
    const gone = next(client, 'disconnect')
    client.io.socket('/chat', {})
    await until(() => (app.io.of('/chat') as any)._preConnectSockets?.size !== 0)
    response.resolve()
    await Promise.all([answer, gone])
    await until(() => isNobodyConnecting(app.io.of('/chat')))
    expect(others).toBe(0)
  })
})

describe('a client that reconnects with its cookie', () => {
  it('has its session again, although nothing was written to it', async () => {
    const { app, store, browser } = await start()
    const { client } = await arrive(browser)
    client.disconnect()
    await until(() => app.shared.stats().sockets === 0)
    app.sockets.length = 0
    await collectGarbage()
    const { client: again, given } = await arrive(browser)
    expect(given).toBeUndefined()
    expect((app.sockets[0]!.handshake as any).sessionID).toBe(sidOf(browser))
    await again.emitWithAck('set', 'user', 'ada')
    expect(store.stored(sidOf(browser))).toMatchObject({ user: 'ada' })
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
  })
})

it('a session that is stored is not kept in memory when its client has left', async () => {
  const { app, browser } = await start()
  const { client } = await arrive(browser)
  await client.emitWithAck('set', 'user', 'ada')
  const session = new WeakRef(app.shared.session(app.sockets[0]!))
  client.disconnect()
  await until(() => app.shared.stats().sockets === 0)
  app.sockets.length = 0
  await arrive(app.browser())
  await until(async () => {
    await collectGarbage()
    return session.deref() === undefined
  })
  expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
})

describe('an HTTP request with the cookie of a session that nobody has written to', () => {
  it('has that session: the socket gets session:changed for what it writes', async () => {
    const { app, store, browser } = await start()
    await arrive(browser)
    const changed = next(app.sockets[0]!, 'session:changed')
    const answer = await browser.get('/set?user=ada')
    expect(answer.headers.getSetCookie()).toEqual([])
    expect(await changed).toMatchObject({ keys: ['user'], origin: 'http' })
    expect(store.ids()).toEqual([sidOf(browser)])
    expect(app.shared.session(app.sockets[0]!).user).toBe('ada')
  })

  it('reads it without storing it', async () => {
    const { app, store, browser } = await start()
    const { client } = await arrive(browser)
    const sid = sidOf(browser)
    await browser.get('/session')
    await browser.get('/session')
    expect(sidOf(browser)).toBe(sid)
    expect(store.ids()).toEqual([])
    // The socket's session is as alive as before.
    await client.emitWithAck('set', 'user', 'ada')
    expect(store.stored(sid)).toMatchObject({ user: 'ada' })
    expect(app.shared.stats().sockets).toBe(1)
  })

  it('does not lose what the socket writes at the same time', async () => {
    const { store, browser } = await start()
    const { client } = await arrive(browser)
    const set = store.hold('set')
    const written = client.emitWithAck('set', 'cart', [1])
    await set.called
    const read = browser.get('/set?user=ada')
    set.release()
    await Promise.all([written, read])
    expect(store.stored(sidOf(browser))).toMatchObject({ user: 'ada', cart: [1] })
  })

  it('ends the socket when it regenerates: the socket reconnects to the new session', async () => {
    const { app, browser } = await start()
    const { client } = await arrive(browser, { reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
    const ended = next(app.sockets[0]!, 'session:destroyed')
    await browser.get('/regenerate')
    expect(await ended).toEqual({ reason: 'regenerated' })
    client.io.opts.extraHeaders = { cookie: browser.cookie! }
    await next(client, 'connect')
    expect((app.sockets[1]!.handshake as any).session.renewed).toBe(true)
  })

  it('destroys the session: nothing of it is stored again', async () => {
    expectWarning('SESSION_ENDED')
    const { app, store, browser } = await start({ shared: { onEnd: 'keep' } })
    const { client } = await arrive(browser)
    await browser.get('/destroy')
    await turns()
    client.emit('set', 'user', 'ada')
    await client.emitWithAck('get')
    await app.shared.flush()
    expect(store.ids()).toEqual([])
  })
})

describe('no cookie is given', () => {
  it('with handshakeCookie: false', async () => {
    const { browser } = await start({ shared: { handshakeCookie: false } })
    expect((await arrive(browser)).lines).toEqual([])
  })

  it('to a page of another host: it could hide a cookie that the browser did not send', async () => {
    const { browser } = await start()
    const { lines } = await arrive(browser, { extraHeaders: { origin: 'https://evil.example' } })
    expect(lines).toEqual([])
    expect((await arrive(browser, { extraHeaders: { origin: 'http://127.0.0.1' } })).given).toBeDefined()
  })

  it('if it is secure and the connection is not; behind a trusted proxy it is given', async () => {
    const { browser } = await start({ session: { cookie: { secure: true } } })
    const headers = { 'x-forwarded-proto': 'https' }
    expect((await arrive(browser, { extraHeaders: headers })).lines).toEqual([])
    const proxied = await start({ session: { cookie: { secure: true }, proxy: true } })
    expect((await arrive(proxied.browser)).lines).toEqual([])
    const { lines } = await arrive(proxied.browser, { extraHeaders: headers })
    expect(lines).toEqual([expect.stringMatching(/^connect\.sid\.socket\..*; Secure/)])
  })

  it('if the session middleware fails: the client gets a connect_error', async () => {
    expectWarning('STORE_FAILED')
    let broken = true
    const { app, browser } = await start({
      wrap: (session) => (req, res, done) => (broken ? done(new Error('out of order')) : session(req, res, done)),
    })
    await expect(arrive(browser)).rejects.toMatchObject({ data: { code: 'STORE_FAILED' } })
    broken = false
    await letIn(app.browser().open())
  })
})

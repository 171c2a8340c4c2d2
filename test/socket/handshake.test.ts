import cookieParser from 'cookie-parser'
import type { Namespace, Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { letIn, sidOf } from '../support/handshake.js'
import { next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** Lets the sockets of a namespace tell what session they have. */
function answering(namespace: Pick<Namespace, 'on'>): void {
  namespace.on('connection', (socket: Socket) => {
    const { session } = socket.handshake as any
    socket.on('get', (ack) => ack(session))
    socket.on('set', (key, value, ack) => {
      session[key] = value
      ack('ok')
    })
  })
}

describe('the sockets of a namespace have the session', () => {
  it('io.use: the sockets of the main namespace have the session', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })

  it("io.of('/x').use: only that namespace's sockets have it", async () => {
    const app = await startApp({
      wire(io, shared) {
        io.of('/x').use(shared)
        answering(io.of('/x'))
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ namespace: '/x' })
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    await browser.connect()
    expect((app.sockets[0]!.handshake as any).session).toBeUndefined()
    expect(() => app.shared.session(app.sockets[0]!)).toThrow(expect.objectContaining({ code: 'NO_SESSION' }))
  })

  it('dynamic namespaces by a regular expression', async () => {
    const app = await startApp({
      wire(io, shared) {
        const parent = io.of(/^\/room-\d+$/)
        parent.use(shared)
        answering(parent)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ namespace: '/room-7' })
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })

  it('dynamic namespaces by a function', async () => {
    const app = await startApp({
      wire(io, shared) {
        const parent = io.of((name, _auth, allow) => allow(null, name.startsWith('/tenant-')))
        parent.use(shared)
        answering(parent)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ namespace: '/tenant-a' })
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })

  it('several namespaces on one connection: one session, and each socket has its own view of it', async () => {
    const seen: Socket[] = []
    const app = await startApp({
      wire(io, shared) {
        io.use(shared)
        for (const name of ['/a', '/b']) {
          io.of(name).use(shared)
          answering(io.of(name))
          io.of(name).on('connection', (socket) => seen.push(socket))
        }
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const main = await browser.connect()
    const a = await letIn(main.io.socket('/a', {}))
    const b = await letIn(main.io.socket('/b', {}))
    const [first, second] = seen as [Socket, Socket]
    expect(first.conn).toBe(second.conn)
    expect(first.conn).toBe(app.sockets[0]!.conn)
    expect(app.shared.session(first)).not.toBe(app.shared.session(second))
    expect(app.shared.session(first)).toBe((first.handshake as any).session)
    expect(first.request).not.toBe(second.request)
    expect(app.shared.stats()).toMatchObject({ sessions: 1, sockets: 3 })

    // A write belongs to the socket whose face it was made through: that one alone is not told.
    const told: string[] = []
    first.on('session:changed', () => void told.push('a'))
    const heard = next(second, 'session:changed')
    await a.emitWithAck('set', 'theme', 'dark')
    expect(await heard).toMatchObject({ keys: ['theme'], origin: 'socket' })
    expect(told).toEqual([])
    expect(await b.emitWithAck('get')).toMatchObject({ theme: 'dark', user: 'ada' })
  })

  it('more namespaces on one connection than emitters take listeners for: no leak warning', async () => {
    const names = Array.from({ length: 14 }, (_, index) => `/n${index}`)
    const app = await startApp({
      wire(io, shared) {
        io.use(shared)
        for (const name of names) io.of(name).use(shared)
      },
    })
    const main = await app.browser().connect()
    await Promise.all(names.map((name) => letIn(main.io.socket(name, {}))))
    // A warning that no test expects fails it.
  })

  it('a middleware that is used twice in one namespace binds the socket once', async () => {
    const app = await startApp({
      wire(io, shared) {
        io.use(shared)
        io.use(shared)
      },
    })
    const client = await app.browser().connect()
    expect(await client.emitWithAck('set', 'n', 1)).toBe('ok')
    expect(app.shared.stats()).toMatchObject({ sockets: 1, writes: 1 })
  })
})

describe('the socket has the session on transports', () => {
  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    it(`${transports.length > 1 ? 'polling, then an upgrade to websocket' : `${transports[0]} only`}`, async () => {
      const app = await startApp()
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const client = browser.open({ transports })
      const upgraded = transports.length > 1 && new Promise((resolve) => client.io.engine.once('upgrade', resolve))
      await letIn(client)
      await upgraded
      expect(client.io.engine.transport.name).toBe(transports.at(-1))
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
      expect(await client.emitWithAck('set', 'via', transports)).toBe('ok')
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', via: transports })
    })
  }
})

describe('the cookie of a handshake', () => {
  it('a cookie name of its own', async () => {
    const app = await startApp({ session: { name: 'shop.sid' } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(browser.cookie).toMatch(/^shop\.sid=/)
    const client = await browser.connect()
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })

  it('signed with an old secret of several', async () => {
    const before = await startApp({ session: { secret: 'old' } })
    const browser = before.browser()
    await browser.get('/set?user=ada')
    const after = await startApp({ store: before.store, session: { secret: ['new', 'old'] } })
    const same = after.browser()
    same.cookie = browser.cookie
    const client = await same.connect()
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })

  it('signed with a secret that is not in use any more: a new, empty session', async () => {
    const before = await startApp({ session: { secret: 'old' } })
    const browser = before.browser()
    await browser.get('/set?user=ada')
    const after = await startApp({ store: before.store, session: { secret: 'new' } })
    const same = after.browser()
    same.cookie = browser.cookie
    const client = await same.connect()
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
  })

  it('cookie-parser as the second argument, which alone has the secret', async () => {
    expectWarning('req.secret')
    const app = await startApp({
      session: { secret: undefined as never },
      cookieParser: cookieParser('only here'),
      // The Express app parses cookies with the same one, before the session.
      before: (http) => http.use(cookieParser('only here')),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({
      extraHeaders: { cookie: `${browser.cookie}; plain=1` },
    })
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    const handshake = app.sockets[0]!.handshake as any
    expect(handshake.secret).toBe('only here')
    expect(handshake.cookies).toMatchObject({ plain: '1' })
    expect(handshake.signedCookies).toEqual({ 'connect.sid': sidOf(browser) })
    // What other nodes are sent of a socket by fetchSockets() is what is enumerable.
    expect(JSON.stringify({ ...handshake, headers: undefined })).not.toMatch(new RegExp(`only here|${sidOf(browser)}`))
    // The page about threats says so.
    expect({ ...handshake }.headers.cookie).toContain(sidOf(browser))
  })

  it('cookie-parser as the second argument and a tampered cookie: a new, empty session', async () => {
    const app = await startApp({
      session: { secret: undefined as never },
      cookieParser: cookieParser('only here'),
      before: (http) => http.use(cookieParser('only here')),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    browser.cookie = `${browser.cookie}x`
    const client = await browser.connect()
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    expect(app.shared.explain(app.sockets[0]!)).toMatch(/signature does not match/)
  })

  it('without a cookie-parser the handshake has parsed cookies nevertheless', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.connect({ extraHeaders: { cookie: 'a=1; b=two' } })
    expect((app.sockets[0]!.handshake as any).cookies).toEqual({ a: '1', b: 'two' })
    expect((app.sockets[0]!.handshake as any).signedCookies).toEqual({})
  })

  it('no cookie: a new, empty session, which is stored when it is written to', async () => {
    const app = await startApp()
    const client = await app.browser().connect()
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    expect(Object.keys((app.store as any).sessions)).toEqual([])
    await client.emitWithAck('set', 'a', 1)
    expect(Object.keys((app.store as any).sessions)).toEqual([(app.sockets[0]!.handshake as any).sessionID])
  })

  it('no cookie, twice: two sessions', async () => {
    const app = await startApp()
    const [a, b] = await Promise.all([app.browser().connect(), app.browser().connect()])
    await a!.emitWithAck('set', 'mine', 1)
    expect(await b!.emitWithAck('get')).not.toHaveProperty('mine')
  })

  for (const [what, tamper] of [
    ['another id under its signature', (cookie: string, other: string) => cookie.replace(/s%3A[^.]+/, `s%3A${other}`)],
    ['another signature', (cookie: string) => `${cookie.slice(0, -6)}AAAAAA`],
    ['no signature', (_cookie: string, other: string) => `connect.sid=${other}`],
    ['rubbish', () => 'connect.sid=%E0%A4%A; ;=;s%3A'],
  ] as const) {
    it(`a tampered cookie (${what}): a new, empty session, never somebody else's`, async () => {
      const app = await startApp()
      const [victim, browser] = [app.browser(), app.browser()]
      await victim.get('/set?user=victim')
      await browser.get('/set?user=ada')
      browser.cookie = tamper(browser.cookie!, sidOf(victim))
      const client = await browser.connect()
      expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
      const id = (app.sockets[0]!.handshake as any).sessionID
      expect(id).not.toBe(sidOf(victim))
      await client.emitWithAck('set', 'user', 'mallory')
      expect((await victim.get('/session')).body).toMatchObject({ user: 'victim' })
    })
  }

  it('a cookie whose session the store does not have: a new, empty session under another id', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const sid = sidOf(browser)
    delete (app.store as any).sessions[sid]
    // The first of its process is made to come again.
    const client = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    expect((app.sockets[0]!.handshake as any).sessionID).not.toBe(sid)
  })

  it('saveUninitialized: a new session is stored although nothing was written to it', async () => {
    const app = await startApp({ shared: { saveUninitialized: true } })
    await app.browser().connect()
    await app.shared.flush()
    expect(Object.keys((app.store as any).sessions)).toEqual([(app.sockets[0]!.handshake as any).sessionID])
  })
})

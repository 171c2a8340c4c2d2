import expressSession from 'express-session'
import type { Server } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { MIRROR_EVENT } from '../../src/client/protocol.js'
import sharedsession, { type SharedSessionOptions } from '../../src/index.js'
import { probe } from '../../src/store/probe.js'
import { type ConnectOptions, closeApps, cookieFunctions, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn, refused, sidOf } from '../support/handshake.js'
import { deferred, next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('a wrapped session middleware', () => {
  for (const [how, wrap] of [
    ['synchronously', (session: any) => (req: any, res: any, done: any) => session(req, res, done)],
    ['by an async function', (session: any) => async (req: any, res: any, done: any) => session(req, res, done)],
    [
      'by an async function, after something else',
      (session: any) => async (req: any, res: any, done: any) => {
        await settled()
        session(req, res, done)
      },
    ],
    ['in a callback', (session: any) => (req: any, res: any, done: any) => void setImmediate(() => session(req, res, done))],
    [
      'for each tenant, by the Host header',
      (session: any) => (req: any, res: any, done: any) => (req.headers.host ? session(req, res, done) : done()),
    ],
  ] as const) {
    it(`${how}: the socket has its session, and gets session:changed for HTTP writes`, async () => {
      const app = await startApp({ wrap })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const client = await browser.connect()
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
      const changed = next(app.sockets[0]!, 'session:changed')
      await browser.get('/set?theme=dark')
      expect(await changed).toMatchObject({ keys: ['theme'], origin: 'http' })
    })
  }

  it('that shows its store only at the first handshake: a session that ends during that handshake is not given to the socket', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store, wrap: (session) => (req, res, done) => void setImmediate(() => session(req, res, done)) })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const sid = sidOf(browser)
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect()
    await get.called
    store.gone(sid)
    get.release()
    const client = await connected
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    expect((app.sockets[0]!.handshake as any).sessionID).not.toBe(sid)
  })

  it('that never shows a store: connect_error NO_STORE, and the members throw NO_STORE', async () => {
    expectWarning('NO_STORE')
    const app = await startApp({ wrap: () => (_req, _res, done) => done() })
    const error = await refused(app.browser().open())
    expect(error.data).toEqual({ code: 'NO_STORE' })
    expect(error.message).toMatch(/pass what express-session returned/)
    expect(() => app.shared.stats()).toThrow(expect.objectContaining({ code: 'NO_STORE' }))
    await expect(app.shared.destroy('some id')).rejects.toMatchObject({ code: 'NO_STORE' })
    await expect(app.shared.update('some id', () => {})).rejects.toMatchObject({ code: 'NO_STORE' })
    await app.shared.flush()
    await app.shared.close()
  })

  it('that rejects: connect_error, no unhandled rejection', async () => {
    expectWarning('STORE_FAILED')
    const app = await startApp({ wrap: () => async () => Promise.reject(new Error('tenant database')) })
    const error = await refused(app.browser().open())
    expect(error.data).toEqual({ code: 'STORE_FAILED' })
    expect(error.message).not.toContain('tenant')
  })

  it('whose store is known late and has other options per store: connect_error BAD_OPTION', async () => {
    expectWarning('BAD_OPTION')
    const store = new expressSession.MemoryStore()
    await startApp({ store })
    const app = await startApp({
      store,
      shared: { maxBytes: 5 },
      wrap: (session) => (req, res, done) => void setImmediate(() => session(req, res, done)),
    })
    expect((await refused(app.browser().open())).data).toEqual({ code: 'BAD_OPTION' })
  })
})

describe('a leftover io.engine.use(session)', () => {
  for (const transport of ['websocket', 'polling']) {
    it(`is tolerated on ${transport}`, async () => {
      expectWarning('io.engine.use(session)')
      let session: any
      const app = await startApp({
        wrap: (given) => {
          session = given
          return given
        },
        wire(io, shared) {
          io.engine.use(session)
          io.use(shared)
        },
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const client = await browser.connect({ transports: [transport] })
      const { request } = app.sockets[0]! as any
      expect(request.session).toBe(app.shared.session(app.sockets[0]!))
      await client.emitWithAck('set', 'cart', [1])
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', cart: [1] })
    })
  }
})

describe('a session middleware that has run for the first request before', () => {
  const PAGE = 'https://shop.example'
  const beforeOurs: [string, (io: Server, session: any) => void][] = [
    ['io.engine.use(session)', (io, session) => void io.engine.use(session)],
    ['io.use() with the request', (io, session) => void io.use((socket, done) => session(socket.request, {}, done))],
  ]
  /** The first socket of the process: its handshake is answered before its server is known. */
  async function started(before: (io: Server, session: any) => void, shared: SharedSessionOptions = {}) {
    expectWarning('io.engine.use(session)')
    let session: any
    const app = await startApp({
      shared,
      wrap: (given) => {
        session = given
        return given
      },
      wire(io, middleware) {
        before(io, session)
        io.use(middleware)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const open = (options: ConnectOptions = {}) =>
      browser.open({ extraHeaders: { cookie: browser.cookie!, origin: PAGE }, ...options })
    return { app, browser, open }
  }

  describe.each(beforeOurs)('%s', (_how, before) => {
    it.each(['websocket', 'polling'])('a page of another host is refused on %s', async (transport) => {
      expectWarning('is not allowed to use its sessions')
      const { app, open } = await started(before)
      expect((await refused(open({ transports: [transport] }))).data).toEqual({ code: 'ORIGIN_REFUSED' })
      expect(app.sockets).toEqual([])
    })

    it.each(['websocket', 'polling'])('a page that is allowed gets the session of its cookie on %s', async (transport) => {
      const { app, browser, open } = await started(before, { allowedOrigins: PAGE })
      const client = await letIn(open({ transports: [transport] }))
      await client.emitWithAck('set', 'cart', [1])
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', cart: [1] })
      expect((app.sockets[0]!.handshake as any).sessionID).toBe(sidOf(browser))
    })

    it.each(['websocket', 'polling'])('a client with a stored session needs no renewal on %s', async (transport) => {
      const { browser, open } = await started(before, { allowedOrigins: PAGE, publish: ({ user }) => ({ user }) })
      const client = open({ transports: [transport], auth: { [MIRROR_EVENT]: [0, 1] } })
      const frame = next(client, MIRROR_EVENT)
      await letIn(client)
      expect(await frame).toMatchObject({ s: { user: 'ada' } })
      expect(browser.cookie).toBeDefined()
    })
  })

  it('a page of another host whose browser has no session is not given the one that io.engine.use(session) has made', async () => {
    const { app, open } = await started((io, session) => {
      io.engine.use((request: any, _response: unknown, done: () => void) => {
        session(request, {}, () => {
          made.push(request.session.id)
          done()
        })
      })
    })
    const made: string[] = []
    const gone = encodeURIComponent(`s:${'x'.repeat(32)}.signature`)
    await letIn(open({ extraHeaders: { cookie: `connect.sid=${gone}`, origin: PAGE } }))
    expect(made).toHaveLength(1)
    expect(made).not.toContain((app.sockets[0]!.handshake as any).sessionID)
  })
})

describe('probing the session middleware', () => {
  it('shows the store, the cookie name and the cookie path', () => {
    const store = new expressSession.MemoryStore()
    const options = { secret: 's', resave: false, saveUninitialized: false, store }
    expect(probe(expressSession(options))).toEqual({ store, cookieName: 'connect.sid', cookiePath: '/' })
    expect(probe(expressSession({ ...options, name: 'a.b', cookie: { path: '/app' } }))).toEqual({
      store,
      cookieName: 'a.b',
      cookiePath: '/app',
    })
  })

  it('has no side effects: no genid call, no store call, no session, next is not called', async () => {
    const store = new ControlledStore()
    const called: string[] = []
    for (const method of ['createSession', 'generate', 'regenerate'] as const) {
      const original = (store as any)[method]
      ;(store as any)[method] = (...args: any[]) => {
        called.push(method)
        return original?.apply(store, args)
      }
    }
    const session = expressSession({
      secret: 's',
      resave: true,
      saveUninitialized: true,
      store,
      genid: () => {
        called.push('genid')
        return 'id'
      },
    })
    const late = deferred()
    const wrappers: any[] = [
      session,
      (req: any, res: any, done: any) => session(req, res, done),
      async (req: any, res: any, done: any) => {
        await late.promise
        session(req, res, done)
      },
      (req: any, res: any, done: any) => void late.promise.then(() => session(req, res, done)),
      (req: any, res: any, done: any) => void setImmediate(() => session(req, res, done)),
    ]
    for (const wrapper of wrappers) sharedsession(wrapper)
    late.resolve()
    await settled()
    await settled()
    expect(called).toEqual([])
    expect(store.calls).toEqual([])
  })

  it.runIf(cookieFunctions)('genid(req) and cookie(req) that throw on a bare request do no harm', async () => {
    const app = await startApp({
      session: {
        genid: (req) => `${req.headers.host!.toUpperCase()}-${Math.random()}`,
        cookie: ((req: any) => ({ path: req.headers['user-agent'].length ? '/' : '' })) as any,
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ extraHeaders: { cookie: browser.cookie!, 'user-agent': 'test' } })
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    await app.browser().connect({ extraHeaders: { 'user-agent': 'test' } })
    expect((app.sockets[1]!.handshake as any).sessionID).toMatch(/^127\.0\.0\.1:\d+-/)
  })

  it('genid(req) that throws at the handshake is a connect_error', async () => {
    expectWarning('STORE_FAILED')
    const app = await startApp({
      session: {
        genid: () => {
          throw new Error('genid')
        },
      },
    })
    expect((await refused(app.browser().open())).data).toEqual({ code: 'STORE_FAILED' })
  })
})

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import expressSession from 'express-session'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'
import { afterEach, describe, expect, it, vi } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { letIn, sidOf } from '../support/handshake.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { hasWebTransport, webTransportTo } from '../support/webtransport.js'

afterEach(async () => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
  closePages()
  await closeApps()
})

const start = (options: AppOptions = {}): Promise<App> => startApp({ wire: (io, shared) => void shared.attach(io), ...options })

async function cookiesOf(browser: Browser, transports = ['websocket']): Promise<string[]> {
  const client = browser.open({ withCredentials: true, transports })
  const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
  return lines
}

describe('io.use(shared), without attach()', () => {
  it('knows the server from the first socket on: the second client gets its cookie', async () => {
    const app = await startApp()
    expect(await cookiesOf(app.browser())).toEqual([])
    expect(await cookiesOf(app.browser())).toEqual([expect.stringMatching(/^connect\.sid\.socket\./)])
  })

  it('gives the first client its cookie with its next poll', async () => {
    const app = await startApp()
    const browser = new CookieBrowser()
    const client = browser.open(app.url, { transports: ['polling'] })
    await next(client, 'connect')
    // The server has something to answer the poll with.
    client.emit('get', () => undefined)
    await until(() => browser.cookie !== undefined)
    expect(browser.cookie).toMatch(/^connect\.sid\.socket\./)
    expect(browser.connections).toBe(1)
  })
})

describe('the engine of a server that was attached', () => {
  it('may be created after attach()', async () => {
    const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false })
    const shared = sharedsession(session)
    const io = new Server()
    shared.attach(io)
    const server = createServer()
    io.attach(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { transports: ['websocket'] })
    expect(pairOf(await handshakeCookies(client))).toBeDefined()
    client.disconnect()
    await shared.close()
    expect(Object.hasOwn(io, 'bind')).toBe(false)
    await io.close()
  })

  it('is as it was before, after close()', async () => {
    const allowRequest = (_request: unknown, decide: (error: null, success: boolean) => void) => decide(null, true)
    const app = await start({ io: { allowRequest } })
    const engine = app.io.engine as any
    expect(engine.opts.allowRequest).not.toBe(allowRequest)
    await app.shared.close()
    expect(engine.opts.allowRequest).toBe(allowRequest)
    expect(engine.listenerCount('headers')).toBe(0)
    expect(Object.hasOwn(app.io, 'bind')).toBe(false)
  })

  it('still calls the application’s allowRequest', async () => {
    const asked: string[] = []
    const app = await start({
      io: {
        allowRequest(request, decide) {
          asked.push(String(request.url))
          decide('not today', false)
        },
      },
    })
    const client = app.browser().open()
    await next(client, 'connect_error')
    expect(asked).toHaveLength(1)
    expect(app.sockets).toEqual([])
  })

  it('is answered in the same turn where the store is in this process', async () => {
    const inTurn: boolean[] = []
    const app = await start({ store: new expressSession.MemoryStore() })
    const engine = app.io.engine as any
    const { allowRequest } = engine.opts
    engine.opts.allowRequest = (request: unknown, decide: (error: unknown, success: boolean) => void) => {
      let isAnswered = false
      // Its save is due, and not made yet.
      if (app.sockets[0]) app.shared.session(app.sockets[0] as any).user = 'grace'
      allowRequest(request, (error: unknown, success: boolean) => {
        isAnswered = true
        decide(error, success)
      })
      inTurn.push(isAnswered)
    }
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    expect(inTurn).toEqual([true])
    expect((app.sockets[0] as any).handshake.session.user).toBe('ada')
    // It waits for the save.
    await browser.connect()
    expect(inTurn).toEqual([true, false])
    expect((app.sockets[1] as any).handshake.session.user).toBe('grace')
    engine.opts.allowRequest = allowRequest
  })

  for (const transport of ['websocket', 'polling']) {
    it(`keeps its own cookie beside the session's, on ${transport}`, async () => {
      const app = await start({ io: { cookie: true } })
      // As Socket.IO's documentation has it. Engine.IO sets its own on polling alone.
      app.io.engine.on('initial_headers', (headers: Record<string, unknown>) => {
        if (transport === 'websocket') headers['set-cookie'] = 'io=1; Path=/'
      })
      const lines = await cookiesOf(app.browser(), [transport])
      expect(pairOf(lines)).toBeDefined()
      expect(pairOf(lines, 'io')).toBeDefined()
    })
  }

  it('gives a client one session and one cookie if two instances share a store', async () => {
    let second: { close(): Promise<void> } | undefined
    const store = new expressSession.MemoryStore()
    const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false })
    const app = await startApp({
      wrap: () => session,
      store,
      wire(io, shared) {
        shared.attach(io)
        const chat = sharedsession(session)
        chat.attach(io)
        second = chat
      },
    })
    expect(await cookiesOf(app.browser())).toEqual([expect.stringMatching(/^connect\.sid\.socket\./)])
    await second?.close()
  })

  it('waits for a session middleware that is wrapped in an async one', async () => {
    const app = await start({ wrap: (session) => (req, res, done) => void setImmediate(() => session(req, res, done)) })
    const browser = app.browser()
    const [line] = await cookiesOf(browser)
    browser.cookie = pairOf([line!])
    expect(sidOf(browser)).toBe((app.sockets[0]!.handshake as any).sessionID)
    // Its name is not known before the middleware has run: a client that sends it is given no other one.
    expect(await cookiesOf(browser)).toEqual([])
  })

  it('gives a client its cookie although a wrapper of the session middleware reads another cookie of the client', async () => {
    const app = await start({
      wrap: (session) => (req, res, done) => {
        void req.cookies?.consent
        session(req, res, done)
      },
    })
    const client = app.browser().open({ extraHeaders: { cookie: 'consent=yes' } })
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    expect(pairOf(lines)).toBeDefined()
  })

  it('survives a genid that throws: the client gets a connect_error', async () => {
    expectWarning('STORE_FAILED')
    const genid = (): never => {
      throw new Error('broken')
    }
    const app = await start({ session: { genid } })
    const client = app.browser().open()
    expect(await next(client, 'connect_error')).toMatchObject({ data: { code: 'STORE_FAILED' } })
  })

  it('survives a middleware that fails after the response', async () => {
    const failures: unknown[] = []
    const app = await start({
      wrap: (session) => (req, res, done) => {
        session(req, res, (error) => {
          done(error)
          setImmediate(() => {
            failures.push('late')
            done(new Error('after the response'))
          })
        })
        const { writeHead } = res
        res.writeHead = (...args: unknown[]) => {
          const result = writeHead.apply(res, args as never)
          failures.push('while it writes')
          throw Object.assign(new Error('while it writes'), { result })
        }
      },
    })
    const client = app.browser().open()
    await letIn(client)
    await until(() => failures.includes('late') && failures.includes('while it writes'))
    expect(await client.emitWithAck('set', 'user', 'ada')).toBe('ok')
  })
})

describe('a leftover io.engine.use(session)', () => {
  it.each([['websocket'], ['polling']])('on %s: sets the cookie of the live session, with a warning', async (transport) => {
    expectWarning('io.engine.use(session)')
    const store = new ControlledStore()
    const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: true })
    const app = await start({
      store,
      wrap: () => session,
      wire(io, shared) {
        io.engine.use(session)
        shared.attach(io)
      },
    })
    app.http.get('/cart', (req, res) => void session(req, res, () => res.json(req.session)))
    const browser = app.browser()
    const client = browser.open({ withCredentials: true, transports: [transport] })
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    browser.cookie = pairOf(lines)
    expect(sidOf(browser)).toBe((app.sockets[0]!.handshake as any).sessionID)
    await client.emitWithAck('set', 'cart', ['apple'])
    expect(store.stored(sidOf(browser))).toMatchObject({ cart: ['apple'] })
  })
})

describe.runIf(hasWebTransport)('WebTransport', () => {
  it('works if it is enabled: a socket has a session that no cookie names', async () => {
    const store = new ControlledStore()
    const app = await start({ store, io: { transports: ['polling', 'websocket', 'webtransport'] } })
    vi.stubGlobal(
      'WebTransport',
      webTransportTo((session) => (app.io.engine as any).onWebTransportSession(session)),
    )
    const client = connect(app.url, { transports: ['webtransport'], reconnection: false })
    await letIn(client)
    expect(client.io.engine.transport.name).toBe('webtransport')
    await client.emitWithAck('set', 'user', 'ada')
    const { sessionID } = app.sockets[0]!.handshake as any
    expect(store.stored(sessionID)).toMatchObject({ user: 'ada' })
    expect(app.shared.explain(app.sockets[0]!)).toBe('The session is not empty.')
    client.disconnect()
  })

  it('after a handshake by polling: the socket has the session of the handshake', async () => {
    const app = await start({ io: { transports: ['polling', 'webtransport'] } })
    vi.stubGlobal(
      'WebTransport',
      webTransportTo((session) => (app.io.engine as any).onWebTransportSession(session)),
    )
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = browser.open({ transports: ['polling', 'webtransport'] })
    await letIn(client)
    if (client.io.engine.transport.name === 'polling') await next(client.io.engine, 'upgrade')
    expect(client.io.engine.transport.name).toBe('webtransport')
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })
})

describe('two instances on one store', () => {
  /** Both are attached. */
  async function started(options: AppOptions = {}): Promise<{ app: App; second: SharedSession }> {
    let second!: SharedSession
    const app = await startApp({
      ...options,
      wrap(session) {
        second = sharedsession(session, { autoSave: true })
        return session
      },
      wire(io, shared) {
        shared.attach(io)
        second.attach(io)
      },
    })
    return { app, second }
  }

  it('a first visit by polling is one connection, and so is the next one', async () => {
    const { app, second } = await started()
    let connections = 0
    app.io.engine.on('connection', () => connections++)
    const browser = new CookieBrowser()
    for (const expected of [1, 2]) {
      const client = await letIn(browser.open(app.url, { transports: ['polling'] }))
      for (const n of [1, 2, 3]) expect(await client.emitWithAck('set', 'n', n)).toBe('ok')
      expect(connections).toBe(expected)
      expect(await browser.json(`${app.url}/session`)).toMatchObject({ n: 3 })
      client.disconnect()
    }
    await second.close()
  })
})

describe('the HTTP server', () => {
  it.each(['constructor', '__proto__', 'toString', 'unknown'])('a request with sid=%s is none of a connection', async (sid) => {
    const app = await start()
    const browser = new CookieBrowser()
    const client = await letIn(browser.open(app.url, { transports: ['polling'] }))
    await client.emitWithAck('set', 'n', 1)
    await until(() => browser.cookie?.includes('.socket.'))
    expect(await browser.json(`${app.url}/session?sid=${sid}`)).toMatchObject({ n: 1 })
  })

  it('has our listeners in front of those of an engine that is attached later, to the same server', async () => {
    const app = await start()
    const front = (): unknown[] => ['request', 'upgrade'].map((event) => app.server.listeners(event)[0])
    const ours = front()
    const other = new Server(app.server, { path: '/b' })
    expect(front()).not.toEqual(ours)
    app.shared.attach(other)
    expect(front()).toEqual(ours)
    await app.shared.close()
    other.engine.close()
  })
})

describe.each(['in the order', 'in the opposite order'])(
  'instances on one server that are closed %s of their creation',
  (order) => {
    it('leave the server as it was', async () => {
      const stores = [1, 2, 3].map((name) =>
        expressSession({ secret: 's', name: `s${name}`, resave: false, saveUninitialized: false }),
      )
      const others = stores.map((session) => sharedsession(session, { autoSave: true }))
      let before: unknown
      const wrappers = (io: Server): unknown => [
        (io.engine as any).opts.allowRequest,
        Object.hasOwn(io, 'bind'),
        Object.hasOwn(io.sockets, '_add'),
        Object.hasOwn(io.sockets.adapter, 'restoreSession'),
      ]
      const app = await startApp({
        io: { connectionStateRecovery: {} },
        wire(io) {
          before = wrappers(io)
          for (const other of others) other.attach(io)
        },
      })
      await letIn(app.browser().open())
      expect(before).toEqual([undefined, false, false, false])
      expect(wrappers(app.io)).toEqual([expect.any(Function), true, true, true])
      for (const other of order === 'in the order' ? others : others.reverse()) await other.close()
      expect(wrappers(app.io)).toEqual(before)
    })
  },
)

describe('an application that replaces allowRequest after attach()', () => {
  it('a WebSocket whose cookie names a session that is gone is let in after a while', async () => {
    const store = new ControlledStore()
    const app = await start({ store })
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?user=ada`)
    store.gone(store.ids()[0] as string)
    ;(app.io.engine as any).opts.allowRequest = (_request: unknown, decide: (error: null, success: boolean) => void) =>
      decide(null, true)
    let connections = 0
    app.io.engine.on('connection', () => connections++)
    const client = browser.open(app.url, { transports: ['websocket'] }).connect()
    await until(() => connections > 2)
    expect(app.sockets).toEqual([])
    // More than ten seconds later.
    const { now } = performance
    const later = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 11_000)
    await letIn(client)
    later.mockRestore()
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
  })
})

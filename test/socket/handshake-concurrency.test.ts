import { afterEach, describe, expect, it } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { isNobodyConnecting, letIn, refused, sidOf } from '../support/handshake.js'
import { visited } from '../support/live.js'
import { slowLogin } from '../support/slow-routes.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** Another middleware after ours, which takes its time; `reached` resolves when a socket waits in it. */
async function slow(shared: SharedSessionOptions = {}) {
  const reached = deferred<any>()
  const gate = deferred<Error | undefined>()
  const scene = await visited({
    shared,
    wire(io, middleware) {
      io.use(middleware)
      io.use((socket, done) => {
        reached.resolve(socket)
        gate.promise.then(done)
      })
    },
  })
  return {
    ...scene,
    reached: reached.promise,
    letIn: () => gate.resolve(undefined),
    refuse: () => gate.resolve(new Error('not you')),
  }
}

describe('while the handshake reads its session', () => {
  it('the session is destroyed: the client reconnects, and gets a new, empty session', async () => {
    const { store, app, browser, sid } = await visited()
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect({ reconnection: true, reconnectionDelay: 1 })
    await get.called
    await app.shared.destroy(sid)
    get.release()
    const client = await connected
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    expect((app.sockets[0]!.handshake as any).sessionID).not.toBe(sid)
    await client.emitWithAck('set', 'a', 1)
    expect(store.ids()).not.toContain(sid)
    expect(app.shared.explain(app.sockets[0]!)).toBe('The session is not empty.')
  })

  it('the session ends during each read: the client has to reconnect, and the handshake does not read for ever', async () => {
    const { store, app, browser, sid } = await visited()
    const client = browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
    for (let time = 0; time < 4; time++) {
      const get = store.hold('get', { afterwards: true })
      await get.called
      await app.shared.destroy(sid)
      store.foreign(sid, { user: 'undead' })
      get.release()
    }
    await letIn(client)
    expect(app.sockets).toHaveLength(1)
  })

  it('an HTTP request writes: the socket has what it wrote', async () => {
    const { store, app, browser } = await visited()
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect()
    await get.called
    await browser.get('/set?theme=dark')
    get.release()
    const client = await connected
    await client.emitWithAck('set', 'cart', [1])
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark', cart: [1] })
    expect(app.shared.snapshot(app.sockets[0]!)).toMatchObject({ user: 'ada', theme: 'dark', cart: [1] })
  })

  it('another socket of the session writes: what the handshake has read does not overwrite it', async () => {
    const { store, app, browser } = await visited()
    const first = await browser.connect()
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect()
    await get.called
    await first.emitWithAck('set', 'user', 'grace')
    get.release()
    const second = await connected
    expect(await second.emitWithAck('get')).toMatchObject({ user: 'grace' })
    expect(await first.emitWithAck('get')).toMatchObject({ user: 'grace' })
    expect(app.shared.stats()).toMatchObject({ sessions: 1, sockets: 2 })
  })

  it('the client leaves: nothing is kept for it', async () => {
    const { store, app, browser } = await visited()
    const get = store.hold('get')
    const client = browser.open()
    await get.called
    const [conn] = Object.values((app.io.engine as any).clients) as any[]
    const gone = next(conn, 'close')
    client.disconnect()
    await gone
    get.release()
    await until(() => isNobodyConnecting(app.io.of('/')))
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
    expect(app.sockets).toEqual([])
  })

  it('the client leaves: no new session is stored for it, although saveUninitialized is on', async () => {
    const { store, app, browser, sid } = await visited({ shared: { saveUninitialized: true } })
    store.gone(sid)
    const get = store.hold('get')
    const client = browser.open()
    await get.called
    const [conn] = Object.values((app.io.engine as any).clients) as any[]
    const gone = next(conn, 'close')
    client.disconnect()
    await gone
    get.release()
    await until(() => isNobodyConnecting(app.io.of('/')))
    await app.shared.flush()
    expect(store.ids()).toEqual([])
  })

  it('close() is called: connect_error CLOSED, and the store has its own methods again', async () => {
    const { store, app, browser } = await visited()
    const get = store.hold('get')
    const refusal = refused(browser.open())
    await get.called
    await app.shared.close()
    get.release()
    expect((await refusal).data).toEqual({ code: 'CLOSED' })
    expect(Object.keys(Object.getOwnPropertyDescriptors(store))).not.toContain('get')
  })
})

describe('while a request regenerates the session', () => {
  it('a client that has to reconnect reaches no later middleware without a session', async () => {
    const sessions: unknown[] = []
    const { app, browser } = await visited({
      wire(io, shared) {
        io.use(shared)
        io.use((socket, done) => {
          sessions.push(shared.session(socket).renewed)
          done()
        })
      },
    })
    const old = Object.assign(app.browser(), { cookie: browser.cookie })
    await browser.get('/regenerate')
    const client = old.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
    const errors: unknown[] = []
    client.on('connect_error', (error) => errors.push(error.message))
    client.io.on('reconnect_attempt', () => {
      client.io.opts.extraHeaders = { cookie: browser.cookie! }
    })
    await next(client, 'connect')
    expect(sessions).toEqual([true])
    expect(errors).toEqual([])
  })

  for (const [when, respondFirst] of [
    ['during the request', false],
    ['and the request ends while the handshake reads', true],
  ] as const) {
    it(`a handshake with the old cookie (${when}) gets no session that has ended; its client reconnects with the new cookie`, async () => {
      const { regenerated, answer, routes } = slowLogin()
      const { store, app, browser, sid } = await visited({ routes })
      const client = browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
      client.io.on('reconnect_attempt', () => {
        ;(client.io.opts as any).extraHeaders = { cookie: browser.cookie }
      })
      const get = store.hold('get', { afterwards: true, sid })
      await get.called
      const login = browser.get('/login')
      await regenerated
      if (respondFirst) {
        answer()
        await login
        get.release()
      } else {
        get.release()
        answer()
        await login
      }
      await letIn(client)
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'grace' })
      expect(app.sockets).toHaveLength(1)
      expect((app.sockets[0]!.handshake as any).sessionID).toBe(sidOf(browser))
      expect(store.ids()).toEqual([sidOf(browser)])
    })
  }

  it('a handshake with the old cookie waits until the request has answered, and its client reconnects', async () => {
    const answer = deferred()
    const regenerated = deferred()
    const { store, app, browser } = await visited({
      routes(http) {
        http.get('/login', (req, res) => {
          req.session.regenerate(async () => {
            req.session.user = 'grace'
            regenerated.resolve()
            await answer.promise
            res.json({})
          })
        })
      },
    })
    const login = browser.get('/login')
    await regenerated.promise
    const reads = store.count('get')
    const client = browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
    client.io.on('reconnect_attempt', () => {
      ;(client.io.opts as any).extraHeaders = { cookie: browser.cookie }
    })
    await until(() => store.count('get') > reads)
    answer.resolve()
    await login
    await letIn(client)
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'grace' })
    expect(app.sockets).toHaveLength(1)
    expect((app.sockets[0]!.handshake as any).sessionID).toBe(sidOf(browser))
  })

  it('the session was regenerated long ago: a client that still has the old cookie gets a new, empty session', async () => {
    const { app, browser, sid } = await visited()
    const old = app.browser()
    old.cookie = browser.cookie
    await browser.get('/regenerate')
    const client = await letIn(old.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 }))
    expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
    const id = (app.sockets[0]!.handshake as any).sessionID
    expect([sid, sidOf(browser)]).not.toContain(id)
  })
})

describe('while another middleware has not called next() yet', () => {
  it('the session ends, onEnd reconnect: the connection closes and the socket never connects', async () => {
    const { app, browser, sid, ...middleware } = await slow()
    const client = browser.open()
    const socket = await middleware.reached
    const closed = next(socket.conn, 'close')
    await app.shared.destroy(sid)
    await closed
    middleware.letIn()
    await until(() => isNobodyConnecting(app.io.of('/')))
    expect(app.sockets).toEqual([])
    expect(client.connected).toBe(false)
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })

  it('the session ends, onEnd disconnect: connect_error SESSION_ENDED, and the client stays away', async () => {
    const { app, browser, sid, ...middleware } = await slow({ onEnd: 'disconnect' })
    const client = browser.open({ reconnection: true, reconnectionDelay: 1 })
    const refusal = refused(client)
    const socket = await middleware.reached
    const closed = next(socket.conn, 'close')
    await app.shared.destroy(sid)
    const error = await refusal
    expect(error.data).toEqual({ code: 'SESSION_ENDED' })
    expect(error.message).toContain('(destroyed)')
    expect(error.message).not.toContain(sid)
    await closed
    middleware.letIn()
    await until(() => isNobodyConnecting(app.io.of('/')))
    expect(client.active).toBe(false)
    expect(app.sockets).toEqual([])
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })

  it('the session ends, onEnd disconnect, on a connection with another namespace: a later next() has no effect', async () => {
    const store = new ControlledStore()
    const reached = deferred<any>()
    const gate = deferred()
    const connections: unknown[] = []
    const app = await startApp({
      store,
      shared: { onEnd: 'disconnect' },
      wire(io, shared) {
        io.of('/x').use(shared)
        io.of('/x').use((socket, done) => {
          reached.resolve(socket)
          gate.promise.then(() => done())
        })
        io.of('/x').on('connection', (socket) => connections.push(socket))
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const main = await browser.connect()
    const lost = next(main, 'disconnect')
    const x = main.io.socket('/x', {}) as any
    const refusal = refused(x)
    await reached.promise
    await app.shared.destroy(sidOf(browser))
    expect((await refusal).data).toEqual({ code: 'SESSION_ENDED' })
    expect(await lost).toBe('transport close')
    gate.resolve()
    await until(() => isNobodyConnecting(app.io.of('/x')))
    expect(connections).toEqual([])
    expect(x.active).toBe(false)
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })

  it('the session ends, and a listener of session:destroyed throws: the socket is ended nevertheless', async () => {
    const { app, browser, sid, ...middleware } = await slow()
    const failed = next(app.shared.events, 'session:error')
    browser.open()
    const socket = await middleware.reached
    socket.on('session:destroyed', () => {
      throw new Error('mine')
    })
    const closed = next(socket.conn, 'close')
    await app.shared.destroy(sid)
    await closed
    expect(await failed).toMatchObject({ code: 'LISTENER_FAILED', cause: { message: 'mine' } })
    middleware.letIn()
    await until(() => isNobodyConnecting(app.io.of('/')))
    expect(app.sockets).toEqual([])
  })

  it('the session ends, onEnd disconnect, and the middleware calls next() at that moment: the socket is disconnected, and stays away', async () => {
    const { app, browser, sid, ...middleware } = await slow({ onEnd: 'disconnect' })
    const client = browser.open({ reconnection: true, reconnectionDelay: 1 })
    const gone = next(client, 'disconnect')
    await middleware.reached
    const destroyed = app.shared.destroy(sid)
    app.shared.events.on('session:destroyed', middleware.letIn)
    await destroyed
    expect(await gone).toBe('io server disconnect')
    expect(client.active).toBe(false)
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })

  it('the middleware refuses the socket: nothing is kept for it, although its connection stays open', async () => {
    const store = new ControlledStore()
    const app = await startApp({
      store,
      wire(io, shared) {
        io.of('/x').use(shared)
        io.of('/x').use((_socket, done) => void setImmediate(() => done(new Error('not you'))))
      },
    })
    const main = await app.browser().connect()
    const before = app.io.of('/x').adapter.listenerCount('leave-room')
    const error = await refused(main.io.socket('/x', {}) as any)
    expect(error.message).toBe('not you')
    expect(main.connected).toBe(true)
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
    expect(app.io.of('/x').adapter.listenerCount('leave-room')).toBe(before)
  })

  it('the client leaves before the middleware calls next(): nothing is kept for it', async () => {
    const { app, browser, ...middleware } = await slow()
    const client = browser.open()
    await middleware.reached
    expect(app.shared.stats().sockets).toBe(1)
    client.disconnect()
    await until(() => app.shared.stats().sockets === 0)
  })

  it('close() is called: the socket connects with the session that it had', async () => {
    const { app, browser, ...middleware } = await slow()
    app.io.removeAllListeners('connection')
    const connected = browser.connect()
    const socket = await middleware.reached
    await app.shared.close()
    middleware.letIn()
    await connected
    expect((socket.handshake as any).session).toMatchObject({ user: 'ada' })
    expect(() => app.shared.session(socket)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  it('other sockets and a request write: the socket that waits gets session:changed', async () => {
    const { app, browser, ...middleware } = await slow()
    const connected = browser.connect()
    const socket = await middleware.reached
    const changed = next(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'] })
    middleware.letIn()
    const client = await connected
    expect(await client.emitWithAck('get')).toMatchObject({ theme: 'dark' })
    expect(app.shared.stats().sockets).toBe(1)
  })
})

it('with onEnd keep the socket stays connected after the end of its session, and nothing is saved any more', async () => {
  expectWarning('SESSION_ENDED')
  const { app, browser, store, sid } = await visited({ shared: { onEnd: { destroyed: 'keep' } } })
  const client = await browser.connect()
  const ended = next(app.sockets[0]!, 'session:destroyed')
  await app.shared.destroy(sid)
  expect(await ended).toEqual({ reason: 'destroyed' })
  client.emit('set', 'a', 1)
  await client.emitWithAck('get')
  await app.shared.flush()
  expect(client.connected).toBe(true)
  expect(store.ids()).toEqual([])
})

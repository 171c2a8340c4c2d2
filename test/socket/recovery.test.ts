import expressSession from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type App, type AppOptions, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf, turnedAway } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

interface Scene {
  app: App
  store: ControlledStore
  browser: Browser
  client: TestClient
  socket: Socket
  sid: string
  /** What the client received, by name. */
  received: string[]
  /** Comes back with the browser's cookie. @returns the server-side socket */
  back(): Promise<Socket>
}

/** A client that has something to recover: a room, `socket.data`, an offset. */
async function away(options: AppOptions = {}, leave: (scene: Scene) => unknown = ({ client }) => client.io.engine.close()) {
  const store = (options.store as ControlledStore | undefined) ?? new ControlledStore()
  const app = await startApp({
    store,
    wire: (io, shared) => void shared.attach(io),
    ...options,
    io: { connectionStateRecovery: {}, ...options.io },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  const [socket] = app.sockets as [Socket]
  const received: string[] = []
  client.onAny((name) => received.push(name))
  const scene: Scene = {
    app,
    store,
    browser,
    client,
    socket,
    sid: sidOf(browser),
    received,
    async back() {
      const count = app.sockets.length
      client.io.opts.extraHeaders = { cookie: browser.cookie ?? '' }
      // It may have to come twice: where its session has ended since its handshake came, the response to the next one brings a cookie.
      client.io.reconnection(true)
      client.io.reconnectionDelay(1)
      client.connect()
      await until(() => app.sockets.length > count && client.connected)
      return app.sockets.at(-1) as Socket
    },
  }
  socket.join('secret room')
  socket.data.secret = 'of ada'
  socket.emit('first')
  await next(client, 'first')
  const gone = next(socket, 'disconnect')
  await leave(scene)
  await gone
  await until(() => !client.connected)
  app.io.to('secret room').emit('missed')
  return scene
}

const WAYS: Record<string, (scene: Scene) => unknown> = {
  'the client closed its transport': ({ client }) => client.io.engine.close(),
  'the server closed the transport': ({ socket }) => socket.conn.close(),
  'the connection was cut': ({ socket }) => (socket.conn as any).transport.socket._socket.destroy(),
}

/** What a socket that is recovered has, and any other has not. */
async function expectNothingOld(scene: Scene, back: Socket): Promise<void> {
  expect(back.recovered).toBe(false)
  expect(scene.client.recovered).toBe(false)
  expect(back.id).not.toBe(scene.socket.id)
  expect(back.rooms).not.toContain('secret room')
  expect(back.data).toEqual({})
  back.emit('last')
  await next(scene.client, 'last')
  expect(scene.received).not.toContain('missed')
}

describe.each(Object.entries(WAYS))('when %s', (_way, leave) => {
  it('is recovered with the cookie of the session that it had', async () => {
    const scene = await away({}, leave)
    const back = await scene.back()
    expect(back.recovered).toBe(true)
    expect(back.rooms).toContain('secret room')
    expect(back.data).toEqual({ secret: 'of ada' })
    await until(() => scene.received.includes('missed'))
  })

  it('is not recovered into a session that was destroyed', async () => {
    const scene = await away({}, leave)
    await scene.browser.get('/destroy')
    await expectNothingOld(scene, await scene.back())
  })

  it('is not recovered into a session that was regenerated, with the old cookie or the new one', async () => {
    const scene = await away({}, leave)
    await scene.browser.get('/regenerate')
    await expectNothingOld(scene, await scene.back())
    const other = await away({}, leave)
    const { cookie } = other.browser
    await other.browser.get('/regenerate')
    other.browser.cookie = cookie
    // While its new cookie may be on its way it has to come again.
    other.client.io.reconnection(true)
    await expectNothingOld(other, await other.back())
  })

  it('is not recovered into a session that the store no longer has', async () => {
    const scene = await away({}, leave)
    scene.store.gone(scene.sid)
    await expectNothingOld(scene, await scene.back())
  })
})

describe('a socket whose session ended while it was connected', () => {
  it.each(['/destroy', '/regenerate'])('%s: its client reconnects, and is not recovered', async (path) => {
    const store = new ControlledStore()
    const app = await startApp({
      store,
      io: { connectionStateRecovery: {} },
      wire: (io, shared) => void shared.attach(io),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
    const [socket] = app.sockets as [Socket]
    socket.join('secret room')
    socket.data.secret = 'of ada'
    socket.on('session:destroyed', () => void socket.emit('goodbye'))
    // What regenerate() gives the browser is in its jar before the transport closes.
    const jar = next(client, 'goodbye')
    const gone = next(client, 'disconnect')
    await browser.get(path)
    client.io.opts.extraHeaders = { cookie: browser.cookie! }
    await Promise.all([jar, gone])
    app.io.to('secret room').emit('missed')
    await until(() => app.sockets.length === 2)
    const back = app.sockets[1] as Socket
    expect([back.recovered, back.rooms.has('secret room'), back.data]).toEqual([false, false, {}])
    expect((back.handshake as any).session.user).toBeUndefined()
  })
})

describe('a recovered socket', () => {
  it('has its live session before its connection handler runs, and what it writes is saved and acknowledged', async () => {
    const seen: unknown[] = []
    const scene = await away({
      connection: (socket) => {
        const { handshake, request } = socket as any
        seen.push([
          socket.recovered,
          handshake.session.user,
          handshake.sessionID,
          request.session.user,
          Object.keys(handshake.cookies),
        ])
        handshake.session.visits = (handshake.session.visits ?? 0) + 1
      },
    })
    const { browser, app, client, store, sid } = scene
    await browser.get('/set?user=grace')
    const back = await scene.back()
    expect(seen).toEqual([
      [false, 'ada', sid, 'ada', ['connect.sid']],
      [true, 'grace', sid, 'grace', ['connect.sid']],
    ])
    await client.emitWithAck('set', 'cart', [1])
    expect(store.stored(sid)).toMatchObject({ user: 'grace', visits: 2, cart: [1] })
    expect(app.shared.session(back).cart).toEqual([1])
    const changed = next(back, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'http' })
    expect(app.shared.stats()).toMatchObject({ sessions: 1, sockets: 1 })
  })

  it('ends with its session, like any other', async () => {
    const scene = await away()
    const back = await scene.back()
    expect(back.recovered).toBe(true)
    const ended = next(back, 'session:destroyed')
    const gone = next(back, 'disconnect')
    await scene.browser.get('/destroy')
    expect(await ended).toEqual({ reason: 'destroyed' })
    await gone
    expect(scene.app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })

  it('does not run the middlewares, which is socket.io’s default; with skipMiddlewares: false it does', async () => {
    for (const skipMiddlewares of [true, false]) {
      let ran = 0
      const scene = await away({
        io: { connectionStateRecovery: { skipMiddlewares } },
        wire(io, shared) {
          shared.attach(io)
          io.use((_socket, done) => {
            ran++
            done()
          })
        },
      })
      const back = await scene.back()
      expect(back.recovered).toBe(true)
      expect(ran).toBe(skipMiddlewares ? 1 : 2)
      await scene.client.emitWithAck('set', 'n', 1)
      expect(scene.store.stored(scene.sid)).toMatchObject({ user: 'ada', n: 1 })
      expect(scene.app.shared.stats().sockets).toBe(1)
    }
  })

  it('may be recovered twice, on two connections', async () => {
    const scene = await away()
    const { _pid: pid, _lastOffset: offset } = scene.client as any
    const auth = { pid, offset }
    const both = await Promise.all([scene.browser.connect({ auth }), scene.browser.connect({ auth })])
    for (const client of both) expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(scene.app.sockets.slice(1).map((socket) => socket.recovered)).toEqual([true, true])
    expect(scene.app.shared.stats().sockets).toBe(2)
  })

  it('has one session, with any number of instances', async () => {
    const store = new ControlledStore()
    const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false })
    const other = sharedsession(session, { autoSave: true })
    const scene = await away({
      store,
      wrap: () => session,
      wire(io, shared) {
        shared.attach(io)
        other.attach(io)
      },
    })
    const back = await scene.back()
    expect(back.recovered).toBe(true)
    expect(scene.app.shared.stats().sockets).toBe(1)
    await other.close()
  })

  it('has its session with io.use(shared) too, when a socket of the namespace has connected before', async () => {
    const scene = await away({ wire: (io, shared) => void io.use(shared) })
    const back = await scene.back()
    expect(back.recovered).toBe(true)
    expect((back.handshake as any).session.user).toBe('ada')
  })

  it('has its session in a dynamic namespace too', async () => {
    const store = new ControlledStore()
    const app = await startApp({
      store,
      io: { connectionStateRecovery: {} },
      wire(io, shared) {
        io.of(/^\/room-\d$/)
        shared.attach(io)
      },
    })
    const sockets: Socket[] = []
    app.io.of('/').server.on('new_namespace', (namespace) => namespace.on('connection', (socket) => sockets.push(socket)))
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ namespace: '/room-7' })
    sockets[0]!.emit('first')
    await next(client, 'first')
    client.io.engine.close()
    await until(() => !client.connected)
    client.connect()
    await next(client, 'connect')
    expect(client.recovered).toBe(true)
    expect((sockets[1]!.handshake as any).session.user).toBe('ada')
  })
})

describe('no socket is recovered', () => {
  it('with the ids of another client’s socket and its own cookie', async () => {
    const scene = await away()
    await scene.app.browser().get('/set?user=ada')
    const mallory = scene.app.browser()
    await mallory.get('/set?user=mallory')
    scene.browser.cookie = mallory.cookie
    const back = await scene.back()
    await expectNothingOld(scene, back)
    expect((back.handshake as any).session.user).toBe('mallory')
  })

  it('without a cookie, or with one that is not genuine', async () => {
    for (const cookie of [undefined, 'connect.sid=s%3Amade.up']) {
      const scene = await away()
      scene.browser.cookie = cookie
      await expectNothingOld(scene, await scene.back())
    }
  })

  it('from a page of another host', async () => {
    expectWarning('is not allowed to use its sessions')
    const scene = await away()
    const { client, browser } = scene
    client.io.opts.extraHeaders = { cookie: browser.cookie!, origin: 'https://evil.example' }
    client.connect()
    expect(await next(client, 'connect_error')).toMatchObject({ data: { code: 'ORIGIN_REFUSED' } })
  })

  it('while the store is down; the client comes back by itself, and is recovered when the store is up again', async () => {
    expectWarning('STORE_FAILED')
    const scene = await away()
    scene.store.down()
    scene.client.io.opts.extraHeaders = { cookie: scene.browser.cookie! }
    scene.client.connect()
    await turnedAway(scene.client)
    scene.store.up()
    const back = await scene.back()
    expect(back.recovered).toBe(true)
  })

  it('after close(): the adapter and the namespace are as they were', async () => {
    const scene = await away()
    const namespace = scene.app.io.of('/')
    await scene.app.shared.close()
    expect(Object.hasOwn(namespace, '_add')).toBe(false)
    expect(Object.hasOwn(namespace.adapter, 'restoreSession')).toBe(false)
    expect(namespace.listenerCount('connect' as never)).toBe(0)
  })
})

describe('a logout that races with a recovery', () => {
  /** Comes back, and stops where its session is read. */
  async function reading(scene: Scene) {
    const get = scene.store.hold('get', { afterwards: true })
    const back = scene.back()
    await get.called
    return { get, back }
  }

  it('while its session is read: the socket is not recovered', async () => {
    const scene = await away()
    // It comes again: the next handshake's answer brings the cookie of another session.
    scene.client.io.reconnection(true)
    const { get, back } = await reading(scene)
    await scene.app.shared.destroy(scene.sid)
    get.release()
    await expectNothingOld(scene, await back)
  })

  it('while the adapter restores it: the socket is not recovered', async () => {
    const scene = await away()
    const { adapter } = scene.app.io.of('/')
    const reached = deferred()
    const released = deferred()
    const restore = Object.getPrototypeOf(adapter).restoreSession
    // Below ours: an adapter that keeps the state in a database takes its time.
    Object.getPrototypeOf(adapter).restoreSession = async function (...args: unknown[]) {
      reached.resolve()
      await released.promise
      return restore.apply(this, args)
    }
    try {
      const fresh = await away()
      const back = fresh.back()
      await reached.promise
      expect(fresh.app.shared.stats().sockets).toBe(1)
      await fresh.app.shared.destroy(fresh.sid)
      released.resolve()
      await expectNothingOld(fresh, await back)
    } finally {
      Object.getPrototypeOf(adapter).restoreSession = restore
    }
  })

  it('in its connection handler: the socket is ended, and nothing of the session is stored again', async () => {
    const heard: unknown[] = []
    const scene = await away({
      shared: { onEnd: 'reconnect' },
      connection: (socket, app) => {
        if (!socket.recovered) return
        socket.on('session:destroyed', (end) => heard.push(end))
        void app.shared.destroy(socket)
        ;(socket.handshake as any).session.late = true
      },
    })
    scene.client.io.opts.extraHeaders = { cookie: scene.browser.cookie! }
    const gone = next(scene.client, 'disconnect')
    scene.client.connect()
    await gone
    expect(heard).toEqual([{ reason: 'destroyed' }])
    await scene.app.shared.flush()
    expect(scene.store.ids()).toEqual([])
  })

  it('just before it connects: the socket is ended', async () => {
    const heard: unknown[] = []
    const scene = await away({
      connection: (socket) => {
        if (socket.recovered) socket.on('session:destroyed', (end) => heard.push(end))
      },
    })
    const namespace = scene.app.io.of('/') as any
    // After the decision, in the turn in which socket.io makes the socket.
    const { _add: add } = namespace
    namespace._add = (...args: unknown[]) => {
      const { adapter } = namespace
      const { restoreSession } = adapter
      adapter.restoreSession = async (...given: unknown[]) => {
        const restored = await restoreSession.apply(adapter, given)
        ;(scene.store as any).sessions = Object.create(null)
        await scene.app.shared.destroy(scene.sid).catch(() => undefined)
        return restored
      }
      return add.apply(namespace, args)
    }
    const gone = next(scene.client, 'disconnect')
    scene.client.io.opts.extraHeaders = { cookie: scene.browser.cookie! }
    scene.client.connect()
    await Promise.race([gone, next(scene.client, 'connect').then(() => gone)])
    await turns()
    expect(scene.app.shared.stats().sockets).toBe(0)
  })
})

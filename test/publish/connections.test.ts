import expressSession from 'express-session'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { FullFrame } from '../../src/client/protocol.js'
import sharedsession from '../../src/index.js'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { hasWebTransport, webTransportTo } from '../support/webtransport.js'
import { follow, mirrored, type TestMirror } from './mirror.js'

afterEach(closeApps)
afterEach(() => vi.unstubAllGlobals())

const shared = { publish: (session: any) => ({ user: session.user, n: session.n, items: session.items }) }

async function visited(options: AppOptions = {}): Promise<{ app: App; browser: Browser }> {
  const app = await startApp({ shared, ...options })
  const browser = app.browser()
  await browser.get('/set?user=ada&n=0&secret=1')
  return { app, browser }
}

/** The client loses its connection, others write, and it comes back with what it holds. */
async function backAfter(browser: Browser, mirror: TestMirror, meanwhile: () => unknown): Promise<TestMirror> {
  mirror.client.disconnect()
  await meanwhile()
  return mirrored(browser, { before: mirror })
}

describe('the first frame', () => {
  it.each([['websocket'], ['polling']])('comes with the connection, by %s', async (transport) => {
    const { browser } = await visited({ connection: (socket) => socket.emit('hello') })
    const client = browser.open({ auth: { 'session:mirror': [0, 0] }, transports: [transport] })
    const seen: unknown[] = []
    client.on('connect', () => seen.push('connect'))
    client.onAny((name, { s } = {} as FullFrame) => seen.push(name, s))
    await next(client, 'hello')
    expect(seen).toEqual(['connect', 'session:mirror', { user: 'ada', n: '0' }, 'hello', undefined])
  })

  it.runIf(hasWebTransport)('comes with the connection, by WebTransport', async () => {
    const { app, browser } = await visited({
      io: { transports: ['polling', 'webtransport'] as never },
      connection: (socket) => socket.emit('hello'),
    })
    const engine = app.io.engine as any
    vi.stubGlobal(
      'WebTransport',
      webTransportTo((session) => engine.onWebTransportSession(session)),
    )
    const client = browser.open({ auth: { 'session:mirror': [0, 0] }, transports: ['polling', 'webtransport'] as never })
    const mirror = follow(client)
    const seen: unknown[] = []
    client.onAny((name) => seen.push(name))
    await next(client, 'hello')
    expect(seen).toEqual(['session:mirror', 'hello'])
    await until(() => app.sockets[0]?.conn.transport.name === 'webtransport')
    await browser.get('/set?n=1')
    await until(() => mirror.frames.length > 1)
    expect(mirror.frames[1]).toMatchObject({ p: [[['n'], '1']] })
  })

  it('is not sent to a client that did not ask, nor to one that asks for nonsense', async () => {
    const { app, browser } = await visited()
    for (const auth of [{}, { 'session:mirror': 'x' }, { 'session:mirror': null }]) {
      const client = browser.open({ auth })
      const { frames } = follow(client)
      await client.emitWithAck('get')
      expect(frames).toEqual([])
    }
    for (const held of [{}, [], 'x'.repeat(1000), null, 1]) {
      const { frames } = await mirrored(browser, { held: held as never })
      expect(frames).toEqual([expect.objectContaining({ s: { user: 'ada', n: '0' } })])
    }
    expect(app.sockets).toHaveLength(8)
  })

  it('has what was committed while another middleware kept the socket waiting', async () => {
    let go!: () => void
    const waiting = new Promise<void>((resolve) => {
      go = resolve
    })
    const { app, browser } = await visited({
      wire(io, middleware) {
        io.use(middleware)
        io.use((_socket, next) => void waiting.then(() => next()))
      },
    })
    const connecting = mirrored(browser)
    await until(() => app.shared.stats().sockets === 1)
    await browser.get('/set?n=1')
    go()
    expect((await connecting).frames).toEqual([expect.objectContaining({ s: { user: 'ada', n: '1' } })])
  })

  it('is not sent for a session that ends while another middleware keeps the socket waiting', async () => {
    const { app, browser } = await visited({
      wire(io, middleware) {
        io.use(middleware)
        io.use(() => {})
      },
      shared: { ...shared, onEnd: 'disconnect' },
    })
    const client = browser.open({ auth: { 'session:mirror': [0, 0] } })
    const { frames } = follow(client)
    await until(() => app.shared.stats().sockets === 1)
    const refused = next(client, 'connect_error')
    await browser.get('/destroy')
    expect((await refused).data).toEqual({ code: 'SESSION_ENDED' })
    expect(frames).toEqual([])
  })
})

describe('a client that comes back', () => {
  it('is told so where it has missed nothing', async () => {
    const { browser } = await visited()
    const mirror = await mirrored(browser)
    const { t, n } = mirror.frames[0] as FullFrame
    const back = await backAfter(browser, mirror, () => browser.get('/set?unpublished=1'))
    expect(back.frames).toEqual([{ t, n }])
  })

  it('gets one change for three commits', async () => {
    const { browser } = await visited()
    const [mirror, other] = [await mirrored(browser), await mirrored(browser)]
    await other.client.emitWithAck(
      'set',
      'items',
      Array.from({ length: 30 }, (_, index) => ({ index })),
    )
    await mirror.when((state) => state.items)
    const held = mirror.tag
    const back = await backAfter(browser, mirror, async () => {
      await browser.get('/set?n=1')
      await browser.get('/set?n=2')
      await other.client.emitWithAck('set', 'user', 'bob')
    })
    await other.when((state) => state.user === 'bob')
    const patches = [
      [['n'], '1'],
      [['n'], '2'],
      [['user'], 'bob'],
    ]
    expect(back.frames).toEqual([{ t: other.tag, f: held, p: patches, n: expect.any(String) }])
  })

  it('gets one change also where no other tab was there meanwhile', async () => {
    const { browser } = await visited()
    const mirror = await mirrored(browser)
    await mirror.client.emitWithAck('set', 'items', 'x'.repeat(100))
    const held = mirror.tag
    const back = await backAfter(browser, mirror, async () => {
      await browser.get('/set?n=1')
      await browser.get('/set?n=2&user=bob')
    })
    expect(back.frames).toEqual([
      {
        t: expect.any(String),
        f: held,
        p: expect.arrayContaining([
          [['n'], '2'],
          [['user'], 'bob'],
        ]),
        n: expect.any(String),
      },
    ])
  })

  it('gets the whole state where the changes are gone', async () => {
    const { browser } = await visited()
    const [mirror, other] = [await mirrored(browser), await mirrored(browser)]
    const large = Array.from({ length: 900 }, (_, index) => `element ${index}`)
    await other.client.emitWithAck('set', 'items', large)
    await mirror.when((state) => state.items)
    const back = await backAfter(browser, mirror, async () => {
      for (let n = 0; n < 9; n++) await other.client.emitWithAck('set', 'n', String(n).repeat(1100))
    })
    expect(back.frames).toEqual([expect.objectContaining({ s: { user: 'ada', n: '8'.repeat(1100), items: large } })])
  })

  it('gets the whole state where that is shorter', async () => {
    const { browser } = await visited()
    const mirror = await mirrored(browser)
    await mirrored(browser)
    const back = await backAfter(browser, mirror, async () => {
      for (let n = 0; n < 5; n++) await browser.get(`/set?n=${n}`)
    })
    expect(back.frames).toEqual([{ t: expect.any(String), s: { n: '4', user: 'ada' }, n: expect.any(String) }])
  })

  it('has the same tag after a restart', async () => {
    const store = new expressSession.MemoryStore()
    const { app, browser } = await visited({ store })
    const mirror = await mirrored(browser)
    await app.close()
    const second = await startApp({ store, shared })
    const returned = second.browser()
    returned.cookie = browser.cookie
    const back = await mirrored(returned, { held: mirror.tag! })
    expect(back.frames).toEqual([{ t: mirror.tag, n: (mirror.frames[0] as FullFrame).n }])
  })

  it('gets its answer once, and nothing twice, by connection state recovery', async () => {
    const { app, browser } = await visited({
      io: { connectionStateRecovery: {} },
      wire: (io, middleware) => void middleware.attach(io),
    })
    const mirror = await mirrored(browser)
    const { client } = mirror
    app.sockets[0]!.emit('first')
    await next(client, 'first')
    client.io.engine.close()
    await until(() => !client.connected && app.sockets[0]?.connected === false)
    await browser.get('/set?n=1')
    client.auth = { 'session:mirror': [mirror.tag!, 0] }
    client.connect()
    await mirror.when((state) => state.n === '1')
    expect(client.recovered).toBe(true)
    await client.emitWithAck('get')
    expect(mirror.frames).toHaveLength(2)
    await browser.get('/set?n=2')
    await mirror.when((state) => state.n === '2')
    expect(mirror.frames).toHaveLength(3)
  })
})

describe('a question of a client that is connected', () => {
  it('is answered, and reaches no listener', async () => {
    const { app, browser } = await visited()
    const client = await browser.connect()
    const heard: unknown[] = []
    app.sockets[0]!.onAny((name) => heard.push(name))
    app.sockets[0]!.on('session:mirror', () => heard.push('listener'))
    const mirror = follow(client)
    client.emit('session:mirror', 0)
    await until(() => mirror.frames.length === 1)
    client.emit('session:mirror', mirror.tag)
    client.emit('session:mirror', 'unknown')
    await until(() => mirror.frames.length >= 2)
    await client.emitWithAck('get')
    expect(mirror.frames[1]).toMatchObject({ t: mirror.tag })
    await browser.get('/set?n=1')
    await mirror.when((state) => state.n === '1')
    expect(heard).toEqual(['get'])
  })

  it('touches no session, and its ack is not called', async () => {
    const { app, browser } = await visited({ session: { cookie: { maxAge: 3_600_000 }, rolling: false } })
    const client = await browser.connect()
    const { touches } = app.shared.stats()
    let acks = 0
    client.emit('session:mirror', 0, () => acks++)
    const mirror = follow(client)
    await until(() => mirror.frames.length > 0)
    await turns()
    expect(app.shared.stats().touches).toBe(touches)
    expect(acks).toBe(0)
  })

  it('is answered once where many come at once', async () => {
    const { browser } = await visited()
    const mirror = await mirrored(browser)
    for (let n = 0; n < 1000; n++) mirror.client.emit('session:mirror', 0)
    await mirror.client.emitWithAck('get')
    expect(mirror.frames.length).toBeGreaterThan(1)
    expect(mirror.frames.length).toBeLessThan(100)
  })
})

describe('without the option publish', () => {
  it('a client that asks is told, and the server warns once', async () => {
    const warnings = expectWarning('no option publish')
    const { browser } = await visited({ shared: {} })
    const mirror = await mirrored(browser)
    expect(mirror.frames).toEqual([{ e: 'NOT_PUBLISHED' }])
    await mirrored(browser)
    mirror.client.emit('session:mirror', 0)
    await until(() => mirror.frames.length === 2)
    expect(warnings).toHaveLength(1)
  })
})

it('a socket with the sessions of two stores has one mirror, of the one that is published', async () => {
  const session = expressSession({ secret: 'other', name: 'other', resave: false, saveUninitialized: false })
  const second = sharedsession(session, { autoSave: true })
  const { browser } = await visited({
    wire(io, middleware) {
      io.use(middleware)
      io.use(second)
    },
  })
  const mirror = await mirrored(browser)
  await mirror.client.emitWithAck('get')
  mirror.client.emit('session:mirror', mirror.tag)
  await until(() => mirror.frames.length === 2)
  await mirror.client.emitWithAck('get')
  expect(mirror.frames).toEqual([
    expect.objectContaining({ s: { n: '0', user: 'ada' } }),
    { t: mirror.tag, n: (mirror.frames[0] as FullFrame).n },
  ])
  await second.close()
})

it('two instances on a store publish each their own', async () => {
  let chat!: ReturnType<typeof sharedsession>
  const { browser } = await visited({
    wire(io, middleware) {
      io.use(middleware)
      io.of('/chat').use((socket, next) => chat(socket, next))
    },
    wrap(session) {
      chat = sharedsession(session as never, { publish: ['n'] as never })
      return session
    },
  })
  const [main, other] = [await mirrored(browser), await mirrored(browser, { namespace: '/chat' })]
  expect(main.state).toEqual({ user: 'ada', n: '0' })
  expect(other.state).toEqual({ n: '0' })
  await browser.get('/set?n=1')
  await Promise.all([main.when((state) => state.n === '1'), other.when((state) => state.n === '1')])
  await chat.close()
})

it('close() ends the frames, and leaves nothing on the socket', async () => {
  const { app, browser } = await visited()
  const mirror = await mirrored(browser)
  const [socket] = app.sockets
  await app.shared.close()
  expect(Object.hasOwn(Object.getPrototypeOf(socket), '_onconnect')).toBe(true)
  expect(Object.getPrototypeOf(socket).constructor.prototype).toBe(Object.getPrototypeOf(socket))
  mirror.client.emit('session:mirror', 0)
  await browser.get('/set?n=1')
  await turns()
  expect(mirror.frames).toHaveLength(1)
})

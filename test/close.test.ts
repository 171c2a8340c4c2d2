import { execFile } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from './support/app.js'
import { ControlledStore } from './support/controlled-store.js'
import { letIn, refused } from './support/handshake.js'
import { collect, failure } from './support/live.js'
import { sidOf } from './support/sid.js'
import { deferred, until } from './support/wait.js'

afterEach(closeApps)

/** How many listeners there are, of each event. */
function listeners(emitter: Pick<EventEmitter, 'eventNames' | 'listenerCount'>): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))
}

describe('close()', () => {
  it('leaves sockets and handshakes as they were, but with their session, and no listener', async () => {
    const store = new ControlledStore()
    const methods = Object.getOwnPropertyNames(store)
    let before: any
    const look = (socket: any) => ({
      handshake: Object.getOwnPropertyDescriptors(socket.handshake),
      request: Object.getOwnPropertyNames(socket.client.request),
      socket: Object.getOwnPropertyNames(socket),
      rooms: [...socket.rooms],
      listeners: listeners(socket),
      connection: listeners(socket.conn),
      adapter: listeners(socket.nsp.adapter),
      namespace: listeners(socket.nsp),
      engine: listeners(socket.nsp.server.engine),
    })
    const app = await startApp({
      store,
      wire(io, shared) {
        io.of('/x').use((socket: any, done) => {
          before = look(socket)
          done()
        })
        io.of('/x').use(shared)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ namespace: '/x' })
    const [socket] = [...app.io.of('/x').sockets.values()] as any[]
    expect(socket.handshake.session.user).toBe('ada')
    const { request } = socket
    await app.shared.close()

    const { handshake, ...after } = look(socket)
    const { session, ...others } = handshake
    expect(session).toMatchObject({ enumerable: false, configurable: true })
    expect({ ...after, handshake: others, rooms: undefined }).toEqual({
      ...before,
      socket: [...before.socket, 'request'],
      rooms: undefined,
    })
    expect(after.rooms).toEqual([socket.id])
    expect(socket.request).toBe(request)
    expect(Object.hasOwn(socket.client.request, 'session')).toBe(false)
    // express-session's own addition to the store; none of ours.
    expect(Object.getOwnPropertyNames(store)).toEqual([...methods, 'generate'])
    // The application goes on without us.
    socket.on('ping', (ack: (done: string) => void) => ack('pong'))
    expect(await client.emitWithAck('ping')).toBe('pong')
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
  })

  it('saves what is due before it resolves', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    app.shared.session(app.sockets[0]!).late = true
    await app.shared.close()
    expect((await browser.get('/session')).body).toMatchObject({ late: true })
  })

  it('new handshakes get CLOSED, also while it still saves', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    const set = store.hold('set')
    app.shared.session(app.sockets[0]!).late = true
    await set.called
    const closing = app.shared.close()
    expect((await refused(browser.open())).data).toEqual({ code: 'CLOSED' })
    set.release()
    await closing
    const error = await refused(browser.open())
    expect(error.data).toEqual({ code: 'CLOSED' })
    expect(error.message).toMatch(/shutting down/)
  })

  it('makes the members throw CLOSED for sockets that are still connected, and for sessions that cannot be found any more', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    const socket = app.sockets[0]!
    const { shared } = app
    const { session } = socket.handshake as any
    await shared.close()
    expect(socket.connected).toBe(true)
    const ways: Record<string, () => unknown> = {
      session: () => shared.session(socket),
      explain: () => shared.explain(socket),
      snapshot: () => shared.snapshot(socket),
      room: () => shared.room(socket),
      update: () => shared.update(socket, () => {}),
      destroy: () => shared.destroy(socket),
      attach: () => shared.attach(app.io),
    }
    for (const [way, call] of Object.entries(ways))
      expect(await failure((async () => call())()), way).toMatchObject({ code: 'CLOSED' })
    // What its handlers still write is saved: the store is not closed by this.
    session.late = true
    await session.save()
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', late: true })
  })

  it('a handler in the middle of its work finds the session where it was, and what it writes is saved', async () => {
    const gate = deferred<void>()
    const app = await startApp({
      connection: (socket) =>
        socket.on('work', async (ack: () => void) => {
          const holder = socket as any
          await gate.promise
          holder.handshake.session.byHandshake = holder.request.session.user
          holder.request.session.byRequest = holder.handshake.session.id
          ack()
        }),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    const worked = client.emitWithAck('work')
    // Handled after that one.
    await client.emitWithAck('get')
    await app.shared.close()
    gate.resolve()
    await worked
    // The ack of an event that came before close() waits for the save.
    expect((await browser.get('/session')).body).toMatchObject({ byHandshake: 'ada', byRequest: sidOf(browser) })
    const { handshake } = app.sockets[0] as any
    handshake.session = { replaced: true }
    await handshake.session.save()
    const { cookie: _, ...data } = (await browser.get('/session')).body
    expect(data).toEqual({ replaced: true })
    handshake.session = null
    expect(handshake.session).toBeNull()
  })

  it('also where the session has ended: what it writes then is SESSION_ENDED', async () => {
    const app = await startApp({ shared: { onEnd: 'keep' } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    const socket = app.sockets[0] as any
    const told = collect(socket, 'session:error')
    await browser.get('/destroy')
    await app.shared.close()
    socket.handshake.session.late = true
    await until(() => told.length > 0)
    expect(told).toMatchObject([{ code: 'SESSION_ENDED' }])
  })

  it('changes NO_SESSION to CLOSED for a socket that never came through the middleware', async () => {
    const app = await startApp({ wire: (io, shared) => io.of('/x').use(shared) as unknown as undefined })
    await app.browser().connect()
    const look = async (): Promise<unknown> => app.shared.session(app.sockets[0]!)
    expect(await failure(look())).toMatchObject({ code: 'NO_SESSION' })
    await app.shared.close()
    expect(await failure(look())).toMatchObject({ code: 'CLOSED' })
  })

  it('may be called twice', async () => {
    const app = await startApp()
    expect(app.shared.close()).toBe(app.shared.close())
    await app.shared.close()
  })

  it('does not affect the sockets of other instances', async () => {
    const { default: sharedsession } = await import('../src/index.js')
    let session: any
    let other: any
    const app = await startApp({
      wrap: (given) => {
        session = given
        return given
      },
      wire(io, shared) {
        other = sharedsession(session, { autoSave: true })
        io.use(shared)
        io.of('/x').use(other)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const main = await browser.connect()
    await letIn(main.io.socket('/x', {}))
    await other.close()
    expect(await main.emitWithAck('set', 'theme', 'dark')).toBe('ok')
    expect((await browser.get('/session')).body).toMatchObject({ theme: 'dark' })
    expect(app.shared.stats().sockets).toBe(1)
  })
})

it('without close() nothing keeps the process running when its server is closed', async () => {
  const script = `
    import { once } from 'node:events'
    import { createServer } from 'node:http'
    import session from 'express-session'
    import { Server } from 'socket.io'
    import { io as connect } from 'socket.io-client'
    import sharedsession from './src/index.ts'
    const store = new (class extends session.Store {
      all = {}
      get(sid, done) { setImmediate(done, null, this.all[sid] && JSON.parse(this.all[sid])) }
      set(sid, data, done) { this.all[sid] = JSON.stringify(data); setImmediate(done) }
      destroy(sid, done) { delete this.all[sid]; setImmediate(done) }
      touch(sid, data, done) { setImmediate(done) }
    })()
    const server = createServer()
    const io = new Server(server)
    const shared = sharedsession(
      session({ secret: 's', store, resave: false, saveUninitialized: false, cookie: { maxAge: 60000 } }),
      { autoSave: true, saveUninitialized: true },
    )
    io.use(shared)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect('http://127.0.0.1:' + server.address().port, { transports: ['websocket'], reconnection: false })
    const [socket] = await once(io, 'connection')
    socket.handshake.session.n = 1
    await shared.flush()
    io.close()
    console.log(Object.values(store.all).length)
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    timeout: 120_000,
  })
  expect(stdout.trim()).toBe('1')
})

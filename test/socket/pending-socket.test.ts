import type { EventEmitter } from 'node:events'
import expressSession from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSessionOptions } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { isNobodyConnecting, letIn, refused } from '../support/handshake.js'
import { collect, turns } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

type Done = (error?: Error) => void

/** A client that has a connection, and whose socket of another namespace waits in a middleware after ours. */
async function pending(decide: (done: Done, socket: Socket) => unknown, shared: SharedSessionOptions = {}) {
  const store = new ControlledStore()
  const reached = deferred<Socket>()
  const connected: Socket[] = []
  let before: unknown
  const listeners = (socket: Socket) => {
    const { conn, nsp } = socket as any
    const counts = [socket, conn, nsp, nsp.adapter].map((emitter: EventEmitter) =>
      emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]),
    )
    return counts.map((each) => Object.fromEntries(each))
  }
  const app = await startApp({
    store,
    shared,
    wire(io, middleware) {
      io.use(middleware)
      io.of('/x').use((socket, done) => {
        before = listeners(socket)
        done()
      })
      io.of('/x').use(middleware)
      io.of('/x').use((socket, done) => {
        reached.resolve(socket)
        decide(done as Done, socket)
      })
      io.of('/x').on('connection', (socket) => connected.push(socket))
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const main = await browser.connect()
  const [conn] = Object.values((app.io.engine as any).clients) as any[]
  const closed = next(conn, 'close')
  const client = main.io.socket('/x', {}) as any
  const outcome = Promise.race([
    next(client, 'connect').then(() => 'connected'),
    next<Error>(client, 'connect_error').then((error) => error.message),
    closed.then(() => 'closed'),
  ])
  return {
    ...{ app, main, client, closed, outcome, connected, store, sid: sidOf(browser) },
    reached: reached.promise,
    /** Nothing is left of the socket: no member, and no listener of ours. */
    async expectNothingLeft(socket: Socket, sockets: number) {
      await until(() => isNobodyConnecting(app.io.of('/x')) && app.shared.stats().sockets === sockets)
      await turns()
      expect(app.shared.stats()).toMatchObject({ sockets, sessions: sockets > 0 ? 1 : 0 })
      if (sockets > 0) expect(listeners(socket)).toEqual(before)
      expect(socket.listenerCount('disconnect')).toBe(0)
      const { adapter } = socket.nsp
      expect([adapter.listenerCount('leave-room'), app.io.of('/x').listenerCount('connect')]).toEqual([0, 0])
    },
  }
}

const NOT_YOU = new Error('not you')

const refusals: Record<string, (done: Done) => unknown> = {
  'at once': (done) => done(NOT_YOU),
  'in a microtask': (done) => queueMicrotask(() => done(NOT_YOU)),
  'in the next tick': (done) => process.nextTick(done, NOT_YOU),
  'in the next turn': (done) => setImmediate(done, NOT_YOU),
  'many turns later': (done) => void turns().then(() => done(NOT_YOU)),
}

describe('a socket that another middleware refuses', () => {
  for (const [when, decide] of Object.entries(refusals)) {
    it(`${when}: nothing is left of it, and its connection goes on`, async () => {
      const { main, outcome, reached, expectNothingLeft } = await pending(decide)
      const socket = await reached
      expect(await outcome).toBe('not you')
      await expectNothingLeft(socket, 1)
      expect(await main.emitWithAck('get')).toMatchObject({ user: 'ada' })
    })

    for (const onEnd of ['reconnect', 'disconnect', 'keep'] as const) {
      it(`${when}, while its session ends, onEnd ${onEnd}: nothing is left of it`, async () => {
        let end: Promise<unknown> | undefined
        const { app, reached, outcome, expectNothingLeft, store, sid, connected } = await pending(
          (done, socket) => {
            end = app.shared.destroy(socket)
            decide(done)
          },
          { onEnd },
        )
        const socket = await reached
        await end
        expect(['not you', 'closed', expect.stringMatching(/has ended/)]).toContainEqual(await outcome)
        await expectNothingLeft(socket, 0)
        expect(connected).toEqual([])
        expect(store.ids()).not.toContain(sid)
      })
    }
  }
})

describe('a socket about which another middleware never decides', () => {
  it('is left when its connection closes', async () => {
    const { app, main, reached } = await pending(() => undefined)
    const socket = await reached
    expect(app.shared.stats().sockets).toBe(2)
    main.io.engine.close()
    await until(() => app.shared.stats().sockets === 0)
    expect(socket.listenerCount('disconnect')).toBe(0)
    expect(socket.nsp.adapter.listenerCount('leave-room')).toBe(0)
    expect(app.io.of('/x').listenerCount('connect')).toBe(0)
  })

  it('is left when its connection closes in the turn in which it got its session', async () => {
    const { app, reached } = await pending((_done, socket) => socket.conn.close())
    const socket = await reached
    await until(() => app.shared.stats().sockets === 0)
    await turns()
    expect(socket.listenerCount('disconnect')).toBe(0)
    expect(socket.nsp.adapter.listenerCount('leave-room')).toBe(0)
    expect(app.io.of('/x').listenerCount('connect')).toBe(0)
  })

  it('is left when its session ends: the connection closes', async () => {
    const { app, reached, closed } = await pending(() => undefined)
    const socket = await reached
    await turns()
    await app.shared.destroy(socket)
    await closed
    await until(() => app.shared.stats().sockets === 0)
    expect(socket.nsp.adapter.listenerCount('leave-room')).toBe(0)
  })

  it('is left when its session ends in the same turn: the connection closes', async () => {
    const { app, reached, closed } = await pending((_done, socket) => app.shared.destroy(socket))
    await reached
    await closed
    await until(() => app.shared.stats().sockets === 0)
  })

  it('is left by close()', async () => {
    const { app, reached } = await pending(() => undefined)
    const socket = await reached
    await turns()
    await app.shared.close()
    expect(socket.listenerCount('disconnect')).toBe(0)
    expect(socket.nsp.adapter.listenerCount('leave-room')).toBe(0)
  })
})

describe('a socket that another middleware lets in', () => {
  const decisions: Record<string, (done: Done) => unknown> = {
    'at once': (done) => done(),
    'in the next turn': (done) => setImmediate(done),
    'many turns later': (done) => void turns().then(() => done()),
  }
  for (const [when, decide] of Object.entries(decisions)) {
    it(`${when}: it is watched no longer, and is left when it disconnects`, async () => {
      const { app, client, connected, reached, outcome } = await pending(decide)
      const socket = await reached
      expect(await outcome).toBe('connected')
      expect(connected).toEqual([socket])
      await turns()
      const { adapter } = socket.nsp
      expect([adapter.listenerCount('leave-room'), socket.listenerCount('disconnect')]).toEqual([0, 1])
      expect(app.shared.stats().sockets).toBe(2)
      client.disconnect()
      await until(() => app.shared.stats().sockets === 1)
      expect(socket.listenerCount('disconnect')).toBe(0)
    })

    it(`${when}, and that has heard of a change while it was pending`, async () => {
      const changes: unknown[] = []
      const { app, reached, outcome, sid } = await pending((done, socket) => {
        changes.push(collect(socket, 'session:changed'))
        app.shared
          .update(sid, (draft: any) => {
            draft.theme = 'dark'
          })
          .then(() => decide(done))
      })
      const socket = await reached
      expect(await outcome).toBe('connected')
      expect(changes[0]).toEqual([expect.objectContaining({ keys: ['theme'] })])
      expect((socket.handshake as any).session.theme).toBe('dark')
    })
  }
})

it.each(['refuses it', 'lets it in'])(
  'nothing is left of a socket with the sessions of two stores when another middleware %s later',
  async (how) => {
    const session = expressSession({ secret: 's', name: 'other', resave: false, saveUninitialized: false })
    const other = sharedsession(session, { autoSave: true })
    const app = await startApp({
      wire(io, shared) {
        io.use(shared)
        io.use(other)
        io.use((_socket, done) => void turns().then(() => done(how === 'refuses it' ? NOT_YOU : undefined)))
      },
    })
    const client = app.browser().open()
    if (how === 'lets it in') {
      await letIn(client)
      expect([app.shared.stats().sockets, other.stats().sockets]).toEqual([1, 1])
      await turns()
      const { adapter } = app.io.sockets
      expect([adapter.listenerCount('leave-room'), app.io.sockets.listenerCount('connect')]).toEqual([0, 0])
    } else await refused(client)
    client.disconnect()
    await until(() => app.shared.stats().sockets + other.stats().sockets === 0)
    await other.close()
  },
)

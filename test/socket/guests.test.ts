import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { live, turns } from '../support/live.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

/** An application with a middleware of its own before ours. */
async function withBefore(before: (socket: any) => void) {
  const store = new ControlledStore()
  const app = await startApp({
    store,
    wire(io, shared) {
      io.use((socket, done) => {
        before(socket)
        done()
      })
      io.use(shared)
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  return { store, app, client, socket: app.sockets[0] as any }
}

/** What somebody who looks at the socket can see of us. */
function look(socket: any) {
  const handshake: object = socket.handshake
  return {
    socket: Object.getPrototypeOf(socket),
    own: new Set(
      Reflect.ownKeys(socket).filter((name) => typeof name === 'symbol' || ['onevent', 'ack', 'request'].includes(name)),
    ),
    handshake: Object.getPrototypeOf(handshake),
    properties: Object.getOwnPropertyDescriptors(handshake),
    symbols: Object.getOwnPropertySymbols(handshake),
  }
}

type Look = ReturnType<typeof look>

/** The same after close(), which leaves the socket its session. */
const withSession = ({ own, properties, ...before }: Look): Look => ({
  ...before,
  own: new Set([...own, 'request']),
  properties: { ...properties, session: expect.objectContaining({ enumerable: false, configurable: true }) },
})

describe('what an application has put on a socket before', () => {
  it('onevent() and ack() of its own are called, the ack is held, and both are there after close()', async () => {
    const called: string[] = []
    let before: any
    const { store, app, client, socket } = await withBefore((each) => {
      const { onevent, ack } = each
      each.onevent = function mine(packet: unknown) {
        called.push('onevent')
        onevent.call(each, packet)
      }
      each.ack = function mine(id: number) {
        called.push('ack')
        return ack.call(each, id)
      }
      before = look(each)
    })
    const set = store.hold('set')
    let isAcked = false
    const acked = client.emitWithAck('set', 'n', 1).then(() => {
      isAcked = true
    })
    await set.called
    await turns()
    // What the server has sent before this has arrived by then.
    const mark = next(client, 'mark')
    socket.emit('mark')
    await mark
    expect(isAcked).toBe(false)
    set.release()
    await acked
    expect(called).toEqual(['onevent', 'ack'])
    expect(socket.request.session.user).toBe('ada')
    await app.shared.close()
    expect(look(socket)).toEqual(withSession(before))
    expect(socket.request.session.user).toBe('ada')
  })

  it('a request of its own is hidden by ours, and is there after close()', async () => {
    const own = { mine: true }
    const { app, socket } = await withBefore((each) =>
      Object.defineProperty(each, 'request', { value: own, writable: true, configurable: true }),
    )
    expect(socket.request.session.user).toBe('ada')
    await app.shared.close()
    expect(socket.request).toBe(own)
  })

  it('methods over those of the prototype of all sockets are called', async () => {
    const called: string[] = []
    let prototype: any
    const { app, client, socket } = await withBefore((each) => {
      prototype = Object.getPrototypeOf(each)
      const { onevent } = prototype
      prototype.onevent = function mine(packet: unknown) {
        called.push('onevent')
        onevent.call(this, packet)
      }
      prototype.restore = () => {
        prototype.onevent = onevent
        delete prototype.restore
      }
    })
    try {
      await client.emitWithAck('get')
      expect(called).toEqual(['onevent'])
      await app.shared.close()
      expect(Object.getPrototypeOf(socket)).toBe(prototype)
    } finally {
      prototype.restore()
    }
  })
})

describe('what an application puts on a socket later', () => {
  it('onevent(), ack() and a request on the socket are its own', async () => {
    const { app, client, socket: typed } = await live()
    const socket = typed as any
    const called: string[] = []
    const { onevent, ack } = socket
    socket.onevent = (packet: unknown) => {
      called.push('onevent')
      onevent.call(socket, packet)
    }
    socket.ack = (id: number) => {
      called.push('ack')
      return ack.call(socket, id)
    }
    const own = { mine: true }
    socket.request = own
    await client.emitWithAck('get')
    expect(called).toEqual(['onevent', 'ack'])
    expect(socket.request).toBe(own)
    expect(Object.keys(socket)).not.toContain('request')
    await app.shared.close()
    await client.emitWithAck('get')
    expect(called).toHaveLength(4)
  })

  it('onevent() on the prototype of all sockets is called, also for sockets that had connected', async () => {
    const { app, client, socket } = await live()
    const called: unknown[] = []
    // Below ours.
    const prototype = Object.getPrototypeOf(Object.getPrototypeOf(socket))
    const { onevent } = prototype
    prototype.onevent = function mine(this: Socket, packet: unknown) {
      called.push(this)
      onevent.call(this, packet)
    }
    try {
      await client.emitWithAck('get')
      expect(called).toEqual([socket])
    } finally {
      prototype.onevent = onevent
    }
    await app.shared.close()
    expect(Object.getPrototypeOf(socket)).toBe(prototype)
  })
})

describe('what an application has put on a handshake before', () => {
  it('is hidden where it has the name of ours, stays where it is cookies, and all is there after close()', async () => {
    let before: any
    const { app, socket } = await withBefore(({ handshake }) => {
      Object.assign(handshake, { session: { mine: true }, sessionID: 'mine' })
      // As a parser leaves them that hides them from other nodes.
      Object.defineProperty(handshake, 'cookies', { value: { mine: 'x' }, writable: true, configurable: true })
      Object.setPrototypeOf(handshake, { inherited: true })
      before = look({ handshake })
    })
    const { handshake } = socket
    expect(handshake.session.user).toBe('ada')
    expect(handshake.sessionID).toBe(app.shared.session(socket).id)
    expect(handshake.cookies).toEqual({ mine: 'x' })
    expect(handshake.inherited).toBe(true)
    await app.shared.close()
    expect(look(socket)).toMatchObject({ handshake: before.handshake, properties: before.properties, symbols: [] })
    expect(handshake.session).toEqual({ mine: true })
  })

  it('a handshake without a prototype gets its session, and is as it was but for that after close()', async () => {
    const { app, socket } = await withBefore(({ handshake }) => Object.setPrototypeOf(handshake, null))
    expect(socket.handshake.session.user).toBe('ada')
    await app.shared.close()
    expect(Object.getPrototypeOf(socket.handshake)).toBeNull()
    expect(socket.handshake.session.user).toBe('ada')
  })
})

describe('what an application assigns to a handshake later', () => {
  it('cookies and signedCookies are its own, as on any object, and stay after close()', async () => {
    const { app, socket } = await live()
    const handshake = socket.handshake as any
    handshake.cookies = { mine: 'x' }
    expect(handshake.cookies).toEqual({ mine: 'x' })
    expect(Object.keys(handshake)).toContain('cookies')
    await app.shared.close()
    expect(handshake.cookies).toEqual({ mine: 'x' })
  })

  it('a session or a sessionID of its own is gone after close()', async () => {
    const { app, socket } = await live()
    const handshake = socket.handshake as any
    handshake.session = null
    handshake.sessionID = 'mine'
    expect([handshake.session, handshake.sessionID]).toEqual([null, 'mine'])
    await app.shared.close()
    expect('session' in handshake || 'sessionID' in handshake).toBe(false)
  })
})

it('what is sent to other nodes of a socket has nothing of ours', async () => {
  const { app, socket } = await live()
  const handshake = socket.handshake as any
  // Once they were asked for, they are on the handshake itself.
  expect([handshake.session.user, handshake.cookies, handshake.signedCookies, handshake.secret]).toBeDefined()
  const [remote] = await app.io.fetchSockets()
  const names: string[] = []
  // MessagePack's encoders look at inherited properties as well.
  for (const name in remote!.handshake) names.push(name)
  for (const name of ['session', 'sessionID', 'sessionStore', 'cookies', 'signedCookies', 'secret'])
    expect(names).not.toContain(name)
  const json = JSON.stringify(remote!.handshake)
  expect(Object.keys(JSON.parse(json)).sort()).toEqual(names.sort())
  expect(json).not.toContain('ada')
  expect(structuredClone(remote!.handshake)).toEqual(JSON.parse(json))
})

it('a socket whose session has ended, and that stays, is as it was after close(), but with its session', async () => {
  let before: any
  const store = new ControlledStore()
  const app = await startApp({
    store,
    shared: { onEnd: 'keep' },
    wire(io, shared) {
      io.use((socket, done) => {
        before = look(socket)
        done()
      })
      io.use(shared)
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.connect()
  const socket = app.sockets[0] as Socket
  await app.shared.destroy(socket)
  await app.shared.close()
  expect(look(socket)).toEqual(withSession(before))
  expect(socket.connected).toBe(true)
})

import expressSession from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { type App, closeApps, startApp, type TestClient } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { thrown, turns } from '../support/live.js'
import { next, until } from '../support/wait.js'

// One socket that has a session of each of two stores.

let stores: { first: ControlledStore; later: ControlledStore }
let first: SharedSession
let later: SharedSession
let app: App
let client: TestClient
let socket: Socket
let handshake: any

beforeEach(async () => {
  stores = { first: new ControlledStore(), later: new ControlledStore() }
  const other = expressSession({ secret: 's', name: 'later', store: stores.later, resave: false, saveUninitialized: false })
  later = sharedsession(other, { autoSave: true })
  app = await startApp({
    store: stores.first,
    wire(io, shared) {
      io.use(shared)
      io.use(later)
    },
    connection(each) {
      each.on('write', (name: keyof typeof stores, ack: (done: string) => void) => {
        const { session } = { first: app.shared, later }[name] as any
        session(each).n = name
        ack('saved')
      })
    },
  })
  first = app.shared
  const browser = app.browser()
  await browser.get('/set?user=ada')
  client = await browser.connect()
  socket = app.sockets[0]!
  handshake = socket.handshake
})

afterEach(async () => {
  await later.close()
  await closeApps()
})

/** Does an ack wait for the save of what its handler has written? */
async function isHeld(name: keyof typeof stores): Promise<boolean> {
  const set = stores[name].hold('set')
  let isAcked = false
  const acked = client.emitWithAck('write', name).then(() => {
    isAcked = true
  })
  await set.called
  await turns()
  // What the server has sent before this has arrived by then.
  const mark = next(client, 'mark')
  socket.emit('mark')
  await mark
  const wasHeld = !isAcked
  set.release()
  await acked
  return wasHeld
}

describe('a socket with sessions of two stores', () => {
  it('shows the later one, and each instance has its own', () => {
    expect(handshake.session).toBe(later.session(socket))
    expect(handshake.sessionID).toBe(later.session(socket).id)
    expect(handshake.sessionStore).toBe(stores.later)
    expect((socket.request as any).session).toBe(later.session(socket))
    expect(first.session(socket)).toMatchObject({ user: 'ada' })
  })

  for (const name of ['first', 'later'] as const) {
    it(`holds an ack until the ${name} store has saved`, async () => {
      expect(await isHeld(name)).toBe(true)
      expect(stores[name].ids()).toHaveLength(1)
    })
  }

  it('leaves both sessions when it disconnects', async () => {
    expect([first.stats().sockets, later.stats().sockets]).toEqual([1, 1])
    client.disconnect()
    await until(() => first.stats().sockets === 0 && later.stats().sockets === 0)
    expect(socket.listenerCount('disconnect')).toBe(0)
  })
})

describe('when the later instance closes', () => {
  it('the socket has the first one’s session, request and held acks', async () => {
    await later.close()
    expect(handshake.session).toBe(first.session(socket))
    expect(handshake.sessionID).toBe(first.session(socket).id)
    expect(handshake.sessionStore).toBe(stores.first)
    expect((socket.request as any).session).toBe(first.session(socket))
    expect(thrown(() => later.session(socket)).code).toBe('CLOSED')
    expect(await isHeld('first')).toBe(true)
  })
})

describe('when the first instance closes', () => {
  it('the socket keeps the later one’s session, request and held acks', async () => {
    await first.close()
    expect(handshake.session).toBe(later.session(socket))
    expect(handshake.sessionID).toBe(later.session(socket).id)
    expect(handshake.sessionStore).toBe(stores.later)
    expect((socket.request as any).session).toBe(later.session(socket))
    expect(thrown(() => first.session(socket)).code).toBe('CLOSED')
    expect(await isHeld('later')).toBe(true)
  })
})

for (const order of ['first to later', 'later to first']) {
  it(`when both close, ${order}, the socket is as Socket.IO has made it, but with the session of the last one`, async () => {
    const instances = order === 'first to later' ? [first, later] : [later, first]
    expect(handshake.cookies).toBeDefined()
    const { id } = instances[1]!.session(socket)
    for (const instance of instances) await instance.close()
    expect(Object.getPrototypeOf(handshake)).toBe(Object.prototype)
    expect(Object.getOwnPropertySymbols(handshake)).toEqual([])
    expect('sessionID' in handshake || 'cookies' in handshake).toBe(false)
    expect(handshake.session.id).toBe(id)
    expect(Object.getPrototypeOf(socket).constructor.name).toBe('Socket')
    expect(Object.hasOwn(Object.getPrototypeOf(socket), 'onevent')).toBe(true)
    expect(Object.getPrototypeOf(Object.getPrototypeOf(socket)).onevent).toBeUndefined()
    expect(['onevent', 'ack'].filter((name) => Object.hasOwn(socket, name))).toEqual([])
    expect(Object.getOwnPropertySymbols(socket).map(String)).not.toContain('Symbol(sharedsession.member)')
    expect((socket as any).request.session).toBe(handshake.session)
    const answer = next(socket, 'ping')
    client.emit('ping', 1)
    expect(await answer).toBe(1)
  })
}

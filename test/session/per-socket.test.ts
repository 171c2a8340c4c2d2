import { inspect } from 'node:util'
import expressSession, { Session } from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { SharedSessionError } from '../../src/index.js'
import { closeApps } from '../support/app.js'
import { collect, type Live, live, tab } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const perSocket = ['room', 'socketId']

async function two(shared = {}): Promise<Live & { other: Awaited<ReturnType<typeof tab>> }> {
  const one = await live({ shared: { perSocket, ...shared } })
  return { ...one, other: await tab(one.app, one.browser) }
}

describe('the option perSocket: keys of one connection', () => {
  it('each socket has values of its own, and deleting one leaves those of the others', async () => {
    const { app, client, session, other, browser, sid, store } = await two()
    await client.emitWithAck('set', 'room', 'red')
    await other.client.emitWithAck('set', 'room', 'blue')
    expect([session.room, other.session.room]).toEqual(['red', 'blue'])
    delete session.room
    expect([session.room, other.session.room]).toEqual([undefined, 'blue'])
    session.cart = ['apple']
    await app.shared.flush()
    expect(other.session.cart).toEqual(['apple'])
    expect((await browser.get('/session')).body).not.toHaveProperty('room')
    expect(JSON.stringify(store.stored(sid))).not.toContain('blue')
    const third = await tab(app, browser)
    expect(third.session.room).toBeUndefined()
  })

  it('writing them saves nothing, notifies nobody, and holds no ack', async () => {
    const { app, client, session, other, store } = await two()
    const told = collect(other.socket, 'session:changed')
    const { writes } = app.shared.stats()
    store.hold('set')
    session.room = { any: 'value', at: new Date(), self: session }
    expect(await client.emitWithAck('set', 'socketId', 'x')).toBe('ok')
    await app.shared.flush()
    expect(app.shared.stats().writes).toBe(writes)
    expect(told).toEqual([])
  })

  it('a value may be anything, also what JSON cannot hold', async () => {
    const { session, socket } = await two()
    const value = { socket, when: new Date(0), map: new Map() }
    session.room = value
    expect(session.room).toBe(value)
    expect((socket.handshake as any).session.room).toBe(value)
    expect((socket.request as any).session.room).toBe(value)
  })

  it('Object.keys, JSON, spread, in, delete, defineProperty and inspect include them', async () => {
    const { session, app, socket } = await two()
    expect('room' in session).toBe(false)
    expect(Object.hasOwn(session, 'room')).toBe(false)
    session.room = 'red'
    expect('room' in session).toBe(true)
    expect(Object.hasOwn(session, 'room')).toBe(true)
    expect(Object.keys(session).sort()).toEqual(['cookie', 'room', 'user'])
    expect({ ...session }).toMatchObject({ user: 'ada', room: 'red' })
    expect(JSON.parse(JSON.stringify(session))).toMatchObject({ user: 'ada', room: 'red', cookie: { path: '/' } })
    expect(JSON.parse(JSON.stringify({ inner: session })).inner).toMatchObject({ user: 'ada', room: 'red' })
    expect(inspect(session)).toMatch(/user: 'ada'.*room: 'red'/s)
    expect(session).toBeInstanceOf(Session)
    expect(delete session.room).toBe(true)
    expect('room' in session).toBe(false)
    Object.defineProperty(session, 'room', { value: 'blue' })
    Object.assign(session, { socketId: socket.id })
    expect(Object.getOwnPropertyDescriptor(session, 'room')).toEqual({
      value: 'blue',
      writable: true,
      enumerable: true,
      configurable: true,
    })
    expect(() => Object.defineProperty(session, 'room', { get: () => 'x' })).toThrow(TypeError)
    expect(() => Object.freeze(session)).toThrow()
    const heir = Object.create(session)
    heir.room = 'heir’s'
    expect([heir.room, session.room]).toEqual(['heir’s', 'blue'])
    expect(app.shared.snapshot(socket)).toEqual({ user: 'ada' })
  })

  it('everything else is the session as before', async () => {
    expectWarning('NOT_STORABLE')
    const { app, session, socket, browser, sid } = await two()
    expect(app.shared.session(socket)).toBe(session)
    expect(session.id).toBe(sid)
    session.list = []
    session.list.push(1)
    Object.defineProperty(session, 'defined', { value: 1 })
    expect(session.save(() => undefined)).toBe(session)
    delete session.user
    await session.save()
    const { body } = await browser.get('/session')
    expect(body).toMatchObject({ list: [1], defined: 1 })
    expect(body).not.toHaveProperty('user')
    expect(session.cookie.path).toBe('/')
    try {
      session.again = session
    } catch {
      // A session in itself is refused, as without the option.
    }
    expect('again' in session).toBe(false)
  })

  it('hide the stored values of these names, which HTTP, snapshot() and update() still see', async () => {
    const { app, session, socket, browser } = await two()
    await browser.get('/set?room=stored')
    expect(session.room).toBeUndefined()
    expect(Object.keys(session)).not.toContain('room')
    expect(JSON.stringify(session)).not.toContain('stored')
    session.room = 'mine'
    expect(Object.keys(session).sort()).toEqual(['cookie', 'room', 'user'])
    expect(JSON.parse(JSON.stringify(session))).toMatchObject({ room: 'mine' })
    delete session.room
    session.cart = 1
    await app.shared.flush()
    expect((await browser.get('/session')).body).toMatchObject({ room: 'stored', cart: 1 })
    expect(app.shared.snapshot(socket)).toMatchObject({ room: 'stored' })
    await app.shared.update(socket, (draft: any) => {
      expect(draft.room).toBe('stored')
      draft.room = 'updated'
    })
    expect(session.room).toBeUndefined()
  })

  it('the session in the payload of session:changed has them', async () => {
    const { session, socket, browser } = await two()
    session.room = 'red'
    const changed = next<any>(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect((await changed).session).toBe(session)
  })

  it('a recovered socket starts without them, and has its socket.data', async () => {
    const { app, browser } = await live({
      shared: { perSocket },
      io: { connectionStateRecovery: {} },
      wire: (io, shared) => void shared.attach(io),
    })
    const client = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
    const socket = app.sockets.at(-1) as any
    socket.data.room = 'kept'
    socket.handshake.session.room = 'red'
    socket.emit('offset')
    await next(client, 'offset')
    const count = app.sockets.length
    client.io.engine.close()
    await until(() => app.sockets.length > count)
    const back = app.sockets.at(-1) as any
    expect([back.recovered, back.id, back.data]).toEqual([true, socket.id, { room: 'kept' }])
    expect('room' in back.handshake.session).toBe(false)
    expect(back.handshake.session.user).toBe('ada')
  })

  it('reload() leaves them as they are', async () => {
    const { session } = await two()
    session.room = 'red'
    await session.reload()
    expect(session.room).toBe('red')
  })

  it.each([
    ['room', /perSocket takes a list of top-level keys, as .*; it was given 'room'/],
    [[7], /given 7/],
    [[''], /given ''/],
    [['a.b'], /given 'a.b'/],
    [null, /given null/],
    [['cookie'], /no member of the session; it was given 'cookie'/],
    [['save'], /no member/],
    [['__proto__'], /no member/],
    [['toString'], /no member/],
    [['toJSON'], /no member/],
  ])('%j is a BAD_OPTION', (keys, message) => {
    const call = () =>
      sharedsession(expressSession({ secret: 's', resave: false, saveUninitialized: false }), { perSocket: keys as never })
    expect(call).toThrow(SharedSessionError)
    expect(call).toThrow(expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(message) }))
  })
})

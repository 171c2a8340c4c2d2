import { inspect } from 'node:util'
import { Session } from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, live, tab, visited } from '../support/live.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** Two sockets of a session that nobody has used, with their handshakes' sessions. */
async function unused(shared = {}) {
  const scene = await visited({ shared })
  const sockets = []
  for (let n = 0; n < 2; n++) sockets.push((await tab(scene.app, scene.browser)).socket)
  const [socket, other] = sockets as [any, any]
  return { ...scene, socket, other, session: socket.handshake.session, otherSession: other.handshake.session }
}

describe('a session that is looked into for the first time', () => {
  it('is the same object before and after, wherever a socket has it', async () => {
    const { app, browser, socket, other, session } = await unused()
    const changes = collect(socket, 'session:changed')
    const ways = () => [socket.handshake.session, socket.request.session, app.shared.session(socket), session.req.session]
    for (const way of ways()) expect(way === session).toBe(true)
    expect(other.handshake.session === session).toBe(false)
    expect(session.user).toBe('ada')
    for (const way of ways()) expect(way === session).toBe(true)
    await browser.get('/set?n=1')
    await until(() => changes.length > 0)
    expect(changes[0].session === session).toBe(true)
  })

  const looks: Record<string, (session: any) => unknown> = {
    'a property': (session) => expect(session.user).toBe('ada'),
    'util.inspect()': (session) => expect(inspect(session)).toMatch(/^Session \{[\s\S]*user: 'ada'/),
    'util.inspect() with showProxy': (session) => expect(inspect(session, { showProxy: true, depth: 4 })).toContain('ada'),
    'util.inspect() of what holds it': (session) => expect(inspect({ session })).toContain("user: 'ada'"),
    'a spread': (session) => expect({ ...session }).toEqual({ cookie: session.cookie, user: 'ada' }),
    'Object.keys()': (session) => expect(Object.keys(session).sort()).toEqual(['cookie', 'user']),
    'Object.entries()': (session) => expect(Object.fromEntries(Object.entries(session)).user).toBe('ada'),
    'for ... in': (session) => {
      const names = []
      for (const name in session) names.push(name)
      expect(names).toContain('user')
    },
    in: (session) => expect(['user' in session, 'save' in session, 'nothing' in session]).toEqual([true, true, false]),
    'Object.hasOwn()': (session) =>
      expect([Object.hasOwn(session, 'user'), Object.hasOwn(session, 'save')]).toEqual([true, false]),
    'JSON.stringify()': (session) =>
      expect(JSON.parse(JSON.stringify(session))).toMatchObject({ user: 'ada', cookie: { path: '/' } }),
    'structural equality': (session) => expect(session).toEqual({ ...session }),
    instanceof: (session) => expect(session instanceof Session).toBe(true),
    'Object.getPrototypeOf()': (session) => expect(Object.getPrototypeOf(session)).toBe(Session.prototype),
    'a property descriptor': (session) =>
      expect(Object.getOwnPropertyDescriptor(session, 'user')).toEqual({
        value: 'ada',
        writable: true,
        enumerable: true,
        configurable: true,
      }),
    'an object that inherits from it': (session) => {
      const heir = Object.create(session)
      expect([heir.user, heir.id, 'user' in heir]).toEqual(['ada', session.id, true])
      expect(Object.keys(heir)).toEqual([])
    },
    'an id': (session) => expect(session.id).toMatch(/^.{32}$/),
    'what an application keeps under the names of our own fields': (session) =>
      expect([session.view, session.proxy, session.maker]).toEqual([undefined, undefined, undefined]),
  }
  for (const [way, look] of Object.entries(looks)) {
    it(`by ${way}`, async () => {
      const { session } = await unused()
      look(session)
    })
  }

  const writes: Record<string, (session: any, socket: any) => unknown> = {
    'an assignment': (session) => {
      session.n = 1
    },
    'Reflect.set()': (session) => expect(Reflect.set(session, 'n', 1)).toBe(true),
    'Object.assign()': (session) => Object.assign(session, { n: 1 }),
    'Object.defineProperty()': (session) =>
      Object.defineProperty(session, 'n', { value: 1, writable: true, enumerable: true, configurable: true }),
    'an assigned handshake.session': (_session, socket) => {
      socket.handshake.session = { user: 'ada', n: 1 }
    },
  }
  for (const [way, write] of Object.entries(writes)) {
    it(`is written by ${way}, by its socket and by no other`, async () => {
      const { app, socket, other, session, otherSession, stored } = await unused()
      const own = collect(socket, 'session:changed')
      const told = collect(other, 'session:changed')
      write(session, socket)
      expect(session.n).toBe(1)
      await app.shared.flush()
      expect(stored()).toMatchObject({ user: 'ada', n: 1 })
      await until(() => told.length > 0)
      expect(told[0].session === otherSession).toBe(true)
      expect([own.length, otherSession.n, Object.keys(otherSession).sort()]).toEqual([0, 1, ['cookie', 'n', 'user']])
    })
  }

  it('by delete', async () => {
    const { app, session, otherSession, stored } = await unused()
    expect(delete session.user).toBe(true)
    expect('user' in otherSession).toBe(false)
    await app.shared.flush()
    expect(stored()).not.toHaveProperty('user')
  })

  it('by what a session refuses, as one in use refuses it', async () => {
    const { app, browser, session } = await unused()
    expect(session.user).toBe('ada')
    // Of a socket that came when the session was in use.
    const inUse = (await tab(app, browser)).socket.handshake as any
    expectWarning(/RESERVED_KEY/)
    const acts: Record<string, (each: any) => unknown> = {
      freeze: Object.freeze,
      preventExtensions: Object.preventExtensions,
      setPrototypeOf: (each) => Object.setPrototypeOf(each, null),
      getter: (each) => Object.defineProperty(each, 'x', { get: () => 1 }),
      'a name of its own': (each) => Reflect.set(each, 'save', 1),
      'an assigned name of its own': (each) => {
        each.save = 1
      },
      id: (each) => Reflect.set(each, 'id', 1),
      symbol: (each) => Reflect.set(each, Symbol.for('x'), 1),
    }
    const outcome = (act: (each: any) => unknown, each: any) => {
      try {
        const result = act(each)
        return result === each ? 'itself' : result
      } catch (error) {
        return [(error as Error).name, (error as { code?: string }).code, (error as Error).message]
      }
    }
    for (const [name, act] of Object.entries(acts)) {
      const fresh = (await unused()).session
      expect(outcome(act, fresh), name).toEqual(outcome(act, inUse.session))
      expect(Object.isExtensible(fresh)).toBe(true)
      expect(fresh.user).toBe('ada')
      expect(typeof fresh.save).toBe('function')
    }
  })

  it('a write through an object that inherits from it stays on that object', async () => {
    const { app, session, stored } = await unused()
    const heir = Object.create(session)
    heir.n = 1
    expect([heir.n, session.n, Object.keys(heir)]).toEqual([1, undefined, ['n']])
    await app.shared.flush()
    expect(stored()).not.toHaveProperty('n')
  })

  it('assigned to another session, a copy of what it holds is stored there', async () => {
    const { session } = await unused()
    const there = await live()
    there.session.visitor = session
    expect(there.session.visitor.user).toBe('ada')
    await there.app.shared.flush()
    expect(there.stored().visitor).toMatchObject({ user: 'ada' })
    there.session.visitor.user = 'grace'
    expect(session.user).toBe('ada')
  })

  it('assigned into itself is refused: NOT_STORABLE', async () => {
    const { app, socket, session, stored } = await unused()
    const errors = collect(socket, 'session:error')
    session.self = session
    await app.shared.flush()
    await until(() => errors.length > 0)
    expect(errors).toEqual([expect.objectContaining({ code: 'NOT_STORABLE' })])
    expect(stored()).not.toHaveProperty('self')
    expect(session).not.toHaveProperty('self')
  })

  it('is assigned to its own handshake: nothing happens', async () => {
    const { app, socket, session, stored } = await unused()
    socket.handshake.session = session
    socket.request.session = app.shared.session(socket)
    await app.shared.flush()
    expect(Object.hasOwn(socket.handshake, 'session')).toBe(false)
    expect(stored()).toMatchObject({ user: 'ada' })
  })

  it('is replaced by null and by a text: the session is left alone, with one warning', async () => {
    const { app, socket, session, stored } = await unused()
    const warnings = expectWarning(/no object with data/)
    socket.handshake.session = null
    expect(socket.handshake.session).toBeNull()
    socket.request.session = 'ada'
    expect(socket.request.session).toBe('ada')
    expect(app.shared.session(socket) === session).toBe(true)
    await until(() => warnings.length > 0)
    expect(session.user).toBe('ada')
    expect(stored()).toMatchObject({ user: 'ada' })
  })

  it('has keys of one socket, which show in each way', async () => {
    const { session, otherSession } = await unused({ perSocket: ['room'] })
    session.room = 'red'
    expect([session.room, 'room' in session, otherSession.room, 'room' in otherSession]).toEqual(['red', true, undefined, false])
    expect(inspect(session)).toContain("room: 'red'")
    expect(inspect(otherSession)).not.toContain('room')
    expect(delete session.room).toBe(true)
    expect('room' in session).toBe(false)
  })
})

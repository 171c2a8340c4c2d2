import { inspect } from 'node:util'
import expressSession, { MemoryStore, Session } from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type App, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { sidOf } from '../support/handshake.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

let app: App
let browser: Browser
let client: TestClient
let socket: Socket
let handshake: any

beforeEach(async () => {
  app = await startApp()
  browser = app.browser()
  await browser.get('/set?user=ada')
  client = await browser.connect()
  socket = app.sockets[0]!
  handshake = socket.handshake
})

describe('handshake.session', () => {
  it('is the live session, also as socket.request.session and shared.session(socket)', () => {
    expect(handshake.session).toBe(app.shared.session(socket))
    expect((socket.request as any).session).toBe(handshake.session)
    expect((socket.request as any).sessionID).toBe(sidOf(browser))
    expect(handshake.sessionID).toBe(sidOf(browser))
    expect(handshake.sessionStore).toBe(app.store)
  })

  it('is not enumerable, and neither are sessionID and sessionStore', () => {
    expect(Object.keys(handshake)).not.toContain('session')
    const copy = { ...handshake, headers: {} }
    for (const name of ['session', 'sessionID', 'sessionStore', 'cookies', 'signedCookies']) {
      expect(name in handshake).toBe(true)
      expect(name in copy).toBe(false)
    }
    expect(JSON.stringify(copy)).not.toContain(sidOf(browser))
    expect(Object.keys(socket)).not.toContain('request')
  })

  it.each(['handshake', 'request'] as const)('a whole session assigned to socket.%s is its new data', async (place) => {
    const other = await browser.connect()
    const heard = next(app.sockets[1]!, 'session:changed')
    const { session } = handshake
    const holder = socket[place] as any
    client.emit('get', () => {})
    await browser.get('/set?theme=dark')
    const { cookie } = session
    holder.session = { mine: { deep: [1] }, user: 'grace', cookie: { maxAge: 1 } }
    expect(holder.session).toBe(session)
    expect(handshake.session).toBe(session)
    expect(app.shared.snapshot(socket)).toEqual({ mine: { deep: [1] }, user: 'grace' })
    expect(session.cookie).toBe(cookie)
    await app.shared.flush()
    const { body } = await browser.get('/session')
    expect(body).toMatchObject({ mine: { deep: [1] }, user: 'grace' })
    expect(body).not.toHaveProperty('theme')
    expect(body.cookie).not.toHaveProperty('maxAge')
    await heard
    expect(await other.emitWithAck('get')).toMatchObject({ user: 'grace' })
    holder.session = session
    holder.session = { ...session, more: 1 }
    expect(holder.session).toBe(session)
    expect(app.shared.snapshot(socket)).toEqual({ mine: { deep: [1] }, user: 'grace', more: 1 })
  })

  it('does not throw for the names that are read-only, and takes all others', () => {
    for (const data of ['{"id":"x","req":1,"a":1}', '{"b":2,"id":null}']) handshake.session = JSON.parse(data)
    expect(app.shared.snapshot(socket)).toEqual({ b: 2 })
    expect(handshake.session.id).toBe(handshake.sessionID)
  })

  it('a session that is assigned to the handshake: its ack waits for the save', async () => {
    socket.on('login', (userdata, ack) => {
      handshake.session = userdata
      ack('ok')
    })
    await client.emitWithAck('login', { name: 'Ada' })
    const stored = JSON.parse((app.store as any).sessions[sidOf(browser)])
    expect(stored).toMatchObject({ name: 'Ada', cookie: { path: '/' } })
    expect(stored).not.toHaveProperty('user')
  })

  it('null, undefined and a Session of express-session replace the property, and leave the data alone', () => {
    const request = socket.request as any
    request.session = undefined
    expect(request.session).toBeUndefined()
    const own = new (Session as any)({ sessionID: 'x' }, { user: 'own' })
    handshake.session = own
    expect(handshake.session).toBe(own)
    expect(app.shared.session(socket).user).toBe('ada')
  })

  it('a value that is no session replaces the property, with one warning', async () => {
    const warnings = expectWarning('[SHAREDSESSION_NOT_A_SESSION]')
    handshake.session = 'ada'
    ;(socket.request as any).session = ['ada']
    expect(handshake.session).toBe('ada')
    await until(() => warnings.length > 0)
    expect(warnings).toEqual([expect.stringContaining('no object with data')])
    expect(app.shared.session(socket).user).toBe('ada')
  })

  it('an object that inherits from the handshake, and a proxy over the request, have it as well', () => {
    expect(Object.create(handshake).session).toBe(handshake.session)
    const over = new Proxy(socket.request, { get: (target, key, receiver) => Reflect.get(target, key, receiver) }) as any
    expect(over.session).toBe(handshake.session)
  })

  it('of two calls with different stores, the session of the earlier one is back when the later one closes', async () => {
    const store = new MemoryStore()
    const later = sharedsession(expressSession({ secret: 's', name: 'b', store, resave: false, saveUninitialized: false }))
    const both = await startApp({
      wire(io, shared) {
        io.use(shared)
        io.use(later)
      },
    })
    const visitor = both.browser()
    await visitor.get('/set?user=ada')
    await visitor.connect()
    const one = both.sockets[0]! as any
    expect(one.handshake.session).toBe(later.session(one))
    await later.close()
    expect(one.handshake.session).toBe(both.shared.session(one))
    one.handshake.session = { user: 'grace' }
    expect(both.shared.snapshot(one)).toEqual({ user: 'grace' })
  })

  it('close() leaves it to handlers that are at work', async () => {
    const { request } = socket
    await app.shared.close()
    expect(handshake.session.user).toBe('ada')
    expect(Object.getOwnPropertySymbols(handshake)).toEqual([])
    expect((request as any).session.user).toBe('ada')
  })

  it('is instanceof Session', () => {
    expect(handshake.session).toBeInstanceOf(Session)
  })

  it('supports `in`, delete, Object.keys and spread', async () => {
    const { session } = handshake
    expect('user' in session).toBe(true)
    expect('cookie' in session).toBe(true)
    expect('save' in session).toBe(true)
    expect('nothing' in session).toBe(false)
    expect(Object.keys(session).sort()).toEqual(['cookie', 'user'])
    expect({ ...session }).toEqual({ cookie: session.cookie, user: 'ada' })
    expect(delete session.user).toBe(true)
    expect(Object.keys(session)).toEqual(['cookie'])
    await session.save()
    expect((await browser.get('/session')).body).not.toHaveProperty('user')
  })

  it('JSON.stringify returns what express-session stores', () => {
    const stored = JSON.parse((app.store as any).sessions[sidOf(browser)])
    // The record of commits is for the stores alone.
    delete stored.cookie.sharedsession
    expect(JSON.parse(JSON.stringify(handshake.session))).toEqual(stored)
  })

  it('util.inspect shows its data, and no secrets besides', () => {
    const shown = inspect(handshake.session)
    expect(shown).toMatch(/user: 'ada'/)
    expect(shown).toMatch(/cookie/)
    expect(inspect(handshake.session, { showProxy: true, depth: 4 })).toContain('ada')
  })

  it('has id, cookie and req', () => {
    const { session } = handshake
    expect(session.id).toBe(sidOf(browser))
    expect(session.cookie.path).toBe('/')
    expect(session.req).toBe(socket.request)
    expect(session.req.headers).toBe(socket.handshake.headers)
  })

  it('has no member beyond those of express-session: every other name is data', () => {
    const { session } = handshake
    for (const name of ['update', 'snapshot', 'on', 'emit', 'live', 'sid']) expect(session[name]).toBeUndefined()
    session.update = '2026-01-01'
    expect(session.update).toBe('2026-01-01')
  })
})

describe('the session is live, tracked and saved', () => {
  it('in a connection handler', async () => {
    app.io.once('connection', (other: Socket) => {
      ;(other.handshake as any).session.visits = 1
    })
    await browser.connect()
    await app.shared.flush()
    expect((await browser.get('/session')).body).toMatchObject({ visits: 1 })
  })

  it('in a disconnect handler', async () => {
    const gone = new Promise<void>((resolve) => {
      socket.on('disconnect', () => {
        handshake.session.last = 'seen'
        resolve()
      })
    })
    client.disconnect()
    await gone
    await app.shared.flush()
    expect((await browser.get('/session')).body).toMatchObject({ last: 'seen' })
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })

  it('in socket.use and in onAny', async () => {
    socket.use(([name], done) => {
      handshake.session.used = name
      done()
    })
    socket.onAny((name) => {
      handshake.session.any = name
    })
    await client.emitWithAck('get')
    expect((await browser.get('/session')).body).toMatchObject({ used: 'get', any: 'get' })
  })

  it('in a timer', async () => {
    const done = deferred()
    setTimeout(() => {
      handshake.session.late = true
      done.resolve()
    })
    await done.promise
    await app.shared.flush()
    expect((await browser.get('/session')).body).toMatchObject({ late: true })
  })

  it("in an ack callback of the server's own emit", async () => {
    client.on('ask', (ack) => ack('answer'))
    const answered = new Promise<void>((resolve) => {
      socket.emit('ask', (answer: string) => {
        handshake.session.answer = answer
        resolve()
      })
    })
    await answered
    await app.shared.flush()
    expect((await browser.get('/session')).body).toMatchObject({ answer: 'answer' })
  })

  it('in a later namespace middleware', async () => {
    app.io.use((other, done) => {
      ;(other.handshake as any).session.checked = true
      done()
    })
    const heard = next(socket, 'session:changed')
    await browser.connect()
    expect(await heard).toMatchObject({ keys: ['checked'] })
    expect((await browser.get('/session')).body).toMatchObject({ checked: true })
  })
})

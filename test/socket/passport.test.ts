import type { Express, Request } from 'express'
import passport from 'passport'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps } from '../support/app.js'
import { letIn } from '../support/handshake.js'
import { failure, live, turns } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** What `passport.session()` makes of a socket's request. */
const requestOf = (socket: Socket) => socket.request as Request

/** Passport with its users by name, on HTTP and on the sockets of the main namespace. */
function withPassport(options: AppOptions = {}) {
  const users = new Set(['ada', 'grace'])
  const own = new passport.Passport()
  own.serializeUser((user, done) => done(null, user as never))
  own.deserializeUser((name: string, done) => done(null, users.has(name) ? (name as never) : false))
  const authenticate = own.session()
  const routes = (http: Express) => {
    http.use(authenticate)
    http.get('/me', (req, res) => {
      res.json({ user: req.user ?? null, authenticated: req.isAuthenticated() })
    })
    http.get('/login', (req, res, go) => {
      if (req.query.days) req.session.cookie.maxAge = Number(req.query.days) * 86_400_000
      const keepSessionInfo = req.query.keep === 'yes'
      req.logIn(String(req.query.name) as never, { session: true, keepSessionInfo }, (error) =>
        error ? go(error) : res.json({}),
      )
    })
    http.get('/logout', (req, res, go) => {
      req.logout({ keepSessionInfo: req.query.keep === 'yes' }, (error) => (error ? go(error) : res.json({})))
    })
    options.routes?.(http)
    // Passport's errors are looked at by their status.
    http.use((_error: unknown, _req: unknown, res: any, _go: unknown) => res.status(500).json({}))
  }
  const wire: AppOptions['wire'] = (io, shared) => {
    io.use(shared).use((socket, go) => authenticate(socket.request, {}, go))
    io.of('/without').use(shared)
  }
  return { users, options: { wire, ...options, routes } satisfies AppOptions }
}

const start = async (options?: AppOptions) => {
  const { users, options: all } = withPassport(options)
  return { users, ...(await live(all)) }
}

describe('a login by passport', () => {
  it('ends the sockets of the guest, and makes those that come with the new cookie the user', async () => {
    const { store, browser, client, socket, sid, app } = await start()
    expect(requestOf(socket).isAuthenticated()).toBe(false)
    const ended = next(socket, 'session:destroyed')
    const gone = next(client, 'disconnect')
    await browser.get('/login?name=ada')
    expect(await ended).toEqual({ reason: 'regenerated' })
    expect(await gone).toBe('transport close')
    expect(store.ids()).toEqual([sidOf(browser)])
    expect(store.ids()).not.toContain(sid)
    await browser.connect()
    const { user, isAuthenticated } = requestOf(app.sockets.at(-1)!)
    expect(user).toBe('ada')
    expect(isAuthenticated).toBeTypeOf('function')
    expect(requestOf(app.sockets.at(-1)!).isAuthenticated()).toBe(true)
    expect((await browser.get('/me')).body).toEqual({ user: 'ada', authenticated: true })
  })

  it('keepSessionInfo keeps what sockets wrote, and a changed cookie', async () => {
    const { store, browser, client } = await start()
    await client.emitWithAck('set', 'cart', { items: ['apple'] })
    await browser.get('/login?name=ada&keep=yes&days=30')
    const stored = store.stored(sidOf(browser))!
    expect(stored).toEqual({
      ...{ user: 'ada', cart: { items: ['apple'] }, passport: { user: 'ada' } },
      cookie: expect.objectContaining({ expires: expect.any(String) }),
    })
    expect(Math.round(stored.cookie.originalMaxAge / 1000)).toBe(30 * 86_400)
  })

  it('without keepSessionInfo nothing of the guest is in the new session', async () => {
    const { store, browser, client } = await start()
    await client.emitWithAck('set', 'cart', { items: ['apple'] })
    await browser.get('/login?name=ada')
    expect(store.stored(sidOf(browser))).toEqual({ passport: { user: 'ada' }, cookie: expect.anything() })
  })

  it('a socket of the guest that writes while passport saves changes neither session', async () => {
    expectWarning('SESSION_ENDED')
    const { store, browser, session, app, sid } = await start()
    const set = store.hold('set')
    const login = browser.get('/login?name=ada&keep=yes')
    const fresh = await set.called
    expect(fresh).not.toBe(sid)
    session.late = true
    expect(await failure(session.save())).toMatchObject({ code: 'SESSION_ENDED' })
    set.release()
    await login
    await app.shared.flush()
    expect(store.ids()).toEqual([fresh])
    expect(store.stored(fresh)).not.toHaveProperty('late')
  })

  it('that cannot end the session of the guest fails, and makes nobody the user', async () => {
    const { store, browser, client, sid } = await start()
    // Also when it is tried again.
    for (let time = 0; time < 8; time++) store.fail('destroy')
    expect((await browser.get('/login?name=ada')).status).toBe(500)
    expect((await browser.get('/me')).body).toEqual({ user: null, authenticated: false })
    // The guest's session is there as before. express-session gives the browser another one.
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(store.ids()).toEqual([sid, sidOf(browser)])
    for (const id of store.ids()) expect(store.stored(id)).not.toHaveProperty('passport')
  })

  it('on a socket fails: the browser would not learn the new id', async () => {
    const { socket, session } = await start()
    const request = requestOf(socket)
    const error = await new Promise((resolve) => request.logIn('ada' as never, resolve))
    expect(error).toMatchObject({ code: 'REGENERATE_NEEDS_HTTP' })
    expect(request.isAuthenticated()).toBe(false)
    expect(session).not.toHaveProperty('passport')
  })
})

describe('a logout by passport', () => {
  const loggedIn = async () => {
    const started = await start()
    await started.browser.get('/login?name=ada&keep=yes')
    const client = await started.browser.connect()
    const socket = started.app.sockets.at(-1)!
    return { ...started, client, socket, sid: sidOf(started.browser) }
  }

  it('ends the sockets of the user, and a client that reconnects with the old cookie is not logged in', async () => {
    const { browser, socket, client, app, store, sid } = await loggedIn()
    const ended = next(socket, 'session:destroyed')
    const gone = next(client, 'disconnect')
    const { cookie } = browser
    await browser.get('/logout')
    expect(await ended).toEqual({ reason: 'regenerated' })
    await gone
    expect(store.ids()).not.toContain(sid)
    browser.cookie = cookie
    // For a moment it is told to come again, as another cookie is on its way to it.
    await letIn(browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 }))
    expect(requestOf(app.sockets.at(-1)!).user).toBeUndefined()
    expect((await browser.get('/me')).body).toEqual({ user: null, authenticated: false })
  })

  it('keepSessionInfo keeps everything but the user', async () => {
    const { browser, store, app } = await loggedIn()
    await browser.get('/logout?keep=yes')
    expect(store.stored(sidOf(browser))).toEqual({ user: 'ada', passport: {}, cookie: expect.anything() })
    await browser.connect()
    expect(requestOf(app.sockets.at(-1)!).isAuthenticated()).toBe(false)
    expect(app.shared.session(app.sockets.at(-1)!).user).toBe('ada')
  })

  it('that fails half way: request.session is live, and has no user any more', async () => {
    const { browser, socket, store, sid } = await loggedIn()
    const changed = next(socket, 'session:changed')
    store.fail('destroy')
    expect((await browser.get('/logout')).status).toBe(500)
    expect((await changed).keys).toEqual(['passport'])
    expect(store.stored(sid)!.passport).toEqual({})
    expect(requestOf(socket).session.passport).toEqual({})
    expect(requestOf(socket).user).toBe('ada')
  })
})

describe('req.user on sockets', () => {
  it('belongs to one socket: another namespace of its connection has its own request', async () => {
    const { browser, app } = await start()
    await browser.get('/login?name=ada')
    const client = await browser.connect()
    const other = client.io.socket('/without')
    const connection = next(app.io.of('/without'), 'connection')
    other.connect()
    const beside = requestOf(await connection)
    expect(beside.user).toBeUndefined()
    expect(beside.session.passport).toEqual({ user: 'ada' })
    expect(requestOf(app.sockets.at(-1)!).user).toBe('ada')
  })

  it('a user who no longer exists: passport removes the user from the live session, and its sockets get session:changed', async () => {
    const { users, browser, app, store } = await start()
    await browser.get('/login?name=grace')
    await browser.connect()
    const first = app.sockets.at(-1)!
    const changed = next(first, 'session:changed')
    users.delete('grace')
    await browser.connect()
    expect(requestOf(app.sockets.at(-1)!).isAuthenticated()).toBe(false)
    expect((await changed).keys).toEqual(['passport'])
    await app.shared.flush()
    expect(requestOf(first).session.passport).toEqual({})
    expect(store.stored(sidOf(browser))!.passport).toEqual({})
  })

  it('costs no read, no write and no touch of the store', async () => {
    const { browser, app, store } = await start()
    await browser.get('/login?name=ada')
    await browser.connect()
    const before = store.calls.length
    const client = await browser.connect()
    expect(requestOf(app.sockets.at(-1)!).user).toBe('ada')
    await client.emitWithAck('get')
    await turns()
    // The handshake's own.
    expect(store.calls.slice(before).map(({ method }) => method)).toEqual(['get'])
  })
})

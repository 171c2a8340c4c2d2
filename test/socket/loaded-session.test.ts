import cookieParser from 'cookie-parser'
import expressSession from 'express-session'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn, turnedAway } from '../support/handshake.js'
import { visited } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { inSeconds } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(() => {
  vi.restoreAllMocks()
  return closeApps()
})

/** The session of a socket that connects now. */
async function connected({ app, browser }: Pick<Awaited<ReturnType<typeof visited>>, 'app' | 'browser'>): Promise<any> {
  await browser.connect()
  return (app.sockets.at(-1) as any).handshake.session
}

describe('a session that is found without a run of express-session', () => {
  it('is what its run would find', async () => {
    const wrapped: AppOptions = { wrap: (session) => (req, res, done) => session(req, res, done) }
    const sessions = []
    for (const options of [{}, wrapped]) {
      const scene = await visited({ ...options, session: { cookie: { maxAge: 3_600_000 } } })
      const { cookie } = scene.stored()
      // Names of express-session's own members, which it leaves alone.
      scene.store.foreign(scene.sid, { cookie, user: 'grace', save: 'x', id: 'y', nested: { a: [1] } })
      const session = await connected(scene)
      expect(typeof session.save).toBe('function')
      expect(session.id).toBe(scene.sid)
      const { app, browser } = scene
      const { originalMaxAge, path, httpOnly, expires } = session.cookie
      expect(expires).toBeInstanceOf(Date)
      sessions.push({
        data: { ...session, cookie: undefined },
        keys: Object.keys(session).sort(),
        life: inSeconds(originalMaxAge),
        path,
        httpOnly,
      })
      session.n = 1
      await app.shared.flush()
      const { body } = await browser.get('/session')
      expect(body).toMatchObject({ user: 'grace', n: 1 })
    }
    expect(sessions[0]).toEqual(sessions[1])
  })

  it('is not found with a tampered cookie, also right after the genuine one', async () => {
    const scene = await visited()
    const { app, browser, sid } = scene
    const genuine = browser.cookie as string
    const other = sid.endsWith('_') ? 'x' : '_'
    for (const cookie of [`${genuine}x`, genuine.slice(0, -1), genuine.replace(sid, sid.slice(0, -1) + other)]) {
      expect((await connected(scene)).user).toBe('ada')
      const session = await connected({ app, browser: Object.assign(app.browser(), { cookie }) })
      expect(session.user).toBeUndefined()
      expect(session.id).not.toBe(sid)
    }
  })

  it('is not found where a cookie parser has the secret, and the signature is not its own', async () => {
    expectWarning('req.secret')
    const scene = await visited({
      session: { secret: undefined as never },
      cookieParser: cookieParser('only here'),
      before: (http) => http.use(cookieParser('only here')),
    })
    const { app, browser } = scene
    expect((await connected(scene)).user).toBe('ada')
    const cookie = `${browser.cookie}x`
    expect((await connected({ app, browser: Object.assign(app.browser(), { cookie }) })).user).toBeUndefined()
    expect((await connected(scene)).user).toBe('ada')
  })

  it('is not found while the store is disconnected, although its cookie was verified before', async () => {
    const scene = await visited()
    const { browser, store } = scene
    expect((await connected(scene)).user).toBe('ada')
    expectWarning(/store is disconnected/)
    store.emit('disconnect')
    await turnedAway(browser.open())
    store.emit('connect')
    expect((await connected(scene)).user).toBe('ada')
  })

  it('is news to the session’s other sockets where nobody has told of what it holds', async () => {
    const scene = await visited()
    const first = await connected(scene)
    const [idle] = scene.app.sockets as [any]
    for (const use of [false, true]) {
      scene.store.foreign(scene.sid, { user: `grace ${use}` })
      expect((await connected(scene)).user).toBe(`grace ${use}`)
      expect(idle.handshake.session.user).toBe(`grace ${use}`)
    }
    expect(first.user).toBe('grace true')
  })

  it('leaves no listener on the store after close()', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    expect(store.listenerCount('disconnect')).toBe(2)
    await app.shared.close()
    // express-session's own.
    expect(store.listenerCount('disconnect')).toBe(1)
  })

  it('does not fail for a store that has no off(): close() ends', async () => {
    const store = new ControlledStore()
    Object.assign(store, { off: undefined })
    const app = await startApp({ store })
    await app.shared.close()
  })
})

describe('a middleware around express-session sees no error of ours', () => {
  const wrappers: Record<string, (session: any, log: (error: unknown) => void) => any> = {
    'in a try block': (session, log) => (req: any, res: any, next: any) => {
      try {
        session(req, res, next)
      } catch (error) {
        log(error)
        throw error
      }
    },
    'in the try block of an async function': (session, log) => async (req: any, res: any, next: any) => {
      try {
        await session(req, res, next)
      } catch (error) {
        log(error)
        next(error)
      }
    },
    'in its next()': (session, log) => (req: any, res: any, next: any) =>
      session(req, res, (error: unknown) => {
        if (error) log(error)
        next(error)
      }),
  }
  for (const [where, wrap] of Object.entries(wrappers)) {
    it(where, async () => {
      const logged: unknown[] = []
      const scene = await visited({ wrap: (session) => wrap(session, (error) => logged.push(error)) })
      // The probe, once.
      logged.length = 0
      expect((await connected(scene)).user).toBe('ada')
      expect((await connected(scene)).user).toBe('ada')
      await letIn(scene.app.browser().open())
      expect(logged).toEqual([])
    })
  }
})

describe('what an application has put over the store’s methods is called for a handshake', () => {
  const ways: Record<string, (store: any, seen: unknown[]) => unknown> = {
    'createSession()': (store, seen) => {
      const { createSession } = store
      store.createSession = (request: object, data: object) => {
        // Not for a cookie alone.
        if ('url' in request) seen.push('createSession')
        return createSession.call(store, request, data)
      }
    },
    'get()': (store, seen) => {
      const { get } = store
      store.get = (sid: string, callback: (error: unknown, session: any) => void) => {
        seen.push('get')
        get.call(store, sid, (error: unknown, session: any) => callback(error, session && { ...session, added: true }))
      }
    },
  }
  for (const [method, put] of Object.entries(ways)) {
    for (const when of ['before sharedsession() was called', 'after that']) {
      it(`${method}, ${when}`, async () => {
        const seen: unknown[] = []
        const store = new expressSession.MemoryStore()
        if (when !== 'after that') put(store, seen)
        const app = await startApp({ store })
        if (when === 'after that') put(store, seen)
        const browser = app.browser()
        await browser.get('/set?user=ada')
        seen.length = 0
        const session = await connected({ app, browser })
        expect(seen.length).toBeGreaterThan(0)
        expect(session.user).toBe('ada')
        if (method === 'get()') expect(session.added).toBe(true)
        expect(session.id).toBe(sidOf(browser))
      })
    }
  }
})

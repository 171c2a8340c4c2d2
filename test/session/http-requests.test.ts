import type { Express } from 'express'
import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { type Visited, visited } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { pausing } from '../support/slow-routes.js'
import { inSeconds, next } from '../support/wait.js'

afterEach(closeApps)

function start(routes: (http: Express, store: ControlledStore) => void, options: AppOptions = {}): Promise<Visited> {
  const store = new ControlledStore()
  return visited({ ...options, store, routes: (http) => routes(http, store) })
}

describe('the end of a request that modified nothing', () => {
  it('with resave: true does not write, and so undoes nothing that others wrote', async () => {
    const pause = pausing()
    const { browser, stored, store } = await start((http) => pause.route(http, '/poll'), { session: { resave: true } })
    const client = await browser.connect()
    const poll = browser.get('/poll')
    await pause.arrived
    await client.emitWithAck('set', 'login', 'grace')
    const writes = store.count('set')
    pause.go()
    await poll
    expect(stored()).toMatchObject({ user: 'ada', login: 'grace' })
    expect(store.count('set')).toBe(writes)
    expect(store.count('touch')).toBeGreaterThan(0)
  })

  it('with merge: false and resave: true replaces the document, as express-session does', async () => {
    const pause = pausing()
    const { browser, stored } = await start((http) => pause.route(http, '/poll'), {
      session: { resave: true },
      shared: { merge: false },
    })
    const poll = browser.get('/poll')
    await pause.arrived
    await browser.get('/set?login=grace')
    pause.go()
    await poll
    expect(stored()).not.toHaveProperty('login')
  })

  it('touches the session: a maximum age that another request set meanwhile is kept', async () => {
    const pause = pausing()
    const { browser, stored } = await start(
      (http) => {
        pause.route(http, '/poll')
        http.get('/remember', (req, res) => {
          req.session.cookie.maxAge = 86_400_000
          req.session.remember = true
          res.json({})
        })
      },
      { session: { cookie: { maxAge: 60_000 } } },
    )
    const poll = browser.get('/poll')
    await pause.arrived
    await browser.get('/remember')
    pause.go()
    await poll
    expect(inSeconds(stored().cookie.originalMaxAge)).toBe(86_400)
    expect(new Date(stored().cookie.expires).getTime()).toBeGreaterThan(Date.now() + 80_000_000)
  })

  it('touches the session: a maximum age that it set itself is stored', async () => {
    const { browser, stored } = await start(
      (http) =>
        http.get('/remember', (req, res) => {
          req.session.cookie.maxAge = 86_400_000
          res.json({})
        }),
      { session: { cookie: { maxAge: 60_000 } } },
    )
    await browser.get('/remember')
    expect(inSeconds(stored().cookie.originalMaxAge)).toBe(86_400)
    await browser.get('/session')
    expect(inSeconds(stored().cookie.originalMaxAge)).toBe(86_400)
  })
})

describe('req.session.save()', () => {
  it('in the middle of a request: this save and the one at the end each save what was changed before them', async () => {
    const pause = pausing()
    const { browser, stored } = await start((http) =>
      http.get('/twice', (req, res) => {
        req.session.list = ['a']
        req.session.save(async () => {
          await pause.here()
          req.session.list.push('b')
          res.json({})
        })
      }),
    )
    const client = await browser.connect()
    const answer = browser.get('/twice')
    await pause.arrived
    await client.emitWithAck('set', 'cart', 1)
    pause.go()
    await answer
    expect(stored()).toMatchObject({ user: 'ada', list: ['a', 'b'], cart: 1 })
  })

  it('called twice before the first save has ended: what was pushed is stored once', async () => {
    const { browser, stored } = await start((http) => {
      http.get('/begin', (req, res) => {
        req.session.list = []
        res.json({})
      })
      http.get('/twice', (req, res) => {
        req.session.list.push('a')
        req.session.save()
        req.session.list.push('b')
        req.session.save(() => res.json({}))
      })
    })
    await browser.get('/begin')
    await browser.get('/twice')
    expect(stored().list).toEqual(['a', 'b'])
  })

  it('several saves of a new session: the last state is stored', async () => {
    const { app, store } = await start((http) =>
      http.get('/new', (req, res) => {
        req.session.list = ['a']
        req.session.save()
        req.session.list.push('b')
        req.session.save(() => {
          req.session.list.push('c')
          res.json({})
        })
      }),
    )
    const browser = app.browser()
    await browser.get('/new')
    expect(store.stored(sidOf(browser))).toMatchObject({ list: ['a', 'b', 'c'] })
  })

  it('does not restore what others deleted since the session was loaded', async () => {
    const pause = pausing()
    const { browser, stored } = await start((http) =>
      http.get('/slow', async (req, res) => {
        await pause.here()
        req.session.save(() => res.json({}))
      }),
    )
    const answer = browser.get('/slow')
    await pause.arrived
    await browser.get('/delete?key=user')
    pause.go()
    await answer
    expect(stored()).not.toHaveProperty('user')
  })
})

describe('req.session.reload()', () => {
  it('the next save starts from what was reloaded', async () => {
    const pause = pausing()
    const { browser, stored } = await start((http) =>
      http.get('/reload', async (req, res) => {
        await pause.here()
        req.session.reload(() => {
          const { theme } = req.session
          delete req.session.theme
          req.session.seen = theme
          res.json({})
        })
      }),
    )
    const answer = browser.get('/reload')
    await pause.arrived
    await browser.get('/set?theme=dark')
    pause.go()
    await answer
    expect(stored()).toMatchObject({ user: 'ada', seen: 'dark' })
    expect(stored()).not.toHaveProperty('theme')
  })

  it('of a session that is not in the store calls back with an error', async () => {
    const { browser } = await start((http, store) =>
      http.get('/reload', (req, res) => {
        store.gone(req.session.id)
        req.session.reload((error) => res.json({ error: error?.message }))
      }),
    )
    expect((await browser.get('/reload')).body).toEqual({ error: 'failed to load session' })
  })
})

describe('req.session.regenerate()', () => {
  it('whose session the application saves, and the end of the request again: it is written once', async () => {
    const { browser, store, stored } = await start((http) =>
      http.get('/login', (req, res) => {
        req.session.regenerate(() => {
          req.session.login = 'grace'
          req.session.save(() => res.json({}))
        })
      }),
    )
    const writes = store.count('set')
    const old = sidOf(browser)
    await browser.get('/login')
    expect(store.stored(old)).toBeUndefined()
    expect(stored()).toMatchObject({ login: 'grace' })
    expect(store.count('set')).toBe(writes + 1)
  })
})

describe('code that uses the store itself', () => {
  it('store.set of what store.get returned is merged onto what others wrote meanwhile', async () => {
    const { browser, stored, app } = await start(() => {})
    const sid = sidOf(browser)
    const data: any = await new Promise((resolve) => app.store.get(sid, (_error, session) => resolve(session)))
    await browser.get('/set?theme=dark')
    data.job = 'done'
    await new Promise((resolve) => app.store.set(sid, data, resolve))
    expect(stored()).toMatchObject({ user: 'ada', theme: 'dark', job: 'done' })
  })

  it('store.set of other data replaces the whole session, and live sockets are notified', async () => {
    const { browser, stored, app } = await start(() => {})
    await browser.connect()
    const changed = next(app.sockets[0]!, 'session:changed')
    const { cookie } = stored()
    await new Promise((resolve) => app.store.set(sidOf(browser), { cookie, other: 1 } as any, resolve))
    expect(stored()).toEqual({ cookie: { ...cookie, sharedsession: expect.anything() }, other: 1 })
    expect((await changed).keys.toSorted()).toEqual(['other', 'user'])
  })

  it('store.set of an unknown id creates a session', async () => {
    const { app, store } = await start(() => {})
    await new Promise((resolve) => app.store.set('made', { cookie: { originalMaxAge: null }, a: 1 } as any, resolve))
    expect(store.stored('made')).toMatchObject({ a: 1 })
  })

  it('a session from store.load is merged when it is saved', async () => {
    const { browser, stored, app } = await start(() => {})
    const session: any = await new Promise((resolve) =>
      (app.store as any).load(sidOf(browser), (_: unknown, s: unknown) => resolve(s)),
    )
    await browser.get('/set?theme=dark')
    session.job = 'done'
    await new Promise((resolve) => session.save(resolve))
    expect(stored()).toMatchObject({ user: 'ada', theme: 'dark', job: 'done' })
  })

  it('data that another library gives to createSession is still merged', async () => {
    const pause = pausing()
    const { browser, stored, app } = await start((http) =>
      pause.route(http, '/slow', (req) => {
        req.session.slow = 1
      }),
    )
    const { get } = app.store
    app.store.get = (sid, callback) => get(sid, (error, found) => callback(error, found && structuredClone(found)))
    const answer = browser.get('/slow')
    await pause.arrived
    await browser.get('/set?theme=dark')
    pause.go()
    await answer
    expect(stored()).toMatchObject({ user: 'ada', theme: 'dark', slow: 1 })
  })

  it('without a callback the store methods return a promise', async () => {
    const { browser, app, store } = await start(() => {})
    const own = app.store as any
    expect(await own.get(sidOf(browser))).toMatchObject({ user: 'ada' })
    store.fail('destroy', new Error('down'))
    await expect(own.destroy(sidOf(browser))).rejects.toThrow('down')
    store.fail('destroy', new Error('down'))
    own.destroy(sidOf(browser))
    await own.destroy(sidOf(browser))
    expect(store.stored(sidOf(browser))).toBeUndefined()
  })
})

describe('next to an application without this package', () => {
  /** What a browser sees: statuses, bodies, and whether a cookie was set, with what is random left out. */
  async function visit(url: string): Promise<unknown[]> {
    let cookie: string | undefined
    const seen: unknown[] = []
    for (const path of [
      '/empty',
      '/login',
      '/read',
      '/touch',
      '/save',
      '/reload',
      '/regenerate',
      '/read',
      '/error',
      '/destroy',
      '/read',
    ]) {
      const response = await fetch(url + path, { headers: cookie ? { cookie } : {} })
      const [line] = response.headers.getSetCookie()
      if (line) cookie = line.split(';')[0]
      const attributes = line?.replace(/=s%3A[^;]*/, '=').replace(/Expires=[^;]*/, 'Expires')
      seen.push([path, response.status, await response.text(), attributes])
    }
    return seen
  }

  function routes(http: Express): void {
    http.get('/empty', (_req, res) => void res.send('empty'))
    http.get('/login', (req, res) => {
      req.session.user = 'ada'
      res.send('in')
    })
    http.get('/read', (req, res) => void res.json({ ...req.session, cookie: undefined }))
    http.get('/touch', (req, res) => {
      req.session.touch()
      res.send('touched')
    })
    http.get('/save', (req, res) => {
      req.session.n = 1
      req.session.save((...args: unknown[]) => res.json({ args: args.map(String), unknown: args.length }))
    })
    http.get('/reload', (req, res) => {
      req.session.reload((...args: unknown[]) => res.json({ args, n: req.session.n }))
    })
    http.get('/regenerate', (req, res) => {
      req.session.regenerate((...args: unknown[]) => {
        req.session.user = 'new'
        res.json({ args: args.map(String) })
      })
    })
    http.get('/error', (req, res) => {
      req.sessionStore.get('no such', (...args) => res.json({ args: args.map(String) }))
    })
    http.get('/destroy', (req, res) => {
      req.session.destroy((...args: unknown[]) => res.json({ args: args.map(String) }))
    })
  }

  for (const [name, session] of Object.entries({
    defaults: {},
    rolling: { rolling: true, cookie: { maxAge: 60_000 } },
    'resave and saveUninitialized': { resave: true, saveUninitialized: true },
    'unset: destroy': { unset: 'destroy' as const },
  })) {
    it(`same statuses, bodies, callbacks and cookies: ${name}`, async () => {
      const app = await startApp({ routes, session })
      const control = await startApp({
        routes,
        session,
        wrap: () => expressSession({ secret: 'other', resave: false, saveUninitialized: false }),
      })
      expect(await visit(app.url)).toEqual(await visit(control.url))
    })
  }
})

import expressSession from 'express-session'
import type { Server } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../src/index.js'
import { closeApps, startApp } from './support/app.js'
import { ControlledStore } from './support/controlled-store.js'
import { tab } from './support/live.js'
import { deferred, next, until } from './support/wait.js'
import { expectWarning } from './support/warnings.js'

afterEach(closeApps)

describe('SHAREDSESSION_NOT_SAVED: a socket disconnects with writes that no save is due for', () => {
  /** Stands for the mistake, which this package cannot see: `io.use` takes one argument. */
  const wire = (io: Server, shared: any) => void (io.use as any)(shared, { autoSave: true })

  it('is emitted once per process, with the keys that were not saved and the misplaced options; not if they are saved, or a save is due', async () => {
    const warnings = expectWarning('SHAREDSESSION_NOT_SAVED')
    const app = await startApp({ shared: { autoSave: false }, wire })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const another = async () => {
      const visitor = app.browser()
      await visitor.get('/set?user=grace')
      return visitor
    }
    const saving = await another()
    const late = deferred()
    const visit = async (visitor: typeof browser, act: (session: any, socket: any) => unknown) => {
      const { client, session, socket } = await tab(app, visitor)
      const gone = next(socket, 'disconnect')
      await act(session, socket)
      client.disconnect()
      await gone
    }
    // Saved, saved later, taken back, discarded, or over.
    await visit(await another(), async (session) => {
      session.saved = 1
      await session.save()
    })
    await visit(await another(), async (session) => {
      session.discarded = 1
      await session.reload()
    })
    await visit(saving, (session, socket) => {
      session.savedLate = 1
      socket.on('disconnect', async () => {
        await late.promise
        await session.save()
      })
    })
    // Within the second that a save may take.
    late.resolve()
    await until(async () => (await saving.get('/session')).body.savedLate === 1)
    await visit(await another(), (session) => {
      session.back = 1
      delete session.back
    })
    await visit(await another(), async (session) => {
      session.over = 1
      await session.destroy()
    })
    // The timers come in this order.
    await visit(browser, (session) => {
      session.cart = ['apple']
      session['x'.repeat(1000)] = 1
    })
    await visit(browser, (session) => {
      session.again = 1
    })
    await until(() => warnings.length > 0)
    // The next tab is there again within the second: the session shows what no request sees.
    expect(warnings).toEqual([
      expect.stringMatching(
        /\(cart, \["x{50}\.{3}"\](, again)?\) is not saved.*session\.save\(\).*autoSave.*io\.use\(shared, \{ \.\.\. \}\) ignores them/,
      ),
    ])
    expect((await browser.get('/session')).body).not.toHaveProperty('cart')
    // The second one would warn later.
    await browser.get('/destroy')
  })
})

describe('SHAREDSESSION_OTHER_STORE: HTTP uses another store', () => {
  const options = { secret: 'secret', resave: false, saveUninitialized: false }

  it('is emitted once with two expressSession() calls; not after a restart, nor with an unrelated second store', async () => {
    const warnings = expectWarning('SHAREDSESSION_OTHER_STORE')
    // After a restart the store has forgotten, and no request has come yet.
    const before = await startApp()
    const app = await startApp()
    const returning = before.browser()
    await returning.get('/set?user=ada')
    const stranger = Object.assign(app.browser(), { cookie: returning.cookie })
    await stranger.connect({ reconnection: true, reconnectionDelay: 1 })
    expect(app.shared.explain(app.sockets[0]!)).toMatch(/no HTTP request has used this store/)

    // The page's part of the application has sessions of its own, under another name.
    const own = expressSession({ ...options, name: 'own.sid', store: new expressSession.MemoryStore() })
    const mixed = await startApp({
      before: (http) => {
        http.get('/own', own, (req, res) => {
          req.session.own = true
          res.json({})
        })
      },
    })
    const visitor = mixed.browser()
    await visitor.get('/own')
    await visitor.get('/set?user=ada')
    await visitor.connect({ reconnection: true, reconnectionDelay: 1 })

    // Once this store was used, another one is none of our business.
    const second = expressSession({ ...options, store: new expressSession.MemoryStore() })
    const both = await startApp({ routes: (http) => void http.get('/second', second, (_req, res) => void res.json({})) })
    const guest = both.browser()
    await guest.get('/set?user=ada')
    await guest.get('/second')
    await guest.connect({ reconnection: true, reconnectionDelay: 1 })
    expect(warnings).toEqual([])

    // The mistake.
    let pageSession: any
    const wrong = await startApp({
      before: (http) => {
        pageSession = expressSession({ ...options, store: new expressSession.MemoryStore() })
        http.use(pageSession)
      },
    })
    const page = wrong.browser()
    await page.get('/set?user=ada')
    await page.connect({ reconnection: true, reconnectionDelay: 1 })
    await page.connect({ reconnection: true, reconnectionDelay: 1 })
    await until(() => warnings.length > 0)
    const said = expect.stringMatching(/same session in another store.*two calls of expressSession\(\).*Give one middleware/)
    expect(warnings).toEqual([said])
    expect(wrong.shared.explain(wrong.sockets[0]!)).toEqual(said)
  })

  it('stops reading requests when the store was used, and after close()', async () => {
    const { channel } = await import('node:diagnostics_channel')
    const responses = channel('http.server.response.finish')
    // Those of other tests in this process, which may end at any time.
    const others = responses.hasSubscribers
    const app = await startApp()
    expect(responses.hasSubscribers).toBe(true)
    await app.browser().get('/session')
    await until(() => others || !responses.hasSubscribers)
    const other = sharedsession(expressSession({ ...options, store: new expressSession.MemoryStore() }))
    expect(responses.hasSubscribers).toBe(true)
    await other.close()
    if (!others) expect(responses.hasSubscribers).toBe(false)
  })
})

describe('SHAREDSESSION_NOT_JSON: values whose JSON is not what was assigned', () => {
  it('is emitted once per path, with the JSON that is stored; not for plain data', async () => {
    const warnings = expectWarning('SHAREDSESSION_NOT_JSON')
    class Cart {
      items = ['apple']
      total(): number {
        return this.items.length
      }
    }
    class Point {
      x = 1
    }
    class Named extends Cart {}
    const store = new ControlledStore()
    const app = await startApp({ store })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { session } = await tab(app, browser)
    session.plain = { a: [1, { b: null }], nothing: undefined, zero: -0, none: null }
    session.bare = Object.assign(Object.create(null), { a: 1 })
    session.point = new Point()
    session.text = { toJSON: () => 'text' }
    session.user = 'grace'
    await session.save()
    expect(warnings).toEqual([])

    session.when = new Date(0)
    session.deep = { list: [{ map: new Map([[1, 2]]) }, { map: new Map() }], set: new Set([1]) }
    session.cart = new Named()
    session.list = [new Cart(), new Cart()]
    session.error = new Error('no apples')
    session.mine = { cookie: session.cookie }
    await session.save()
    session.when = new Date(1)
    session.deep.list[1] = { map: new Map() }
    session.ratio = Number.NaN
    session.limits = { most: Number.POSITIVE_INFINITY, all: [() => 1] }
    session.kind = Symbol('kind')
    await session.save()
    await until(() => warnings.length >= 11)
    expect(warnings.sort()).toEqual([
      expect.stringMatching(/^cart of a session was given a Named\. .*its JSON, without what its class adds/),
      expect.stringMatching(/^deep\.list\[0\]\.map of a session was given a Map\. .*an empty object/),
      expect.stringMatching(/^deep\.set of a session was given a Set\./),
      expect.stringMatching(/^error of a session was given an Error\./),
      expect.stringMatching(/^kind of a session was given a symbol\. .*it is left out/),
      expect.stringMatching(/^limits\.all\[0\] of a session was given a function\. .*becomes null in an array/),
      expect.stringMatching(/^limits\.most of a session was given Infinity\./),
      expect.stringMatching(/^list\[0\] of a session was given a Cart\./),
      expect.stringMatching(/^mine\.cookie of a session was given an object with methods\./),
      expect.stringMatching(/^ratio of a session was given NaN\. Sessions are JSON, so it becomes null when it is saved/),
      expect.stringMatching(/^when of a session was given a Date\. Sessions are JSON, so it becomes a string when it is saved/),
    ])
    expect(session.when).toBe('1970-01-01T00:00:00.001Z')

    for (let place = 0; place < 100; place++) session[`by a client ${place}`] = new Date()
    await session.save()
    await until(() => warnings.length >= 20)
    session.more = new Date()
    await session.save()
    await new Promise((resolve) => process.nextTick(resolve))
    expect(warnings).toHaveLength(20)
  })
})

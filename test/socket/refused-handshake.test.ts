import { afterEach, describe, expect, it } from 'vitest'
import type { SharedSessionError } from '../../src/index.js'
import { closeApps, cookieFunctions, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { captureDebug, letIn, refused, sidOf, turnedAway } from '../support/handshake.js'
import { collect, visited } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const DETAIL = 'ECONNREFUSED 10.0.0.7:6379 password=hunter2'

describe('the session store is down at the handshake', () => {
  for (const [how, fail] of [
    ['an error by its callback', (store: ControlledStore) => store.fail('get', new Error(DETAIL))],
    ['a synchronous throw', (store: ControlledStore) => store.throw('get', new Error(DETAIL))],
  ] as const) {
    it(`${how}: the client may come back; session:error STORE_FAILED helps, without ids or secrets`, async () => {
      const { store, app, browser, sid } = await visited()
      const errors: any[] = []
      app.shared.events.on('session:error', (error) => void errors.push(error))
      fail(store)
      const output = captureDebug()
      await turnedAway(browser.open())
      output.stop()
      const [error] = errors
      expect(error.message).toMatch(/the session store reported .*connection to the store/)
      expect(error.message).not.toMatch(/cookie parser|Express/)
      for (const secret of [sid, 'hunter2', '10.0.0.7', 'secret"']) expect(error.message).not.toContain(secret)
      expect(output.lines.join('\n')).not.toMatch(new RegExp(`${sid}|hunter2`))
      // The server has the cause.
      expect(errors).toMatchObject([{ code: 'STORE_FAILED', cause: { message: DETAIL } }])
      expect(app.shared.stats().sockets).toBe(0)

      // No crash, and the next one is let in.
      const client = await browser.connect()
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    })
  }

  it('and never answers: the client may come back after the time limit; session:error STORE_TIMEOUT', async () => {
    const { store, app, browser, sid } = await visited({ shared: { retry: { timeout: 20 } } })
    const errors = collect<SharedSessionError>(app.shared.events, 'session:error')
    store.hang('get')
    await turnedAway(browser.open())
    expect(errors).toMatchObject([{ code: 'STORE_TIMEOUT' }])
    expect(errors[0]!.message).toMatch(/did not answer .* within 20 ms.*retry\.timeout/)
    expect(errors[0]!.message).not.toContain(sid)
    expect(app.shared.stats().sockets).toBe(0)
  })

  it('and answers after the time limit: the answer has no effect', async () => {
    expectWarning('STORE_TIMEOUT')
    const { store, app, browser } = await visited({ shared: { retry: { timeout: 20 } } })
    const get = store.hold('get')
    await turnedAway(browser.open())
    get.release()
    const client = await browser.connect()
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(app.shared.stats().sockets).toBe(1)
  })

  it("a store that has emitted 'disconnect': session:error STORE_FAILED, until it is connected again", async () => {
    const { app, store, browser } = await visited()
    const errors = collect<SharedSessionError>(app.shared.events, 'session:error')
    store.emit('disconnect')
    await turnedAway(browser.open())
    expect(errors).toMatchObject([{ code: 'STORE_FAILED', message: expect.stringMatching(/disconnected.*again/) }])
    store.emit('connect')
    await browser.connect()
  })

  it('a failure without a listener of session:error emits one warning per process, and crashes nothing', async () => {
    const warnings = expectWarning('STORE_FAILED')
    const { store, browser } = await visited()
    for (let time = 0; time < 2; time++) {
      store.fail('get')
      await turnedAway(browser.open())
    }
    await until(() => warnings.length > 0)
    expect(warnings).toEqual([expect.stringMatching(/^STORE_FAILED: .*session:error/)])
  })

  it('a handler of session:error that throws does not keep the client from coming back', async () => {
    expectWarning('LISTENER_FAILED')
    const { store, app, browser } = await visited()
    app.shared.events.on('session:error', () => {
      throw new Error('mine')
    })
    store.fail('get')
    await turnedAway(browser.open())
    await browser.connect()
  })
})

describe('cookie.path', () => {
  it("that does not cover the socket's path: connect_error COOKIE_PATH names both", async () => {
    expectWarning('COOKIE_PATH')
    const app = await startApp({ session: { cookie: { path: '/shop' } } })
    const error = await refused(app.browser().open())
    expect(error.data).toEqual({ code: 'COOKIE_PATH' })
    expect(error.message).toContain('(/shop)')
    expect(error.message).toContain('(/socket.io/)')
  })

  it.runIf(cookieFunctions)(
    "that does not cover the socket's path, in a `cookie` function: connect_error COOKIE_PATH",
    async () => {
      expectWarning('COOKIE_PATH')
      const app = await startApp({ session: { cookie: (() => ({ path: '/shop' })) as any } })
      expect((await refused(app.browser().open())).data).toEqual({ code: 'COOKIE_PATH' })
    },
  )

  it("that covers the socket's path, with Socket.IO's path below it", async () => {
    const app = await startApp({ session: { cookie: { path: '/shop' } }, io: { path: '/shop/live' } })
    const browser = app.browser()
    await letIn(browser.open({ path: '/shop/live' }))
    expect((app.sockets[0]!.handshake as any).session.cookie.path).toBe('/shop')
  })
})

const asExpress = (): never => {
  throw new TypeError('Cannot read properties of undefined (hostname)')
}

describe('a function of the session options that expects an Express request', () => {
  const says =
    /and the store none\..*a function in the session options \(cookie, genid\).*requests are Node's, not Express's.*req\.hostname/

  it.runIf(cookieFunctions)('`cookie`', async () => {
    const cookie = (req: any) => (req.hostname === undefined ? asExpress() : {})
    const app = await startApp({ session: { cookie: cookie as any } })
    const errors: any[] = []
    app.shared.events.on('session:error', (error) => void errors.push(error))
    const browser = app.browser()
    const error = await refused(browser.open())
    expect(error.data).toEqual({ code: 'STORE_FAILED' })
    expect(error.message).toMatch(says)
    expect(errors).toMatchObject([{ cause: { name: 'TypeError' } }])
    await browser.get('/set?user=ada')
    expect((await refused(browser.open())).message).toMatch(says)
  })

  it('`genid`: for a client without a cookie, and for one whose session is gone', async () => {
    expectWarning('STORE_FAILED')
    const store = new ControlledStore()
    let ids = 0
    const genid = (req: any) => (req.hostname === undefined ? asExpress() : String(++ids))
    const app = await startApp({ store, session: { genid } })
    const browser = app.browser()
    expect((await refused(browser.open())).message).toMatch(says)
    await browser.get('/set?user=ada')
    await browser.connect()
    await store.gone(sidOf(browser))
    expect((await refused(browser.open())).message).toMatch(says)
  })

  it('an error of the store is reported as the store’s; before the store is known it may be either’s', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store, wrap: (session) => (req, res, done) => void setImmediate(() => session(req, res, done)) })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const errors = collect<SharedSessionError>(app.shared.events, 'session:error')
    store.fail('get')
    await turnedAway(browser.open())
    await browser.connect()
    store.fail('get')
    await turnedAway(browser.open())
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/its store .*connection to the store, or a function in the session options/),
      expect.stringMatching(/the session store reported/),
    ])
  })
})

/** What cookie-session does to a request. */
function likeCookieSession(req: any, _res: unknown, next: () => void): void {
  let session: object | undefined = {}
  req.sessionCookies = {}
  req.sessionOptions = {}
  Object.defineProperty(req, 'session', {
    configurable: true,
    enumerable: true,
    get: () => session,
    set: (value) => {
      session = value
    },
  })
  next()
}

describe('cookie-session instead of express-session', () => {
  it.each([
    ['as it is', (middleware: any) => middleware],
    ['wrapped', (middleware: any) => (req: any, res: any, done: any) => void setImmediate(() => middleware(req, res, done))],
  ])('%s: NO_STORE and explain() name it', async (_name, wrapped) => {
    expectWarning('NO_STORE')
    const seen: any[] = []
    const app = await startApp({
      wrap: () => wrapped(likeCookieSession),
      wire(io, shared) {
        io.use((socket, done) => {
          seen.push(socket)
          done()
        })
        io.use(shared)
      },
    })
    const error = await refused(app.browser().open())
    expect(error.data).toEqual({ code: 'NO_STORE' })
    expect(error.message).toMatch(/is cookie-session, which keeps each session in its cookie.*Use express-session/)
    expect(app.shared.explain(seen[0])).toBe(error.message)
    if (_name === 'as it is') expect(() => app.shared.stats()).toThrow(error.message)
  })
})

it('a session middleware that never calls next(): session:error that names it, after the time limit', async () => {
  const app = await startApp({
    wrap: (session) =>
      function onlyForPages(request, response, next) {
        if (!request.url.startsWith('/socket.io/')) session(request, response, next)
      },
    shared: { retry: { timeout: 20 } },
  })
  const errors = collect<SharedSessionError>(app.shared.events, 'session:error')
  await turnedAway(app.browser().open())
  const message = expect.stringContaining('session middleware "onlyForPages" did not call next() within 2020 ms')
  expect(errors).toMatchObject([{ code: 'STORE_TIMEOUT', message }])
})

describe('a cookie parser that fails', () => {
  it('is a connect_error, not a crash', async () => {
    expectWarning('STORE_FAILED')
    const app = await startApp({ cookieParser: (_req, _res, done) => done(new Error(DETAIL)) })
    const error = await refused(app.browser().open())
    expect(error.data).toEqual({ code: 'STORE_FAILED' })
    expect(error.message).toContain('cookie parser')
    expect(error.message).not.toContain('hunter2')
  })

  it('that never calls next(): connect_error that names it, after the time limit', async () => {
    expectWarning('STORE_FAILED')
    const app = await startApp({ cookieParser: function parseCookies() {}, shared: { retry: { timeout: 20 } } })
    const error = await refused(app.browser().open())
    expect(error.data).toEqual({ code: 'STORE_FAILED' })
    expect(error.message).toMatch(/cookie parser "parseCookies" did not call next\(\) within 2020 ms/)
  })

  it('because no secret is configured: a connect_error', async () => {
    expectWarning('req.secret; provide secret option')
    expectWarning('STORE_FAILED')
    const app = await startApp({ session: { secret: undefined as never } })
    expect((await refused(app.browser().open())).data).toEqual({ code: 'STORE_FAILED' })
  })
})

it('what a later middleware throws is an uncaught exception, as without this package, and no unhandled rejection', async () => {
  const app = await startApp({
    wire(io, shared) {
      io.use(shared)
      io.use(() => {
        throw new Error("the application's own")
      })
    },
  })
  const uncaught = process.rawListeners('uncaughtException') as any[]
  process.removeAllListeners('uncaughtException')
  const thrown = next<Error>(process, 'uncaughtException')
  app.browser().open()
  const error = await thrown
  for (const listener of uncaught) process.on('uncaughtException', listener)
  expect(error.message).toBe("the application's own")
})

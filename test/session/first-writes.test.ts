import { IndeterminateWriteError, type StoreDriver } from 'sharedsession/driver'
import { afterEach, describe, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { type App, type AppOptions, closeApps, type express, startApp } from '../support/app.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn } from '../support/handshake.js'
import { collect } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { pausing } from '../support/slow-routes.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

const lost = (): IndeterminateWriteError => new IndeterminateWriteError(new Error('the connection was lost'))

const RETRY = { attempts: 3, minDelay: 1, maxDelay: 2 }

interface Losing {
  /** The session's first write has reached the store, or was lost on its way. */
  sent: Promise<void>
  /** Its answer is lost. */
  lose(): void
  /** What the store holds. */
  rows: Map<string, { text: string }>
  /** How many first writes were sent. */
  writes(): number
  options: { driver: StoreDriver; bus: false; revalidate: false; touch: false; retry: typeof RETRY }
}

/** A store that loses the answer to a session's first write. @param isLost the write as well */
function losing(isLost = false): Losing {
  const [sent, answer] = [deferred(), deferred()]
  let rows!: Losing['rows']
  let writes = 0
  const driver = sample((all, { write }): Partial<StoreDriver> => {
    rows = all
    return {
      async write(sid, next, expected, ...rest) {
        if (expected !== undefined || ++writes > 1) return write(sid, next, expected, ...rest)
        if (!isLost) await write(sid, next, expected, ...rest)
        sent.resolve()
        await answer.promise
        throw lost()
      },
    }
  })
  return {
    sent: sent.promise,
    lose: () => answer.resolve(),
    get rows() {
      return rows
    },
    writes: () => writes,
    options: { driver, bus: false, revalidate: false, touch: false, retry: RETRY },
  }
}

const attach: AppOptions['wire'] = (io, shared) => void shared.attach(io)

/** Another node that has the same store. */
const otherNode = ({ options }: Losing): Promise<App> => startApp({ store: new DriverStore(), wire: attach, shared: options })

type Route = (req: any, res: any, report: (error?: { code?: string }) => void) => void

/** Responses whose headers have left when the session is stored. */
const ANSWERED: Record<string, Route> = {
  streamed: (req, res, report) => {
    res.write('a')
    req.session.save((error: any) => {
      report(error)
      // It is saved once more at the end.
      req.session.theme = 'dark'
      res.end('b')
    })
  },
  // express-session sends the headers before it has saved.
  'ended with a body': (req, res, report) => {
    const save = req.session.save.bind(req.session)
    Object.defineProperty(req.session, 'save', {
      value: (done: (error?: any) => void) =>
        save((error: any) => {
          report(error)
          done(error)
        }),
    })
    res.end('ab')
  },
}

/** The route `/slow`: it has loaded its session, stops, and then saves it. */
function slowSave() {
  const { arrived, go, here } = pausing()
  const saved = deferred<{ code?: string } | undefined>()
  const routes = (http: ReturnType<typeof express>): void => {
    http.get('/slow', async (req, res) => {
      await here()
      req.session.user = 'grace'
      req.session.save((error) => {
        saved.resolve(error)
        res.destroy()
      })
    })
  }
  return { arrived, go, saved: saved.promise, routes }
}

/** A node with the route `/first`, which stores a new session. @returns also what the save has reported */
async function nodeWith(
  store: Losing,
  route: Route,
  more?: AppOptions['routes'],
): Promise<{ app: App; saved: Promise<{ code?: string } | undefined> }> {
  const saved = deferred<{ code?: string } | undefined>()
  const routes = (http: ReturnType<typeof express>): void => {
    more?.(http)
    http.get('/first', (req, res) => {
      req.session.user = 'ada'
      route(req, res, saved.resolve)
    })
    http.use((_error: unknown, _req: unknown, res: any, _next: unknown) => {
      if (!res.headersSent) res.status(500)
      res.end()
    })
  }
  return { app: await startApp({ store: new DriverStore(), routes, shared: store.options }), saved: saved.promise }
}

describe.each(Object.entries(ANSWERED))(
  'a new session’s first write whose answer is lost, of a response that is %s',
  (_name, route) => {
    it('is not sent again: it does not bring back what another node has ended', async () => {
      const store = losing()
      const { app, saved } = await nodeWith(store, route)
      const other = await otherNode(store)
      // Its headers have come.
      const response = await fetch(`${app.url}/first`)
      const browser = other.browser()
      browser.cookie = pairOf(response.headers.getSetCookie()) as string
      await store.sent
      expect(store.rows.size).toBe(1)
      await browser.get('/destroy')
      expect(store.rows.size).toBe(0)
      store.lose()
      expect(await saved).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
      await response.text().catch(() => undefined)
      await app.shared.flush()
      expect([...store.rows.keys()]).toEqual([])
    })

    it('succeeds where a read shows it', async () => {
      const store = losing()
      const { app, saved } = await nodeWith(store, route)
      const response = await fetch(`${app.url}/first`)
      store.lose()
      expect(await saved).toBeUndefined()
      await response.text()
      expect([...store.rows.values()]).toMatchObject([{ text: expect.stringContaining('ada') }])
      expect(store.writes()).toBe(1)
    })
  },
)

it('a new session’s first write whose answer is lost is in doubt for each later save of the request as well', async () => {
  const store = losing(true)
  const { app, saved } = await nodeWith(store, (req, res, report) => {
    res.write('a')
    req.session.save(() => {
      req.session.theme = 'dark'
      req.session.save((error: any) => {
        report(error)
        res.end('b')
      })
    })
  })
  const response = await fetch(`${app.url}/first`)
  store.lose()
  expect(await saved).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  await response.text().catch(() => undefined)
  expect([...store.rows.keys()]).toEqual([])
})

it('a new session’s first write is not in doubt any more when a read has found it: a save after the end of the session is no error', async () => {
  const store = losing()
  const { driver } = store.options
  let isDown = true
  store.options.driver = {
    ...driver,
    async read(sid) {
      if (isDown) throw new Error('the store failed')
      return driver.read(sid)
    },
  }
  const slow = slowSave()
  const { app, saved } = await nodeWith(store, ANSWERED['ended with a body'] as Route, slow.routes)
  const response = await fetch(`${app.url}/first`)
  store.lose()
  expect(await saved).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  await response.text().catch(() => undefined)
  isDown = false
  const browser = app.browser()
  browser.cookie = pairOf(response.headers.getSetCookie()) as string
  const answer = browser.get('/slow').catch(() => undefined)
  await slow.arrived
  await fetch(`${app.url}/destroy`, { headers: { cookie: browser.cookie } })
  slow.go()
  expect(await slow.saved).toBeUndefined()
  await answer
  expect([...store.rows.keys()]).toEqual([])
})

it('a later write of unknown outcome leaves no doubt that the session was there: a save after its end is no error', async () => {
  const store = losing()
  const { driver } = store.options
  let isLosing = false
  store.options.driver = {
    ...driver,
    async write(...call) {
      if (isLosing) throw lost()
      return driver.write(...call)
    },
  }
  store.lose()
  const slow = slowSave()
  const app = await startApp({ store: new DriverStore(), routes: slow.routes, shared: store.options })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const answer = browser.get('/slow').catch(() => undefined)
  await slow.arrived
  const sid = sidOf(browser)
  isLosing = true
  const update = app.shared.update(sid, (session) => {
    session.theme = 'dark'
  })
  await expect(update).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  isLosing = false
  await app.shared.destroy(sid)
  slow.go()
  expect(await slow.saved).toBeUndefined()
  await answer
  expect([...store.rows.keys()]).toEqual([])
})

it('a new session’s first write whose answer is lost is sent again where the response’s headers have not left', async () => {
  const store = losing(true)
  const { app, saved } = await nodeWith(store, (req, res, report) => {
    req.session.save((error: any) => {
      report(error)
      res.end('ab')
    })
  })
  store.lose()
  const response = await fetch(`${app.url}/first`)
  expect(await saved).toBeUndefined()
  expect(await response.text()).toBe('ab')
  expect(store.writes()).toBe(2)
  expect([...store.rows.values()]).toMatchObject([{ text: expect.stringContaining('ada') }])
})

/** A visitor's socket whose session is not stored yet. */
async function visitor(
  store: Losing,
  options: AppOptions = {},
): Promise<{ app: App; cookie: string; socket: App['sockets'][number]; session: any }> {
  const app = await startApp({ store: new DriverStore(), wire: attach, shared: store.options, ...options })
  const client = app.browser().open()
  const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
  const socket = app.sockets[0] as App['sockets'][number]
  return { app, cookie: pairOf(lines) as string, socket, session: app.shared.session(socket) }
}

describe('the first write of a socket’s session, whose answer is lost,', () => {
  it('is not sent again: it does not bring back what another node has ended, nor does a later write', async () => {
    const store = losing()
    const { app, cookie, socket, session } = await visitor(store)
    const other = await otherNode(store)
    const errors = collect<{ code: string }>(socket, 'session:error')
    const ended = next(socket, 'session:destroyed')
    session.cart = [1]
    await store.sent
    expect(store.rows.size).toBe(1)
    const browser = other.browser()
    browser.cookie = cookie
    await browser.get('/destroy')
    expect(store.rows.size).toBe(0)
    store.lose()
    await until(() => errors.length > 0)
    expect(errors).toMatchObject([{ code: 'OUTCOME_UNKNOWN' }])
    session.cart = [2]
    await ended
    await app.shared.flush().catch(() => undefined)
    expect([...store.rows.keys()]).toEqual([])
  })

  it('succeeds where a read shows it', async () => {
    const store = losing()
    const { socket, session } = await visitor(store)
    const errors = collect(socket, 'session:error')
    session.cart = [1]
    store.lose()
    await session.save()
    session.cart.push(2)
    await session.save()
    expect(errors).toEqual([])
    expect(store.writes()).toBe(1)
    expect([...store.rows.values()]).toMatchObject([{ text: expect.stringContaining('[1,2]') }])
  })

  it('is in doubt for a request as well that had the session before: its save is not taken for that of a session that has ended', async () => {
    const store = losing(true)
    const { arrived, go, saved, routes } = slowSave()
    const { app, cookie, socket, session } = await visitor(store, { routes })
    const browser = app.browser()
    browser.cookie = cookie
    const slow = browser.get('/slow').catch(() => undefined)
    await arrived
    const errors = collect(socket, 'session:error')
    const ended = next(socket, 'session:destroyed')
    session.cart = [1]
    store.lose()
    await ended
    expect(errors).toMatchObject([{ code: 'OUTCOME_UNKNOWN' }])
    go()
    expect(await saved).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await slow
    expect([...store.rows.keys()]).toEqual([])
  })
})

describe('a new session’s first write that was given up, and that arrives after the session was destroyed:', () => {
  interface Late {
    store: Losing
    called: Promise<void>
    /** Has it reach the store now. @param failures how many of the next destroys fail */
    carryOut(failures?: number): Promise<void>
  }

  function late(): Late {
    const store = losing()
    const [called, arrival, arrived] = [deferred(), deferred(), deferred()]
    const { write, destroy } = store.options.driver
    let failing = 0
    store.lose()
    const driver: StoreDriver = {
      ...store.options.driver,
      async write(...args) {
        called.resolve()
        await arrival.promise
        // The first one is lost after it was done.
        await write(...args).catch(() => undefined)
        arrived.resolve()
        return { written: true }
      },
      async destroy(sid) {
        if (failing-- > 0) throw new Error('the store failed')
        return destroy(sid)
      },
    }
    Object.assign(store.options, { driver, retry: { ...RETRY, timeout: 500 } })
    return {
      store,
      called: called.promise,
      carryOut(failures = 0) {
        failing = failures
        arrival.resolve()
        return arrived.promise
      },
    }
  }

  it('that of a request is destroyed again', async () => {
    const { store, called, carryOut } = late()
    const { app, saved } = await nodeWith(store, ANSWERED['ended with a body'] as Route)
    const response = await fetch(`${app.url}/first`)
    await called
    expect(await saved).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await response.text().catch(() => undefined)
    await app.shared.destroy(sidOf({ cookie: pairOf(response.headers.getSetCookie()) }))
    await carryOut()
    expect(store.rows.size).toBe(1)
    await until(() => store.rows.size === 0)
  })

  it('that of a socket is destroyed again, also where the store fails at that moment', async () => {
    const { store, called, carryOut } = late()
    const { app, socket, session } = await visitor(store)
    const errors = collect<{ code: string }>(socket, 'session:error')
    session.cart = [1]
    await called
    await until(() => errors.length > 0)
    await app.shared.destroy(session.id)
    await carryOut(1)
    expect(store.rows.size).toBe(1)
    await until(() => store.rows.size === 0)
  })
})

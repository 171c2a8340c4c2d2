import { once } from 'node:events'
import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, closeApps, express, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect, failure, live, visited } from '../support/live.js'
import { sidOf } from '../support/sid.js'

afterEach(closeApps)

const HOUR = 3_600_000
const inAnHour = (): string => new Date(Date.now() + HOUR).toISOString()
const session = { cookie: { maxAge: 2 * HOUR } }

/** What express-session throws at the end of each later request, which is then never answered, where it finds such a value in the store. */
const REFUSED: Record<string, [attribute: string, value: () => unknown]> = {
  'a date as text for expires': ['expires', inAnHour],
  'any text for expires': ['expires', () => 'garbage'],
  'true for expires': ['expires', () => true],
  'text for originalMaxAge': ['originalMaxAge', () => 'v'],
  'true for originalMaxAge': ['originalMaxAge', () => true],
  'text for _expires': ['_expires', inAnHour],
  'text for maxAge': ['maxAge', () => '99'],
}

describe('an end of the session that express-session could not use throws a TypeError where a socket assigns it', () => {
  for (const [what, [attribute, value]] of Object.entries(REFUSED)) {
    it(what, async () => {
      const { session: own, browser, stored } = await live({ session })
      const before = { ...stored().cookie, sharedsession: undefined }
      expect(() => Object.assign(own.cookie, { [attribute]: value() })).toThrow(
        new TypeError(`${attribute} must be a number or Date`),
      )
      own.theme = 'dark'
      await own.save()
      expect({ ...stored().cookie, sharedsession: undefined }).toEqual({ ...before, expires: expect.any(String) })
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark' })
    })
  }
})

/** What the store holds of the cookie after a request that has assigned the value, by express-session alone. */
async function plainly(attribute: string, value: unknown): Promise<Record<string, unknown>> {
  const store = new expressSession.MemoryStore()
  const http = express()
  http.use(expressSession({ secret: 's', resave: false, saveUninitialized: false, store, ...session }))
  http.get('/', (req, res) => {
    Object.assign(req.session.cookie, { [attribute]: value })
    req.session.n = 1
    res.end()
  })
  const server = http.listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  // express-session reports that it can make no cookie of an end that is no date.
  http.use((_error: unknown, _req: unknown, res: any, _next: unknown) => void res.end())
  await fetch(`http://127.0.0.1:${port}/`)
  server.closeAllConnections()
  server.close()
  const [text] = Object.values((store as unknown as { sessions: Record<string, string> }).sessions)
  return JSON.parse(text as string).cookie
}

/** A busy machine takes its time between an assignment and the look at it. */
const inMinutes = (ms: number | null | undefined): number => Math.round((ms ?? Number.NaN) / 60_000)

const endOf = ({ originalMaxAge, expires }: any) => ({
  originalMaxAge: inMinutes(originalMaxAge),
  expires: expires && inMinutes(Date.parse(expires) - Date.now()),
})

describe('what express-session takes for an end of the session means the same where a socket assigns it', () => {
  const TAKEN: Record<string, [attribute: string, value: () => unknown]> = {
    'a Date for expires': ['expires', () => new Date(Date.now() + HOUR)],
    'a number for expires: a maximum age': ['expires', () => HOUR],
    'null for expires': ['expires', () => null],
    'false for expires': ['expires', () => false],
    'a number for originalMaxAge': ['originalMaxAge', () => HOUR],
    'null for originalMaxAge': ['originalMaxAge', () => null],
    'a number for maxAge': ['maxAge', () => HOUR],
    'no date for expires': ['expires', () => new Date(Number.NaN)],
    'a date that is too late for expires': ['expires', () => 1e20],
  }
  for (const [what, [attribute, value]] of Object.entries(TAKEN)) {
    it(what, async () => {
      const { session: own, browser, stored } = await live({ session })
      own.cookie[attribute] = value()
      await own.save()
      expect(endOf(stored().cookie)).toEqual(endOf(await plainly(attribute, value())))
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
      expect(endOf(stored().cookie)).toEqual(endOf(await plainly(attribute, value())))
    })
  }
})

it('the methods of the cookie are no attributes of it', async () => {
  const { session: own, stored, socket } = await live({ session })
  const told = collect(socket, 'session:error')
  own.cookie.toJSON = 'mine'
  expect(await failure(own.save())).toMatchObject({ code: 'RESERVED_KEY' })
  expect(told).toMatchObject([{ code: 'RESERVED_KEY' }])
  await own.save()
  expect(endOf(stored().cookie)).toMatchObject({ originalMaxAge: inMinutes(2 * HOUR) })
})

/** The second one has methods of its own: it is written as a store that cannot compare. */
const STORES: Record<string, () => expressSession.MemoryStore> = {
  MemoryStore: () => new expressSession.MemoryStore(),
  'a store that cannot compare': () => new ControlledStore(),
}

describe.each(Object.keys(STORES))(
  'a cookie that others have left in the store and that express-session cannot use, in %s',
  (name) => {
    async function broken(cookie: object) {
      const store = STORES[name]!() as any
      const held = (): any => JSON.parse(store.sessions[sidOf(browser)])
      const app: App = await startApp({ store, session })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      store.sessions[sidOf(browser)] = JSON.stringify({ cookie: { httpOnly: true, path: '/', ...cookie }, user: 'ada' })
      return { app, browser, cookie: () => held().cookie }
    }

    it('a maximum age that is text: the end counts, as if it had been assigned as a Date', async () => {
      const { browser, app, cookie } = await broken({ originalMaxAge: inAnHour(), expires: inAnHour() })
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
      const client = await browser.connect()
      expect(await client.emitWithAck('set', 'theme', 'dark')).toBe('ok')
      expect(endOf(cookie())).toEqual({ originalMaxAge: inMinutes(HOUR), expires: inMinutes(HOUR) })
      await app.shared.update(sidOf(browser), (draft) => Object.assign(draft, { n: 1 }))
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark', n: 1 })
    })

    it('with a handshake first, and update()', async () => {
      const { browser, app } = await broken({ originalMaxAge: true, expires: 'garbage' })
      const client = await browser.connect()
      expect((app.sockets[0] as any).handshake.session.user).toBe('ada')
      await app.shared.update(sidOf(browser), (draft) => Object.assign(draft, { n: 1 }))
      expect(await client.emitWithAck('set', 'theme', 'dark')).toBe('ok')
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark', n: 1 })
    })

    it('an end that is no date', async () => {
      const { browser } = await broken({ originalMaxAge: HOUR, expires: 'garbage' })
      const client = await browser.connect()
      expect(await client.emitWithAck('set', 'theme', 'dark')).toBe('ok')
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark' })
    })
  },
)

it('a request that saves such a cookie itself stores one that later requests can use', async () => {
  const { browser, stored } = await visited({
    session,
    routes: (http) =>
      http.get('/poison', (req, res) => {
        // The compiler refuses it; JavaScript does not.
        req.session.cookie.expires = inAnHour() as unknown as Date
        // express-session cannot end this request.
        req.session.save(() => res.destroy())
      }),
  })
  await failure(browser.get('/poison'))
  expect(endOf(stored().cookie)).toEqual({ originalMaxAge: inMinutes(HOUR), expires: inMinutes(HOUR) })
  expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
})

import { randomBytes } from 'node:crypto'
import cookieParser from 'cookie-parser'
import expressSession, { type SessionOptions } from 'express-session'
import { describe, expect } from 'vitest'
import { cookieFunctions, express } from '../support/app.js'
import { promises, sidOf, type Visitor } from './harness.js'
import { memory } from './memory.js'

const HOUR = 3_600_000
const HTTPS = { 'x-forwarded-proto': 'https' }

/** express-session 1.18 brought these attributes, and secrets that are no strings. */
const attributesOf118 = 'partitioned' in (new expressSession.Cookie() as unknown as { data: object }).data

/** What the session's cookie says, and whether it comes over a connection that is secure by the proxy's word. */
function sets(name: string, session: Partial<SessionOptions>, attributes: string[], headers = {}): void {
  promises(name, memory, { session }, async (site) => {
    const visitor = site.visitor()
    const { cookie } = await visitor.ask('/set?user=ada', headers)
    expect(cookie).toEqual({ name: session.name ?? 'connect.sid', signed: true, attributes })
    expect((await visitor.ask('/set?user=eve', headers)).body).toMatchObject({ user: 'eve', id: visitor.sid })
    // What comes back from the store makes the same cookie.
    expect((await visitor.ask('/login?user=bob', headers)).cookie?.attributes).toEqual(attributes)
  })
}

describe('cookie options', () => {
  sets('by default: the root path, HttpOnly, and no more', {}, ['HttpOnly', 'Path=/'])
  sets('domain', { cookie: { domain: 'example.com' } }, ['Domain=example.com', 'HttpOnly', 'Path=/'])
  sets('httpOnly: false', { cookie: { httpOnly: false } }, ['Path=/'])
  sets('maxAge', { cookie: { maxAge: 2 * HOUR } }, ['Expires in 120 min', 'HttpOnly', 'Path=/'])
  const later = new Date(Date.now() + HOUR)
  sets('expires', { cookie: { expires: later } }, ['Expires in 60 min', 'HttpOnly', 'Path=/'])
  sets('expires after maxAge: the last one counts', { cookie: { maxAge: 2 * HOUR, expires: later } }, [
    'Expires in 60 min',
    'HttpOnly',
    'Path=/',
  ])
  for (const [sameSite, said] of [
    [true, 'Strict'],
    ['strict', 'Strict'],
    ['lax', 'Lax'],
    ['none', 'None'],
  ] as const) {
    sets(`sameSite: ${sameSite}`, { cookie: { sameSite } }, ['HttpOnly', 'Path=/', `SameSite=${said}`])
  }
  sets('sameSite: false', { cookie: { sameSite: false } }, ['HttpOnly', 'Path=/'])

  describe.runIf(attributesOf118)('of express-session 1.18', () => {
    sets('partitioned', { cookie: { partitioned: true } as object }, ['HttpOnly', 'Partitioned', 'Path=/'])
    for (const priority of ['low', 'medium', 'high'] as const) {
      const said = `Priority=${priority[0]?.toUpperCase()}${priority.slice(1)}`
      sets(`priority: ${priority}`, { cookie: { priority } }, ['HttpOnly', 'Path=/', said])
    }
  })

  const onSet = { session: { cookie: { path: '/set' } }, warnings: ['COOKIE_PATH'] }
  promises('path: other paths have no session', memory, onSet, async (site) => {
    const visitor = site.visitor()
    expect((await visitor.ask('/show')).body).toEqual({ session: null })
    const { body, cookie } = await visitor.ask('/set?user=ada')
    expect(body.user).toBe('ada')
    expect(cookie?.attributes).toEqual(['HttpOnly', 'Path=/set'])
    expect((await visitor.ask('/show')).body).toEqual({ session: null })
  })

  describe('secure', () => {
    const secure = { cookie: { secure: true } }
    const auto = { cookie: { secure: 'auto' } } as const
    promises(
      'true: no cookie over a connection that is not secure, but the session is stored',
      memory,
      { session: secure },
      async (site) => {
        const { body, cookie } = await site.visitor().ask('/set?user=ada')
        expect(cookie).toBeUndefined()
        expect(await site.held(body.id)).toMatchObject({ user: 'ada', cookie: { secure: true } })
      },
    )
    promises('proxy undefined: the header counts for nothing without trust proxy', memory, { session: secure }, async (site) => {
      expect((await site.visitor().ask('/set?user=ada', HTTPS)).cookie).toBeUndefined()
    })
    const trusting = { session: secure, before: (http: any) => http.set('trust proxy', 1) }
    promises('proxy undefined: with trust proxy it counts', memory, trusting, async (site) => {
      expect((await site.visitor().ask('/set?user=ada', HTTPS)).cookie?.attributes).toContain('Secure')
    })
    promises('proxy: false: never', memory, { ...trusting, session: { ...secure, proxy: false } }, async (site) => {
      expect((await site.visitor().ask('/set?user=ada', HTTPS)).cookie).toBeUndefined()
    })
    sets('proxy: true: as the header says', { ...secure, proxy: true }, ['HttpOnly', 'Path=/', 'Secure'], HTTPS)
    sets('auto, by a secure connection', { ...auto, proxy: true }, ['HttpOnly', 'Path=/', 'Secure'], HTTPS)
    sets('auto, by another one', { ...auto, proxy: true }, ['HttpOnly', 'Path=/'])
  })

  describe.runIf(cookieFunctions)('of express-session 1.19', () => {
    const auto = { cookie: { sameSite: 'auto' as never }, proxy: true }
    sets('sameSite: auto, by a secure connection', auto, ['HttpOnly', 'Path=/', 'SameSite=None'], HTTPS)
    sets('sameSite: auto, by another one', auto, ['HttpOnly', 'Path=/', 'SameSite=Lax'])

    const cookie = (req: any) => ({ maxAge: req.headers?.['x-short'] ? HOUR : 2 * HOUR, sameSite: 'lax' as const })
    promises('a function decides for each request', memory, { session: { cookie: cookie as never } }, async (site) => {
      const [long, short] = [site.visitor(), site.visitor()]
      expect((await long.ask('/set?user=ada')).cookie?.attributes).toContain('Expires in 120 min')
      expect((await short.ask('/set?user=eve', { 'x-short': 'yes' })).cookie?.attributes).toContain('Expires in 60 min')
      expect((await short.ask('/set?user=bob')).cookie?.attributes).toEqual([
        'Expires in 60 min',
        'HttpOnly',
        'Path=/',
        'SameSite=Lax',
      ])
    })
  })
})

describe('name', () => {
  sets('names the cookie', { name: 'app.sid' }, ['HttpOnly', 'Path=/'])

  promises('a cookie of another name is no session', memory, { session: { name: 'app.sid' } }, async (site) => {
    const visitor = site.visitor()
    await visitor.ask('/set?user=ada')
    const cookie = visitor.cookie?.replace('app.sid', 'connect.sid')
    const { body } = await site.visitor().ask('/show', { cookie: String(cookie) })
    expect(body).not.toHaveProperty('user')
  })
})

describe('secret', () => {
  /** Gives the visitor the same cookie, signed with that secret. */
  async function sign(visitor: Visitor, secret: string): Promise<void> {
    const http = express()
    const { sid } = visitor
    http.use(
      expressSession({
        secret,
        genid: () => sid,
        store: new expressSession.MemoryStore(),
        resave: false,
        saveUninitialized: true,
      }),
    )
    http.get('/', (_req, res) => void res.end())
    const server = http.listen(0, '127.0.0.1')
    await new Promise((done) => server.once('listening', done))
    const response = await fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}/`)
    visitor.cookie = response.headers.getSetCookie()[0]?.split(';')[0]
    server.close()
    expect(visitor.sid).toBe(sid)
  }

  const several = { session: { secret: ['new', 'old'] } }
  promises('several: a cookie of an old one is accepted, and the first one signs', memory, several, async (site) => {
    const visitor = site.visitor()
    await visitor.ask('/set?user=ada')
    const { cookie, sid } = visitor
    await sign(visitor, 'old')
    expect(visitor.cookie).not.toBe(cookie)
    expect((await visitor.ask('/show')).body).toMatchObject({ user: 'ada', id: sid })
    await visitor.ask('/login?user=ada')
    const renewed = visitor.cookie
    await sign(visitor, 'new')
    expect(visitor.cookie).toBe(renewed)
  })

  promises('a cookie of another one, and one that is not signed, name no session', memory, {}, async (site) => {
    const visitor = site.visitor()
    await visitor.ask('/set?user=ada')
    const { sid } = visitor
    await sign(visitor, 'forged')
    for (const cookie of [visitor.cookie, `connect.sid=${sid}`]) {
      visitor.cookie = cookie
      const { body } = await visitor.ask('/show')
      expect(body).not.toHaveProperty('user')
      expect(body.id).not.toBe(sid)
    }
  })

  promises(
    'none: cookie-parser’s',
    memory,
    {
      session: { secret: undefined as never },
      before: (http) => http.use(cookieParser('parsed')),
      warnings: ['STORE_FAILED', 'req.secret; provide secret option'],
    },
    async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      expect((await visitor.ask('/show')).body.user).toBe('ada')
      await sign(visitor, 'parsed')
      expect((await visitor.ask('/show')).body.user).toBe('ada')
    },
  )

  promises('none at all: an error', memory, { session: { secret: undefined as never } }, async (site) => {
    expect(await site.visitor().ask('/show')).toMatchObject({
      status: 500,
      body: { error: 'secret option required for sessions' },
    })
  })

  describe.runIf(attributesOf118)('of express-session 1.18', () => {
    const secret = randomBytes(32) as never
    promises('a Buffer', memory, { session: { secret } }, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      expect((await visitor.ask('/show')).body).toMatchObject({ user: 'ada', id: sidOf(visitor.cookie) })
    })
  })
})

import { createServer } from 'node:https'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import type { Express } from 'express'
import expressSession from 'express-session'
import pg from 'pg'
import { Server } from 'socket.io'
import { afterEach, describe, expect, it, vi } from 'vitest'
import sharedsession, { type Diagnosis, type Finding, postgresBus } from '../src/index.js'
import { type AppOptions, closeApps, cookieFunctions, startApp } from './support/app.js'
import { ControlledStore } from './support/controlled-store.js'
import { MemoryBus } from './support/memory-bus.js'
import { startPostgres } from './support/postgres.js'
import { startRedis } from './support/redis.js'
import { nodeRedis } from './support/redis-clients.js'
import { withService } from './support/service.js'
import { sidOf } from './support/sid.js'
import { plainStore } from './support/stores.js'
import { until } from './support/wait.js'
import { expectWarning } from './support/warnings.js'

afterEach(closeApps)

const ORDER = ['error', 'warning', 'info']
const attach: AppOptions['wire'] = (io, shared) => void shared.attach(io)
const codes = ({ findings }: Diagnosis): string[] => findings.map(({ code }) => code)

/** What the doctor of an application says that has answered one request. */
async function examined(options: AppOptions = {}): Promise<Diagnosis> {
  const app = await startApp({ wire: attach, ...options })
  await app.browser().get('/set?user=ada')
  return app.shared.doctor()
}

/** What it says about a cookie's settings. */
async function cookieFindings(options: AppOptions): Promise<Finding[]> {
  return cookieFindingsOf(await examined(options))
}

function cookieFindingsOf({ findings }: Diagnosis): Finding[] {
  return findings.filter(({ code }) => code.startsWith('COOKIE'))
}

describe('doctor() says what the application has', () => {
  it('in a text with a line for each part, and no finding but what every MemoryStore has', async () => {
    const diagnosis = await examined({ session: { cookie: { maxAge: 3_600_000, sameSite: 'lax' } } })
    expect(codes(diagnosis)).toEqual(['MEMORY_STORE'])
    // A cookie's end is in whole seconds.
    const text = diagnosis.text.replace(/maxAge=3(600|59\d) s/, 'maxAge=an hour')
    expect(text.split('\n').slice(0, 4)).toEqual([
      'store: MemoryStore, driver memory, safe within one process',
      'bus: none, revalidate: never',
      'cookie: connect.sid; path=/; maxAge=an hour; httponly; samesite=Lax',
      'Socket.IO: /socket.io/ by shared.attach(io)',
    ])
    expect(diagnosis.text).toContain(`info MEMORY_STORE: ${diagnosis.findings[0]?.message}\n  ${diagnosis.findings[0]?.advice}`)
    expect(structuredClone(diagnosis)).toEqual(diagnosis)
  })

  it.each([[['get']], [[]]])('after close(), that it was closed, whether a store was known or not: %j', async (requests) => {
    const app = await startApp({ wire: requests.length > 0 ? attach : (io, shared) => void io.use(shared) })
    for (const _ of requests) await app.browser().get('/set?user=ada')
    await app.shared.close()
    const { findings, text } = app.shared.doctor()
    expect(findings).toEqual([
      {
        code: 'CLOSED',
        severity: 'error',
        message: expect.stringMatching(/close\(\)/),
        advice: expect.stringMatching(/before close\(\)/),
      },
    ])
    expect(text).toContain('store: closed')
    expect(text).not.toMatch(/NO_STORE|express-session/)
  })

  it('the worst first', async () => {
    const diagnosis = await examined({ session: { resave: true, cookie: { sameSite: 'none' } }, shared: { allowedOrigins: '*' } })
    const severities = diagnosis.findings.map(({ severity }) => severity)
    expect([...new Set(severities)]).toEqual(['error', 'warning', 'info'])
    expect(severities).toEqual([...severities].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b)))
  })

  it('and changes nothing: no session is stored, no method of the store is another one, requests go on', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store, wire: attach, session: { rolling: true, resave: true, saveUninitialized: true } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const before = { ...app.shared.stats(), calls: store.calls.length }
    const methods = Object.getOwnPropertyDescriptors(store)
    const { generate } = store as any
    app.shared.doctor()
    app.shared.doctor()
    expect(Object.getOwnPropertyDescriptors(store)).toEqual(methods)
    expect((store as any).generate).toBe(generate)
    expect({ ...app.shared.stats(), calls: store.calls.length }).toEqual(before)
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
    const client = await browser.connect()
    await client.emitWithAck('set', 'n', 1)
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', n: 1 })
  })

  it('without session ids, secrets and addresses', async () => {
    const app = await startApp({ wire: attach, session: { secret: 'hush-hush', genid: () => 'an-id-of-a-session' } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    expect(JSON.stringify(app.shared.doctor())).not.toMatch(/hush-hush|an-id-of|127\.0\.0\.1|ada/)
  })
})

describe('the store', () => {
  it('is not known yet behind a wrapper that no request has reached, and its cookie is not seen then', async () => {
    const wrap: AppOptions['wrap'] = (session) => async (req, res, next) => {
      await null
      session(req, res, next)
    }
    const app = await startApp({ wire: attach, wrap })
    expect(codes(app.shared.doctor())).toEqual(['NO_STORE'])
    await app.browser().connect()
    expect(codes(app.shared.doctor())).toContain('MIDDLEWARE_UNREADABLE')
    expect(codes(app.shared.doctor())).not.toContain('NO_STORE')
  })

  it('that no driver knows is not safe across processes', async () => {
    const { findings, text } = await examined({ store: plainStore() })
    expect(findings.find(({ code }) => code === 'NOT_COMPARING')).toMatchObject({
      severity: 'warning',
      message: expect.stringContaining('knows no driver'),
    })
    expect(text).toContain('driver generic, safe within one process')
    const chosen = await examined({ store: plainStore(), shared: { driver: 'generic' } })
    expect(chosen.text).toContain("The option driver: 'generic'")
  })

  it('is another one than that of HTTP requests, or not used by any yet', async () => {
    const other = expressSession({ secret: 's', resave: false, saveUninitialized: false })
    const app = await startApp({ wire: attach, before: (http) => http.use(other) })
    expect(codes(app.shared.doctor())).toContain('STORE_UNUSED')
    await app.browser().get('/set?user=ada')
    expect(codes(app.shared.doctor())).toContain('OTHER_STORE')
  })

  it('is disconnected', async () => {
    const app = await startApp({ wire: attach })
    await app.browser().get('/set?user=ada')
    app.store.emit('disconnect')
    expect(codes(app.shared.doctor())).toContain('STORE_DISCONNECTED')
    app.store.emit('connect')
    expect(codes(app.shared.doctor())).not.toContain('STORE_DISCONNECTED')
  })

  it('of the process is an error where the process is one of several', async () => {
    process.env.NODE_APP_INSTANCE = '1'
    try {
      const diagnosis = await examined()
      expect(diagnosis.findings[0]).toMatchObject({ code: 'MEMORY_STORE', severity: 'error' })
      expect(codes(diagnosis)).toContain('ADAPTER_IN_MEMORY')
      const { findings } = await examined({ store: plainStore(), shared: { revalidate: false } })
      expect(findings).toContainEqual(expect.objectContaining({ code: 'NOT_COMPARING', severity: 'error' }))
      expect(findings).toContainEqual(expect.objectContaining({ code: 'NO_BUS', severity: 'error' }))
    } finally {
      delete process.env.NODE_APP_INSTANCE
    }
  })

  it('of the process is none where pm2 runs one process', async () => {
    Object.assign(process.env, { NODE_APP_INSTANCE: '0', pm_id: '0' })
    try {
      const diagnosis = await examined()
      expect(diagnosis.findings).not.toContainEqual(expect.objectContaining({ code: 'MEMORY_STORE', severity: 'error' }))
      expect(codes(diagnosis)).not.toContain('ADAPTER_IN_MEMORY')
    } finally {
      delete process.env.NODE_APP_INSTANCE
      delete process.env.pm_id
    }
  })

  it('is on a bus that is silent, or that no look at the store makes up for', async () => {
    const bus = new MemoryBus().end()
    const silent = Object.assign(bus, { subscribe: () => new Promise<void>(() => undefined) })
    const app = await startApp({ wire: attach, store: plainStore(), shared: { bus: silent, revalidate: false } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(codes(app.shared.doctor())).toContain('REVALIDATE_OFF')
    expect(codes(app.shared.doctor())).not.toContain('BUS_SILENT')
    await browser.connect()
    await until(() => codes(app.shared.doctor()).includes('BUS_SILENT'))
  })

  it('is on a bus that does not take messages, until it takes one', async () => {
    let refuses = true
    const bus = new MemoryBus().end()
    const publish = bus.publish.bind(bus)
    const refusing = Object.assign(bus, {
      publish: async (topic: string, text: string) => {
        if (refuses) throw new Error('not allowed, says bus.example')
        publish(topic, text)
      },
    })
    const app = await startApp({ wire: attach, store: plainStore(), shared: { bus: refusing } })
    const browser = app.browser()
    expect(codes(app.shared.doctor())).not.toContain('BUS_REFUSES')
    await browser.get('/set?user=ada')
    await until(() => codes(app.shared.doctor()).includes('BUS_REFUSES'))
    expect(app.shared.doctor().text).not.toContain('bus.example')
    refuses = false
    await browser.get('/set?user=bob')
    await until(() => !codes(app.shared.doctor()).includes('BUS_REFUSES'))
  })
})

await withService('Redis', startRedis, (redis) => {
  it('Redis: store, driver and bus, and nothing is wrong; with a method of its own it is not safe', async () => {
    const { client, end } = await nodeRedis(redis().port)
    const good = await examined({ store: new RedisStore({ client }) })
    expect(good.findings).toEqual([])
    expect(good.text).toContain(
      'store: RedisStore, driver redis, compares and sets: safe across processes\nbus: redis, revalidate: 30000 ms',
    )
    expectWarning('of its own, not those of')
    class Own extends RedisStore {
      override async get(sid: string): Promise<any> {
        return super.get(sid)
      }
    }
    const { findings } = await examined({ store: new Own({ client }) })
    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'OWN_METHODS',
        severity: 'warning',
        message: expect.stringContaining('has get() of its own'),
      }),
    )
    await closeApps()
    await end()
  })

  it('Redis: a user that may not publish', async () => {
    const owner = await nodeRedis(redis().port)
    await owner.command('ACL', 'SETUSER', 'quiet', 'reset', 'on', '>pass', '~*', '+@all', '-publish', 'allchannels')
    const { client, command, end } = await nodeRedis(redis().port)
    await command('AUTH', 'quiet', 'pass')
    const app = await startApp({ store: new RedisStore({ client }), wire: attach })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const finding = expect.objectContaining({ code: 'BUS_REFUSES', severity: 'error', advice: expect.stringContaining('ACL') })
    expect(app.shared.doctor().findings).toEqual([finding])
    const allow = (right: string): Promise<unknown> => owner.command('ACL', 'SETUSER', 'quiet', right)
    await allow('+publish')
    await browser.get('/set?user=bob')
    expect(app.shared.doctor().findings).toEqual([])
    await allow('-publish')
    await app.shared.destroy(sidOf(browser))
    expect(app.shared.doctor().findings).toEqual([finding])
    await closeApps()
    await Promise.all([end(), owner.end()])
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  it('Postgres: a bus that takes no messages but those of writes, until it takes one', async () => {
    const pool = new pg.Pool({ connectionString: postgres().url })
    let refuses = true
    const query = async (text: string, values: unknown[]): Promise<unknown> => {
      if (refuses) throw new Error('not now')
      return pool.query(text, values)
    }
    const bus = postgresBus({ pool: Object.assign(Object.create(pool), { query }) })
    const store = new (connectPgSimple(expressSession))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    const app = await startApp({ store, wire: attach, shared: { bus } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(codes(app.shared.doctor())).toEqual([])
    await browser.get('/regenerate')
    await until(() => codes(app.shared.doctor()).includes('BUS_REFUSES'))
    await browser.get('/set?user=eve')
    expect(codes(app.shared.doctor())).toEqual(['BUS_REFUSES'])
    refuses = false
    await browser.get('/regenerate')
    await until(() => codes(app.shared.doctor()).length === 0)
    // One connection breaks. The next message that no write carries may be hours away.
    refuses = true
    await browser.get('/regenerate')
    await until(() => codes(app.shared.doctor()).includes('BUS_REFUSES'))
    refuses = false
    await browser.get('/set?user=ada')
    const later = performance.now() + 3_600_000
    const now = vi.spyOn(performance, 'now').mockReturnValue(later)
    const found = codes(app.shared.doctor())
    now.mockRestore()
    expect(found).toEqual([])
    await closeApps()
    await pool.end()
  })

  it('Postgres without a bus: another process is heard of late', async () => {
    const pool = new pg.Pool({ connectionString: postgres().url })
    const store = new (connectPgSimple(expressSession))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    const { findings, text } = await examined({ store })
    expect(findings).toEqual([expect.objectContaining({ code: 'NO_BUS', message: expect.stringContaining('within 30000 ms') })])
    expect(text).not.toContain(postgres().url)
    await closeApps()
    await pool.end()
  })
})

describe('the cookie', () => {
  it.each<[string, AppOptions, object]>([
    ['secure, without proxy: true', { session: { cookie: { secure: true } } }, { code: 'COOKIE_SECURE', severity: 'error' }],
    ['secure, with it', { session: { proxy: true, cookie: { secure: true } } }, { code: 'COOKIE_SECURE', severity: 'info' }],
    ["sameSite: 'none' and not secure", { session: { cookie: { sameSite: 'none' } } }, { code: 'COOKIE_SAME_SITE' }],
    [
      "sameSite: 'none' and secure: 'auto', behind a proxy that is not trusted",
      { session: { cookie: { sameSite: 'none', secure: 'auto' } } },
      { code: 'COOKIE_SAME_SITE', severity: 'error' },
    ],
    ['over when it is set', { session: { cookie: { maxAge: -1 } } }, { code: 'COOKIE_MAX_AGE', severity: 'error' }],
    ['maxAge in seconds', { session: { cookie: { maxAge: 3600 } } }, { code: 'COOKIE_MAX_AGE', severity: 'warning' }],
    [
      'a path that does not cover the socket’s',
      { session: { cookie: { path: '/shop' } } },
      { code: 'COOKIE_PATH', severity: 'error' },
    ],
    ['__Host- with a domain', { session: { name: '__Host-sid', cookie: { domain: 'example.com' } } }, { code: 'COOKIE_NAME' }],
    ['__Secure- without secure', { session: { name: '__Secure-sid' } }, { code: 'COOKIE_NAME' }],
    ['the name of Engine.IO’s own', { io: { cookie: { name: 'connect.sid' } } }, { code: 'COOKIE_NAME' }],
  ])('%s', async (_title, options, finding) => {
    expect(await cookieFindings(options)).toEqual([expect.objectContaining(finding)])
  })

  it.each<[string, AppOptions]>([
    ['secure: auto', { session: { cookie: { secure: 'auto' } } }],
    ["sameSite: 'none', secure: 'auto', proxy: true", { session: { proxy: true, cookie: { sameSite: 'none', secure: 'auto' } } }],
    ['a path below which Socket.IO is', { session: { cookie: { path: '/shop' } }, io: { path: '/shop/io' } }],
    ['a name with a prefix', { session: { name: '__Secure-sid', proxy: true, cookie: { secure: 'auto' } } }],
  ])('%s is as it should be', async (_title, options) => {
    expect(await cookieFindings(options)).toEqual([])
  })

  describe('secure, behind a proxy that ends TLS', () => {
    const secure = async (options: AppOptions): Promise<Finding[]> => cookieFindings(options)
    const trusting = (http: Express): unknown => http.set('trust proxy', 1)
    const error = { code: 'COOKIE_SECURE', severity: 'error' }
    const warning = { code: 'COOKIE_SECURE', severity: 'warning' }

    it.each<[string, AppOptions, object, string]>([
      ['which nobody trusts: no response sets it', { session: { cookie: { secure: true } } }, error, 'no response'],
      [
        'which Express trusts: its responses set it, those to handshakes do not',
        { before: (http) => void trusting(http), session: { cookie: { secure: true } } },
        warning,
        'no cookie of a handshake',
      ],
      [
        'which Express trusts, and proxy: false does not',
        { before: (http) => void trusting(http), session: { proxy: false, cookie: { secure: true } } },
        error,
        'no response',
      ],
      [
        'which Express trusts, with secure: auto: those of handshakes are not secure',
        { before: (http) => void trusting(http), session: { cookie: { secure: 'auto' } } },
        warning,
        'is not secure',
      ],
    ])('%s', async (_title, options, finding, message) => {
      const found = await secure(options)
      expect(found).toEqual([expect.objectContaining({ ...finding, message: expect.stringContaining(message) })])
    })
  })

  it('a domain that is none', async () => {
    const app = await startApp({ wire: attach, session: { cookie: { domain: 'example.com\n' } } })
    // express-session cannot write this cookie. Its older versions break the answer off.
    await app
      .browser()
      .get('/set?user=ada')
      .catch(() => undefined)
    expect(cookieFindingsOf(app.shared.doctor())).toEqual([
      expect.objectContaining({ code: 'COOKIE_INVALID', severity: 'error' }),
    ])
  })

  it('secure, on a server with TLS of its own', () => {
    const session = expressSession({
      secret: 's',
      resave: false,
      saveUninitialized: false,
      cookie: { secure: true, sameSite: 'none' },
    })
    const shared = sharedsession(session)
    const io = new Server(createServer())
    shared.attach(io)
    expect(codes(shared.doctor()).filter((code) => code.startsWith('COOKIE'))).toEqual([])
    return shared.close()
  })

  it.each([true, 'auto'] as const)('secure: %s, where no server is known yet: it may have TLS of its own', async (secure) => {
    const cookie = { secure, sameSite: 'none' } as const
    const shared = sharedsession(expressSession({ secret: 's', resave: false, saveUninitialized: false, cookie }))
    new Server(createServer()).use(shared)
    const diagnosis = shared.doctor()
    expect(codes(diagnosis)).toContain('NO_SERVER')
    expect(cookieFindingsOf(diagnosis)).toEqual([])
    // Nor is it before listen(): it may be given a server then.
    shared.attach(new Server())
    expect(cookieFindingsOf(shared.doctor())).toEqual([])
    await shared.close()
  })

  it.each<[string, AppOptions['session']]>([
    ['SAVE_UNINITIALIZED', { saveUninitialized: true }],
    ['RESAVE', { resave: true }],
    ['ROLLING', { rolling: true }],
    ['ROLLING', { rolling: true, cookie: { maxAge: 3_600_000 } }],
  ])('%s, an option that is seen by what the middleware does', async (code, session) => {
    expect(codes(await examined({ session: { ...session } }))).toEqual(expect.arrayContaining([code]))
    const others = ['SAVE_UNINITIALIZED', 'RESAVE', 'ROLLING'].filter((other) => other !== code)
    for (const other of others) expect(codes(await examined({ session: { ...session } }))).not.toContain(other)
  })

  it.runIf(cookieFunctions)('whose settings need a real request is not seen', async () => {
    const cookie = (req: any) => ({ domain: req.headers.host.length > 100 ? 'example.com' : undefined })
    const app = await startApp({ wire: attach, session: { cookie: cookie as never } })
    await app.browser().connect()
    expect(codes(app.shared.doctor())).toContain('MIDDLEWARE_UNREADABLE')
  })
})

describe('Socket.IO', () => {
  it.each<[string, AppOptions]>([
    ['NOT_ATTACHED', { wire: (io, shared) => void io.use(shared) }],
    ['CORS_CREDENTIALS', { io: { cors: { origin: 'https://shop.example' } } }],
    ['CORS_ANY_ORIGIN', { io: { cors: { origin: '*', credentials: true } } }],
    ['CROSS_SITE', { io: { cors: { origin: 'https://shop.example', credentials: true } } }],
    ['ANY_ORIGIN', { shared: { allowedOrigins: '*' } }],
    ['NO_RECOVERY', { io: { connectionStateRecovery: {} }, shared: { room: false } }],
    ['NO_AUTO_SAVE', { shared: { autoSave: false } }],
    ['PUBLISH_PER_SOCKET', { shared: { publish: (session: object, _socket: unknown) => session } }],
  ])('%s', async (code, options) => {
    const app = await startApp({ wire: attach, ...options })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    expect(codes(app.shared.doctor())).toContain(code)
    expect(codes(await examined())).not.toContain(code)
  })

  it('NO_SERVER: none is known before the first socket with io.use()', async () => {
    const app = await startApp()
    expect(codes(app.shared.doctor())).toContain('NO_SERVER')
    await app.browser().connect()
    expect(codes(app.shared.doctor())).not.toContain('NO_SERVER')
  })

  it('ENGINE_MIDDLEWARE: the session middleware runs for every poll', async () => {
    expect(codes(await examined())).not.toContain('ENGINE_MIDDLEWARE')
    const session = expressSession({ secret: 's', resave: false, saveUninitialized: false })
    const shared = sharedsession(session)
    const io = new Server(0)
    io.engine.use(session)
    shared.attach(io)
    expect(codes(shared.doctor())).toContain('ENGINE_MIDDLEWARE')
    await shared.close()
    await io.close()
  })

  it('ENGINE_MIDDLEWARE: or it has run before, by io.use()', async () => {
    expectWarning('io.use((socket, next) => session(socket.request, {}, next))')
    let session: any
    const app = await startApp({
      wrap: (given) => {
        session = given
        return given
      },
      wire(io, shared) {
        io.use((socket, next) => session(socket.request, {}, next))
        io.use(shared)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(codes(app.shared.doctor())).not.toContain('ENGINE_MIDDLEWARE')
    const client = await browser.connect({ transports: ['polling'] })
    expect(await client.emitWithAck('set', 'cart', [1])).toBe('ok')
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', cart: [1] })
    expect(app.shared.doctor().findings).toContainEqual(
      expect.objectContaining({ code: 'ENGINE_MIDDLEWARE', message: expect.stringContaining('io.use(') }),
    )
  })
})

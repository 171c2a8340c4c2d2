import expressSession from 'express-session'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import sharedsession, { SharedSessionError } from '../src/index.js'
import { closeApps, startApp } from './support/app.js'
import { letIn } from './support/handshake.js'
import { live, thrown } from './support/live.js'
import { next, until } from './support/wait.js'
import { expectWarning } from './support/warnings.js'

afterEach(closeApps)

const newSession = (store = new expressSession.MemoryStore()) =>
  expressSession({ secret: 's', resave: false, saveUninitialized: false, store })

describe('bad options throw BAD_OPTION at once, with the name, what it takes and what it was given', () => {
  const cases: [any, RegExp][] = [
    [{ autoSave: 'yes' }, /autoSave takes true or false; it was given 'yes'/],
    [{ saveUninitialized: 1 }, /saveUninitialized takes true or false; it was given 1/],
    [{ room: 'none' }, /room takes true or false; it was given 'none'/],
    [{ holdAcks: {} }, /holdAcks takes true or false; it was given an object/],
    [{ onChange: 'merge' }, /onChange takes 'reload' or 'notify'; it was given 'merge'/],
    [{ merge: true }, /merge takes/],
    [{ merge: null }, /merge takes .* given null/],
    [{ touch: -1 }, /touch takes true, false or a number above 0; it was given -1/],
    [{ touch: 'often' }, /touch takes true, false or a number/],
    [{ onEnd: 'close' }, /onEnd takes 'reconnect' or 'disconnect' or 'keep'; it was given 'close'/],
    [{ onEnd: { destroyed: 'close' } }, /onEnd takes/],
    [{ onEnd: { logout: 'keep' } }, /onEnd takes 'destroyed' or 'expired' or 'regenerated'; it was given 'logout'/],
    [{ onEnd: null }, /onEnd takes .* given null/],
    [{ revalidate: 0 }, /revalidate takes false or a number above 0; it was given 0/],
    [{ revalidate: true }, /revalidate takes false or a number/],
    [{ revalidate: Number.POSITIVE_INFINITY }, /revalidate takes .* given Infinity/],
    [
      { allowedOrigins: 7 },
      /allowedOrigins takes origins such as .* and host names such as .* regular expressions .* or '\*'; it was given 7/,
    ],
    [{ allowedOrigins: ['a', ''] }, /allowedOrigins takes .* given ''/],
    [{ allowedOrigins: null }, /allowedOrigins takes .* given null/],
    [{ allowedOrigins: ['b.com', '*.a.com'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'https://*.a.com'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', '.a.com'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'https://a.com/path'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'a.com/path'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'https://a.com?x'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'https://user@a.com'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'a.com, b.com'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'a.com,b.com'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'sh op'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'a.com:port'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'a.com:99999'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'null'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ allowedOrigins: ['b.com', 'https://'] }, /allowedOrigins takes .*for subdomains: .* given '/],
    [{ retry: 3 }, /retry takes an object; it was given 3/],
    [{ retry: { attempts: 0 } }, /retry\.attempts takes a number above 0; it was given 0/],
    [{ retry: { timeout: '5s' } }, /retry\.timeout takes a number above 0, at most 1000000000; it was given '5s'/],
    [{ retry: { timeout: 2 ** 31 } }, /retry\.timeout takes a number above 0, at most 1000000000; it was given 2147483648/],
    [{ retry: { timeout: Number.POSITIVE_INFINITY } }, /retry\.timeout takes .* at most 1000000000; it was given Infinity/],
    [{ retry: { minDelay: 2 ** 31 } }, /retry\.minDelay takes a number above 0, at most/],
    [{ retry: { maxDelay: 2 ** 31 } }, /retry\.maxDelay takes a number above 0, at most/],
    [{ publishInterval: 2 ** 31 }, /publishInterval takes 0 or a number above 0, at most 1000000000; it was given/],
    [{ maxBytes: Number.NaN }, /maxBytes takes a number above 0; it was given NaN/],
  ]
  for (const [options, message] of cases) {
    it(`${Object.keys(options)[0]}: ${JSON.stringify(Object.values(options)[0])}`, () => {
      const call = () => sharedsession(newSession(), options)
      expect(call).toThrow(SharedSessionError)
      expect(call).toThrow(expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(message) }))
    })
  }

  it.each([
    'redis://:hunter2@redis.internal:6379/0',
    'postgres://app:hunter2/@x@db.internal/app',
    'app:hunter2@db.internal',
    "host=db.internal password='pass hunter2'",
    'redis.internal:6380,password=hunter2,ssl=True',
    'https://a.com/?token=hunter2',
    () => 'hunter2',
  ])('without the secret of what was given: %s', (secret) => {
    for (const name of ['redis', 'driver', 'bus', 'allowedOrigins', 'touch', 'onEnd', 'retry']) {
      const error = thrown(() => sharedsession(newSession(), { [name]: secret }))
      expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining(`The option ${name} takes`) })
      expect(error.message).not.toContain('hunter2')
    }
  })

  it('with what helps to find the entry', () => {
    const call = () => sharedsession(newSession(), { allowedOrigins: ['https://ada:hunter2@a.com/path'] })
    expect(call).toThrow(/given '…@a\.com\/path'/)
  })

  it.each([[[]], [[{ autoSave: true }]], [['autoSave']]])('options that are a list: %j', (options) => {
    const call = () => sharedsession(newSession(), options as never)
    expect(call).toThrow(
      expect.objectContaining({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/options takes an object; it was given a list/),
      }),
    )
  })

  it.each([
    'https://a.com',
    'https://a.com/',
    'HTTPS://A.com:8443',
    'a.com',
    'a.com:8443',
    '127.0.0.1',
    '[::1]:3000',
    'localhost',
    'bücher.example',
    'capacitor://localhost',
    'file://',
    '*',
  ])('allowedOrigins takes %s', (entry) => {
    expect(() => sharedsession(newSession(), { allowedOrigins: entry })).not.toThrow()
  })

  it('a bad option leaves the methods of the store as they are', () => {
    const store = new expressSession.MemoryStore()
    expect(() => sharedsession(newSession(store), { touch: -1 })).toThrow()
    expect(Object.getOwnPropertyNames(store)).not.toContain('set')
  })
})

it('an option that is undefined has its default', () => {
  const names = [
    'autoSave',
    'saveUninitialized',
    'onChange',
    'holdAcks',
    'merge',
    'touch',
    'perSocket',
    'room',
    'onEnd',
    'revalidate',
    'allowedOrigins',
    'retry',
  ]
  sharedsession(newSession(), Object.fromEntries(names.map((name) => [name, undefined])))
  sharedsession(newSession(), { retry: { attempts: undefined as never }, onEnd: { destroyed: undefined as never } })
})

it('the longest times are no longer than a timer can be', async () => {
  const retry = { timeout: 1e9, minDelay: 1e9, maxDelay: 1e9 }
  const timers = vi.spyOn(globalThis, 'setTimeout')
  onTestFinished(() => timers.mockRestore())
  const { client } = await live({ shared: { retry, publishInterval: 1e9 } })
  await client.emitWithAck('set', 'n', 1)
  const times = timers.mock.calls.map(([, ms]) => ms ?? 0)
  expect(times).toContain(1e9)
  expect(Math.max(...times)).toBeLessThan(2 ** 31)
})

it('unknown options warn once each and have no effect', async () => {
  const warnings = expectWarning('does not know the option')
  const options = { autosave: true, retry: { tries: 3 } } as never
  sharedsession(newSession(), options)
  sharedsession(newSession(), options)
  await until(() => warnings.length >= 2)
  expect(warnings).toEqual([
    expect.stringContaining('does not know the option "autosave"; it has no effect. Did you mean "autoSave"?'),
    expect.stringContaining('does not know the option "retry.tries"'),
  ])
})

describe('several instances on one store', () => {
  it('each instance has its own autoSave, holdAcks, touch, onEnd and allowedOrigins', async () => {
    let session: any
    let chat: any
    const app = await startApp({
      shared: { autoSave: true },
      wrap: (given) => {
        session = given
        return given
      },
      wire(io, shared) {
        io.use(shared)
        chat = sharedsession(session, { autoSave: false, holdAcks: false, touch: false, onEnd: 'keep', allowedOrigins: '*' })
        io.of('/chat').use(chat)
        io.of('/chat').on('connection', (socket) => {
          socket.on('set', (key, value, ack) => {
            ;(socket.handshake as any).session[key] = value
            ack('ok')
          })
        })
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const main = await browser.connect()
    const other = await letIn(main.io.socket('/chat', {}))
    await other.emitWithAck('set', 'unsaved', 1)
    expect((await browser.get('/session')).body).not.toHaveProperty('unsaved')
    expect(await main.emitWithAck('get')).toMatchObject({ unsaved: 1 })
    await main.emitWithAck('set', 'saved', 1)
    // One state per session: a save is of the whole session.
    expect((await browser.get('/session')).body).toMatchObject({ saved: 1 })
    expect(chat.stats()).toEqual(app.shared.stats())

    const seen: string[] = []
    chat.events.on('session:destroyed', () => seen.push('chat'))
    app.shared.events.on('session:destroyed', () => seen.push('main'))
    const gone = next(main, 'disconnect')
    await browser.get('/destroy')
    await gone
    expect(seen.sort()).toEqual(['chat', 'main'])
  })

  it('the store has its own methods again when the last instance is closed', async () => {
    const store = new expressSession.MemoryStore()
    const first = sharedsession(newSession(store))
    const second = sharedsession(newSession(store))
    await first.close()
    await first.close()
    expect(Object.getOwnPropertyNames(store)).toContain('set')
    await second.close()
    expect(Object.getOwnPropertyNames(store)).not.toContain('set')
    await sharedsession(newSession(store), { onChange: 'notify' }).close()
  })

  for (const [name, value] of Object.entries({
    onChange: 'notify',
    merge: false,
    revalidate: 1000,
    retry: { attempts: 1 },
    maxBytes: 5,
  })) {
    it(`a differing ${name}, which is per store, throws at once`, () => {
      const store = new expressSession.MemoryStore()
      sharedsession(newSession(store))
      const call = () => sharedsession(newSession(store), { [name]: value })
      expect(call).toThrow(expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining('per store') }))
      sharedsession(newSession(store), { revalidate: 30_000, merge: {} })
    })
  }
})

describe('the option redis', () => {
  it('has to be a client', () => {
    expect(() => sharedsession(newSession(), { redis: 'localhost' as never })).toThrow(/redis takes a Redis client/)
  })

  it('has to be the same client for all instances on a store', () => {
    const session = newSession()
    const newClient = () => ({ get() {}, del() {}, expire() {}, eval() {}, evalSha() {} })
    const client = newClient()
    sharedsession(session, { redis: client })
    expect(() => sharedsession(session, { redis: client })).not.toThrow()
    expect(() => sharedsession(session, { redis: newClient() })).toThrow(/called before/)
  })

  it.each<[string, object]>([
    ['one without scripts', { get() {}, del() {}, expire() {} }],
    [
      'node-redis before 3, which cannot be duplicated',
      { get() {}, del() {}, expire() {}, eval() {}, evalsha() {}, internal_send_command() {} },
    ],
    [
      'an imitation of node-redis 4 in legacy mode',
      { get() {}, del() {}, expire() {}, eval() {}, evalSha() {}, options: { legacyMode: true } },
    ],
  ])('has to run scripts, and to have connections of its own: %s', (_name, redis) => {
    const call = () => sharedsession(newSession(), { redis })
    expect(call).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining('node-redis 3 or later') }),
    )
  })
})

describe('the option driver', () => {
  it.each(['redis', 'postgres'] as const)('has to fit the store: %s', (driver) => {
    const store = new expressSession.MemoryStore()
    expect(() => sharedsession(newSession(store), { driver })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    expect(Object.hasOwn(store, 'get')).toBe(false)
  })

  it('may be generic: only the store’s methods are used', () => {
    expect(sharedsession(newSession(), { driver: 'generic' }).stats().driver).toBe('generic')
    expect(() => sharedsession(newSession(), { driver: 'memory' as never })).toThrow(/driver takes 'redis' or/)
  })
})

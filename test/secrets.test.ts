import { inspect } from 'node:util'
import { afterEach, expect, it } from 'vitest'
import type { SharedSessionError } from '../src/index.js'
import { closeApps, startApp } from './support/app.js'
import { CookieBrowser, closePages } from './support/browser.js'
import { ControlledStore } from './support/controlled-store.js'
import { captureDebug, letIn, refused, turnedAway } from './support/handshake.js'
import { collect, failure, QUICK, tab } from './support/live.js'
import { MemoryBus } from './support/memory-bus.js'
import { sidOf } from './support/sid.js'
import { next, until } from './support/wait.js'
import { expectWarning } from './support/warnings.js'

afterEach(async () => {
  closePages()
  await closeApps()
})

const SECRET = 'the secret that signs'

/** A life of sessions with all that goes wrong in it; what it says of them, and what must not be in that. */
async function life() {
  const debug = captureDebug()
  const warnings = expectWarning('SharedSessionWarning')
  const bus = new MemoryBus()
  const store = new ControlledStore()
  const node = () => ({
    store,
    session: { secret: SECRET },
    shared: { bus: bus.end(), retry: { ...QUICK, attempts: 1 }, maxBytes: 300 },
  })
  const app = await startApp(node())
  const errors: unknown[] = []
  const payloads: unknown[] = []
  const types = ['session:changed', 'session:saved', 'session:destroyed', 'session:conflict', 'session:error'] as const
  for (const type of types) app.shared.events.on(type, (payload) => payloads.push(payload))

  const browser = app.browser()
  await browser.get('/set?user=ada')
  const secrets = [sidOf(browser), String(browser.cookie).split('=')[1] as string, SECRET]
  const { client, socket, session } = await tab(app, browser)
  payloads.push(
    { ...socket.handshake, headers: 'what the client sent' },
    app.shared.room(socket),
    app.shared.explain(socket),
    app.shared.stats(),
    app.shared,
  )
  const heard = collect<SharedSessionError>(socket, 'session:error')

  await client.emitWithAck('set', 'n', 1)
  store.foreign(secrets[0] as string, { user: 'eve', n: 2 })
  session.n = 3
  await session.save()
  session.n = 4
  store.fail('set')
  errors.push(await failure(session.save()))
  session.n = 'x'.repeat(400)
  errors.push(await failure(session.save()))
  session.n = 5
  const held = store.hold('set')
  errors.push(await failure(session.save()))
  held.release()
  await session.save()
  await until(() => heard.length >= 3)

  const other = app.browser()
  other.cookie = browser.cookie
  errors.push(await refused(other.open({ extraHeaders: { cookie: String(browser.cookie), origin: 'https://evil.example' } })))
  store.fail('get')
  // Of a client that comes back by itself only the server hears why.
  app.shared.events.on('session:error', (error) => errors.push(error))
  await turnedAway(other.open())

  await browser.get('/regenerate')
  secrets.push(sidOf(browser), String(browser.cookie).split('=')[1] as string)
  errors.push(await failure(app.shared.update(secrets[0] as string, () => undefined)))
  const old = await letIn(other.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 }))
  payloads.push(app.shared.explain(app.sockets.at(-1) as never), old.io.opts.query)
  await browser.get('/destroy')
  errors.push(...heard)
  debug.stop()
  return { bus, secrets, errors, payloads, debug: debug.lines, warnings }
}

it('what a store reports is not logged with its message, which may name a file by the session', async () => {
  const debug = captureDebug()
  expectWarning('STORE_FAILED')
  const store = new ControlledStore()
  const app = await startApp({
    store,
    io: { connectionStateRecovery: {} },
    wire: (io, shared) => void shared.attach(io),
    shared: { retry: { ...QUICK, attempts: 1 } },
    // The answer of Express would print it.
    routes: (http) => void http.set('env', 'test'),
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  app.sockets[0]?.emit('offset')
  await next(client, 'offset')
  const cookies: string[] = []
  for (const n of [1, 2]) {
    const other = new CookieBrowser()
    const tab = await letIn(other.open(app.url, { transports: ['websocket'] }))
    await tab.emitWithAck('set', 'n', n)
    tab.disconnect()
    cookies.push(other.cookie as string)
  }
  const secrets = store.ids()
  expect(secrets).toHaveLength(3)
  store.down(new Error(`EMFILE: too many open files, open '/sessions/${secrets.join('.json, ')}.json'`))
  client.io.engine.close()
  const away = turnedAway(client)
  client.connect()
  await away
  await browser.get('/session')
  await new CookieBrowser(cookies.join('; ')).fetch(`${app.url}/session`)
  const said = (): string => debug.lines.join('\n')
  await until(() => said().includes('is not recovered: ') && said().includes('could not be moved: '))
  debug.stop()
  store.up()
  for (const secret of secrets) expect(said()).not.toContain(secret)
})

it('no message, error, event or debug output has a session id, a cookie or the secret in it', async () => {
  const { bus, secrets, errors, payloads, debug, warnings } = await life()
  const said = {
    debug: debug.join('\n'),
    warnings: warnings.join('\n'),
    errors: inspect(errors, { depth: 10 }) + errors.map((error) => (error as Error).stack).join('\n'),
    payloads: JSON.stringify(payloads.map((payload) => ({ ...Object(payload) }))),
    messages: JSON.stringify(bus.texts),
  }
  // It is about these that all of it was said.
  const codes = errors.map((error: any) => error.code ?? error.data?.code)
  expect(codes).toEqual(
    expect.arrayContaining([
      'SAVE_FAILED',
      'TOO_LARGE',
      'OUTCOME_UNKNOWN',
      'ORIGIN_REFUSED',
      'STORE_FAILED',
      'SESSION_NOT_FOUND',
    ]),
  )
  expect(bus.texts.length).toBeGreaterThan(3)
  expect(said.debug).toContain('regenerated')
  expect(new Set(secrets).size).toBe(5)
  for (const [where, text] of Object.entries(said)) {
    for (const secret of secrets) expect(text, where).not.toContain(secret)
    for (const secret of secrets) expect(text, where).not.toContain(decodeURIComponent(secret))
  }
})

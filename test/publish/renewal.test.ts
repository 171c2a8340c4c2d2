import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { MIRROR_EVENT } from '../../src/client/protocol.js'
import { type App, type AppOptions, closeApps, express, startApp, type TestClient } from '../support/app.js'
import { CookieBrowser, closePages, TRANSPORTS, type Transports } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { refused } from '../support/handshake.js'
import { collect } from '../support/live.js'
import { next, until } from '../support/wait.js'

afterEach(async () => {
  closePages()
  await closeApps()
})

async function started(options: AppOptions = {}): Promise<{ app: App; store: ControlledStore; sids(): string[] }> {
  const store = new ControlledStore()
  const app: App = await startApp({
    store,
    wire: (io, shared) => void shared.attach(io),
    routes: (http) => void http.post('/renew', (req, res, after) => app.shared.renewal()(req, res, after)),
    ...options,
    shared: { publish: (session) => ({ n: session.n }), ...options.shared },
  })
  return { app, store, sids: () => app.sockets.filter(({ connected }) => connected).map(({ handshake }) => handshake.sessionID) }
}

/** A tab that has its session renewed as a mirror does. @param lock of the browser's tabs; without it they do not wait for each other */
function open(
  app: App,
  browser: CookieBrowser,
  transports: Transports,
  lock?: { last: Promise<unknown> },
): TestClient & { renewals: number } {
  const client = Object.assign(browser.open(app.url, { transports, auth: { [MIRROR_EVENT]: [0, 1] }, autoConnect: false }), {
    renewals: 0,
  })
  client.on('connect_error', (error: Error & { data?: { code: string } }) => {
    if (error.data?.code !== 'RENEWAL_NEEDED' || client.renewals === 3) return
    const renew = async (): Promise<void> => {
      client.renewals++
      await browser.fetch(`${app.url}/renew`, { method: 'POST' })
      client.connect()
      await next(client, 'connect')
    }
    if (lock) lock.last = lock.last.then(renew)
    else renew()
  })
  client.connect()
  return client
}

describe.each(TRANSPORTS)('by %s', (_name, transports) => {
  it('a first visit connects with a cookie of a stored session', async () => {
    const { app, store, sids } = await started()
    const errors = collect(app.shared.events as never, 'session:error')
    const browser = new CookieBrowser()
    const client = open(app, browser, transports)
    expect(await next(client, MIRROR_EVENT)).toMatchObject({ s: {} })
    expect(client.renewals).toBe(1)
    expect(store.ids()).toEqual(sids())
    // Of express-session, or of the handshake: both name the stored session in each request.
    expect(browser.cookie).toContain('connect.sid')
    expect((await browser.json(`${app.url}/session`)).cookie).toBeDefined()
    expect(errors).toEqual([])
  })

  it.each([true, false])('tabs that connect at once end on one session; do they wait for each other? %s', async (waits) => {
    const { app, store, sids } = await started()
    const browser = new CookieBrowser()
    const lock = waits ? { last: Promise.resolve() } : undefined
    const tabs = [open(app, browser, transports, lock), open(app, browser, transports, lock)]
    await until(() => tabs.every((tab) => tab.connected) && new Set(sids()).size === 1 && sids().length === 2)
    await tabs[0]!.emitWithAck('set', 'n', 1)
    expect(await browser.json(`${app.url}/session`)).toMatchObject({ n: 1 })
    if (waits) expect(store.ids()).toHaveLength(1)
  })

  it('a browser whose session is gone gets a new one', async () => {
    const { app, store, sids } = await started()
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?n=1`)
    const [sid] = store.ids() as [string]
    store.gone(sid)
    const client = open(app, browser, transports)
    expect(await next(client, MIRROR_EVENT)).toMatchObject({ s: {} })
    expect(store.ids()).toEqual(sids())
    expect(sids()).not.toContain(sid)
  })

  it('a browser with a stored session is not refused', async () => {
    const { app } = await started()
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?n=1`)
    const client = open(app, browser, transports)
    expect(await next(client, MIRROR_EVENT)).toMatchObject({ s: { n: '1' } })
    expect(client.renewals).toBe(0)
  })

  it('a browser without cookies is refused each time', async () => {
    const { app } = await started()
    const browser = new CookieBrowser()
    browser.blocks = true
    const client = open(app, browser, transports)
    let refusals = 0
    client.on('connect_error', () => refusals++)
    await until(() => refusals === 4)
    expect(client.connected).toBe(false)
  })
})

it('two namespaces of one connection are renewed once, and both connect with the new cookie', async () => {
  const { app } = await started()
  const browser = new CookieBrowser()
  const main = open(app, browser, ['websocket'])
  app.io.of('/chat').on('connection', (socket) => void app.sockets.push(socket))
  const other = main.io.socket('/chat').connect()
  await until(() => main.connected && other.connected)
  await until(
    () => new Set(app.sockets.filter(({ connected }) => connected).map(({ handshake }) => handshake.sessionID)).size === 1,
  )
})

it('the connection of a refusal is closed: the next handshake has the new cookie, also where another namespace is connected', async () => {
  const { app } = await started({ shared: { handshakeCookie: false } })
  const browser = new CookieBrowser()
  const other = browser.open(`${app.url}/chat`, { transports: ['websocket'] })
  app.io.of('/chat')
  await next(other, 'connect')
  const main = other.io.socket('/', { auth: { [MIRROR_EVENT]: [0, 1] } })
  const error = next(main, 'connect_error')
  main.connect()
  expect((await error).data).toEqual({ code: 'RENEWAL_NEEDED' })
  await browser.fetch(`${app.url}/renew`, { method: 'POST' })
  const frame = next(main, MIRROR_EVENT)
  main.connect()
  expect(await frame).toMatchObject({ s: {} })
})

it('a handshake cookie of a session that is not stored is not enough', async () => {
  const { app } = await started()
  const browser = new CookieBrowser()
  const client = browser.open(app.url, { auth: { [MIRROR_EVENT]: [0, 1] } })
  await refused(client)
  await until(() => browser.cookie?.includes('.socket.'))
  const again = refused(client)
  client.connect()
  expect((await again).data).toEqual({ code: 'RENEWAL_NEEDED' })
})

it('a client that cannot renew is let in as before, also without a cookie', async () => {
  const { app } = await started()
  const client = new CookieBrowser().open(app.url, { auth: { [MIRROR_EVENT]: [0, 0] } })
  expect(await next(client, MIRROR_EVENT)).toMatchObject({ s: {} })
})

it('the refusal says what to do, and is no error of the server', async () => {
  const { app } = await started()
  const client = new CookieBrowser().open(app.url, { auth: { [MIRROR_EVENT]: [0, 1] } })
  const error = await refused(client)
  expect(error.data).toEqual({ code: 'RENEWAL_NEEDED' })
  expect(error.message).toContain('shared.renewal()')
  expect(app.shared.stats().sockets).toBe(0)
})

describe('renewal()', () => {
  it('stores the session once, and answers 204 with the session cookie', async () => {
    const { app, store } = await started()
    const browser = new CookieBrowser()
    const response = await browser.fetch(`${app.url}/renew`, { method: 'POST' })
    expect([response.status, response.headers.get('cache-control')]).toEqual([204, 'no-store'])
    expect(response.headers.getSetCookie()).toEqual([expect.stringContaining('connect.sid=')])
    expect(store.count('set')).toBe(1)
    const again = await browser.fetch(`${app.url}/renew`, { method: 'POST' })
    expect(again.status).toBe(204)
    expect(store.ids()).toHaveLength(1)
    expect(store.stored(store.ids()[0]!)).toEqual({ cookie: expect.anything() })
    expect(await browser.json(`${app.url}/session`)).toEqual({ cookie: expect.anything() })
  })

  it('keeps what the session holds', async () => {
    const { app } = await started()
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?n=1`)
    await browser.fetch(`${app.url}/renew`, { method: 'POST' })
    expect(await browser.json(`${app.url}/session`)).toMatchObject({ n: '1' })
  })

  it('passes on what the store reports', async () => {
    const { app, store } = await started({
      routes: (http) => {
        http.post('/renew', (req, res, after) => app.shared.renewal()(req, res, after))
        http.use((_error: unknown, _req: unknown, res: any, _next: unknown) => res.status(503).end())
      },
      shared: { retry: { attempts: 1, timeout: 100 } },
    })
    store.down()
    const response = await fetch(`${app.url}/renew`, { method: 'POST' })
    expect(response.status).toBe(503)
  })

  it('without the session middleware it reports NO_SESSION, or answers 500', async () => {
    const { app } = await started()
    const http = express()
    http.post('/renew', app.shared.renewal())
    const reported: unknown[] = []
    http.use((error: unknown, _req: unknown, res: any, _next: unknown) => {
      reported.push(error)
      res.status(500).end()
    })
    const server = createServer((request, response) => {
      if (request.url === '/plain') app.shared.renewal()(request, response)
      else http(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect((await fetch(`${url}/renew`, { method: 'POST' })).status).toBe(500)
    expect((await fetch(`${url}/plain`)).status).toBe(500)
    expect(reported).toEqual([expect.objectContaining({ code: 'NO_SESSION' })])
    server.closeAllConnections()
    server.close()
  })
})

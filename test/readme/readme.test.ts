import expressSession from 'express-session'
import type { Server } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { createViteServer } from 'vitest/node'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { handshakeCookies, pairOf } from '../support/jar.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { openPage } from './page.js'
import { folderWith, program, programAt } from './program.js'
import { cleanup, client, cookieOf, json, listen, scene, surroundings, tidy } from './scene.js'
import { run, snippet } from './snippets.js'

afterEach(tidy)

type Page = Awaited<ReturnType<typeof openPage>>

const shown = (page: Page, session: object) =>
  until(() => page.elements.session!.textContent === JSON.stringify(session, null, 2))

/** A click that is acknowledged: a tab may just be connecting again. */
const adds = (page: Page) =>
  until(() =>
    page.elements.add!.onclick!().then(
      (answer) => answer === 'saved',
      () => false,
    ),
  )

/** A process of its own starts slowly where many do. */
const SLOW = 60_000

describe('the README', () => {
  it('in ten lines: an HTTP request sees what a socket wrote after an await, and the socket hears HTTP', async () => {
    const around = surroundings()
    const lines: unknown[][] = []
    const console = { log: (...line: unknown[]) => lines.push(line) }
    const { shared } = await run('quickstart', { ...around, console }, 'shared')
    around.app.get('/theme', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/theme`))!
    const socket = client(url, cookie)
    expect(await socket.emitWithAck('cart:add', 'apple')).toBe('ok')
    const session = await json(`${url}/session`, cookie)
    expect(session).toMatchObject({ theme: 'dark', cart: { items: [{ sku: 'apple', price: 3 }] } })
    await client(url, cookie).emitWithAck('cart:add', 'pear')
    expect(lines).toEqual([[['cart'], 'socket']])
  })

  it('a complete server and its page: two tabs show what the other and HTTP did', { timeout: SLOW }, async () => {
    const folder = folderWith({ 'server.ts': snippet('server.ts'), 'index.html': snippet('index.html') })
    const url = await program(folder, 'server.ts').line(/http:\S+/)
    const one = await openPage(url)
    const two = await openPage(url, one.browser)
    const nobody = { user: 'nobody', items: [] }
    await shown(one, nobody)
    await shown(two, nobody)
    await adds(one)
    await shown(one, { user: 'nobody', items: ['apple'] })
    await shown(two, { user: 'nobody', items: ['apple'] })
    await two.elements.login!.onclick!()
    await shown(one, { user: 'Ada', items: ['apple'] })
    await shown(two, { user: 'Ada', items: ['apple'] })
  })

  it('a complete server: two tabs through a restart, a login, a reload of both, a logout and a login again', {
    timeout: SLOW,
  }, async () => {
    const folder = folderWith({ 'server.ts': snippet('server.ts'), 'index.html': snippet('index.html') })
    const server = program(folder, 'server.ts')
    const url = await server.line(/http:\S+/)
    let one = await openPage(url)
    let two = await openPage(url, one.browser)
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: [] })
    await adds(one)
    await shown(two, { user: 'nobody', items: ['apple'] })
    server.signal('SIGKILL')
    await server.ended
    await programAt(new URL(url).port, folder, 'server.ts').line(/http:\S+/)
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: [] })
    await adds(one)
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: ['apple'] })
    await two.elements.login!.onclick!()
    for (const page of [one, two]) await shown(page, { user: 'Ada', items: ['apple'] })
    for (const page of [one, two]) page.close()
    one = await openPage(url, one.browser)
    two = await openPage(url, one.browser)
    for (const page of [one, two]) await shown(page, { user: 'Ada', items: ['apple'] })
    await one.elements.logout!.onclick!()
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: [] })
    await one.elements.login!.onclick!()
    for (const page of [one, two]) await shown(page, { user: 'Ada', items: [] })
  })

  it('testing: its test of the complete server passes', { timeout: SLOW }, async () => {
    const folder = folderWith({ 'server.ts': snippet('server.ts'), 'server.test.ts': snippet('server.test.ts') })
    const tests = program(folder, '--test', 'server.test.ts')
    expect({ code: await tests.ended, output: tests.output }).toMatchObject({ code: 0, output: expect.stringMatching(/pass 1/) })
  })

  it('attach: a client whose first contact is a socket is found by HTTP with the cookie of its handshake', async () => {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    app.use(session)
    const { shared } = await run('attach', { ...around, session }, 'shared')
    io.on('connection', ({ handshake }) => {
      handshake.session.theme = 'dark'
    })
    const url = await listen(around, shared)
    const lines = await handshakeCookies(client(url))
    await until(() => shared.stats().writes === 1)
    expect(await json(`${url}/session`, pairOf(lines)!)).toMatchObject({ theme: 'dark' })
  })

  it('merging, counters and roles: the counter counts, the roles stay with their user, update() can say no', async () => {
    const withSession = () => {
      const around = surroundings()
      const { app, store, secret } = around
      const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
      app.use(session)
      return { ...around, session }
    }
    expect((await run('merge', withSession(), 'shared')).shared).toBeTypeOf('function')
    const around = withSession()
    const { shared } = await run('counters', around, 'shared')
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/role`, { method: 'POST' }))!
    await next(client(url, cookie), 'connect')
    await next(client(url, cookie), 'connect')
    const spent = await fetch(`${url}/spend`, { method: 'POST', headers: { cookie } })
    expect(spent.status).toBe(500)
    const session = await json(`${url}/session`, cookie)
    expect(session).toMatchObject({ count: 2, user: { name: 'ada', roles: ['admin'] } })
    expect(session).not.toHaveProperty('credit')
  })

  it('SIGTERM: the process saves what is unsaved, and exits by itself with 0', { timeout: SLOW }, async () => {
    const tell = `shared.events.on('session:saved', ({ keys }) => console.log('saved', keys))\n`
    const folder = folderWith({ 'server.ts': snippet('server.ts') + snippet('sigterm') + tell })
    const server = program(folder, 'server.ts')
    const url = await server.line(/http:\S+/)
    const cookie = cookieOf(await fetch(`${url}/login`, { method: 'POST' }))!
    await server.line(/saved \[ 'user' \]/)
    const socket = client(url, cookie, { reconnection: false })
    const gone = next(socket, 'disconnect')
    await next(socket, 'connect')
    socket.emit('cart:add', 'apple')
    await next(socket, 'session')
    server.signal('SIGTERM')
    await gone
    expect({ code: await server.ended, output: server.output }).toMatchObject({
      code: 0,
      output: expect.stringContaining("'cart'"),
    })
  })

  it('migration: the example of the superseded package runs with another import', { timeout: SLOW }, async () => {
    const server = program(folderWith({ 'server.cjs': snippet('migration') }), 'server.cjs')
    const url = await server.line(/http:\S+/)
    const cookie = cookieOf(await fetch(url))!
    const userdata = () => json(url, cookie)
    const socket = client(url, cookie)
    await next(socket, 'connect')
    socket.emit('login', { name: 'Ada' })
    await until(async () => (await userdata())?.name === 'Ada')
    socket.emit('logout')
    await until(async () => (await userdata()) === null)
  })

  it('state of one connection: each tab has its own room, and both count visits', async () => {
    const around = surroundings()
    const { app, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: true })
    app.use(session)
    const { shared } = await run('per-socket', { ...around, session }, 'shared')
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/session`))!
    const [one, two] = [client(url, cookie), client(url, cookie)]
    expect(await one.emitWithAck('join', 'red')).toBe('red')
    expect(await two.emitWithAck('join', 'blue')).toBe('blue')
    const saved = await json(`${url}/session`, cookie)
    expect(saved).toMatchObject({ visits: 2 })
    expect(saved).not.toHaveProperty('room')
  })

  it('from Socket.IO’s recipe: a visitor and a guest reload, count and save; without saveUninitialized a guest cannot', async () => {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    app.use(session)
    app.get('/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    let shared = undefined as unknown as SharedSession
    const recipe = async (options: object, scene: object) =>
      run('recipe', { ...around, ...scene, session, sharedsession: (given: any) => (shared = sharedsession(given, options)) })
    await recipe({ saveUninitialized: true }, {})
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const visitor = client(url, cookie)
    expect([await visitor.emitWithAck('count'), await visitor.emitWithAck('count')]).toEqual([1, 2])
    expect(await json(`${url}/session`, cookie)).toMatchObject({ theme: 'dark', count: 2 })
    const guest = client(url)
    expect([await guest.emitWithAck('count'), await guest.emitWithAck('count')]).toEqual([1, 2])
    await shared.close()
    expect(io.engine).toBeDefined()

    const without = surroundings()
    without.app.use(session)
    await recipe({}, without)
    const refused = client(await listen(without, shared), undefined, { reconnection: false })
    const gone = next(refused, 'disconnect')
    refused.emit('count', () => {})
    expect(await gone).toBe('io server disconnect')
  })

  it('members: update() counts overlapping requests, room() reaches the sockets', async () => {
    const around = scene()
    await run('members', around)
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const socket = client(url, cookie)
    await next(socket, 'connect')
    const told = next(socket, 'visits', (count) => count === 5)
    const visit = () => json(`${url}/visits`, cookie, { method: 'POST' })
    const counts = await Promise.all([visit(), visit(), visit(), visit(), visit()])
    expect(counts.map(({ count }) => count).sort()).toEqual([1, 2, 3, 4, 5])
    await told
  })

  it('raw objects: read back from the session after an await', async () => {
    const around = scene()
    around.io.on('connection', (socket) => {
      void run('raw', { ...around, socket })
    })
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const saved = next(around.shared.events, 'session:saved')
    const socket = client(url, cookie)
    await next(socket, 'connect')
    socket.emit('cart:add', 'apple')
    await saved
    await around.shared.flush()
    const answer = () => json(`${url}/session`, cookie)
    await until(async () => (await answer()).cart?.items.length === 1)
    expect((await answer()).cart).toEqual({ items: [{ sku: 'apple', price: 3 }] })
  })

  it('login with regenerate: the socket is told, and comes back with the new cookie', async () => {
    const around = scene()
    await run('login', around)
    const url = await listen(around, around.shared)
    const before = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    const socket = client(url, before)
    const ended = next(await connected, 'session:destroyed')
    const again = next(around.io, 'connection')
    const login = fetch(`${url}/login`, { method: 'POST', headers: { cookie: before } })
    const after = cookieOf(await login)!
    // What a browser does by itself.
    socket.io.opts.extraHeaders = { cookie: after }
    expect(after).not.toBe(before)
    expect(await ended).toEqual({ reason: 'regenerated' })
    expect(around.shared.session(await again).user).toMatchObject({ name: 'Ada' })
  })

  it('an empty session: explain() says why', async () => {
    const around = scene()
    const lines: string[] = []
    await run('explain', { ...around, console: { log: (line: string) => lines.push(line) } })
    const url = await listen(around, around.shared)
    await next(client(url), 'connect')
    await next(client(url, 'connect.sid=s%3Aforged.signature'), 'connect')
    expect(lines[0]).toMatch('The handshake carried no cookie')
    expect(lines[1]).toMatch('signature does not match')
  })

  it('a separate frontend: the named origin gets in, another one does not', async () => {
    expectWarning('is not allowed to use its sessions')
    const around = surroundings()
    const { session, io } = await run('cors', around, 'session', 'io')
    around.app.use((req, _res, go) => {
      // As nginx says it; the block's cookie is Secure.
      Object.defineProperty(req.socket, 'encrypted', { value: true, configurable: true })
      go()
    }, session)
    around.app.get('/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen({ ...around, io })
    const cookie = cookieOf(await fetch(`${url}/start`))!
    await next(client(url, cookie, { extraHeaders: { origin: 'https://app.example.com' } }), 'connect')
    const refused = await next(client(url, cookie, { extraHeaders: { origin: 'https://evil.example' } }), 'connect_error')
    expect(refused.data).toEqual({ code: 'ORIGIN_REFUSED' })
    expect(snippet('cors-client')).toContain('withCredentials: true')
  })

  it('a dev proxy: a page served by Vite shares the session', { timeout: SLOW }, async () => {
    expectWarning('is not allowed to use its sessions')
    const around = scene()
    around.app.get('/api/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen(around, around.shared)
    const defineConfig = (config: object) => config
    const { exported } = await run('vite', { defineConfig }, 'exported')
    const config = JSON.parse(JSON.stringify(exported).replaceAll('http://localhost:3000', url))
    const vite = await createViteServer({
      ...{ configFile: false, root: folderWith({}), logLevel: 'silent', optimizeDeps: { noDiscovery: true } },
      server: { ...config.server, port: 0, host: 'localhost' },
    })
    cleanup(() => vite.close())
    await vite.listen()
    const page = `http://localhost:${(vite.httpServer!.address() as { port: number }).port}`
    const cookie = cookieOf(await fetch(`${page}/api/start`))!
    const connected = next(around.io, 'connection')
    await next(client(page, cookie, { extraHeaders: { origin: page } }), 'connect')
    expect(around.shared.session(await connected).theme).toBe('dark')
    const elsewhere = page.replace('localhost', '127.0.0.1')
    const refused = await next(client(page, cookie, { extraHeaders: { origin: elsewhere } }), 'connect_error')
    expect(refused.data).toEqual({ code: 'ORIGIN_REFUSED' })
  })

  it('behind nginx: a Secure cookie by X-Forwarded-Proto, and a socket by X-Forwarded-Host', async () => {
    expectWarning('is not allowed to use its sessions')
    const around = surroundings()
    const { session } = await run('nginx', around, 'session')
    const shared = around.sharedsession(session, { autoSave: true })
    around.io.use(shared)
    around.app.use(session)
    around.app.get('/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen(around, shared)
    const nginx = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' }
    const answer = await fetch(`${url}/start`, { headers: nginx })
    expect(answer.headers.getSetCookie()[0]).toMatch(/; Secure/)
    expect(cookieOf(await fetch(`${url}/start`))).toBeUndefined()
    const connected = next(around.io, 'connection')
    client(url, cookieOf(answer), { extraHeaders: { ...nginx, origin: 'https://shop.example' } })
    expect(shared.session(await connected).theme).toBe('dark')
    // What nginx sends where nobody has told it to keep the host.
    const unkept = { host: 'upstream', origin: 'https://shop.example' }
    const refused = await next(client(url, cookieOf(answer), { extraHeaders: unkept }), 'connect_error')
    expect(refused.data).toEqual({ code: 'ORIGIN_REFUSED' })
  })

  it('NestJS: the adapter gives gateways their sessions, with a namespace and without', async () => {
    const around = scene()
    // Nest cannot be a dependency here: this is what its IoAdapter.create() does.
    class IoAdapter {
      create(_port: number, options?: { namespace?: string; server?: Server }) {
        return options?.server && options.namespace ? options.server.of(options.namespace) : around.io
      }
    }
    const { SessionIoAdapter } = await run('session-io.adapter.ts', { IoAdapter }, 'SessionIoAdapter')
    const adapter = new SessionIoAdapter({}, around.shared)
    const io = adapter.create(0) as Server
    const named = adapter.create(0, { server: io, namespace: '/chat' })
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const connected = [next(io, 'connection'), next(named, 'connection')]
    client(url, cookie)
    client(`${url}/chat`, cookie)
    for (const socket of await Promise.all(connected)) expect(socket.handshake.session.theme).toBe('dark')
  })

  it('TypeScript: the typed session is the live one', async () => {
    const around = scene()
    const { greeting } = await run('greeting.ts', {}, 'greeting')
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    client(url, cookie)
    expect(greeting(around.shared, await connected)).toBe('Hello stranger')
    await around.shared.flush()
    expect(await json(`${url}/session`, cookie)).toMatchObject({ visits: 1 })
  })
})

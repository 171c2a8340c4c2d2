import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { createViteServer } from 'vitest/node'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { folderWith, program } from './program.js'
import { cleanup, client, cookieOf, listen, scene, surroundings, tidy } from './scene.js'
import { run, snippet } from './snippets.js'

afterEach(tidy)

/** A process of its own starts slowly where many do. */
const SLOW = 60_000

describe('deployment', () => {
  it('at the start: errors are logged, and what the doctor says', async () => {
    const around = scene()
    const lines: unknown[][] = []
    const note = (...line: unknown[]) => lines.push(line)
    await run('production', { ...around, console: { log: note, error: note } })
    const url = await listen(around, around.shared)
    const connected = next(around.io, 'connection')
    client(url)
    around.shared.session(await connected).theme = 1n as never
    await until(() => lines.length === 2)
    expect(lines[0]![0]).toMatch(/^store: MemoryStore/)
    expect(lines[1]![0]).toBe('NOT_STORABLE')
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: the process saves what is unsaved, ends answers that do not end, and exits with 0',
    { timeout: SLOW },
    async (signal) => {
      const events = `app.get('/events', (_req, res) => void res.type('text/event-stream').write('data: 1'))\n`
      const tell = `shared.events.on('session:saved', ({ keys }) => console.log('saved', keys))
      io.on('connection', (socket) => socket.on('cart:add', () => console.log('written')))\n`
      const folder = folderWith({
        'server.ts': snippet('recipes#server.ts') + snippet('sigterm').replace('5000', '100') + tell + events,
      })
      const server = program(folder, 'server.ts')
      const url = await server.line(/http:\S+/)
      const cookie = cookieOf(await fetch(`${url}/login`, { method: 'POST' }))!
      await server.line(/saved \[ 'user' \]/)
      const socket = client(url, cookie, { reconnection: false })
      const gone = next(socket, 'disconnect')
      await next(socket, 'connect')
      const { body } = await fetch(`${url}/events`)
      const cut = body!.getReader().closed.catch(() => 'cut')
      socket.emit('cart:add', 'apple')
      await server.line(/written/)
      server.signal(signal)
      await gone
      expect(await cut).toBe('cut')
      expect({ code: await server.ended, output: server.output }).toMatchObject({
        code: 0,
        output: expect.stringContaining("'cart'"),
      })
    },
  )

  it('SIGTERM while the store is down: says what was not saved, closes the store all the same, and exits', {
    timeout: SLOW,
  }, async () => {
    const store = `
      let isDown = false
      const saved = new Map()
      class Store extends expressSession.Store {
        get(sid, done) { setImmediate(done, null, saved.has(sid) ? JSON.parse(saved.get(sid)) : null) }
        set(sid, data, done) {
          if (!isDown) saved.set(sid, JSON.stringify(data))
          setImmediate(done, isDown ? new Error('the store is down') : null)
        }
        destroy(sid, done) { saved.delete(sid); setImmediate(done) }
      }\n`
    const goesDown = `io.on('connection', (socket) => socket.on('cart:add', () => { isDown = true; console.log('written') }))\n`
    const recipe = snippet('recipes#server.ts').replace('expressSession({', 'expressSession({ store: new Store(),')
    const sigterm = snippet('sigterm').replace("// Last, the store's own connection:", "console.log('closed') //")
    const folder = folderWith({ 'server.ts': store + recipe + sigterm + goesDown })
    const server = program(folder, 'server.ts')
    const url = await server.line(/http:\S+/)
    const response = await fetch(`${url}/login`, { method: 'POST' })
    await response.text()
    const socket = client(url, cookieOf(response)!, { reconnection: false })
    await next(socket, 'connect')
    socket.emit('cart:add', 'apple')
    await server.line(/written/)
    expectWarning('Not everything was saved')
    expectWarning('SAVE_FAILED: The session could not be saved')
    server.signal('SIGTERM')
    const code = await server.ended
    expect(server.output).toMatch(/Not everything was saved:[\s\S]*SAVE_FAILED[\s\S]*closed/)
    expect(code).toBe(1)
  })

  it("behind nginx, `secure: 'auto'`: a handshake is one by TLS only with `proxy: true`", async () => {
    for (const proxy of [undefined, true]) {
      const around = surroundings()
      const { app, io, secret, store } = around
      const cookie = { secure: 'auto' as const }
      const session = around.expressSession({
        secret,
        store,
        resave: false,
        saveUninitialized: false,
        cookie,
        ...(proxy && { proxy }),
      })
      app.set('trust proxy', 1)
      const shared = around.sharedsession(session, { autoSave: true })
      shared.attach(io)
      app.use(session)
      app.get('/start', (req, res) => {
        req.session.theme = 'dark'
        res.json({})
      })
      const url = await listen(around, shared)
      const headers = { 'x-forwarded-proto': 'https' }
      const lines = async (path: string) => (await fetch(url + path, { headers })).headers.getSetCookie().join()
      expect(await lines('/start')).toMatch(/; Secure/)
      expect(/; Secure/.test(await lines('/socket.io/?EIO=4&transport=polling'))).toBe(proxy === true)
    }
  })

  it('a separate frontend: the named origin gets in, another one does not', async () => {
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
    expectWarning('is not allowed to use its sessions')
    const refused = await next(client(url, cookie, { extraHeaders: { origin: 'https://evil.example' } }), 'connect_error')
    expect(refused.data).toEqual({ code: 'ORIGIN_REFUSED' })
  })

  it('with attach() alone, a socket that arrives after shared.close() has no session: session() throws CLOSED', async () => {
    const around = surroundings()
    const session = expressSession({ secret: around.secret, store: around.store, resave: false, saveUninitialized: false })
    const shared = around.sharedsession(session, { autoSave: true })
    shared.attach(around.io)
    const url = await listen(around)
    await shared.close()
    const connected = next(around.io, 'connection')
    await next(client(url), 'connect')
    const socket = await connected
    expect(socket.handshake.session).toBeUndefined()
    expect(() => shared.session(socket)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  it('a separate frontend: the page asks for cookies with its socket and with its requests', async () => {
    const calls: unknown[] = []
    const note = (...args: unknown[]) => calls.push(args)
    await run('cors-client', { connect: note, fetch: note })
    expect(calls).toEqual([
      ['https://api.example.com', { withCredentials: true }],
      ['https://api.example.com/login', { method: 'POST', credentials: 'include' }],
    ])
  })

  it('a dev proxy: a page served by Vite shares the session, unless changeOrigin hides its host', { timeout: SLOW }, async () => {
    const around = scene()
    around.app.get('/api/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    around.app.post('/session', around.shared.renewal())
    const url = await listen(around, around.shared)
    const { exported } = await run('vite', { defineConfig: (config: object) => config }, 'exported')
    const { server } = JSON.parse(JSON.stringify(exported).replaceAll('http://localhost:3000', url))
    const serve = async (): Promise<string> => {
      const vite = await createViteServer({
        ...{ configFile: false, root: folderWith({}), logLevel: 'silent', optimizeDeps: { noDiscovery: true } },
        server: { ...server, port: 0, host: '127.0.0.1' },
      })
      cleanup(() => vite.close())
      await vite.listen()
      return `http://127.0.0.1:${(vite.httpServer!.address() as { port: number }).port}`
    }
    const page = await serve()
    const cookie = cookieOf(await fetch(`${page}/api/start`))!
    expect((await fetch(`${page}/session`, { method: 'POST', headers: { cookie } })).status).toBe(204)
    const connected = next(around.io, 'connection')
    await next(client(page, cookie, { extraHeaders: { origin: page } }), 'connect')
    expect(around.shared.session(await connected).theme).toBe('dark')
    server.proxy['/socket.io'].changeOrigin = true
    const changed = await serve()
    expectWarning('is not allowed to use its sessions')
    const refused = await next(client(changed, cookie, { extraHeaders: { origin: changed } }), 'connect_error')
    expect(refused.data).toEqual({ code: 'ORIGIN_REFUSED' })
  })

  it('behind nginx: a Secure cookie by X-Forwarded-Proto, and a socket by X-Forwarded-Host', async () => {
    const around = surroundings()
    const process = { env: { NODE_ENV: 'production' } }
    const { session } = await run('nginx', { ...around, process }, 'session')
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
    expect(answer.headers.getSetCookie()[0]).toMatch(/; Secure; SameSite=Lax/)
    expect(cookieOf(await fetch(`${url}/start`))).toBeUndefined()
    const connected = next(around.io, 'connection')
    client(url, cookieOf(answer), { extraHeaders: { ...nginx, origin: 'https://shop.example' } })
    expect(shared.session(await connected).theme).toBe('dark')
    expectWarning('is not allowed to use its sessions')
    // What nginx sends unless it is configured to keep the host.
    const unkept = { host: 'upstream', origin: 'https://shop.example' }
    const refused = await next(client(url, cookieOf(answer), { extraHeaders: unkept }), 'connect_error')
    expect(refused.data).toEqual({ code: 'ORIGIN_REFUSED' })
  })
})

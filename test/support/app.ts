import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express, RequestHandler } from 'express'
import express5 from 'express'
import expressSession, { type SessionOptions, type Store } from 'express-session'
// @ts-expect-error: an alias of another version has no types of its own
import express4 from 'express4'
import { Server, type ServerOptions, type Socket } from 'socket.io'
import { type Socket as Client, io as connect, type ManagerOptions, type SocketOptions } from 'socket.io-client'
import sharedsession, { type SharedSession, type SharedSessionOptions } from '../../src/index.js'
import { afterResponse } from './cookies.js'

declare module 'express-session' {
  interface SessionData {
    [key: string]: any
  }
}

/** `EXPRESS=4` runs the suite on Express 4. */
export const express: typeof express5 = process.env.EXPRESS === '4' ? (express4 as unknown as typeof express5) : express5

/** Old versions of socket.io do not export their package.json. */
const versionOf = (name: string): string =>
  JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
const minorOf = (name: string): number => Number(versionOf(name).split('.')[1])

/** express-session takes a function for `cookie` since 1.19. */
export const cookieFunctions = minorOf('express-session') >= 19

/** The lowest that is allowed stores a new session again at the end of the request that has saved it. */
export const savesAgain = versionOf('express-session') === '1.17.0'

/** socket.io's adapters of today need a newer socket.io than the lowest that is allowed. */
export const adaptersOfToday = minorOf('socket.io') >= 8

export interface AppOptions {
  store?: Store
  session?: Partial<SessionOptions>
  shared?: SharedSessionOptions
  io?: Partial<ServerOptions>
  /** Instead of the default wiring `io.use(shared)`. */
  wire?(io: Server, shared: SharedSession): void
  /** Wraps or replaces the session middleware given to sharedsession. */
  wrap?(session: RequestHandler): RequestHandler
  cookieParser?: RequestHandler
  /** Called for each connection of the main namespace. */
  connection?(socket: Socket, app: App): void
  routes?(http: Express): void
  /** What the Express app uses before the session middleware. */
  before?(http: Express): void
}

/** A client that was connected through `App.connect`. */
export type TestClient = Client

export interface App {
  url: string
  io: Server
  http: Express
  store: Store
  shared: SharedSession
  server: HttpServer
  /** The server-side sockets in the order in which they connected. */
  sockets: Socket[]
  /** One browser: keeps its cookie between requests. */
  browser(): Browser
  close(): Promise<void>
}

export interface Browser {
  cookie: string | undefined
  /** Sends a request; a path like `/set?key=value` meets the routes below. */
  get(path: string): Promise<Answer>
  /** Connects a socket with the browser's cookie, and waits until it is connected. */
  connect(options?: ConnectOptions): Promise<Client>
  /** The same without waiting. */
  open(options?: ConnectOptions): Client
}

export type ConnectOptions = Partial<ManagerOptions & SocketOptions> & { namespace?: string }

export interface Answer {
  status: number
  body: any
  headers: Headers
}

const open = new Set<App>()

/** A real server with Express, express-session, Socket.IO and this package, and a few routes that most tests need. */
export async function startApp(options: AppOptions = {}): Promise<App> {
  const store = options.store ?? new expressSession.MemoryStore()
  const session = expressSession({
    secret: 'secret',
    resave: false,
    saveUninitialized: false,
    store,
    ...options.session,
  })
  const shown = options.wrap ? options.wrap(session) : session
  const shared = options.cookieParser
    ? sharedsession(shown, options.cookieParser, { autoSave: true, ...options.shared })
    : sharedsession(shown, { autoSave: true, ...options.shared })
  const http = express()
  const server = createServer(http)
  const io = new Server(server, { transports: ['websocket', 'polling'], ...options.io })
  const clients: Client[] = []
  const app: App = {
    url: '',
    io,
    http,
    store,
    shared,
    server,
    sockets: [],
    browser: () => newBrowser(app, clients),
    async close() {
      open.delete(app)
      for (const client of clients) client.disconnect()
      await shared.close().catch(() => undefined)
      const closed = io.close()
      // Or it waits until the connections that `fetch` keeps have been idle for seconds.
      server.closeAllConnections()
      await closed
    },
  }
  options.before?.(http)
  http.use(session)
  options.routes?.(http)
  routes(http)
  if (options.wire) options.wire(io, shared)
  else io.use(shared)
  io.on('connection', (socket) => {
    app.sockets.push(socket)
    handlers(socket)
    options.connection?.(socket, app)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  app.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  open.add(app)
  return app
}

/** For `afterEach`. */
export async function closeApps(): Promise<void> {
  await Promise.all([...open].map((app) => app.close()))
}

function routes(http: Express): void {
  http.get('/set', (req, res) => {
    Object.assign(req.session, req.query)
    res.json(req.session)
  })
  http.get('/session', (req, res) => {
    res.json(req.session)
  })
  http.get('/delete', (req, res) => {
    delete req.session[String(req.query.key)]
    res.json(req.session)
  })
  http.get('/destroy', (req, res) => {
    req.session.destroy((error) => res.json({ error: error?.message }))
  })
  http.get('/regenerate', (req, res) => {
    req.session.regenerate(() => {
      req.session.renewed = true
      res.json({ id: req.session.id })
    })
  })
}

/** Every test's socket can write and read by message; the acks say when. */
function handlers(socket: Socket): void {
  const { session } = socket.handshake as any
  socket.on('set', (key: string, value: unknown, ack?: (done: unknown) => void) => {
    session[key] = value
    ack?.('ok')
  })
  socket.on('get', (ack: (data: unknown) => void) => ack(session))
}

function newBrowser(app: App, clients: Client[]): Browser {
  const browser: Browser = {
    cookie: undefined,
    async get(path) {
      const response = await fetch(app.url + path, { headers: browser.cookie ? { cookie: browser.cookie } : {} })
      browser.cookie = afterResponse(browser.cookie, response.headers.getSetCookie())
      const text = await response.text()
      return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text, headers: response.headers }
    },
    open({ namespace = '', ...options } = {}) {
      const client = connect(app.url + namespace, {
        forceNew: true,
        transports: ['websocket'],
        reconnection: false,
        ...(browser.cookie && { extraHeaders: { cookie: browser.cookie } }),
        ...options,
      })
      clients.push(client)
      return client
    },
    async connect(options) {
      const client = browser.open(options)
      await new Promise<void>((resolve, reject) => {
        client.once('connect', resolve)
        client.once('connect_error', reject)
      })
      return client
    },
  }
  return browser
}

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import expressSession from 'express-session'
import { Server, type ServerOptions } from 'socket.io'
import { io as connect, type ManagerOptions, type SocketOptions } from 'socket.io-client'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { express } from '../support/app.js'

const cleanups: (() => unknown)[] = []

/** For `afterEach`. */
export async function tidy(): Promise<void> {
  for (const clean of cleanups.splice(0).reverse()) await clean()
}

export function cleanup(clean: () => unknown): void {
  cleanups.push(clean)
}

/** What a block without imports finds around it, at run time. */
export function surroundings(createApp: () => Express = express) {
  const app = createApp()
  const server = createServer(app)
  const store = new expressSession.MemoryStore()
  return {
    ...{ app, server, store, express, expressSession, sharedsession, connect },
    secret: 'secret',
    io: new Server(),
    // Longer than a tick: what is written after it is written after an await.
    lookup: async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return 3
    },
    // All servers here are attached when the rest of the scene is set up: see listen().
    Server: class extends Server {
      constructor(_server: unknown, options?: Partial<ServerOptions>) {
        super(options)
      }
    },
  }
}

/** The same with a session, as most blocks have it. */
export function scene(createApp?: () => Express) {
  const around = surroundings(createApp)
  const { app, io, store, secret } = around
  const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
  app.use(session)
  const shared = sharedsession(session, { autoSave: true })
  io.use(shared)
  app.get('/start', (req, res) => {
    req.session.theme = 'dark'
    res.json(req.session)
  })
  return { ...around, session, shared }
}

/** Starts the server. @returns its address */
export async function listen(around: Pick<ReturnType<typeof surroundings>, 'server' | 'io' | 'app'>, shared?: SharedSession) {
  const { app, server, io } = around
  app.get('/session', (req, res) => {
    res.json(req.session)
  })
  io.attach(server)
  server.listen(0)
  await once(server, 'listening')
  cleanup(async () => {
    await shared?.close()
    await io.close()
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

/** A client with a cookie; it is not connected yet. */
export function client(url: string, cookie?: string, options: Partial<ManagerOptions & SocketOptions> = {}) {
  const socket = connect(url, {
    ...{ forceNew: true, transports: ['websocket'], reconnectionDelay: 1, reconnectionDelayMax: 1 },
    ...options,
    extraHeaders: { ...(cookie && { cookie }), ...options.extraHeaders },
  })
  cleanup(() => socket.disconnect())
  return socket
}

/** The cookie that a response sets, as a request sends it. */
export function cookieOf(response: Response): string | undefined {
  return response.headers.getSetCookie()[0]?.split(';')[0]
}

/** What the server answers to a request with that cookie. */
export async function json(url: string, cookie: string, options: RequestInit = {}): Promise<any> {
  const response = await fetch(url, { ...options, headers: { cookie } })
  return response.json()
}

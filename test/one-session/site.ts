import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import expressSession, { type SessionOptions, type Store } from 'express-session'
import { Server, type ServerOptions, type Socket } from 'socket.io'
import type { Socket as Client } from 'socket.io-client'
import sharedsession, { type SharedSession, type SharedSessionOptions } from '../../src/index.js'
import { express } from '../support/app.js'
import { deferred, until } from '../support/wait.js'

export interface SiteOptions {
  store?: Store
  session?: Partial<SessionOptions>
  shared?: SharedSessionOptions
  io?: Partial<ServerOptions>
  port?: number
  wire?: 'attach' | 'use'
  /** What `/` shows. It has no session. */
  page?: string
}

/** A node of an application: `/add` and the event `add` put something into a list of the session, `/session` shows the session. */
export interface Site {
  url: string
  port: number
  io: Server
  http: HttpServer
  shared: SharedSession
  sockets: Socket[]
  /** Requests to `/add?slow`, `/login?slow`, `/destroy?slow`, `/regenerate?slow` and `/regenerate-slowly` wait for it. */
  slow: ReturnType<typeof deferred>
  /** A request to `/add?slow`, `/destroy?slow` or `/regenerate?slow` waits. */
  waiting: ReturnType<typeof deferred<void>>
  close(): Promise<void>
}

const sites = new Set<Site>()

/** For `afterEach`. */
export async function closeSites(): Promise<void> {
  await Promise.all([...sites].map((site) => site.close()))
}

export async function startSite(options: SiteOptions = {}): Promise<Site> {
  const store = options.store ?? new expressSession.MemoryStore()
  const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false, ...options.session })
  const shared = sharedsession(session, { autoSave: true, ...options.shared })
  const app = express()
  const http = createServer(app)
  const io = new Server(http, { ...options.io })
  if (options.page) app.get('/', (_req, res) => void res.send(options.page))
  if (options.wire === 'use') app.use(shared.cookies)
  app.use(session)
  const site: Site = {
    url: '',
    port: 0,
    io,
    http,
    shared,
    sockets: [],
    slow: deferred(),
    waiting: deferred(),
    async close() {
      sites.delete(site)
      http.closeAllConnections()
      await shared.close().catch(() => undefined)
      await io.close()
    },
  }
  app.post('/add', async (req, res) => {
    req.session.http = [...(req.session.http ?? []), req.query.item]
    if (req.query.slow !== undefined) {
      site.waiting.resolve()
      await site.slow.promise
    }
    res.json({})
  })
  app.post('/update', async (req, res) => {
    await site.slow.promise
    await shared
      .update(req, (draft) => void Object.assign(draft, { updated: true }))
      .catch(({ code }) => res.status(500).json({ code }))
    if (!res.headersSent) res.json({})
  })
  app.get('/session', (req, res) => void res.json(req.session))
  // Where nothing was written, express-session sets no cookie for a new session.
  app.post('/save', (req, res) => void req.session.save(() => void res.json({})))
  app.post('/login', (req, res, next) => {
    const login = async (): Promise<void> => {
      req.session.user = 'ada'
      if (req.query.slow !== undefined) await site.slow.promise
      res.json({})
    }
    if (req.query.regenerate === undefined) login()
    else req.session.regenerate((error) => (error ? next(error) : login()))
  })
  // Its response brings no session cookie: the head has left.
  app.post('/late-login', (req, res) => {
    if (req.query.language !== undefined) res.cookie('language', 'en')
    res.write('{}')
    req.session.regenerate(() => void res.end())
  })
  app.post('/renew', (req, res, next) => shared.renewal()(req, res, next))
  app.post(['/destroy', '/regenerate'], async (req, res) => {
    if (req.query.slow !== undefined) {
      site.waiting.resolve()
      await site.slow.promise
    }
    req.session[req.path.slice(1)]((error: unknown) => res.status(error ? 500 : 200).json({}))
  })
  // The head leaves with the cookie of the new session, which is stored by then, and the end waits.
  app.post('/regenerate-slowly', (req, res) => {
    req.session.regenerate(() => {
      req.session.save(async () => {
        res.write('{')
        await site.slow.promise
        res.end('}')
      })
    })
  })
  if (options.wire === 'use') io.use(shared)
  else shared.attach(io)
  io.on('connection', (socket) => {
    site.sockets.push(socket)
    const { session: live } = socket.handshake
    socket.on('add', (item, ack) => {
      live.socket = [...(live.socket ?? []), item]
      ack('ok')
    })
    socket.on('get', (ack) => ack(live))
  })
  http.listen(options.port ?? 0, '127.0.0.1')
  await once(http, 'listening')
  site.port = (http.address() as AddressInfo).port
  site.url = `http://127.0.0.1:${site.port}`
  sites.add(site)
  return site
}

/** What a tab's socket shows, as soon as one answers: a tab may have to come again before. */
export async function shown(tab: Client | undefined): Promise<any> {
  let answer: unknown
  const ask = (): Promise<unknown> => tab!.timeout(1000).emitWithAck('get')
  await until(async () => (answer = await ask().catch(() => undefined)))
  return answer
}

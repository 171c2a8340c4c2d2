import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express, NextFunction, Request, Response } from 'express'
import expressSession, { type SessionOptions, type Store } from 'express-session'
import { Server } from 'socket.io'
import { type Socket as Client, io as connect } from 'socket.io-client'
import { expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { express } from '../support/app.js'
import { expectWarning } from '../support/warnings.js'
import { normalise, type SetCookie, toSetCookie } from './normal.js'

/** `live`: with this package, while the visitor also has a socket of the same session. */
export const RUNS = ['without', 'with', 'live'] as const
export type Run = (typeof RUNS)[number]

/** A store, and a way past everything that may stand before it. */
export interface Opened<S extends Store = Store> {
  store: S
  /** What is stored under an id, without this package's record. */
  held(sid: string): Promise<any>
  /** Stores something, as another process would. */
  put(sid: string, session: object): Promise<unknown>
  /** ms that a stored session has left. */
  left(sid: string): Promise<number>
  /** Lets go of it. */
  end?(): unknown
}

export interface Settings {
  session?: Partial<SessionOptions>
  /** What the application uses before the session middleware. */
  before?(http: Express): void
  routes?(http: Express): void
  /** What the scenario provokes, in one of its runs. */
  warnings?: string[]
}

export interface Answer {
  status: number
  body: any
  /** The session cookie, where the response sets one. */
  cookie: SetCookie | undefined
}

export interface Visitor {
  /** As sent with each request. */
  cookie: string | undefined
  /** The id that the cookie names. */
  readonly sid: string
  ask(path: string, headers?: Record<string, string>): Promise<Answer>
}

export interface Site<S extends Store = Store> extends Opened<S> {
  run: Run
  url: string
  shared: SharedSession | undefined
  visitor(): Visitor
  /** What reached the application's error handler. */
  errors: { error: any; answered: boolean }[]
}

/**
 * Runs a scenario without this package, with it, and with it and a socket. It says what it expects of each run; and all that the
 * visitor is answered, and what is stored after each answer, has to be the same in all of them.
 */
export function promises<S extends Store>(
  name: string,
  open: () => Opened<S> | Promise<Opened<S>>,
  settings: Settings,
  scenario: (site: Site<S>) => Promise<unknown>,
): void {
  it(name, async () => {
    for (const warning of settings.warnings ?? []) expectWarning(warning)
    const logs: unknown[][] = []
    for (const run of RUNS) {
      const log: unknown[] = []
      await visited(run, await open(), settings, scenario, log)
      logs.push(log)
    }
    for (const [index, log] of logs.entries()) expect(log, `${RUNS[index]} this package`).toEqual(logs[0])
  })
}

/** One run of a scenario. */
export async function visited<S extends Store>(
  run: Run,
  opened: Opened<S>,
  settings: Settings,
  scenario: (site: Site<S>) => Promise<unknown>,
  log: unknown[] = [],
): Promise<void> {
  const { site, close } = await openSite(run, opened, settings, log)
  try {
    await scenario(site)
  } catch (error) {
    // The same scenario runs several times: which one was it?
    if (error instanceof Error) error.message = `${run} this package: ${error.message}`
    throw error
  } finally {
    await close()
  }
}

async function openSite<S extends Store>(run: Run, opened: Opened<S>, settings: Settings, log: unknown[]) {
  const { store } = opened
  const http = express()
  const server = createServer(http)
  const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false, ...settings.session, store })
  const io = run === 'without' ? undefined : new Server(server)
  const shared = run === 'without' ? undefined : sharedsession(session, { autoSave: true })
  if (shared) io?.use(shared)
  const errors: Site['errors'] = []
  settings.before?.(http)
  http.use(session)
  settings.routes?.(http)
  routes(http)
  http.use((error: any, _req: Request, res: Response, _next: NextFunction) => {
    errors.push({ error, answered: res.headersSent })
    if (!res.headersSent) res.status(500).json({ error: error.message })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const clients: Client[] = []
  const seen = new Map<string, string>()
  const name = settings.session?.name ?? 'connect.sid'
  const site: Site<S> = {
    ...opened,
    run,
    url,
    shared,
    errors,
    visitor: () => newVisitor({ url, name, log, seen, held: opened.held, ...(run === 'live' && { clients }) }),
  }
  const close = async (): Promise<void> => {
    for (const client of clients) client.disconnect()
    await shared?.close()
    await io?.close()
    server.close()
    server.closeAllConnections()
    await opened.end?.()
  }
  return { site, close }
}

interface Visited {
  url: string
  name: string
  log: unknown[]
  seen: Map<string, string>
  held(sid: string): Promise<unknown>
  /** Present where a visitor has a socket too. */
  clients?: Client[]
}

function newVisitor({ url, name, log, seen, held, clients }: Visited): Visitor {
  let client: Client | undefined
  let connectedWith: string | undefined
  const visitor: Visitor = {
    cookie: undefined,
    get sid() {
      return sidOf(visitor.cookie)
    },
    async ask(path, headers = {}) {
      const response = await fetch(url + path, {
        headers: { ...headers, ...(visitor.cookie && { cookie: visitor.cookie }) },
        redirect: 'manual',
      })
      const line = response.headers.getSetCookie().find((each) => each.startsWith(`${name}=`))
      if (line) visitor.cookie = line.split(';')[0]
      const text = await response.text()
      const answer = {
        status: response.status,
        body: /^[{["]/.test(text) ? JSON.parse(text) : text,
        cookie: line === undefined ? undefined : toSetCookie(line),
      }
      const stored = visitor.cookie === undefined ? undefined : await held(visitor.sid)
      log.push(normalise({ path, ...answer, sid: line && sidOf(line.split(';')[0]), stored }, seen))
      if (clients) await haveSocket(clients)
      return answer
    },
  }
  async function haveSocket(all: Client[]): Promise<void> {
    const { cookie } = visitor
    if (cookie === undefined || (client?.connected && connectedWith === cookie)) return
    client?.disconnect()
    connectedWith = cookie
    client = connect(url, {
      forceNew: true,
      transports: ['websocket'],
      reconnectionDelay: 1,
      randomizationFactor: 0,
      extraHeaders: { cookie },
    })
    all.push(client)
    // Refused where no session can reach a socket: there is nothing to be had then.
    await Promise.race(['connect', 'connect_error'].map((event) => new Promise((done) => (client as any).once(event, done))))
  }
  return visitor
}

export function sidOf(cookie: string | undefined): string {
  const signed = decodeURIComponent(String(cookie).split('=')[1] ?? '')
  return signed.slice(2).split('.')[0] ?? ''
}

/** What most scenarios need. */
function routes(http: Express): void {
  http.get('/set', (req, res) => {
    Object.assign(req.session, req.query)
    show(req, res)
  })
  http.get('/show', show)
  http.get('/login', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = String(req.query.user)
      show(req, res)
    })
  })
  http.get('/logout', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.json({ session: req.session === undefined ? 'none' : 'some' })))
  })
}

/** Everything that a request shows of its session. */
export function show(req: Request, res: Response): void {
  const { session, sessionID } = req
  res.json(session ? { sessionID, ...session, id: session.id } : { sessionID, session: null })
}

import { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import type { Session, Store } from 'express-session'
import { MethodPatch } from '../util/method-patch.js'

/** The attributes of a cookie, their names in lower case. */
export type Attributes = ReadonlyMap<string, string>

/** How a request comes to the server: by TLS, through a proxy that ends TLS, through one that Express trusts, or without. */
type Way = 'tls' | 'proxy' | 'express' | 'plain'

/** What a session middleware shows of its options. */
export interface SessionSettings {
  /** Of the cookie that it sends on each way; `undefined`: it sends none. */
  readonly cookies: Readonly<Record<Way, Attributes | undefined>>
  readonly saveUninitialized: boolean
  readonly rolling: boolean
  readonly resave: boolean
}

export type Unreadable =
  /** It makes no session: its store has emitted 'disconnect'. */
  | 'disconnected'
  /** It failed on a bare request, or did not call `next` at once. */
  | 'failed'

/** What the session middleware is run on: what it reads of a request. */
interface BareRequest {
  readonly headers: Record<string, string>
  session?: Session
  sessionID?: string
}

const PLAIN: Record<string, string> = {}
const PROXIED: Record<string, string> = { 'x-forwarded-proto': 'https' }
const HEADERS: Record<Way, Record<string, string>> = { tls: PLAIN, plain: PLAIN, proxy: PROXIED, express: PROXIED }

/**
 * Finds out the options of express-session's middleware, which it keeps to itself: runs it on bare requests, as it is run for a handshake, and
 * looks at the cookies that it sets. Nothing is sent or stored, and the store is not asked.
 * @param path that the session cookie covers
 * @param name of the session cookie
 */
export function readSettings(
  middleware: RequestHandler,
  store: Store,
  { path, name }: { path: string; name: string },
): SessionSettings | Unreadable {
  const run = (way: Way, cookie?: string): Run => new Run(middleware, { path, way, cookie })
  try {
    const untouched = run('tls')
    if (!untouched.isDone) return 'failed'
    if (!untouched.request.session) return 'disconnected'
    const saveUninitialized = untouched.setCookie() !== undefined
    const written = (way: Way): string | undefined => {
      const each = run(way)
      if (each.request.session) Object.assign(each.request.session, { written: true })
      return each.setCookie()
    }
    const line = written('tls')
    const cookie = line?.slice(0, line.indexOf(';'))
    const loaded = cookie?.startsWith(`${name}=`)
      ? readLoaded(store, () => run('tls', cookie))
      : { rolling: false, resave: false }
    const cookieBy = (way: Way): Attributes | undefined => attributesOf(written(way))
    const cookies = { proxy: cookieBy('proxy'), express: cookieBy('express'), plain: cookieBy('plain') }
    return { cookies: { ...cookies, tls: attributesOf(line) }, saveUninitialized, ...loaded }
  } catch {
    // A function of the application's, as `genid` or `cookie`, needs a real request.
    return 'failed'
  }
}

/** What the middleware does about a session that is in the store, and that nobody changes. */
function readLoaded(store: Store, run: () => Run): Pick<SessionSettings, 'rolling' | 'resave'> {
  // For this one call, which is synchronous: the middleware is given a session that nobody has, and its id is asked for nowhere.
  const stand = new MethodPatch<'get' | 'touch'>(store)
  stand.replace('get', (_sid: string, callback: (error: null, session: object) => void) => {
    callback(null, { cookie: { originalMaxAge: null, path: '/' } })
  })
  stand.replace('touch', () => undefined)
  try {
    const loaded = run()
    const rolling = loaded.setCookie() !== undefined
    return { rolling, resave: loaded.isSavedAtEnd() }
  } finally {
    stand.restore()
  }
}

/** One run of the middleware. */
class Run {
  readonly request: BareRequest
  /** It has called `next` at once, and without an error. */
  isDone = false
  readonly #response: ServerResponse

  constructor(middleware: RequestHandler, { path, way, cookie }: { path: string; way: Way; cookie: string | undefined }) {
    const socket = { encrypted: way === 'tls' }
    this.request = Object.assign(
      { method: 'GET', url: path, originalUrl: path, socket, connection: socket, secret: 'doctor' },
      // What Express says of a request.
      way === 'express' && { secure: true },
      { headers: { ...HEADERS[way], ...(cookie !== undefined && { cookie }) } },
    )
    this.#response = new ServerResponse(this.request as never)
    // The middleware's own `end` calls it.
    this.#response.end = () => this.#response
    middleware(this.request as never, this.#response as never, (error?: unknown) => {
      this.isDone = !error
    })
  }

  /** The line that sets the session cookie, if it is set. */
  setCookie(): string | undefined {
    try {
      this.#response.writeHead(200)
    } catch {
      // Older versions of express-session throw here where the cookie cannot be written. Newer ones call `next` with the error.
      return undefined
    }
    return [this.#response.getHeader('set-cookie') ?? []].flat().map(String)[0]
  }

  /** Is the session saved at the end of the request? */
  isSavedAtEnd(): boolean {
    let isSaved = false
    const { session } = this.request
    if (!session) return false
    const value = (): void => {
      isSaved = true
    }
    Object.defineProperty(session, 'save', { value, configurable: true })
    this.#response.end()
    return isSaved
  }
}

function attributesOf(line: string | undefined): Attributes | undefined {
  if (line === undefined) return undefined
  const pairs = line.split(';').slice(1)
  return new Map(
    pairs.map((pair) => {
      const [name = '', value = ''] = pair.trim().split('=', 2)
      return [name.toLowerCase(), value]
    }),
  )
}

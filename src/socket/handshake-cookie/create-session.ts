import { type IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import type { Session } from 'express-session'
import { debug } from '../../debug.js'
import type { ProbeResult } from '../../store/probe.js'
import type { CookieTarget } from '../incoming-handshake.js'
import { type LoadedRequest, parseCookies, runMiddleware } from '../run-session-middleware.js'
import { createSocketRequest } from '../socket-request.js'
import type { NewSession } from './cookieless-client.js'
import { withSession } from './socket-cookie.js'

/** What makes sessions for clients. */
export interface SessionFactory {
  readonly middleware: RequestHandler
  readonly parser: RequestHandler | undefined
  /** ms that the middlewares may take. */
  readonly timeout: number
  readonly shown: ProbeResult
}

/**
 * Runs the session middleware for a client's handshake. Rejects with what the middleware reports.
 * @param value of the session cookie that counts as sent
 * @param read calls what reads the store, in the same turn
 * @returns the client's session, where it is there; otherwise the one that the middleware has made, and would send a cookie of
 */
export async function createSession(
  { middleware, parser, timeout, shown }: SessionFactory,
  first: IncomingMessage,
  value: string | undefined,
  read: <T>(call: () => T) => T = (call) => call(),
): Promise<{ found?: LoadedRequest; introduction?: NewSession; secret?: unknown }> {
  const cookie =
    shown.cookieName === undefined ? first.headers.cookie : withSession(first.headers.cookie, shown.cookieName, value)
  const headers = { ...first.headers, cookie }
  const jar: CookieTarget = { headers }
  await parseCookies(jar, parser, timeout)
  const { request, named: readNamed } = createSocketRequest(first, jar)
  Object.defineProperty(request, 'headers', { value: headers, writable: true, configurable: true, enumerable: false })
  const response = new ServerResponse(request)
  await read(() => runMiddleware(middleware, request, timeout, response))
  Reflect.deleteProperty(request, '_parsedUrl')
  // From now on those of the connection, as for any other socket's request.
  Reflect.deleteProperty(request, 'headers')
  const { session, sessionStore: store } = request
  const { secret } = jar
  if (!session || !store) return { secret }
  const named = readNamed()
  if (named !== undefined && named === session.id) return { found: { request, named }, secret }
  return { introduction: { session, store, named, ...cookieOf(session, response) }, secret }
}

/**
 * The id in a session cookie's value, if the session middleware accepts its signature: as far as it is run, it is stopped before it reads
 * or makes anything.
 * @param secret that only the cookie parser knows
 * @returns `undefined` also where a wrapped middleware does not say so at once
 */
export function genuineId(
  { middleware, shown }: SessionFactory,
  request: IncomingMessage,
  value: string,
  secret: unknown,
): string | undefined {
  const { cookieName } = shown
  if (cookieName === undefined) return undefined
  let id: string | undefined
  const bare = Object.create(request, {
    headers: { value: { ...request.headers, cookie: `${cookieName}=${value}` } },
    cookies: { value: undefined },
    signedCookies: { value: undefined },
    session: { value: undefined },
    sessionStore: { value: undefined, writable: true },
    ...(secret !== undefined && { secret: { value: secret } }),
    sessionID: {
      set(found: string | undefined) {
        id = found
        throw STOP
      },
    },
  })
  try {
    const result: unknown = middleware(bare as never, new ServerResponse(bare as never) as never, () => {})
    Promise.resolve(result).catch(() => undefined)
  } catch {
    // Stopped; or an application's own cookie function has thrown, and then nothing is known.
  }
  return id || undefined
}

const STOP = new Error('sharedsession has seen whose cookie this is and stops the session middleware here; nothing is wrong.')

/**
 * The cookie that express-session sends for a session that was written to. It looks whether that is so only where it does not store new
 * sessions in any case (`saveUninitialized`).
 */
function cookieOf(session: Session, response: ServerResponse): Pick<NewSession, 'setCookie' | 'storesNew'> {
  const before = new Set(linesOf(response))
  let storesNew = true
  // Any difference will do; it is gone before anybody sees the session.
  const mark = 'sharedsession'
  const get = (): boolean => {
    storesNew = false
    return true
  }
  Object.defineProperty(session, mark, { get, enumerable: true, configurable: true })
  try {
    response.writeHead(200)
  } catch (cause) {
    // A middleware of the application's that goes on when there is a response: its session is as good without a cookie.
    debug('no cookie for a client that has none: %s', (cause as Error | undefined)?.message)
  } finally {
    Reflect.deleteProperty(session, mark)
  }
  const setCookie = linesOf(response).find((line) => !before.has(line) && line.includes(encodeURIComponent(session.id)))
  return { setCookie, storesNew: storesNew && setCookie !== undefined }
}

function linesOf(response: ServerResponse): string[] {
  return [response.getHeader('set-cookie') ?? []].flat().map(String)
}

import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Session } from 'express-session'
import { debug, errorLabel, warnOnce } from '../../debug.js'
import { FIRST_MOMENT } from '../../store/session-clock.js'
import type { InstanceContext } from '../instance-context.js'
import { setCookieLines, withSessionCookie } from './handshake-cookie.js'
import type { CookieTarget } from './incoming-handshake.js'
import { fromRequest, type LoadedSession } from './loaded-session.js'
import type { NewSession } from './prepared-sessions.js'
import { parsedCookies, runCookieParser, runMiddleware } from './run-session-middleware.js'
import { createSocketRequest, type SocketRequest } from './socket-request.js'

/**
 * The session that the same session middleware made for the handshake before: as a middleware of Engine.IO's, where it sets its cookie itself, or
 * of the namespace.
 */
export function sessionMadeBefore(context: InstanceContext, request: SocketRequest): NewSession | undefined {
  const { session, sessionStore: store } = request
  if (!session || !store || store !== context.probed.store) return undefined
  context.middlewareRanBefore = true
  warnOnce(
    'io.engine.use',
    'The session middleware has run for a handshake before sharedsession: by io.engine.use(session), which makes it run for every poll, or by io.use((socket, next) => session(socket.request, {}, next)). It then decides about the cookie of clients that have none. sharedsession does not need it: take it out.',
  )
  return { session, store, setCookie: undefined, storesNew: false, cookieSid: undefined, soughtMoment: FIRST_MOMENT }
}

/**
 * Runs the session middleware for a client's handshake. Rejects with what the middleware reports.
 * @param value of the session cookie, in place of the one that the request has
 * @param read calls what reads the store, in the same tick
 * @returns `existing`: the session that the cookie names; otherwise `created`: the one that the middleware has made
 */
export async function findOrCreateSession(
  context: InstanceContext,
  first: IncomingMessage,
  value: string | undefined,
  read: <T>(call: () => T) => T = (call) => call(),
): Promise<{ existing?: LoadedSession; created?: NewSession; secret?: unknown }> {
  const { middleware, parser, timeout, probed } = context
  const readMoment = context.manager?.clock.now() ?? FIRST_MOMENT
  const sent = first.headers.cookie
  const cookie = probed.cookieName === undefined ? sent : withSessionCookie(sent, probed.cookieName, value)
  const headers = { ...first.headers, cookie }
  const target: CookieTarget = { headers }
  if (parser) await runCookieParser(target, parser, timeout)
  const { request, cookieSid: readCookieSid } = createSocketRequest(first, parsedCookies(target))
  Object.defineProperty(request, 'headers', { value: headers, writable: true, configurable: true, enumerable: false })
  const response = new ServerResponse(request)
  await read(() => runMiddleware(middleware, request, timeout, response))
  Reflect.deleteProperty(request, '_parsedUrl')
  // From now on the headers of the connection's request, as with any other socket's request.
  Reflect.deleteProperty(request, 'headers')
  const { session, sessionStore: store } = request
  const { secret } = target
  if (!session || !store) return { secret }
  const cookieSid = readCookieSid()
  if (cookieSid !== undefined && cookieSid === session.id)
    return { existing: fromRequest(context, request, cookieSid, readMoment), secret }
  return { created: { session, store, cookieSid, soughtMoment: readMoment, ...setCookieOf(session, response) }, secret }
}

/**
 * The cookie that express-session sends for a session that was written to. express-session looks for a write only if it does not store
 * every new session (`saveUninitialized`), which shows that option.
 */
function setCookieOf(session: Session, response: ServerResponse): Pick<NewSession, 'setCookie' | 'storesNew'> {
  const before = new Set(setCookieLines(response))
  let storesNew = true
  try {
    writeHeadAsWritten(session, response, 200, () => {
      storesNew = false
    })
  } catch (cause) {
    // Another middleware of the application hooks into the response and throws. The session can be used without a cookie.
    debug('no cookie for a client that has none: %s', errorLabel(cause))
  }
  const setCookie = setCookieLines(response).find((line) => !before.has(line) && line.includes(encodeURIComponent(session.id)))
  return { setCookie, storesNew: storesNew && setCookie !== undefined }
}

/**
 * Writes the head of a response as if something had been written to its session: express-session sends no cookie otherwise.
 * @param onLook is called when express-session looks for that
 */
export function writeHeadAsWritten(session: Session, response: ServerResponse, status: number, onLook?: () => void): void {
  // Any name will do, because the property is deleted before anybody else has the session.
  const mark = 'sharedsession'
  const get = (): boolean => {
    onLook?.()
    return true
  }
  Object.defineProperty(session, mark, { get, enumerable: true, configurable: true })
  try {
    response.writeHead(status)
  } finally {
    Reflect.deleteProperty(session, mark)
  }
}

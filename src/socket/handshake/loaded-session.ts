import type { IncomingMessage } from 'node:http'
import type { Store } from 'express-session'
import { SharedSessionError } from '../../errors.js'
import type { HandshakeSession, SubscribedRead } from '../../session/handshake-sessions.js'
import type { SessionManager } from '../../session/session-manager.js'
import { FIRST_MOMENT, type Moment } from '../../store/session-clock.js'
import { middlewareReported, noSessionError } from '../handshake-errors.js'
import type { InstanceContext } from '../instance-context.js'
import type { CookieTarget } from './incoming-handshake.js'
import { parsedCookies, runMiddleware } from './run-session-middleware.js'
import { createSocketRequest, type SocketRequest } from './socket-request.js'

/** The session of a handshake: the one that its cookie names, or a new one. */
export interface LoadedSession extends HandshakeSession {
  /** The id in the session cookie, if the session middleware accepted it. */
  readonly cookieSid: string | undefined
  readonly sessionStore: Store
  /** On which the session middleware was run; absent where the session was read without it. */
  readonly request?: SocketRequest | undefined
}

/**
 * Loads the session of a handshake.
 * @param first the connection's first request
 * @param target with the cookies as the cookie parser has parsed them
 * @param cookie the value of the session cookie; `undefined` for none
 * @throws `STORE_TIMEOUT`, what the store or the session middleware reports, and what {@link noSessionError} says
 */
export async function loadSession(
  context: InstanceContext,
  first: IncomingMessage,
  target: CookieTarget,
  cookie: string | undefined,
): Promise<LoadedSession> {
  const read = startRead(context, first, cookie)
  const existing = read && existingSession(context, read.sid, await read.result)
  return existing ?? readByMiddleware(context, first, target)
}

/** A session that is being looked for. */
export interface PendingRead {
  readonly sid: string
  /** No promise where it was read in this tick. */
  readonly result: SubscribedRead | Promise<SubscribedRead>
}

/**
 * Looks for the session that a cookie names, without a run of the session middleware: express-session's own would make of what it reads nothing
 * that is needed.
 * @returns `undefined` where the session middleware has to be run
 */
export function startRead(
  { manager, canReadDirectly, verified, probed }: InstanceContext,
  first: IncomingMessage,
  cookie: string | undefined,
): PendingRead | undefined {
  const { cookieName, store } = probed
  if (!manager || !store || !canReadDirectly || cookie === undefined || cookieName === undefined) return undefined
  if (!manager.handshakes.interceptor.isReadDirectly) return undefined
  const sid = verified.sidIn(first, cookieName, cookie)
  return sid === undefined ? undefined : { sid, result: manager.handshakes.read(sid) }
}

/** @returns `undefined` if there is no such session */
export function existingSession({ probed }: InstanceContext, sid: string, found: SubscribedRead): LoadedSession | undefined {
  const { snapshot, stored, readMoment, hold } = found
  const { store } = probed
  return snapshot && store && { sid, cookieSid: sid, snapshot, stored, readMoment, hold, sessionStore: store }
}

/** Runs the session middleware on a request of the socket's own. */
async function readByMiddleware(context: InstanceContext, first: IncomingMessage, target: CookieTarget): Promise<LoadedSession> {
  const { middleware, timeout } = context
  const manager = context.acquire()
  const readMoment = manager?.clock.now() ?? FIRST_MOMENT
  const { request, cookieSid } = createSocketRequest(first, parsedCookies(target))
  const run = (): Promise<void> | undefined => runMiddleware(middleware, request, timeout)
  try {
    await (manager ? manager.handshakes.interceptor.duringHandshake(run) : run())
  } catch (cause) {
    // express-session sets `sessionStore` before it reads: without it the error is not the store's.
    if (cause instanceof SharedSessionError || request.sessionStore) throw cause
    throw middlewareReported(cause)
  }
  // parseurl's cache is larger than all else that the request has, and would stay as long as the socket.
  Reflect.deleteProperty(request, '_parsedUrl')
  return fromRequest(context, request, cookieSid(), readMoment)
}

/** The session that a session middleware has set on a request. @throws what {@link noSessionError} says if it has set none */
export function fromRequest(
  context: InstanceContext,
  request: SocketRequest,
  cookieSid: string | undefined,
  readMoment: Moment,
): LoadedSession {
  const { session, sessionStore } = request
  if (!session || !sessionStore) throw noSessionError(context.probed, request)
  const { handshakes } = context.acquire(sessionStore) as SessionManager
  return { ...handshakes.fromMiddleware(session, cookieSid === session.id, readMoment), cookieSid, sessionStore, request }
}

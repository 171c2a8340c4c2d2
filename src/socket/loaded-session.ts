import type { IncomingMessage } from 'node:http'
import type { Store } from 'express-session'
import { SharedSessionError } from '../errors.js'
import type { FoundSession, HandshakeSession } from '../session/handshake-sessions.js'
import type { SessionManager } from '../session/session-manager.js'
import type { HandshakeContext } from './context.js'
import { middlewareReported, noSessionError } from './handshake-errors.js'
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
  context: HandshakeContext,
  first: IncomingMessage,
  target: CookieTarget,
  cookie: string | undefined,
): Promise<LoadedSession> {
  const lookup = lookUpSession(context, first, cookie)
  const existing = lookup && existingSession(context, lookup.sid, await lookup.found)
  return existing ?? runForSession(context, first, target)
}

/** A session that is being looked for. */
export interface SessionLookup {
  readonly sid: string
  /** No promise where it was read in this turn. */
  readonly found: FoundSession | Promise<FoundSession>
}

/**
 * Looks for the session that a cookie names, without a run of the session middleware: express-session's own would make of what it reads nothing
 * that is needed.
 * @returns `undefined` where the session middleware has to be run
 */
export function lookUpSession(
  { openManager: manager, canFind, verified, probed }: HandshakeContext,
  first: IncomingMessage,
  cookie: string | undefined,
): SessionLookup | undefined {
  const { cookieName, store } = probed
  if (!manager || !store || !canFind || cookie === undefined || cookieName === undefined) return undefined
  if (!manager.handshakes.interceptor.isReadDirectly) return undefined
  const sid = verified.sidIn(first, cookieName, cookie)
  return sid === undefined ? undefined : { sid, found: manager.handshakes.find(sid) }
}

/** @returns `undefined` if there is no such session */
export function existingSession({ probed }: HandshakeContext, sid: string, found: FoundSession): LoadedSession | undefined {
  const { snapshot, stored, moment, hold } = found
  const { store } = probed
  return snapshot && store && { sid, cookieSid: sid, snapshot, stored, moment, hold, sessionStore: store }
}

/** Runs the session middleware on a request of the socket's own. */
async function runForSession(context: HandshakeContext, first: IncomingMessage, target: CookieTarget): Promise<LoadedSession> {
  const { middleware, timeout } = context
  const manager = context.acquire()
  const moment = manager?.clock.now() ?? 0
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
  return asLoaded(context, request, cookieSid(), moment)
}

/** The session that a session middleware has set on a request. @throws what {@link noSessionError} says if it has set none */
export function asLoaded(
  context: HandshakeContext,
  request: SocketRequest,
  cookieSid: string | undefined,
  moment: number,
): LoadedSession {
  const { session, sessionStore } = request
  if (!session || !sessionStore) throw noSessionError(context.probed, request)
  const { handshakes } = context.acquire(sessionStore) as SessionManager
  return { ...handshakes.fromMiddleware(session, cookieSid === session.id, moment), cookieSid, sessionStore, request }
}

import type { Socket } from 'socket.io'
import { SharedSessionError } from '../errors.js'
import type { ProbeResult } from '../store/probe.js'
import { closeConnection } from './close-connection.js'
import type { SocketRequest } from './handshake/socket-request.js'

// The errors that refuse a handshake, and those of an instance without a store.

const NOT_LOADED = 'The session could not be loaded: '
const NOT_EXPRESS =
  "Socket.IO's requests are Node's, not Express's: they have no req.hostname, req.ip, req.protocol, req.query or req.app. The server has the cause."

/** `STORE_FAILED` where the store is not at fault. */
const ofMiddleware = new WeakSet<SharedSessionError>()

/** Is the store at fault? Then a handshake may succeed when the store is back. */
export function isOutage(error: SharedSessionError): boolean {
  return error.code === 'STORE_TIMEOUT' || (error.code === 'STORE_FAILED' && !ofMiddleware.has(error))
}

/** `CLOSED` */
export function closedError(): SharedSessionError {
  return new SharedSessionError('CLOSED', 'The server is shutting down: sharedsession was closed.')
}

/** `RENEWAL_NEEDED`: the client has said that it can have its browser's session renewed. */
export function renewalNeeded(): SharedSessionError {
  return new SharedSessionError(
    'RENEWAL_NEEDED',
    'The browser has no cookie of a stored session. Send a request to shared.renewal(), then connect again.',
  )
}

/** `STORE_FAILED`: the store reported an error while the session middleware ran for a handshake. */
export function storeReported(cause: unknown): SharedSessionError {
  return storeFailed(
    `${NOT_LOADED}the session store reported an error. It is usually the connection to the store; the server has the cause.`,
    cause,
  )
}

/** `STORE_FAILED`: the session middleware or the cookie parser reported an error, and the store none. */
export function middlewareReported(cause: unknown): SharedSessionError {
  const error = storeFailed(
    `${NOT_LOADED}the session middleware or the cookie parser reported an error, and the store none. It is usually a function in the session options (cookie, genid). ${NOT_EXPRESS}`,
    cause,
  )
  ofMiddleware.add(error)
  return error
}

/** `STORE_FAILED`: the error may be the store's, which was not known before. */
export function unknownSourceReported(cause: unknown): SharedSessionError {
  return storeFailed(
    `${NOT_LOADED}the session middleware, its store or the cookie parser reported an error. It is usually the connection to the store, or a function in the session options (cookie, genid). ${NOT_EXPRESS}`,
    cause,
  )
}

/**
 * A middleware that was run for a handshake has not gone on. The cookie parser asks no store. For the session middleware it may be the store, where that was
 * not known before.
 */
export function nextNotCalled(code: 'STORE_FAILED' | 'STORE_TIMEOUT', middleware: string, ms: number): SharedSessionError {
  const advice = {
    STORE_FAILED: 'A cookie parser is what cookieParser() returns, or any middleware (request, response, next) that calls next.',
    STORE_TIMEOUT:
      "Either it does not call next at all, or its session store does not answer: look at the store's connection, or raise retry.timeout.",
  }
  const error = new SharedSessionError(
    code,
    `${NOT_LOADED}the ${middleware} did not call next() within ${ms} ms. ${advice[code]}`,
  )
  if (code === 'STORE_FAILED') ofMiddleware.add(error)
  return error
}

function storeFailed(message: string, cause: unknown): SharedSessionError {
  return new SharedSessionError('STORE_FAILED', message, { cause })
}

/** `NO_STORE` of an instance whose session middleware has not shown a store yet. */
export function noStoreError({ isCookieSession }: ProbeResult): SharedSessionError {
  if (isCookieSession) return cookieSessionError()
  return new SharedSessionError(
    'NO_STORE',
    'The session middleware has not shown its store yet: it does so at the first request or handshake that reaches it.',
  )
}

/**
 * The error of a handshake for which the session middleware made no session: `COOKIE_PATH`, `STORE_FAILED` or `NO_STORE`.
 * @param request that the middleware was run on
 */
export function noSessionError({ cookiePath, store }: ProbeResult, request: SocketRequest): SharedSessionError {
  // A wrapped cookie-session is only recognised when it is run.
  if ('sessionCookies' in request) return cookieSessionError()
  const path = new URL(String(request.url), 'http://localhost').pathname
  if (cookiePath !== undefined && !path.startsWith(cookiePath)) {
    return new SharedSessionError(
      'COOKIE_PATH',
      `The session cookie's path (${cookiePath}) does not cover the socket's (${path}), so no session can reach it. Set cookie.path to '/' in the session options, or Socket.IO's path option below the cookie's.`,
    )
  }
  if (store) {
    return new SharedSessionError(
      'STORE_FAILED',
      'The session store is disconnected, so there is no session. Try again when it is back.',
    )
  }
  return new SharedSessionError(
    'NO_STORE',
    "The session middleware showed no store: pass what express-session returned, or a middleware that calls it for every request; its cookie.path must cover the socket's path, and its store must be connected.",
  )
}

function cookieSessionError(): SharedSessionError {
  return new SharedSessionError(
    'NO_STORE',
    'The session middleware is cookie-session, which keeps each session in its cookie: there is no store that sockets could write to. Use express-session with a store, for app.use() and for sharedsession().',
  )
}

/** The error as the client gets it: Socket.IO sends the message and `data`, and nothing else. */
export function connectError({ message, code }: SharedSessionError): Error {
  return Object.assign(new Error(message), { data: { code } })
}

/**
 * Closes the connection of a socket whose client is to reconnect: a client that is refused does not reconnect, a client that lost its
 * transport does.
 * @returns for `next`: keeps the socket from the middlewares that follow. The client does not get it, because its connection is closed
 */
export function forceReconnect(socket: Socket): Error {
  closeConnection(socket.conn)
  return new Error(
    'The client has to reconnect: another cookie is on its way to it, its connection is lost, or the store is down.',
  )
}

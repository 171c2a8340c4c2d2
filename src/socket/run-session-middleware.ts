import { type IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import { SharedSessionError } from '../errors.js'
import { loadCookieParser } from '../util/lazy-modules.js'
import { isThenable, storeTimeout, withTimeout } from '../util/timeout.js'
import { middlewareReported } from './handshake-errors.js'
import type { CookieTarget } from './incoming-handshake.js'
import { createSocketRequest, type SocketRequest } from './socket-request.js'

/** A request on which the session middleware was run for a handshake. */
export interface LoadedRequest {
  /** With `session`, `sessionID` and `sessionStore`, as the middleware has set them. */
  request: SocketRequest
  /** The id in the handshake's session cookie, if the middleware accepted it. */
  cookieSid: string | undefined
}

let defaultParser: RequestHandler | undefined
/** The properties that cookie-parser sets. */
const PARSED = ['secret', 'cookies', 'signedCookies'] as const
/** A prototype without properties. V8 makes a dictionary of some hundred bytes of an object with the prototype null, but not of its heir. */
const EMPTY = Object.freeze(Object.create(null))

/**
 * Runs the cookie parser on a handshake. The properties that it adds are made non-enumerable: `fetchSockets()` on a cluster sends
 * enumerable ones to other nodes, and a secret is among them.
 * @param parser the application's, if it passed one
 * @param timeout ms within which the parser has to call `next`
 * @returns the names of the properties that it added
 * @throws `STORE_TIMEOUT`, or what the parser reports
 */
export async function parseCookies(
  target: CookieTarget,
  parser: RequestHandler | undefined,
  timeout: number,
): Promise<readonly string[]> {
  if (parser) {
    const before = new Set(Object.keys(target))
    await runMiddleware(parser, target as never, timeout)
    const added = Object.keys(target).filter((name) => !before.has(name))
    for (const name of added) Object.defineProperty(target, name, { enumerable: false })
    return added
  }
  // Another middleware of the application has parsed them.
  if (target.cookies) return []
  // Not on the handshake itself: V8 makes a dictionary, of three times the size, of an object whose existing properties are made hidden.
  const parsed: CookieTarget = { headers: target.headers }
  defaultParser ??= loadCookieParser()()
  defaultParser(parsed as never, {} as never, () => {})
  parsed.signedCookies = Object.create(EMPTY)
  for (const name of PARSED) {
    Object.defineProperty(target, name, { value: parsed[name], writable: true, configurable: true, enumerable: false })
  }
  return PARSED
}

/**
 * Runs the session middleware on a request of the socket's own.
 * @param first the connection's first request
 * @param target with the cookies as the cookie parser has parsed them
 * @param timeout ms within which the middleware has to call `next`
 * @throws `STORE_TIMEOUT`, or what the middleware reports
 */
export async function loadSession(
  first: IncomingMessage,
  target: CookieTarget,
  session: RequestHandler,
  timeout: number,
): Promise<LoadedRequest> {
  const { request, cookieSid } = createSocketRequest(first, target)
  try {
    await runMiddleware(session, request, timeout)
  } catch (cause) {
    // express-session sets `sessionStore` before it reads: without it the error is not the store's.
    if (cause instanceof SharedSessionError || request.sessionStore) throw cause
    throw middlewareReported(cause)
  }
  // parseurl's cache is larger than all else that the request has, and would stay as long as the socket.
  Reflect.deleteProperty(request, '_parsedUrl')
  return { request, cookieSid: cookieSid() }
}

/**
 * Runs a middleware to its `next`.
 * @param response on which the middleware may set headers; it is not sent
 * @param timeout ms within which it has to call `next`
 * @returns `undefined` if it has called `next` synchronously
 */
export function runMiddleware(
  middleware: RequestHandler,
  request: SocketRequest,
  timeout: number,
  response = new ServerResponse(request),
): Promise<void> | undefined {
  let isDone = false
  const called = new Promise<void>((resolve, reject) => {
    const next = (error?: unknown): void => {
      isDone = !error
      if (error) reject(error)
      else resolve()
    }
    const result: unknown = middleware(request as never, response as never, next)
    if (isThenable(result)) result.then(undefined, reject)
  })
  return isDone ? undefined : withTimeout(called, timeout, () => storeTimeout("a handshake's read", timeout))
}

import { type IncomingMessage, ServerResponse } from 'node:http'
import cookieParser from 'cookie-parser'
import type { RequestHandler } from 'express'
import { SharedSessionError } from '../errors.js'
import { isThenable, storeTimeout, withTimeout } from '../util/timeout.js'
import type { CookieTarget } from './incoming-handshake.js'
import { middlewareReported } from './middleware-error.js'
import { createSocketRequest, type SocketRequest } from './socket-request.js'

/** What the session middleware made of a handshake. */
export interface LoadedRequest {
  request: SocketRequest
  /** The id in the handshake's cookie, where the middleware accepted it. */
  named: string | undefined
}

const defaultParser = cookieParser()
/** What cookie-parser leaves. */
const PARSED = ['secret', 'cookies', 'signedCookies'] as const
/** V8 makes a dictionary, of some hundred bytes, of each object whose prototype is null, but not of an heir of one. */
const NOTHING = Object.freeze(Object.create(null))

/**
 * Runs the cookie parser on a handshake. What it puts there is made non-enumerable: `fetchSockets()` on a cluster sends the
 * enumerable properties to other nodes, and a secret is among them.
 * @param parser the application's, where it passed one
 * @param timeout ms after which a parser that has not called `next` is given up
 * @returns the names of what it put there
 */
export async function parseCookies(
  jar: CookieTarget,
  parser: RequestHandler | undefined,
  timeout: number,
): Promise<readonly string[]> {
  if (parser) {
    const before = new Set(Object.keys(jar))
    await runMiddleware(parser, jar as never, timeout)
    const added = Object.keys(jar).filter((name) => !before.has(name))
    for (const name of added) Object.defineProperty(jar, name, { enumerable: false })
    return added
  }
  // Another middleware of the application's has done it.
  if (jar.cookies) return []
  // Beside the handshake: V8 makes a dictionary, of three times the size, of an object whose properties are hidden when they are there.
  const found: CookieTarget = { headers: jar.headers }
  defaultParser(found as never, {} as never, () => {})
  found.signedCookies = Object.create(NOTHING)
  for (const name of PARSED) {
    Object.defineProperty(jar, name, { value: found[name], writable: true, configurable: true, enumerable: false })
  }
  return PARSED
}

/**
 * Runs the session middleware on a request of the socket's own.
 * @param first the connection's first request
 * @param jar what the cookie parser made of it
 * @param timeout ms after which a middleware that has not called `next` is given up
 * @returns rejects with what the middleware reports, or with `STORE_TIMEOUT`
 */
export async function loadSession(
  first: IncomingMessage,
  jar: CookieTarget,
  session: RequestHandler,
  timeout: number,
): Promise<LoadedRequest> {
  const { request, named } = createSocketRequest(first, jar)
  try {
    await runMiddleware(session, request, timeout)
  } catch (cause) {
    // express-session shows its store before it asks it.
    if (cause instanceof SharedSessionError || request.sessionStore) throw cause
    throw middlewareReported(cause)
  }
  // What parseurl keeps for those who ask again is larger than all else that the request has, and stays as long as the socket.
  Reflect.deleteProperty(request, '_parsedUrl')
  return { request, named: named() }
}

/**
 * Runs a middleware to its `next`.
 * @param response of its own, goes nowhere: the middleware may set headers on it
 * @param timeout ms
 * @returns `undefined` where it has called `next` at once
 */
export function runMiddleware(
  middleware: RequestHandler,
  request: SocketRequest,
  timeout: number,
  response = new ServerResponse(request),
): Promise<void> | undefined {
  let isOver = false
  const called = new Promise<void>((resolve, reject) => {
    const next = (error?: unknown): void => {
      isOver = !error
      if (error) reject(error)
      else resolve()
    }
    const result: unknown = middleware(request as never, response as never, next)
    if (isThenable(result)) result.then(undefined, reject)
  })
  return isOver ? undefined : withTimeout(called, timeout, () => storeTimeout("a handshake's read", timeout))
}

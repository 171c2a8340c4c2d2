import { type IncomingMessage, ServerResponse } from 'node:http'
import cookieParser from 'cookie-parser'
import type { RequestHandler } from 'express'
import type { Session, Store } from 'express-session'
import { timedOut, within } from '../store/operation.js'
import type { Jar } from './arrival.js'

/** A request of a socket's own over the connection's: several namespaces share one connection, and each socket has its session. */
export type SocketRequest = IncomingMessage & { session?: Session; sessionID?: string; sessionStore?: Store }

/** What the session middleware made of a handshake. */
export interface Visit {
  request: SocketRequest
  /** The id in the handshake's cookie, where the middleware accepted it. */
  named: string | undefined
}

const parseCookies = cookieParser()
/** What cookie-parser leaves. */
const PARSED = ['secret', 'cookies', 'signedCookies']

/**
 * Runs the cookie parser on a handshake. What it puts there is made non-enumerable: `fetchSockets()` on a cluster sends the
 * enumerable properties to other nodes, and a secret is among them.
 * @param parser the application's, where it passed one
 * @param timeout ms after which a parser that has not called `next` is given up
 * @returns the names of what it put there
 */
export async function parse(jar: Jar, parser: RequestHandler | undefined, timeout: number): Promise<string[]> {
  let added = PARSED
  if (parser) {
    const before = new Set(Object.keys(jar))
    await run(parser, jar as never, timeout)
    added = Object.keys(jar).filter((name) => !before.has(name))
  } else parseCookies(jar as never, {} as never, () => {})
  for (const name of added) Object.defineProperty(jar, name, { enumerable: false })
  return added
}

/**
 * Runs the session middleware on a request of the socket's own.
 * @param first the connection's first request
 * @param jar what the cookie parser made of it
 * @param timeout ms after which a middleware that has not called `next` is given up
 * @returns rejects with what the middleware reports, or with `STORE_TIMEOUT`
 */
export async function visit(first: IncomingMessage, jar: Jar, session: RequestHandler, timeout: number): Promise<Visit> {
  const { request, named } = ownRequest(first, jar)
  await run(session, request, timeout)
  return { request, named: named() }
}

/** A request over the connection's first one, on which nobody has looked for a session yet. */
export function ownRequest(
  first: IncomingMessage,
  { secret, cookies, signedCookies }: Omit<Jar, 'headers'>,
): { request: SocketRequest; named(): string | undefined } {
  let named: string | undefined
  let id: string | undefined
  let isFirst = true
  const request: SocketRequest = Object.create(first, {
    // Left by `io.engine.use(session)`, they would keep the middleware from looking.
    session: own(undefined),
    sessionStore: own(undefined),
    sessionID: {
      configurable: true,
      get: () => id,
      set(value: string | false | undefined) {
        // The first assignment is the cookie's id, or false or undefined; a later one is that of a new session.
        if (isFirst) named = value || undefined
        isFirst = false
        id = value || undefined
      },
    },
    ...(secret !== undefined && { secret: own(secret) }),
    // express-session takes a cookie that cookie-parser has made an object of for a string, and throws.
    cookies: own(textsOf(cookies)),
    signedCookies: own(signedCookies),
  })
  return { request, named: () => named }
}

function own(value: unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: false }
}

function textsOf(cookies: unknown): object {
  return Object.fromEntries(Object.entries(cookies ?? {}).filter(([, value]) => typeof value === 'string'))
}

/**
 * Runs a middleware to its `next`.
 * @param response of its own, goes nowhere: the middleware may set headers on it
 * @param timeout ms
 * @returns `undefined` where it has called `next` at once
 */
export function run(
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
  return isOver ? undefined : within(called, timeout, () => timedOut("a handshake's read", timeout))
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

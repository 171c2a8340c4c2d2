import { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import { loadCookieParser } from '../../util/lazy-modules.js'
import { isThenable, withTimeout } from '../../util/promises.js'
import { nextNotCalled } from '../handshake-errors.js'
import type { CookieTarget } from './incoming-handshake.js'
import type { SocketRequest } from './socket-request.js'

let defaultParser: RequestHandler | undefined
/** The properties that cookie-parser sets. */
export const PARSED = ['secret', 'cookies', 'signedCookies'] as const
/** A prototype without properties. V8 makes a dictionary of some hundred bytes of an object with the prototype null, but not of its heir. */
const EMPTY = Object.freeze(Object.create(null))

/**
 * Runs the application's cookie parser on a handshake. The properties that it adds are made non-enumerable: `fetchSockets()` on a cluster sends
 * enumerable ones to other nodes, and a secret is among them.
 * @param timeout ms within which the parser has to call `next`
 * @returns the names of the properties that it added
 * @throws `STORE_FAILED` where it does not, or what the parser reports
 */
export async function runCookieParser(target: CookieTarget, parser: RequestHandler, timeout: number): Promise<readonly string[]> {
  const before = new Set(Object.keys(target))
  const request = target as never
  await run(parser, request, new ServerResponse(request), timeout, () =>
    nextNotCalled('STORE_FAILED', `cookie parser${named(parser)}`, timeout),
  )
  const added = Object.keys(target).filter((name) => !before.has(name))
  for (const name of added) Object.defineProperty(target, name, { enumerable: false })
  return added
}

/** The cookies of a handshake, as its cookie parser has parsed them, or as one without a secret does. */
export function parsedCookies(target: CookieTarget): CookieTarget {
  if (target.cookies) return target
  return Object.assign({ headers: target.headers }, Object.fromEntries(parseDefaultCookies(target.headers.cookie)))
}

/** What a cookie-parser without a secret makes of a `Cookie` header: the properties that it sets on a request. */
export function parseDefaultCookies(cookie: string | undefined): [name: (typeof PARSED)[number], value: unknown][] {
  const parsed: CookieTarget = { headers: { cookie } }
  defaultParser ??= loadCookieParser()()
  defaultParser(parsed as never, {} as never, () => {})
  parsed.signedCookies = Object.create(EMPTY)
  return PARSED.map((name) => [name, parsed[name]])
}

/**
 * Runs the session middleware to its `next`.
 * @param response on which the middleware may set headers; it is not sent
 * @param timeout ms within which it has to call `next`
 * @returns `undefined` if it has called `next` synchronously
 * @throws `STORE_TIMEOUT`, or what the middleware reports
 */
export function runMiddleware(
  middleware: RequestHandler,
  request: SocketRequest,
  timeout: number,
  response = new ServerResponse(request),
): Promise<void> | undefined {
  return run(middleware, request, response, timeout, () =>
    nextNotCalled('STORE_TIMEOUT', `session middleware${named(middleware)}`, timeout),
  )
}

function named({ name }: { readonly name: string }): string {
  return name === '' ? '' : ` "${name}"`
}

function run(
  middleware: RequestHandler,
  request: SocketRequest,
  response: ServerResponse,
  timeout: number,
  late: () => Error,
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
  return isDone ? undefined : withTimeout(called, timeout, late)
}

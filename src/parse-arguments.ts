import type { RequestHandler } from 'express'
import { badArgument } from './errors.js'
import type { SharedSessionOptions } from './options.js'

/** The arguments of a `sharedsession()` call. */
export interface ParsedArguments {
  middleware: RequestHandler
  parser: RequestHandler | undefined
  options: SharedSessionOptions | undefined
}

/** Sorts the arguments of `sharedsession()`. @throws `BAD_ARGUMENT` with a message that says what to pass */
export function parseArguments(session: unknown, second: unknown, third: unknown): ParsedArguments {
  if (typeof session !== 'function') {
    badArgument(`sharedsession() takes the middleware that express-session returns; it was given ${describe(session)}.`)
  }
  // A function of any kind: only its members tell whether it is express-session's module itself.
  const members = session as unknown as Record<string, unknown>
  if (typeof members.MemoryStore === 'function' && typeof members.Store === 'function') {
    badArgument(
      'sharedsession() was given express-session itself. Call it first: sharedsession(expressSession({ secret, ... })).',
    )
  }
  if (typeof members.use === 'function') {
    badArgument(
      'sharedsession() was given an Express app or router. Pass the session middleware that the app uses: const session = expressSession({ ... }); app.use(session); sharedsession(session).',
    )
  }
  const isParser = typeof second === 'function'
  if (isGiven(second) && !isParser && typeof second !== 'object') {
    badArgument(`The second argument of sharedsession() is a cookie parser or options; it was given ${describe(second)}.`)
  }
  // A factory, as cookie-parser's own, makes a middleware and never calls next. No parameters may also be any number of them.
  if (isParser && (second.length === 1 || second.length === 2)) {
    badArgument(
      'The second argument of sharedsession() is no cookie parser: that is a middleware with the parameters (request, response, next). Call the factory first: sharedsession(session, cookieParser()).',
    )
  }
  if (!isParser && isGiven(second) && isGiven(third)) {
    badArgument(
      'sharedsession() takes the cookie parser as its second argument and the options as its third: sharedsession(session, cookieParser(), { autoSave: true }). Without a cookie parser the options are the second.',
    )
  }
  const options = isParser || !isGiven(second) ? third : second
  return {
    middleware: session as RequestHandler,
    parser: isParser ? (second as RequestHandler) : undefined,
    options: (options ?? undefined) as SharedSessionOptions | undefined,
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

import type { IncomingMessage } from 'node:http'
import { ServerResponse } from 'node:http'
import * as url from 'node:url'
import type { RequestHandler } from 'express'
import type { Store } from 'express-session'

/** What a session middleware reveals before it handles a request. */
export interface ProbeResult {
  store?: Store
  cookieName?: string
  cookiePath?: string
  /** It is cookie-session, which has no store. */
  isCookieSession?: boolean
}

/**
 * Runs the session middleware once on a bare request, up to the point where it has shown its store, its cookie's name and path,
 * and stops it there: no session is made, no `genid` is called, nothing is read. A wrapped middleware that calls it later, or
 * not for every request, shows nothing.
 */
export function probe(middleware: RequestHandler): ProbeResult {
  const result: ProbeResult = {}
  let running = true
  const pathname = {
    indexOf(path: string) {
      result.cookiePath = path
      return 0
    },
  }
  const request = {
    method: 'GET',
    url: '/',
    originalUrl: '/',
    headers: {},
    // What runs later could not be stopped by throwing; a session that is there already stops it as well.
    get session(): object | undefined {
      return running ? undefined : {}
    },
    // cookie-parser supplies the secret where the session middleware has none of its own.
    secret: 'probe',
    _parsedOriginalUrl: parsedUrl(pathname),
    cookies: nameReader((name) => {
      result.cookieName = name
    }),
    set sessionStore(store: Store) {
      result.store = store
    },
    set sessionCookies(_cookies: unknown) {
      result.isCookieSession = true
    },
    set sessionID(_id: string) {
      throw new Error('sharedsession has seen the store behind this middleware and stops it here; nothing is wrong.')
    },
  }
  try {
    const returned: unknown = middleware(
      request as never,
      new ServerResponse(request as unknown as IncomingMessage) as never,
      () => {},
    )
    // An async wrapper reaches the middleware later or not at all; what it rejects with is none of the application's business.
    Promise.resolve(returned).catch(() => {})
  } catch {
    // Also what the application's own cookie function throws on a bare request: the store is then seen at the first real one.
  }
  running = false
  return result
}

/** A cached answer for parseurl, in the class it expects, so that a `cookie.path` other than `/` is found. */
function parsedUrl(pathname: object): object | undefined {
  const Url = (url as { Url?: new () => object }).Url
  return Url && Object.assign(new Url(), { _raw: '/', pathname })
}

/** Stands for parsed cookies: has none, and reports the names that are read. */
export function nameReader(read: (name: string) => void): object {
  return new Proxy(
    {},
    {
      get(_target, name) {
        read(String(name))
      },
    },
  )
}

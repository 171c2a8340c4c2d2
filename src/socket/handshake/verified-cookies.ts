import { type IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import type { SessionManager } from '../../session/session-manager.js'
import { isExpressSession } from '../../store/express-session.js'
import { detachedString } from '../../util/detached-string.js'
import { evictOldest } from '../../util/maps.js'

/** How many values are remembered, and for how long, in ms: the tabs of a browser connect one after the other. */
const MAX_VERIFIED = 10_000
const REMEMBERED = 10_000

/** Reads the ids in session cookies. The session middleware itself verifies their signatures. */
export class VerifiedCookies {
  readonly #middleware: RequestHandler
  readonly #isWrapped: boolean
  readonly #manager: () => SessionManager | undefined
  /** By the whole value. */
  readonly #known = new Map<string, { sid: string; path: string; at: number }>()

  /** @param manager of the middleware's store, if that is known */
  constructor(middleware: RequestHandler, manager: () => SessionManager | undefined = () => undefined) {
    this.#middleware = middleware
    this.#manager = manager
    this.#isWrapped = !isExpressSession(middleware)
  }

  /**
   * Reads the id in a session cookie's value.
   * @param name of the cookie
   * @param secret of the cookie parser, where the middleware has none of its own
   * @returns `undefined` if the session middleware does not accept the signature, or is wrapped by one that calls it later
   */
  sidIn(request: IncomingMessage, name: string, value: string, secret?: unknown): string | undefined {
    const path = pathOf(request)
    const known = this.#known.get(value)
    const now = performance.now()
    if (known?.path === path && now - known.at < REMEMBERED) return known.sid
    const bare = new VerifyingRequest(request, name, value, secret)
    const verified = this.#isWrapped ? this.#verify(bare, overlaid(request, bare)) : this.#verifyBare(bare)
    if (known) this.#known.delete(value)
    if (verified === undefined) return undefined
    const sid = detachedString(verified)
    this.#known.set(detachedString(value), { sid, path: detachedString(path), at: now })
    evictOldest(this.#known, MAX_VERIFIED)
    return sid
  }

  clear(): void {
    this.#known.clear()
  }

  /** The middleware itself: the store does not answer its read. That takes less than an error. */
  #verifyBare(bare: VerifyingRequest): string | undefined {
    const interceptor = this.#manager()?.handshakes.interceptor
    if (!interceptor?.isReadDirectly) return this.#verify(bare)
    bare.stopsAtOnce = false
    return interceptor.unanswered(() => this.#verify(bare))
  }

  /** The middleware is stopped as soon as it has the id, before it reads or makes a session. */
  #verify(bare: VerifyingRequest, request: object = bare): string | undefined {
    // express-session puts its own methods on it.
    const response = request === bare ? {} : new ServerResponse(request as IncomingMessage)
    try {
      const result: unknown = this.#middleware(request as never, response as never, ignore)
      if (result !== undefined) Promise.resolve(result).catch(ignore)
    } catch {
      // Stopped by us, or the application's own cookie function has thrown: then there is no id.
    }
    return bare.sid || undefined
  }
}

/** The whole of a handshake's request, for a middleware around express-session, which may use any of it. What it assigns stays here. */
function overlaid(first: IncomingMessage, bare: VerifyingRequest): object {
  const { headers, secret } = bare
  return Object.create(first, {
    headers: { value: headers, writable: true },
    ...(secret !== undefined && { secret: { value: secret } }),
    cookies: { value: undefined, writable: true },
    signedCookies: { value: undefined, writable: true },
    session: { value: undefined, writable: true },
    sessionStore: { value: undefined, writable: true },
    sessionID: {
      get: () => undefined,
      set: (sid: string | false | undefined) => {
        bare.sessionID = sid
      },
    },
  })
}

const STOP = new Error('sharedsession has read the id in this cookie and stops the session middleware here; nothing is wrong.')

function ignore(): void {}

function pathOf({ url = '' }: IncomingMessage): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

/** As much of a request as express-session itself needs to read an id. */
class VerifyingRequest {
  /** The id that express-session has read. */
  sid: string | false | undefined
  /** Is the middleware stopped by an error when it has an id? Where it has none, it would make a session. */
  stopsAtOnce = true
  readonly method: string | undefined
  readonly url: string | undefined
  readonly originalUrl: string | undefined
  readonly headers: object
  readonly secret: unknown
  readonly socket: unknown
  readonly connection: unknown
  sessionStore: unknown
  // express-session and parseurl look for these, and set them.
  readonly session = undefined
  readonly cookies = undefined
  readonly signedCookies = undefined
  _parsedUrl: unknown
  _parsedOriginalUrl: unknown

  constructor(first: IncomingMessage, name: string, value: string, secret: unknown) {
    this.method = first.method
    this.url = first.url
    this.originalUrl = (first as { originalUrl?: string }).originalUrl
    // Most requests send this cookie and no other.
    const cookie = `${name}=${value}`
    this.headers = first.headers.cookie === cookie ? first.headers : { ...first.headers, cookie }
    this.secret = secret
    this.socket = first.socket
    this.connection = first.socket
  }

  get sessionID(): string | false | undefined {
    return this.sid
  }

  set sessionID(sid: string | false | undefined) {
    this.sid = sid
    if (this.stopsAtOnce || !sid) throw STOP
  }
}

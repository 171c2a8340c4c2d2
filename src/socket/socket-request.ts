import { IncomingMessage } from 'node:http'
import type { Session, Store } from 'express-session'
import type { CookieTarget } from './incoming-handshake.js'

/** A request of a socket's own over the connection's: several namespaces share one connection, and each socket has its session. */
export type SocketRequest = IncomingMessage & { session?: Session; sessionID?: string; sessionStore?: Store }

/** A request over the connection's first one, on which nobody has looked for a session yet. */
export function createSocketRequest(
  first: IncomingMessage,
  { secret, cookies, signedCookies }: Omit<CookieTarget, 'headers'>,
): { request: SocketRequest; named(): string | undefined } {
  const own = Object.create(IncomingMessage.prototype, {
    // Left by `io.engine.use(session)`, they would keep the middleware from looking.
    session: hidden(undefined),
    sessionStore: hidden(undefined),
    sessionID: hidden(undefined),
    ...(secret !== undefined && { secret: hidden(secret) }),
    // express-session takes a cookie that cookie-parser has made an object of for a string, and throws.
    cookies: hidden(textsOf(cookies)),
    signedCookies: hidden(signedCookies),
  })
  const over = new RequestOverlay(first)
  return { request: new Proxy<SocketRequest>(own, over), named: () => over.named || undefined }
}

/**
 * What a request does not have itself it has from the connection's, as from a prototype. That one is not made its prototype: V8 gives an
 * object that is one a shape of its own, and so its heirs, which is kilobytes for each connection.
 */
class RequestOverlay implements ProxyHandler<SocketRequest> {
  readonly #first: IncomingMessage
  /** The session that the cookie names; `undefined` until the middleware has looked. */
  named: string | false | undefined

  constructor(first: IncomingMessage) {
    this.#first = first
  }

  getPrototypeOf(): object {
    return this.#first
  }

  has(own: SocketRequest, key: string | symbol): boolean {
    return Object.hasOwn(own, key) || key in this.#first
  }

  get(own: SocketRequest, key: string | symbol, receiver: unknown): unknown {
    return Reflect.get(Object.hasOwn(own, key) ? own : this.#first, key, receiver)
  }

  set(own: SocketRequest, key: string | symbol, value: unknown, receiver: unknown): boolean {
    if (key !== 'sessionID') return Reflect.set(Object.hasOwn(own, key) ? own : this.#first, key, value, receiver)
    const id = (value as string | false | undefined) || undefined
    // The first assignment is the cookie's id, or false or undefined; a later one is that of a new session.
    this.named ??= id ?? false
    return Reflect.set(own, key, id, receiver)
  }
}

function hidden(value: unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: false }
}

function textsOf(cookies: unknown): object {
  const all = Object(cookies) as object
  const texts = Object.entries(all).filter(([, value]) => typeof value === 'string')
  return texts.length === Object.keys(all).length ? all : Object.fromEntries(texts)
}

import { IncomingMessage } from 'node:http'
import type { Session, Store } from 'express-session'
import type { Socket } from 'socket.io'
import { detachedString } from '../../util/detached-string.js'
import { type Connection, type CookieTarget, requestOf } from './incoming-handshake.js'

/** A request of the socket's own over the connection's: the sockets of several namespaces share a connection, and each has its session. */
export type SocketRequest = IncomingMessage & { session?: Session; sessionID?: string; sessionStore?: Store }

/**
 * A request over the connection's first one, without a session.
 * @returns `cookieSid`: the id in the session cookie, when the session middleware was run on the request
 */
export function createSocketRequest(
  first: IncomingMessage,
  { secret, cookies, signedCookies }: Omit<CookieTarget, 'headers'>,
): { request: SocketRequest; cookieSid(): string | undefined } {
  const own = Object.create(IncomingMessage.prototype, {
    // If `io.engine.use(session)` has set them on the first request, the middleware would not load a session.
    session: hidden(undefined),
    sessionStore: hidden(undefined),
    sessionID: hidden(undefined),
    ...(secret !== undefined && { secret: hidden(secret) }),
    // express-session throws for a cookie that cookie-parser has parsed as JSON.
    cookies: hidden(stringsOf(cookies)),
    signedCookies: hidden(signedCookies),
  })
  const overlay = new RequestOverlay(first)
  return { request: new Proxy<SocketRequest>(own, overlay), cookieSid: () => overlay.cookieSid || undefined }
}

/** A request over that of the socket's connection, without a session. */
export function ownRequestOf(socket: Socket): SocketRequest {
  const first = requestOf(socket.client as unknown as Connection, socket.nsp.server.path())
  return createSocketRequest(first, socket.handshake as CookieTarget).request
}

/**
 * Reads what a request does not have itself from the connection's first request, as from a prototype. A real prototype would cost
 * kilobytes for each connection: V8 gives it and its heirs shapes of their own.
 */
class RequestOverlay implements ProxyHandler<SocketRequest> {
  readonly #first: IncomingMessage
  /** The id in the session cookie, `false` if there is none; `undefined` until the middleware has read it. */
  cookieSid: string | false | undefined

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
    const id = (typeof value === 'string' ? detachedString(value) : (value as false | undefined)) || undefined
    // express-session first assigns the id in the cookie, or false or undefined, and later that of a new session.
    this.cookieSid ??= id ?? false
    return Reflect.set(own, key, id, receiver)
  }
}

function hidden(value: unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: false }
}

function stringsOf(cookies: unknown): object {
  const all = Object(cookies) as object
  const strings = Object.entries(all).filter(([, value]) => typeof value === 'string')
  return strings.length === Object.keys(all).length ? all : Object.fromEntries(strings)
}

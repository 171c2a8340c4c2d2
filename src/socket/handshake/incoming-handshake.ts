import { IncomingMessage } from 'node:http'
import { Socket as NetSocket } from 'node:net'
import type { Server, Socket } from 'socket.io'
import { getOrInsert } from '../../util/maps.js'
import type { ClosableConnection } from '../close-connection.js'

/** What a cookie parser reads from and writes to: a socket's handshake, or an object in place of one. */
export interface CookieTarget {
  headers: IncomingMessage['headers']
  cookies?: unknown
  signedCookies?: unknown
  secret?: unknown
}

/** The members of Engine.IO's server that decide about handshakes. */
export interface Engine {
  opts: {
    cors?: unknown
    allowRequest?: ((request: IncomingMessage, decide: Decide) => void) | undefined
  }
  /** The connections by id. */
  clients?: Record<string, (ClosableConnection & { request: IncomingMessage }) | undefined>
  on(event: 'headers', listener: (headers: Headers, request: IncomingMessage) => void): unknown
  off(event: 'headers', listener: (headers: Headers, request: IncomingMessage) => void): unknown
}

export type Headers = Record<string, string | string[]>
export type Decide = (error: string | null | undefined, success: boolean) => void

/** The handshake of a client that connects to a namespace. */
export interface IncomingHandshake {
  /** The first request of its connection, with the client's cookie. */
  readonly request: IncomingMessage
  readonly conn: { readonly readyState: string }
  readonly engine: Engine
  readonly target: CookieTarget
}

/** Socket.IO's client: the connection of its sockets, before there are any, too. */
export interface Connection {
  readonly conn: ClosableConnection & { readonly request?: IncomingMessage | null }
}

/** @returns the handshake of a socket. socket.io's types keep a client's first request and its server private: hence the casts. */
export function readHandshake(socket: Socket): IncomingHandshake {
  const { server } = socket.nsp
  return {
    request: requestOf(socket.client as unknown as Connection, server.path()),
    conn: socket.conn,
    engine: engineOf(socket.client as unknown as Connection, server as unknown as Server),
    target: socket.handshake as CookieTarget,
  }
}

/**
 * The engine of a connection. A server has one for each `io.attach()`, with options of its own, and `io.engine` is only the last of them.
 * There is no public way to get the engine of a connection.
 */
export function engineOf({ conn }: Connection, io: Server): Engine {
  const { server: own } = conn as { server?: Partial<Engine> }
  return (own?.opts ? own : io.engine) as unknown as Engine
}

const bareRequests = new WeakMap<object, IncomingMessage>()

/**
 * The first request of a connection; a bare one for a WebTransport session, which has no request and no cookies.
 * @param path of Socket.IO, which the session cookie's path may have to cover
 */
export function requestOf({ conn }: Connection, path: string): IncomingMessage {
  if (conn.request) return conn.request
  return getOrInsert(bareRequests, conn, () =>
    Object.assign(new IncomingMessage(new NetSocket()), { method: 'GET', url: `${path}/` }),
  )
}

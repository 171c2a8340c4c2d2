import { IncomingMessage } from 'node:http'
import { Socket as NetSocket } from 'node:net'
import type { Server, Socket } from 'socket.io'

/** What a cookie parser reads, and where it leaves what it found: a socket's handshake, or what stands for one. */
export interface CookieTarget {
  headers: IncomingMessage['headers']
  cookies?: unknown
  signedCookies?: unknown
  secret?: unknown
}

/** What of Engine.IO's server decides about handshakes. */
export interface Engine {
  opts: {
    cors?: unknown
    allowRequest?: ((request: IncomingMessage, decide: Decide) => void) | undefined
  }
  /** The connections, by their ids. */
  clients?: Record<string, { request: IncomingMessage; close(): unknown } | undefined>
  on(event: 'headers', listener: (headers: Headers, request: IncomingMessage) => void): unknown
  off(event: 'headers', listener: (headers: Headers, request: IncomingMessage) => void): unknown
}

export type Headers = Record<string, string | string[]>
export type Decide = (error: string | null | undefined, success: boolean) => void

/** A client that comes to a namespace. */
export interface IncomingHandshake {
  /** The first request of its connection; its cookie is what the client has. */
  readonly request: IncomingMessage
  readonly conn: { readonly readyState: string }
  readonly engine: Engine
  readonly jar: CookieTarget
}

/** The connection of a socket, or of one that is to be. */
export interface Connection {
  readonly conn: { readonly readyState: string; readonly request?: IncomingMessage | null; close(): unknown }
}

export function incomingHandshake(socket: Socket): IncomingHandshake {
  const { server } = socket.nsp
  return {
    request: requestOf(socket.client as unknown as Connection, server.path()),
    conn: socket.conn,
    engine: engineOf(socket.client as unknown as Connection, server as unknown as Server),
    jar: socket.handshake as CookieTarget,
  }
}

/**
 * The engine that a connection came by. A server has one for each `io.attach()`, with options of its own, and shows the last of them
 * alone; a connection knows its own, but there is no public way to ask for it.
 */
export function engineOf({ conn }: Connection, io: Server): Engine {
  const { server: own } = conn as { server?: Partial<Engine> }
  return (own?.opts ? own : io.engine) as unknown as Engine
}

const made = new WeakMap<object, IncomingMessage>()

/**
 * The first request of a connection. A WebTransport session has none, and no cookie: a bare one stands for it.
 * @param path of Socket.IO, which the session's cookie may have to cover
 */
export function requestOf({ conn }: Connection, path: string): IncomingMessage {
  if (conn.request) return conn.request
  const request = made.get(conn) ?? Object.assign(new IncomingMessage(new NetSocket()), { method: 'GET', url: `${path}/` })
  made.set(conn, request)
  return request
}

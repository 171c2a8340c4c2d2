import type { Namespace, Server, Socket } from 'socket.io'
import type { HandshakeContext } from './handshake.js'
import { type Engines, hookHandshakes } from './handshake-cookie/engine-hooks.js'
import { HandshakeCookies } from './handshake-cookie/handshake-cookie.js'
import type { HttpServer } from './handshake-cookie/http-server.js'
import { type Connection, engineOf, incomingHandshake } from './incoming-handshake.js'
import { everyNamespace, forgetRemoved, type NamespaceMiddleware } from './namespaces.js'
import { Recovery } from './recovery.js'

interface AttachedServer {
  engines: Engines
  /** Takes the middleware away from its namespaces; `undefined` where it was not put there. */
  detach: (() => void) | undefined
  namespaces: Map<Namespace, Recovery>
}

/** The Socket.IO servers of one call: all that is done to them beyond the middleware itself, and how it is undone. */
export class Servers {
  readonly #reception: HandshakeContext
  readonly #greeting: HandshakeCookies
  readonly #known = new Map<Server, AttachedServer>()

  constructor(reception: HandshakeContext) {
    this.#reception = reception
    this.#greeting = new HandshakeCookies(reception)
  }

  /** See {@link HandshakeContext}. */
  get greeting(): HandshakeCookies {
    return this.#greeting
  }

  all(): Iterable<Server> {
    return this.#known.keys()
  }

  /** Uses the middleware on all namespaces, present, future and dynamic. */
  attach(io: Server, middleware: NamespaceMiddleware): void {
    const known = this.#meet(io)
    known.detach ??= everyNamespace(io, middleware, (namespace) => this.#watch(io, known, namespace))
  }

  /** A socket tells its server, its engine and its namespace, which nothing else tells a middleware that was given to `io.use()`. */
  registerServerOf({ nsp, client }: Socket): Server {
    const server = nsp.server as unknown as Server
    const known = this.#meet(server)
    const { request } = client.conn as { request?: { socket?: { server?: HttpServer } } | null }
    known.engines.meet(engineOf(client as unknown as Connection, server), request?.socket?.server)
    this.#watch(server, known, nsp as unknown as Namespace)
    return server
  }

  /** The first client of a process that is not attached is met here; only a connection that polls has a response left for its cookie. */
  async greetLate(socket: Socket): Promise<void> {
    const { request, engine } = incomingHandshake(socket)
    await this.#greeting.greet(request, engine, { polls: socket.conn.transport.name === 'polling' })
  }

  /** Leaves them as they were. */
  close(): void {
    for (const { engines, detach, namespaces } of this.#known.values()) {
      engines.leave()
      detach?.()
      for (const recovery of namespaces.values()) recovery.close()
    }
    this.#known.clear()
  }

  #meet(io: Server): AttachedServer {
    const known = this.#known.get(io) ?? { engines: hookHandshakes(io, this.#greeting), detach: undefined, namespaces: new Map() }
    this.#known.set(io, known)
    return known
  }

  #watch(io: Server, { namespaces }: AttachedServer, namespace: Namespace): void {
    if (namespaces.has(namespace)) return
    namespaces.set(namespace, new Recovery(namespace, this.#reception))
    forgetRemoved(io, namespaces)
  }
}

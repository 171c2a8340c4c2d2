import type { Namespace, Server, Socket } from 'socket.io'
import { isClusterAdapter } from '../cluster/buses/socketio-adapter.js'
import { getOrInsert } from '../util/maps.js'
import { EngineHooks, type HttpServer } from './handshake/engine-hooks.js'
import type { HandshakePreparer } from './handshake/handshake-preparer.js'
import { type Connection, engineOf, readHandshake } from './handshake/incoming-handshake.js'
import type { Handshakes } from './handshake.js'
import { forgetRemoved, type NamespaceMiddleware, useOnAllNamespaces } from './namespaces.js'
import { Recovery } from './recovery.js'

interface AttachedServer {
  engines: EngineHooks
  namespaces: Map<Namespace, Recovery>
  /** Removes the middleware from the namespaces; `undefined` if the application used it itself, by `io.use()`. */
  detach: (() => void) | undefined
}

export interface KnownServer {
  io: Server
  /** It was given to `attach()`. */
  isAttached: boolean
  hasClusterAdapter: boolean
}

/** The Socket.IO servers of one instance: all that is done to them beside the middleware. */
export class Servers {
  readonly #handshakes: Handshakes
  readonly #preparer: HandshakePreparer
  readonly #servers = new Map<Server, AttachedServer>()

  constructor(handshakes: Handshakes, preparer: HandshakePreparer) {
    this.#handshakes = handshakes
    this.#preparer = preparer
  }

  all(): Iterable<Server> {
    return this.#servers.keys()
  }

  known(): KnownServer[] {
    return [...this.#servers].map(([io, { detach }]) => ({
      io,
      isAttached: detach !== undefined,
      hasClusterAdapter: isClusterAdapter(io),
    }))
  }

  /** Uses the middleware on all namespaces, present, future and dynamic. */
  attach(io: Server, middleware: NamespaceMiddleware): void {
    const server = this.#register(io)
    server.detach ??= useOnAllNamespaces(io, middleware, (namespace) => this.#watchNamespace(io, server, namespace))
  }

  /** Registers the server, the engine and the namespace of a socket. With `io.use()` they are not known before the first socket. */
  registerServerOf({ nsp, client }: Socket): void {
    const io = nsp.server as unknown as Server
    const server = this.#register(io)
    const { request } = client.conn as { request?: { socket?: { server?: HttpServer } } | null }
    server.engines.register(engineOf(client as unknown as Connection, io), request?.socket?.server)
    this.#watchNamespace(io, server, nsp as unknown as Namespace)
  }

  /** Prepares the first handshake with `io.use()`, which is answered already. Only a connection that polls can still be sent a cookie. */
  prepareAnswered(socket: Socket): Promise<unknown> | undefined {
    const { request, engine } = readHandshake(socket)
    return this.#preparer.prepare(request, engine, socket.conn.transport.name === 'polling' ? 'nextPoll' : 'none')
  }

  /** Leaves the servers as they were. */
  close(): void {
    for (const { engines, detach, namespaces } of this.#servers.values()) {
      engines.restore()
      detach?.()
      for (const recovery of namespaces.values()) recovery.close()
    }
    this.#servers.clear()
  }

  #register(io: Server): AttachedServer {
    return getOrInsert(this.#servers, io, () => ({
      engines: new EngineHooks(io, this.#preparer),
      namespaces: new Map(),
      detach: undefined,
    }))
  }

  #watchNamespace(io: Server, { namespaces }: AttachedServer, namespace: Namespace): void {
    if (namespaces.has(namespace)) return
    namespaces.set(namespace, new Recovery(namespace, this.#handshakes))
    forgetRemoved(io, namespaces)
  }
}

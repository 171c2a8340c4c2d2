import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SessionData } from 'express-session'
import type { Emitter } from 'mitt'
import type { Server, Socket } from 'socket.io'
import { debug } from './debug.js'
import type { JsonObject } from './document/json.js'
import { badArgument, SharedSessionError, type SharedSessionErrorCode } from './errors.js'
import { loadDoctor } from './lazy-doctor.js'
import type { ParsedArguments } from './parse-arguments.js'
import { storeError } from './session/errors.js'
import { warnUnhandled } from './session/notifier.js'
import type { SessionReplica } from './session/replica.js'
import type { Recipe } from './session/update-transaction.js'
import { closeConnection } from './socket/close-connection.js'
import { SharedEvents } from './socket/events.js'
import { HandshakePreparer } from './socket/handshake/handshake-preparer.js'
import { Handshakes } from './socket/handshake.js'
import {
  closedError,
  connectError,
  forceReconnect,
  isOutage,
  middlewareReported,
  storeReported,
  unknownSourceReported,
} from './socket/handshake-errors.js'
import { InstanceContext } from './socket/instance-context.js'
import { assertServer, isSocket, type NamespaceMiddleware } from './socket/namespaces.js'
import { roomOf } from './socket/room.js'
import { Servers } from './socket/servers.js'
import { SocketBindings } from './socket/socket-binding.js'
import type { SocketMember } from './socket/socket-member.js'
import { Snapshot } from './store/snapshot.js'
import type { Diagnosis, PublishedState, SharedSessionEvents, Stats, Target } from './types.js'
import { detachedString } from './util/detached-string.js'

/** Refusals that no listener has to know of. */
const EXPECTED: readonly SharedSessionErrorCode[] = ['CLOSED', 'ORIGIN_REFUSED', 'RENEWAL_NEEDED']

/** One instance of `sharedsession()`: what its middleware and its members do. */
export class SharedSessionInstance {
  readonly #events = new SharedEvents()
  readonly #context: InstanceContext
  readonly #preparer: HandshakePreparer
  readonly #bindings: SocketBindings
  readonly #handshakes: Handshakes
  readonly #servers: Servers
  /** Why sockets were refused, for `explain()`. */
  readonly #refusals = new WeakMap<Socket, string>()
  #closing: Promise<void> | undefined

  constructor(args: ParsedArguments) {
    this.#context = new InstanceContext(args, this.#events, (manager) => {
      for (const server of this.#servers.all()) manager.offerAdapter(server)
      manager.newSessions.add(this.#preparer.connections.onNewSession)
    })
    this.#preparer = new HandshakePreparer(this.#context)
    this.#bindings = new SocketBindings(this.#context, (socket) => {
      // A socket's server is typed by the events of that socket.
      this.#context.requireManager().offerAdapter(socket.nsp.server as unknown as Server)
      this.#preparer.connections.onSocketConnected(socket.conn)
    })
    this.#handshakes = new Handshakes(this.#context, this.#preparer, this.#bindings)
    this.#servers = new Servers(this.#handshakes, this.#preparer)
    const { store } = this.#context.probed
    if (store) this.#context.acquire(store)
  }

  get events(): Emitter<SharedSessionEvents> {
    return this.#events.emitter
  }

  /** `shared.attach(io)` */
  attach(io: Server, middleware: NamespaceMiddleware): void {
    if (this.#context.isClosed) throw closedError()
    assertServer(io)
    this.#servers.attach(io, middleware)
    this.#context.leasedManager?.offerAdapter(io)
  }

  /** The middleware of a namespace: gives a socket its session. Never rejects; `next` gets an error as a `connect_error`. */
  async handleSocket(socket: Socket, next: (error?: Error) => void): Promise<void> {
    let refusal: Error | undefined
    try {
      assertServer(socket.nsp.server)
      if (!this.#context.isClosed) {
        // Also for a socket that is then refused: the next handshake of its client is prepared before it is answered.
        this.#servers.registerServerOf(socket)
        const preparing = this.#servers.prepareAnswered(socket)
        if (preparing) await preparing
      }
      if (this.#bindings.memberOf(socket) || (await this.#handshakes.openSession(socket))) {
        const member = this.#bindings.memberOf(socket)
        // While another middleware still decides about the socket, our own `next` can refuse it after all.
        if (member && this.#bindings.has(member)) member.makeRefusable(next)
      } else refusal = forceReconnect(socket)
    } catch (cause) {
      refusal = this.#refuse(socket, cause)
    }
    // Not in the promise: what a later middleware throws is then an uncaught exception, as without this middleware.
    process.nextTick(next, refusal)
  }

  /** `shared.cookies`: makes the cookies of a request name one session, before the session middleware reads them. */
  readCookies(request: IncomingMessage, response: ServerResponse): void {
    this.#preparer.onRequest(request, response)
  }

  /** @throws `NO_SESSION` if the socket has none; `CLOSED` after {@link close}, which takes the sessions away */
  member(socket: Socket): SocketMember {
    const member = this.#bindings.memberOf(socket)
    if (member) return member
    if (this.#context.isClosed) throw closedError()
    throw new SharedSessionError(
      'NO_SESSION',
      'This socket has no session: it did not come through this middleware. Put io.use(shared), or io.of(name).use(shared), before the connection.',
    )
  }

  /** The live session of a target. @throws `NO_SESSION` if it is not live in this process */
  replica(target: Target): SessionReplica {
    const replica = this.#context.leasedManager?.registry.get(this.#sidOf(target))
    if (replica) return replica
    if (this.#context.isClosed) throw closedError()
    throw new SharedSessionError('NO_SESSION', 'That session is not live in this process: no socket has it.')
  }

  /** @throws `BAD_OPTION` with the option `room: false` */
  room(target: Target): string {
    if (this.#context.options.room) return roomOf(this.#sidOf(target))
    throw new SharedSessionError(
      'BAD_OPTION',
      'With the option room: false the sockets of a session are in no room: take it out to use room().',
    )
  }

  /** Why the socket's session is empty, that it is not, or why it was refused. @throws `NO_SESSION` if it did not come through here */
  explain(socket: Socket): string {
    const refusal = this.#refusals.get(socket)
    if (refusal) return refusal
    const member = this.member(socket)
    return member.replica.isEmpty ? member.explanation : 'The session is not empty.'
  }

  /** @throws `NOT_PUBLISHED`, `BAD_OPTION`, `NO_SESSION`, `PUBLISH_FAILED`, `TOO_LARGE_TO_PUBLISH` */
  published(target: Target): PublishedState<unknown> {
    const { mirrors } = this.#context
    const { session } = Object(target) as { session?: unknown }
    const isRequest = typeof session === 'object' && session !== null && !this.#bindings.memberOf(Object(target))
    return mirrors.published(isRequest ? Snapshot.fromSession(session).data : this.replica(target).storedData)
  }

  /** @throws `NO_STORE`, and as `SharedSession.update` says */
  update(target: Target, recipe: Recipe): Promise<JsonObject> {
    if (typeof recipe !== 'function') badArgument('update() takes a recipe: shared.update(target, (draft) => { draft.n++ }).')
    // The session of a request shows the result; the live session of a socket does so anyway.
    const { session } = Object(target) as { session?: SessionData }
    return this.#context.requireManager().update(this.#sidOf(target), recipe, session)
  }

  /** @throws `NO_STORE`, `STORE_FAILED` */
  async destroy(target: Target): Promise<void> {
    try {
      await this.#context.requireManager().destroy(this.#sidOf(target))
    } catch (error) {
      throw storeError('destroyed', error)
    }
  }

  doctor(): Diagnosis {
    return loadDoctor().diagnose(this.#context, this.#servers)
  }

  /** @throws `NO_STORE` */
  stats(): Stats {
    return this.#context.requireManager().stats()
  }

  flush(): Promise<void> {
    return this.#context.leasedManager?.flush() ?? Promise.resolve()
  }

  close(): Promise<void> {
    this.#context.close()
    this.#closing ??= this.flush().finally(() => {
      this.#bindings.close()
      this.#servers.close()
      this.#preparer.connections.close()
      this.#context.leasedManager?.newSessions.delete(this.#preparer.connections.onNewSession)
      this.#context.release()
    })
    return this.#closing
  }

  /** @throws `BAD_ARGUMENT` if the target has no session id; `CLOSED` for a socket after {@link close} */
  #sidOf(target: Target): string {
    if (typeof target === 'string' && target !== '') return detachedString(target)
    if (typeof target === 'object' && target !== null) {
      const member = this.#bindings.memberOf(target)
      if (member) return member.replica.sid
      const { sessionID } = target as { sessionID?: unknown }
      if (typeof sessionID === 'string' && sessionID !== '') return detachedString(sessionID)
      if (this.#context.isClosed && isSocket(target)) throw closedError()
    }
    badArgument('The target must be a session id, a socket with a session, or something with a sessionID.')
  }

  /** @returns the error for `next`. Where the store is down the client does not get it, because a refusal is final for a client: it reconnects */
  #refuse(socket: Socket, cause: unknown): Error {
    const error = cause instanceof SharedSessionError ? cause : this.#reported(cause)
    debug('a handshake was refused: %s %s', error.code, error.message)
    const isExpected = EXPECTED.includes(error.code)
    // The next handshake is to have the cookie that the client gets. The refusal leaves before.
    if (error.code === 'RENEWAL_NEEDED') setImmediate(() => closeConnection(socket.conn))
    if (!isExpected && !this.#events.emit('session:error', error)) warnUnhandled(error)
    this.#refusals.set(socket, error.message)
    return isOutage(error) ? forceReconnect(socket) : connectError(error)
  }

  /** The error for what the session middleware, its store or the cookie parser reported. */
  #reported(cause: unknown): SharedSessionError {
    const { leasedManager: manager } = this.#context
    if (!manager || typeof cause !== 'object' || cause === null) return unknownSourceReported(cause)
    return manager.requests.isReadError(cause) ? storeReported(cause) : middlewareReported(cause)
  }
}

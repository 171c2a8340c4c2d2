import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SessionData, Store } from 'express-session'
import mitt, { type Emitter } from 'mitt'
import type { Server, Socket } from 'socket.io'
import { debug } from './debug.js'
import type { JsonObject } from './document/json.js'
import { SharedSessionError } from './errors.js'
import { type CallOptions, readOptions, type SharedSessionOptions, type StoreOptions } from './options.js'
import type { ParsedArguments } from './parse-arguments.js'
import { acquireManager, type ManagerLease } from './session/acquire-manager.js'
import { storeError } from './session/errors.js'
import { type EventSink, warnUnhandled } from './session/notifier.js'
import type { SessionReplica } from './session/replica.js'
import type { SessionManager } from './session/session-manager.js'
import type { Recipe } from './session/update-transaction.js'
import { type HandshakeContext, openSession } from './socket/handshake.js'
import type { SocketMember } from './socket/member.js'
import { cookieSession, middlewareReported, somebodyReported, storeReported } from './socket/middleware-error.js'
import { assertServer, isSocket, type NamespaceMiddleware } from './socket/namespaces.js'
import { roomOf } from './socket/room.js'
import { Servers } from './socket/servers.js'
import { SocketBinding } from './socket/socket-binding.js'
import { type ProbeResult, probe } from './store/probe.js'
import type { SharedSessionEvents, Target } from './types.js'

/** Beyond the store's own time limit, a handshake may wait for a save that is due. In ms. */
const MARGIN = 2000

/** The sockets that have a session of a store, in whichever call. */
const membersByHub = new WeakMap<SessionManager, WeakMap<object, SocketMember>>()

/** One call of `sharedsession()`: its options, its sockets, its events. */
export class SharedSessionInstance implements HandshakeContext {
  readonly middleware: ParsedArguments['middleware']
  readonly parser: ParsedArguments['parser']
  readonly options: CallOptions
  readonly events: Emitter<SharedSessionEvents> = mitt<SharedSessionEvents>()
  readonly shown: ProbeResult
  readonly #storeOptions: StoreOptions
  readonly #given: SharedSessionOptions
  readonly #bindings = new Map<SocketMember, SocketBinding>()
  readonly #servers = new Servers(this)
  /** Why sockets were refused. */
  readonly #refusals = new WeakMap<Socket, string>()
  #use: ManagerLease | undefined
  #closed: Promise<void> | undefined

  constructor({ middleware, parser, options }: ParsedArguments) {
    const { call, store } = readOptions(options)
    this.middleware = middleware
    this.parser = parser
    this.options = call
    this.#storeOptions = store
    this.#given = options ?? {}
    this.shown = probe(middleware)
    if (this.shown.store) this.manager(this.shown.store)
  }

  /** ms that a handshake may take: an option of the store's, which this call may have left to an earlier one. */
  get timeout(): number {
    return (this.#use?.manager.options ?? this.#storeOptions).retry.timeout + MARGIN
  }

  manager(store?: unknown): SessionManager | undefined {
    if (this.#closed) throw closed()
    if (!this.#use && store) {
      this.#use = acquireManager(store as Store, this.#storeOptions, this.#given, this.#eventSink)
      for (const server of this.#servers.all()) this.#use.manager.server(server)
      this.#use.manager.newSessions.add(this.#servers.greeting.newSession)
    }
    return this.#use?.manager
  }

  get inUse(): SessionManager | undefined {
    return this.#closed ? undefined : this.#use?.manager
  }

  /**
   * Uses the middleware on all namespaces of a server, and the server's adapter for the bus where the store has none; meets handshakes
   * and recovered sockets from the first one on.
   */
  attach(io: Server, middleware: NamespaceMiddleware): void {
    if (this.#closed) throw closed()
    assertServer(io)
    this.#servers.attach(io, middleware)
    this.#use?.manager.server(io)
  }

  /** Gives a socket its session and follows it until it is gone. Never rejects: what went wrong is passed to `next`. */
  async handleSocket(socket: Socket, next: (error?: Error) => void): Promise<void> {
    let refusal: Error | undefined
    try {
      assertServer(socket.nsp.server)
      // Also of one that is not let in: when it comes again, its namespace is known.
      if (!this.#closed) this.#servers.registerServerOf(socket)
      if (!this.#closed) await this.#servers.greetLate(socket)
      if (this.memberOf(socket) || (await openSession(this, socket))) this.#refusable(socket, next)
      else refusal = forceReconnect(socket)
    } catch (cause) {
      refusal = this.#refusal(cause)
      this.#refusals.set(socket, refusal.message)
    }
    // Out of the promise: what a later middleware throws is thrown as without this one.
    process.nextTick(next, refusal)
  }

  /** The socket as a member of a session of this call's store. */
  memberOf(socket: object): SocketMember | undefined {
    return this.#members()?.get(socket)
  }

  #members(): WeakMap<object, SocketMember> | undefined {
    const hub = this.#use?.manager
    if (!hub) return undefined
    const members = membersByHub.get(hub) ?? new WeakMap<object, SocketMember>()
    membersByHub.set(hub, members)
    return members
  }

  /** Throws `NO_SESSION` for a socket that has none; `CLOSED` after {@link close}, which has taken them away. */
  member(socket: Socket): SocketMember {
    const member = this.memberOf(socket)
    if (member) return member
    if (this.#closed) throw closed()
    throw new SharedSessionError(
      'NO_SESSION',
      'This socket has no session: it did not come through this middleware. Put io.use(shared), or io.of(name).use(shared), before the connection.',
    )
  }

  /** The id of a target's session. Throws `BAD_ARGUMENT` for what is none; `CLOSED` for a socket after {@link close}. */
  sidOf(target: Target): string {
    if (typeof target === 'string' && target !== '') return target
    if (typeof target === 'object' && target !== null) {
      const member = this.memberOf(target)
      if (member) return member.replica.sid
      const { sessionID } = target as { sessionID?: unknown }
      if (typeof sessionID === 'string' && sessionID !== '') return sessionID
      if (this.#closed && isSocket(target)) throw closed()
    }
    throw new SharedSessionError(
      'BAD_ARGUMENT',
      'The target must be a session id, a socket with a session, or something with a sessionID.',
    )
  }

  /** Throws `BAD_OPTION` where no socket is in such a room. */
  room(target: Target): string {
    if (this.options.room) return roomOf(this.sidOf(target))
    throw new SharedSessionError(
      'BAD_OPTION',
      'With the option room: false the sockets of a session are in no room: take it out to use room().',
    )
  }

  /** Why the socket's session is empty, that it is not, or why it was refused. Throws `NO_SESSION` for one that was never seen here. */
  explain(socket: Socket): string {
    const refusal = this.#refusals.get(socket)
    if (refusal) return refusal
    const member = this.member(socket)
    return member.empty ? member.explanation : 'The session is not empty.'
  }

  /** Throws `NO_SESSION` where the session is not live in this process. */
  live(target: Target): SessionReplica {
    const live = this.#use?.manager.registry.get(this.sidOf(target))
    if (live) return live
    if (this.#closed) throw closed()
    throw new SharedSessionError('NO_SESSION', 'That session is not live in this process: no socket has it.')
  }

  /** Throws `NO_STORE` where the store has not been seen yet. */
  store(): SessionManager {
    if (this.#use) return this.#use.manager
    if (this.shown.isCookieSession) throw cookieSession()
    throw new SharedSessionError(
      'NO_STORE',
      'The session middleware has not shown its store yet: it does so at the first request or handshake that reaches it.',
    )
  }

  update(target: Target, recipe: Recipe): Promise<JsonObject> {
    // A request shows the result in its own session; a socket's live session hears of it anyway.
    const { session } = Object(target) as { session?: SessionData }
    return this.store().update(this.sidOf(target), recipe, session)
  }

  async destroy(target: Target): Promise<void> {
    try {
      await this.store().destroy(this.sidOf(target))
    } catch (error) {
      throw storeError('destroyed', error)
    }
  }

  flush(): Promise<void> {
    return this.#use?.manager.flush() ?? Promise.resolve()
  }

  close(): Promise<void> {
    this.#closed ??= this.flush().finally(() => {
      for (const [{ socket }, stay] of [...this.#bindings]) {
        stay.end()
        this.#members()?.delete(socket)
      }
      this.#servers.close()
      this.#use?.manager.newSessions.delete(this.#servers.greeting.newSession)
      this.#use?.release()
    })
    return this.#closed
  }

  failed(error: SharedSessionError, member: SocketMember): void {
    this.store().notifier.notifyFailure(member.replica.sid, [member], error)
  }

  /** Has the cookies of a request mean one session, before the session middleware sees it. */
  look(request: IncomingMessage, response: ServerResponse): void {
    this.#servers.greeting.request(request, response)
  }

  greeted(request: IncomingMessage): Promise<unknown> | undefined {
    return this.#servers.greeting.greeted(request)
  }

  hasSocketCookie(request: IncomingMessage): boolean {
    return this.#servers.greeting.hasSocketCookie(request)
  }

  comesAgain(request: IncomingMessage): boolean {
    return this.#servers.greeting.comesAgain(request)
  }

  bindSocket(member: SocketMember, parsed: readonly string[]): void {
    const { socket } = member
    this.#members()?.set(socket, member)
    this.#bindings.set(member, new SocketBinding(member, parsed, this.#left))
    this.store().server(this.#servers.registerServerOf(socket))
    this.#servers.greeting.connected(socket.conn)
  }

  readonly #left = (member: SocketMember): void => void this.#bindings.delete(member)

  /** While another middleware still decides about the socket, our own `next` can refuse it a second time. */
  #refusable(socket: Socket, next: (error?: Error) => void): void {
    const member = this.memberOf(socket)
    if (!member || !this.#bindings.has(member)) return
    member.refuse = (error) => {
      next(forClient(error))
      // The refusal leaves first; on a closed connection the other middleware's consent is void.
      setImmediate(() => socket.conn.close())
    }
  }

  #refusal(cause: unknown): Error {
    const error = cause instanceof SharedSessionError ? cause : this.#unexpected(cause)
    debug('a handshake was refused: %s %s', error.code, error.message)
    const expected = error.code === 'CLOSED' || error.code === 'ORIGIN_REFUSED'
    if (!expected && !this.#emit('session:error', error)) warnUnhandled(error)
    return forClient(error)
  }

  /** What the session middleware, its store or the cookie parser reported. */
  #unexpected(cause: unknown): SharedSessionError {
    const hub = this.#use?.manager
    if (!hub || typeof cause !== 'object' || cause === null) return somebodyReported(cause)
    return hub.reported(cause) ? storeReported(cause) : middlewareReported(cause)
  }

  readonly #eventSink: EventSink = {
    hasListener: (type) => [type, '*' as const].some((name) => (this.events.all.get(name)?.length ?? 0) > 0),
    emit: (type, payload) => this.#emit(type, payload),
  }

  /** Each handler by itself: one that throws must not stop the others, nor the commit that is being told. */
  #emit<Type extends keyof SharedSessionEvents>(type: Type, payload: SharedSessionEvents[Type]): boolean {
    const handlers = [...(this.events.all.get(type) ?? [])] as ((payload: unknown) => unknown)[]
    const wildcards = [...(this.events.all.get('*') ?? [])] as unknown as ((type: string, payload: unknown) => unknown)[]
    const calls = [
      ...handlers.map((handler) => () => handler(payload)),
      ...wildcards.map((handler) => () => handler(type, payload)),
    ]
    for (const call of calls) {
      try {
        Promise.resolve(call()).catch((cause) => this.#handlerFailed(type, payload.sessionID, cause))
      } catch (cause) {
        this.#handlerFailed(type, payload.sessionID, cause)
      }
    }
    return calls.length > 0
  }

  #handlerFailed(type: string, sessionID: string | undefined, cause: unknown): void {
    const error = new SharedSessionError(
      'LISTENER_FAILED',
      `A handler of ${type} on shared.events threw or rejected; the others ran.`,
      {
        cause,
      },
    )
    Object.defineProperty(error, 'sessionID', { value: sessionID, enumerable: false })
    // One that fails when it is told of a failure is not told of that.
    if (type === 'session:error' || !this.#emit('session:error', error)) warnUnhandled(error)
  }
}

function closed(): SharedSessionError {
  return new SharedSessionError('CLOSED', 'The server is shutting down: sharedsession was closed.')
}

/**
 * A refusal would keep the client from coming back; a lost transport does not.
 * @returns keeps the middlewares that come after from a socket without a session; on a closed connection it is sent to nobody
 */
function forceReconnect(socket: Socket): Error {
  socket.conn.close()
  return new Error('The client has to come again: another cookie is on its way to it, or its connection is lost.')
}

/** Socket.IO sends the message and `data` to the client, and nothing else of the error. */
function forClient({ message, code }: SharedSessionError): Error {
  return Object.assign(new Error(message), { data: { code } })
}

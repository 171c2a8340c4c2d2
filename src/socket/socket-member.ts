import type { Store } from 'express-session'
import type { Socket } from 'socket.io'
import type { HeldTag } from '../client/protocol.js'
import { debug } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { EndAction, InstanceOptions } from '../options.js'
import { Member } from '../session/member.js'
import type { SessionReplica } from '../session/replica.js'
import type { SessionManager } from '../session/session-manager.js'
import type { EndReason, SessionChange } from '../types.js'
import { AckQueue } from './ack-queue.js'
import { closeConnection } from './close-connection.js'
import { endSocket, muteSocket } from './end-socket.js'
import type { EventMark } from './event-mark.js'
import { emitLocal } from './events.js'
import { ownRequestOf, type SocketRequest } from './handshake/socket-request.js'
import { connectError } from './handshake-errors.js'
import type { InstanceContext } from './instance-context.js'
import type { MirrorMember, MirrorReader } from './mirror/mirror-reader.js'
import { MEMBER, SESSION, type SessionSource, setHidden } from './session-property.js'

/** A session that ends within so many ms of its socket's connection may end the next time as well. */
const LOOP_WINDOW = 5000

/** A socket as a member of its session. */
export class SocketMember extends Member implements MirrorMember, SessionSource {
  readonly socket: Socket
  readonly replica: SessionReplica
  /** Why the session was empty when the socket connected, if it was. */
  readonly explanation: string
  /** The member of another store's session on the same socket, which came first. */
  previous: SocketMember | undefined
  mirror: MirrorReader | undefined
  /** The session has ended, and the socket is about to: what the client still sends is ignored. */
  ended = false
  /** Of the event that is coming in, where its ack is held. */
  ackMark: EventMark | undefined
  /** Do the hooks of `packet-hooks.ts` act? */
  hooked = false
  /** Are they on the prototype of the socket, and not on the socket itself? */
  isOnPrototype = false
  /** The session's room that it is in. */
  roomName: string | undefined
  /** Is called when the socket is gone. */
  onGone: ((member: SocketMember) => void) | undefined
  readonly #context: InstanceContext
  readonly #connectedAt = Date.now()
  #next: ((error?: Error) => void) | undefined
  #request: SocketRequest | undefined
  #acks: AckQueue | undefined

  /** @param request on which the session middleware was run, if it was */
  constructor(context: InstanceContext, socket: Socket, replica: SessionReplica, explanation: string, request?: SocketRequest) {
    super()
    this.#context = context
    this.socket = socket
    this.replica = replica
    this.explanation = explanation
    if (request) this.#request = this.#withSession(request)
  }

  /** The manager of the session's store. */
  get manager(): SessionManager {
    return this.#context.requireManager()
  }

  get store(): Store {
    return this.manager.store
  }

  get autoSave(): boolean {
    return this.options.autoSave
  }

  /** A request of the socket's own, with the live session. Made when it is first asked for. */
  get request(): SocketRequest {
    this.#request ??= this.#withSession(ownRequestOf(this.socket))
    return this.#request
  }

  session(): Record<string, unknown> {
    return this.replica.view(this) as unknown as Record<string, unknown>
  }

  get options(): InstanceOptions {
    return this.#context.options
  }

  get perSocket(): ReadonlySet<string> | undefined {
    return this.options.perSocket
  }

  get acks(): AckQueue {
    this.#acks ??= new AckQueue((cause) => this.#reportFailure('An ack that waited for a save could not be sent.', cause))
    return this.#acks
  }

  get hasChangeListeners(): boolean {
    return this.socket.listenerCount('session:changed' as never) > 0
  }

  emitChange(change: Omit<SessionChange, 'session'>): void {
    const session = this.replica.view(this)
    emitLocal(this.socket, 'session:changed', { ...change, session }, (cause) => this.#listenerFailed(cause))
  }

  emitError(error: SharedSessionError): boolean {
    return emitLocal(this.socket, 'session:error', error, () => undefined) !== undefined
  }

  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void {
    const action = this.#endAction(reason)
    this.ended = action !== 'keep'
    this.mirror?.end(reason)
    const listeners = emitLocal(this.socket, 'session:destroyed', { reason }, (cause) => this.#listenerFailed(cause))
    if (this.ended) muteSocket(this.socket)
    this.replica.leave(this)
    endSocket(this.socket, action, listeners, after, () => this.#refuse(this.replica.ended as SharedSessionError))
  }

  /** The client asks for what the session publishes. @param held the tag of what it holds */
  askMirror(held: HeldTag): void {
    this.#context.mirrors.ask(this, held)
  }

  /** Until the socket has connected it can be refused. @param next of the namespace's middleware */
  makeRefusable(next: (error?: Error) => void): void {
    this.#next = next
  }

  /** It has connected, or has gone. */
  settled(): void {
    this.#next = undefined
  }

  /** Refuses a socket that has not connected yet with a `connect_error`. */
  #refuse(error: SharedSessionError): void {
    if (!this.#next || this.socket.connected) return
    this.#next(connectError(error))
    // After the refusal is sent. The other middleware's own `next()` has no effect on a closed connection.
    setImmediate(() => closeConnection(this.socket.conn))
  }

  /**
   * The option `onEnd`, except for a client that would reconnect for ever: its cookie names no session, so it gets a new one each time,
   * and the application ends that session when the socket connects.
   */
  #endAction(reason: EndReason): EndAction {
    const action = this.options.onEnd[reason]
    if (action !== 'reconnect' || reason === 'regenerated') return action
    if (this.replica.namedByCookie || Date.now() - this.#connectedAt >= LOOP_WINDOW) return action
    debug('a socket whose session ended when it connected is disconnected: its client would reconnect to another new session')
    return 'disconnect'
  }

  #withSession(request: SocketRequest): SocketRequest {
    setHidden(request, 'sessionID', this.replica.sid)
    setHidden(request, 'sessionStore', this.store)
    setHidden(request, MEMBER, this)
    Object.defineProperty(request, 'session', SESSION)
    return request
  }

  #listenerFailed(cause: unknown): void {
    this.#reportFailure('A listener of a session event threw or rejected; the others ran.', cause)
  }

  #reportFailure(message: string, cause: unknown): void {
    const error = new SharedSessionError('LISTENER_FAILED', message, { cause })
    this.manager.notifier.notifyFailure(this.replica.sid, [this], error)
  }
}

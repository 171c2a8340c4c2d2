import type { Socket } from 'socket.io'
import { debug } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { EndAction, InstanceOptions } from '../options.js'
import type { Member } from '../session/member.js'
import type { SessionReplica } from '../session/replica.js'
import type { EndReason, SessionChange } from '../types.js'
import { AckQueue } from './ack-queue.js'
import type { HandshakeContext } from './context.js'
import { endSocket, muteSocket } from './end-socket.js'
import { emitLocal } from './events.js'
import type { SocketRequest } from './socket-request.js'

/** A session that ends within so many ms of its socket's connection may end the next time as well. */
const LOOP_WINDOW = 5000

/** A socket as a member of its session. */
export class SocketMember implements Member {
  readonly autoSave: boolean
  readonly request: SocketRequest
  readonly socket: Socket
  readonly replica: SessionReplica
  /** Why the session was empty when the socket connected, if it was. */
  readonly explanation: string
  lastWrite = 0
  lastLost = 0
  refusals = 0
  refused: SharedSessionError | undefined
  /** The session has ended, and the socket is about to: what the client still sends is ignored. */
  ended = false
  /** Refuses the socket with a `connect_error`; `undefined` when it has connected. */
  refuse: ((error: SharedSessionError) => void) | undefined
  readonly #context: HandshakeContext
  readonly #connectedAt = Date.now()
  #acks: AckQueue | undefined

  /** @param request a request of the socket's own, see `socket-request.ts` */
  constructor(context: HandshakeContext, socket: Socket, request: SocketRequest, replica: SessionReplica, explanation: string) {
    this.#context = context
    this.autoSave = context.options.autoSave
    this.socket = socket
    this.request = request
    this.replica = replica
    this.explanation = explanation
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

  /** Does the session hold no data? */
  get empty(): boolean {
    return this.replica.document.isEmpty
  }

  get hasChangeListeners(): boolean {
    return this.socket.listenerCount('session:changed' as never) > 0
  }

  changed(change: Omit<SessionChange, 'session'>): void {
    const session = this.replica.view(this)
    emitLocal(this.socket, 'session:changed', { ...change, session }, (cause) => this.#listenerFailed(cause))
  }

  failed(error: SharedSessionError): boolean {
    return emitLocal(this.socket, 'session:error', error, () => undefined) !== undefined
  }

  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void {
    const action = this.#endAction(reason)
    this.ended = action !== 'keep'
    const listeners = emitLocal(this.socket, 'session:destroyed', { reason }, (cause) => this.#listenerFailed(cause))
    if (this.ended) muteSocket(this.socket)
    this.replica.leave(this)
    endSocket(this.socket, action, listeners, after, () => this.refuse?.(this.replica.ended as SharedSessionError))
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

  #listenerFailed(cause: unknown): void {
    this.#reportFailure('A listener of a session event threw or rejected; the others ran.', cause)
  }

  #reportFailure(message: string, cause: unknown): void {
    const error = new SharedSessionError('LISTENER_FAILED', message, { cause })
    this.#context.requireManager().notifier.notifyFailure(this.replica.sid, [this], error)
  }
}

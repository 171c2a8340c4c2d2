import type { Socket } from 'socket.io'
import { debug } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { CallOptions, EndAction } from '../options.js'
import type { Member } from '../session/member.js'
import type { SessionReplica } from '../session/replica.js'
import type { EndReason, SessionChange } from '../types.js'
import { getOrInsert } from '../util/bounded-map.js'
import { settleWithin } from '../util/timeout.js'
import { AckQueue } from './ack-queue.js'
import { emitLocal } from './local-events.js'
import { muteSocket } from './mute-socket.js'
import type { SocketRequest } from './socket-request.js'

/** How long an async listener of `session:destroyed` may go on before its socket is ended, in ms. */
const DRAIN_TIMEOUT = 1000

/** A session that ends within so many ms of its socket's arrival may end at the next arrival as well. */
const ARRIVAL = 5000

/** What sockets still have to say, by the connection that they share: several namespaces are on one. */
const farewells = new WeakMap<object, Set<Promise<unknown>>>()

/** What a socket's membership needs of the `sharedsession()` call it belongs to. */
export interface MemberHost {
  readonly options: CallOptions
  failed(error: SharedSessionError, member: SocketMember): void
}

/** A socket as a member of its session. */
export class SocketMember implements Member {
  readonly autoSave: boolean
  readonly request: SocketRequest
  readonly socket: Socket
  readonly replica: SessionReplica
  /** Why its session was empty when it came, if it was. */
  readonly explanation: string
  lastWrite = 0
  lastLost = 0
  refusals = 0
  refused: SharedSessionError | undefined
  /** Its session has ended: what the client still sends is for a session that it has not any more. */
  ended = false
  /** Refuses it with a `connect_error`; there while it is still connecting. */
  refuse: ((error: SharedSessionError) => void) | undefined
  readonly #host: MemberHost
  readonly #arrived = Date.now()
  #acks: AckQueue | undefined

  constructor(host: MemberHost, socket: Socket, request: SocketRequest, live: SessionReplica, explanation: string) {
    this.#host = host
    this.autoSave = host.options.autoSave
    this.socket = socket
    this.request = request
    this.replica = live
    this.explanation = explanation
  }

  get options(): CallOptions {
    return this.#host.options
  }

  get perSocket(): ReadonlySet<string> | undefined {
    return this.options.perSocket
  }

  get acks(): AckQueue {
    this.#acks ??= new AckQueue({
      onThrow: (cause) =>
        this.#host.failed(
          new SharedSessionError('LISTENER_FAILED', 'An ack that waited for a save could not be sent.', { cause }),
          this,
        ),
    })
    return this.#acks
  }

  /** Does its session hold no data? */
  get empty(): boolean {
    return this.replica.document.isEmpty
  }

  get hasChangeListeners(): boolean {
    return this.socket.listenerCount('session:changed' as never) > 0
  }

  changed(change: Omit<SessionChange, 'session'>): void {
    emitLocal(this.socket, 'session:changed', { ...change, session: this.replica.view(this) }, (cause) =>
      this.#listenerFailed(cause),
    )
  }

  failed(error: SharedSessionError): boolean {
    return emitLocal(this.socket, 'session:error', error, () => undefined) !== undefined
  }

  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void {
    const action = this.#actionAt(reason)
    this.ended = action !== 'keep'
    const heard = emitLocal(this.socket, 'session:destroyed', { reason }, (cause) => this.#listenerFailed(cause))
    if (this.ended) muteSocket(this.socket)
    this.replica.leave(this)
    const farewell = this.#drainListeners(heard)
    if (action !== 'keep') this.#endAfter(action, Promise.all([farewell, after]))
  }

  /**
   * A client that comes back by itself is to find something else than what has ended. Where its cookie names no session it would find
   * another new one; what has ended the first one on its arrival would end that as well, and so for ever.
   */
  #actionAt(reason: EndReason): EndAction {
    const action = this.options.onEnd[reason]
    if (action !== 'reconnect' || reason === 'regenerated') return action
    if (this.replica.usedByRequest || Date.now() - this.#arrived >= ARRIVAL) return action
    debug('a socket whose session has ended on its arrival stays away: its client would come back to another new session')
    return 'disconnect'
  }

  /** @returns resolves when what the listeners want to send is on its way */
  #drainListeners(heard: Promise<unknown> | undefined): Promise<unknown> | undefined {
    if (!heard) return undefined
    const others = getOrInsert(farewells, this.socket.conn, () => new Set())
    const farewell = settleWithin(heard, DRAIN_TIMEOUT)
    others.add(farewell)
    return farewell.then(() => others.delete(farewell))
  }

  async #endAfter(action: 'reconnect' | 'disconnect', farewell: Promise<unknown>): Promise<void> {
    await farewell
    // A connection is not closed under the farewell of another namespace.
    if (action === 'reconnect') await Promise.all(farewells.get(this.socket.conn) ?? [])
    // After this turn: the callback of destroy() runs in it, and what that and the listeners send leaves before the end.
    setImmediate(() => (action === 'disconnect' ? this.#disconnect() : this.#reconnect()))
  }

  /** A client that lost its transport comes back by itself, one that was disconnected does not. Closing waits for what is buffered. */
  #reconnect(): void {
    // Namespaces of the connection whose sockets are to stay away have told them so by then.
    setImmediate(() => this.socket.conn.close())
  }

  #disconnect(): void {
    if (this.socket.connected) this.socket.disconnect()
    // Not connected yet, because another middleware takes its time: there is nothing to disconnect.
    else this.refuse?.(this.replica.ended as SharedSessionError)
  }

  #listenerFailed(cause: unknown): void {
    this.#host.failed(
      new SharedSessionError('LISTENER_FAILED', 'A listener of a session event threw or rejected; the others ran.', { cause }),
      this,
    )
  }
}

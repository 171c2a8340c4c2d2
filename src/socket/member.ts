import type { Socket } from 'socket.io'
import { SharedSessionError } from '../errors.js'
import type { CallOptions } from '../options.js'
import type { LiveSession } from '../session/live.js'
import type { Member } from '../session/member.js'
import { settledWithin } from '../store/operation.js'
import type { EndReason, SessionChange } from '../types.js'
import { Acks } from './acks.js'
import { fire } from './local.js'
import type { SocketRequest } from './visit.js'

/** How long an async listener of `session:destroyed` may go on before its socket is ended, in ms. */
const FAREWELL = 1000

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
  readonly live: LiveSession
  readonly acks = new Acks((cause) =>
    this.#host.failed(
      new SharedSessionError('LISTENER_FAILED', 'An ack that waited for a save could not be sent.', { cause }),
      this,
    ),
  )
  /** Why its session was empty when it came, if it was. */
  readonly explanation: string
  lastWrite = 0
  lastLost = 0
  /** Its session was rotated away: what the client still sends is for a session that it has not any more. */
  muted = false
  /** Refuses it with a `connect_error`; there while it is still connecting. */
  refuse: ((error: SharedSessionError) => void) | undefined
  readonly #host: MemberHost

  constructor(host: MemberHost, socket: Socket, request: SocketRequest, live: LiveSession, explanation: string) {
    this.#host = host
    this.autoSave = host.options.autoSave
    this.socket = socket
    this.request = request
    this.live = live
    this.explanation = explanation
  }

  get options(): CallOptions {
    return this.#host.options
  }

  /** Does its session hold no data? */
  get empty(): boolean {
    return Object.keys(this.live.face(this)).every((name) => name === 'cookie')
  }

  changed(change: Omit<SessionChange, 'session'>): void {
    fire(this.socket, 'session:changed', { ...change, session: this.live.face(this) }, (cause) => this.#listenerFailed(cause))
  }

  failed(error: SharedSessionError): boolean {
    return fire(this.socket, 'session:error', error, () => undefined) !== undefined
  }

  ended(reason: EndReason, after: Promise<unknown> | undefined): void {
    const action = this.options.onEnd[reason]
    this.muted = reason === 'regenerated' && action !== 'keep'
    const heard = fire(this.socket, 'session:destroyed', { reason }, (cause) => this.#listenerFailed(cause))
    this.live.leave(this)
    if (action === 'keep') return
    const farewell = heard && settledWithin(heard, FAREWELL)
    // After this turn: the callback of destroy() runs in it, and what that and the listeners send leaves before the close.
    Promise.all([farewell, after]).then(() => setImmediate(() => this.#close(action)))
  }

  #close(action: 'reconnect' | 'disconnect'): void {
    // Closing waits for what is buffered; a client that lost its transport comes back by itself, one that was disconnected does not.
    if (action === 'reconnect') this.socket.conn.close()
    else if (this.socket.connected) this.socket.disconnect()
    // Not connected yet, because another middleware takes its time: there is nothing to disconnect.
    else this.refuse?.(this.live.ended as SharedSessionError)
  }

  #listenerFailed(cause: unknown): void {
    this.#host.failed(
      new SharedSessionError('LISTENER_FAILED', 'A listener of a session event threw or rejected; the others ran.', { cause }),
      this,
    )
  }
}

/** How long a handshake may take from its read to its socket, in ms. It is held between once and twice as long. */
const PERIOD = 2000

/** A session that a handshake has subscribed to. */
export interface HandshakeHold {
  readonly sid: string
}

/**
 * The subscriptions of handshakes. Each is held until the socket has joined the replica, which subscribes itself. A handshake that comes to
 * nothing does not say so: its subscription ends after a while.
 */
export class HandshakeHolds {
  readonly #unsubscribe: (sid: string) => void
  #recent = new Set<HandshakeHold>()
  #older = new Set<HandshakeHold>()
  #timer: NodeJS.Timeout | undefined

  constructor(unsubscribe: (sid: string) => void) {
    this.#unsubscribe = unsubscribe
  }

  /** A handshake has subscribed to the session. */
  add(sid: string): HandshakeHold {
    const hold: HandshakeHold = { sid }
    this.#recent.add(hold)
    this.#timer ??= setInterval(() => this.#sweep(), PERIOD).unref()
    return hold
  }

  release(hold: HandshakeHold): void {
    if (this.#recent.delete(hold) || this.#older.delete(hold)) this.#unsubscribe(hold.sid)
  }

  close(): void {
    for (const hold of [...this.#recent, ...this.#older]) this.release(hold)
    this.#stop()
  }

  #sweep(): void {
    for (const hold of this.#older) this.release(hold)
    this.#older = this.#recent
    this.#recent = new Set()
    if (this.#older.size === 0) this.#stop()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

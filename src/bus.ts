/**
 * How the processes that share a session store notify each other of changes. Messages are hints: they may be lost, doubled or reordered, and
 * each process checks them before it believes them. Each member says what a bus has to promise. A bus may deliver a message to the process
 * that published it.
 */
export interface Bus {
  /**
   * The name of the store driver (`redis`, `postgres`) that publishes for this bus in the same step as it writes: `publish` is then
   * not called for what that driver writes. Absent: `publish` is called after each write.
   */
  readonly publishedByDriver?: string
  /** The longest message it carries, in bytes of UTF-8. A longer one is replaced by a short one that says "read again". Absent: any. */
  readonly maxBytes?: number
  /**
   * `true` where somebody can listen or publish who may not read and write the sessions in the store. Messages then say only that a session
   * has changed, and every process reads it. Absent: only processes with access to the store are on the bus.
   */
  readonly isPublic?: boolean
  /**
   * For a bus that is there on some servers only. Asked once, before {@link start}: until it is answered there is no bus. `false`: Socket.IO's
   * adapter is the bus, if it reaches other processes. May stay pending while there is no connection, until {@link close}. Absent: the bus is there.
   */
  isAvailable?(): Promise<boolean>
  /** Called once, before anything else but {@link isAvailable}. Must not throw for a connection that is not there yet. */
  start(listener: BusListener): void
  /**
   * Subscribes to a topic. Resolves when every message that another process publishes from now on will reach `listener.heard`, as long as
   * the connection holds; returns nothing where that is so at once. Without a connection it may stay pending or reject; the topic stays
   * subscribed, and `listener.gap()` follows when the subscription takes effect after all. Where many topics are subscribed to in one
   * tick, a bus may send them together, and return one promise for all.
   */
  subscribe(topic: string): void | Promise<void>
  /** Ends the subscription. Never throws. */
  unsubscribe(topic: string): void
  /**
   * Publishes a message to the other processes. Resolves when it was sent; may reject, which counts as a lost message.
   * @param topic of letters, digits and `-_:{}`, at most 60 characters, without anything of the session id
   */
  publish(topic: string, text: string): void | Promise<void>
  /** Closes connections and stops timers. Even before that, none of them may keep the process from exiting. */
  close(): void | Promise<void>
}

/** What a bus calls. Neither method throws. */
export interface BusListener {
  /** Another process has published a message. */
  heard(topic: string, text: string): void
  /** Messages may have been lost; from now on none are. All live sessions are read. */
  gap(): void
}

/** What the buses of this package call besides. */
export interface OwnBusListener extends BusListener {
  /** The store is on another server now: nothing is subscribed to any more, and topics may have other names. */
  moved?(): void
}

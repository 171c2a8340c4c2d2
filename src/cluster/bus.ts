/**
 * How the processes that share a session store tell each other what they did to a session. Texts are hints: they may be lost, doubled or
 * come in another order, and whatever comes is checked before it is believed. What a bus has to promise is in each member; it may
 * carry texts back to the process that published them.
 */
export interface Bus {
  /**
   * The name of the store driver (`redis`, `postgres`) that publishes for this bus in the same step as it writes: `publish` is then
   * not called for what that driver writes. Absent: `publish` is called after each write.
   */
  readonly publishedByDriver?: string
  /** The longest text it carries, in bytes of UTF-8. What is longer is replaced by a short text that says "read again". Absent: any. */
  readonly maxBytes?: number
  /**
   * `true` where somebody can listen or publish who may not read and write the sessions in the store. Messages then say that a session has
   * changed, and not how, and more than that is not believed: every process reads. Absent: who is on the bus has the store as well.
   */
  readonly isPublic?: boolean
  /** Called once, before anything else. Must not throw for a connection that is not there yet. */
  start(listener: BusListener): void
  /**
   * Begins to listen to a topic. Resolves when every text that another process publishes from now on will reach `listener.heard`, as long as
   * the connection holds. While there is none it may stay pending or reject; the topic stays wanted, and `listener.gap()` follows when
   * it is listened to after all.
   */
  subscribe(topic: string): Promise<void>
  /** Ends that. Never throws. */
  unsubscribe(topic: string): void
  /**
   * Tells the other processes. Resolves when the text has been given away; may reject, which is taken for a lost message.
   * @param topic of letters, digits and `-_:{}`, at most 60 characters, without anything of the session id
   */
  publish(topic: string, text: string): void | Promise<void>
  /** Lets go of connections and timers. None of them may have kept the process from ending before that either. */
  close(): void | Promise<void>
}

/** What a bus tells this process. Neither method throws. */
export interface BusListener {
  heard(topic: string, text: string): void
  /** Texts may have been lost, and from now on none are: all live sessions are looked at. */
  gap(): void
}

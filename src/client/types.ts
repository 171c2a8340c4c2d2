export type Unsubscribe = () => void

/** A value that changes. It is a store by Svelte's contract. */
export interface Store<T> {
  /** The value now. It is the same object as long as nothing in it has changed. */
  get(): T
  /**
   * Calls a function with the value now, and with each later one.
   * @returns unsubscribes
   */
  subscribe(listener: (value: T) => void): Unsubscribe
  /**
   * Calls a function with each later value.
   * @returns unsubscribes
   */
  listen(listener: (value: T) => void): Unsubscribe
}

/**
 * - `connecting`: the server has not answered yet
 * - `live`: the state is the server's
 * - `stale`: the socket is disconnected, or the server could not publish; the last state stays, if there was one. Where either side has
 *   disconnected the socket, it does not connect again without your code
 * - `switching`: the session has ended, so there is no state; that of the next session is awaited. With the server's option
 *   `onEnd: 'keep'` it lasts until the client connects again, and so it does where the client has given up: with `reconnection: false`,
 *   after its `reconnectionAttempts`, or after `socket.disconnect()` between two connections
 * - `ended`: the session has ended, or the server has refused the connection, and the socket does not connect again without your code.
 *   There is no state
 */
export type Status = 'connecting' | 'live' | 'stale' | 'switching' | 'ended'

/** What a mirror needs of a socket of `socket.io-client`, 4.0 or later. */
export interface MirrorSocket {
  connected: boolean
  io: object
  connect(): unknown
  // The types of a socket's events are the application's.
  on(event: any, listener: (...args: any[]) => void): unknown
  off(event: any, listener: (...args: any[]) => void): unknown
}

export interface MirrorOptions<T> {
  /** What `shared.published(req)` gave, embedded in the page by its server: the state until the socket has connected. */
  initial?: { state: T; tag: string } | undefined
  /**
   * Has the server give the browser a stored session and its cookie, by a request that `shared.renewal()` answers. It is called before the
   * first connection of a browser that has none, and when the browser's session is gone; one tab at a time. A promise that rejects, or
   * resolves with a response that is not `ok`, is tried again, after 1 s to 8 s. So is one that has not settled after 10 s.
   * It is called only if each mirror of the socket has the option.
   */
  renew?: (() => Promise<unknown>) | undefined
}

/** The published state of the session, as the page has it. It is a store by Svelte's contract; its values are frozen in development. */
export interface Mirror<T> extends Store<T | undefined> {
  /** The state of the option `initial`: what the page was rendered with. */
  readonly initial: T | undefined
  readonly status: Status
  /** The status as a store. */
  readonly statuses: Store<Status>
  /**
   * Resolves with the first state. It waits while no server answers.
   *
   * Rejects with the error of `connect_error` if the server refuses the handshake. Its `data.code` is `RENEWAL_NEEDED` if the browser has no
   * session after three calls of `renew`: it takes no cookies. Rejects with an error whose `code` is `NOT_PUBLISHED` if the server has no
   * option `publish`, and `CLOSED` after `close()`. It stays rejected; `until()` goes on waiting.
   * A rejection that nobody handles is not reported.
   */
  readonly ready: Promise<T>
  /**
   * A part of the state, or what is computed of it: a store that notifies only when this changes. Its value is undefined as long as there
   * is no state.
   * @param equal tells whether two selections are equal; `Object.is` by default
   * @example
   * live.select((state) => state.items.length).subscribe((count) => (badge.textContent = String(count ?? '')))
   */
  select<R>(select: (state: T) => R, equal?: (a: R, b: R) => boolean): Store<R | undefined>
  /**
   * Resolves with the first state that fits, now or later. Rejects with what `fits` throws, and with the code `CLOSED` after `close()`.
   * @example
   * socket.emit('login', name)
   * await live.until((state) => state.user != null)
   */
  until(fits: (state: T) => boolean): Promise<T>
  /** Takes everything off the socket, which stays connected. The last state stays, and the status is `stale`, or `ended` without a state. */
  close(): void
}

/** A recipe as `guess()` takes it. */
export type Recipe<T> = (state: T) => T | void

/** What `guess()` finds beside the public members. */
export interface LayeredMirror<T> extends Mirror<T> {
  /** What is applied to each state of the server, and what applies it. */
  _: [layers: Set<(state: T | undefined) => T | undefined>, update: () => void]
}

/** What is used of a socket beside its public members. All of this is there from 4.0 to 4.8. */
export interface InnerSocket extends MirrorSocket {
  active: boolean
  packet: {
    (packet: { type: number; data: unknown }): void
    /** Of a mirror that is closed: what was here before. */
    below?: InnerSocket['packet']
  }
  io: Manager
}

export interface Manager {
  reconnectionDelay(): number
  reconnectionDelay(delay: number): unknown
  once(event: 'reconnect_attempt', listener: () => void): unknown
}

export interface Channel {
  onmessage: ((event: { data: unknown }) => void) | null
  postMessage(data: unknown): void
  close(): void
  unref?(): void
}

export interface Locks {
  request(name: string, work: () => unknown): Promise<unknown>
}

import { evictOldest, getOrInsert } from '../util/bounded-map.js'

/** Sessions of which nothing was found that are remembered, and of which a successor was told. */
const MOST = 1000
/** How long the response that brings a browser its new session's cookie may be on its way, in ms. */
const ARRIVAL = 1000

/** What is asked of the other processes. */
export interface SuccessorsHost {
  /** Begins or ceases to hear of a session. */
  setSubscribed(sid: string, listens: boolean): void
  /** Tells the other processes that the session has a successor. */
  tell(sid: string): void
}

/**
 * Browsers whose session is gone, and which still send its cookie: their sockets have found no session by it, and were given another one.
 * Where an HTTP response gives such a browser a new session, its sockets come again for it, on every node.
 */
export class Successors {
  readonly #host: SuccessorsHost
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #missed = new Map<string, true>()
  readonly #told = new Map<string, number>()

  constructor(host: SuccessorsHost) {
    this.#host = host
  }

  /**
   * @param came is called when the browser has a new session
   * @param isLive the session has sockets here: it is listened to for them, and for as long as they are there
   * @returns no longer
   */
  wait(sid: string, came: () => void, isLive: boolean): () => void {
    const waiting = getOrInsert(this.#waiting, sid, () => new Set())
    if (waiting.size === 0 && !isLive) this.#host.setSubscribed(sid, true)
    waiting.add(came)
    return () => {
      if (!waiting.delete(came) || waiting.size > 0) return
      this.#waiting.delete(sid)
      if (!isLive) this.#host.setSubscribed(sid, false)
    }
  }

  /** A request had the session's cookie, and there is no such session. */
  missed(sid: string): void {
    this.#missed.set(sid, true)
    evictOldest(this.#missed, MOST)
  }

  /** The response to a request with the session's cookie has brought the cookie of a new session. */
  replaced(sid: string): void {
    if (!this.#missed.has(sid)) return
    this.#came(sid)
    this.#host.tell(sid)
  }

  /** Another process says that the session has ended: to whom it had ended before, that says that it has a successor. */
  heard(sid: string): void {
    if (this.#waiting.has(sid)) this.#came(sid)
  }

  #came(sid: string): void {
    this.#told.set(sid, performance.now())
    evictOldest(this.#told, MOST)
    for (const came of [...(this.#waiting.get(sid) ?? [])]) came()
  }

  /** Is the cookie of a new session still on its way to the browser? */
  isComing(sid: string): boolean {
    const told = this.#told.get(sid)
    return told !== undefined && performance.now() - told < ARRIVAL
  }
}

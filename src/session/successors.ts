import type { ClusterSync } from '../cluster/cluster-sync.js'
import type { ClusterPublisher } from '../cluster/publisher.js'
import type { SessionClock } from '../store/session-clock.js'
import { evictOldest, getOrInsert } from '../util/maps.js'
import { LocalRotations } from './local-rotations.js'
import { COOKIE_ARRIVAL, cookieArrival } from './local-sessions.js'

/** How many missing sessions, and how many replaced ones, are remembered. */
const MAX_REMEMBERED = 1000
/** How long after its handshake the first socket of a client may connect, in ms. */
const CONNECT_WAIT = 10_000

/**
 * Sessions that are gone and whose cookie a browser still sends. Its sockets found no session by that cookie, and were given another one.
 * When an HTTP response gives the browser a new session, the successor, its sockets reconnect for it, on every node.
 */
export class Successors {
  readonly #cluster: ClusterSync
  readonly #publisher: ClusterPublisher
  readonly rotations: LocalRotations
  readonly #clock: SessionClock
  readonly #waiting = new Map<string, Set<() => void>>()
  /** Sessions that a request asked for and that were not in the store. Was there a copy that is marked as moved? */
  readonly #missing = new Map<string, boolean>()
  /** When each session got a successor, by `performance.now()`. */
  readonly #replacedAt = new Map<string, number>()
  /** Sessions that another process has regenerated. Each settles when the browser should have the new cookie. */
  readonly #onTheWay = new Map<string, Promise<void>>()

  constructor(cluster: ClusterSync, publisher: ClusterPublisher, clock: SessionClock) {
    this.#cluster = cluster
    this.#clock = clock
    this.rotations = new LocalRotations(cluster, publisher)
    this.#publisher = publisher
  }

  /**
   * @param onSuccessor is called when the browser has a new session
   * @param isLive the session has sockets here, and so is subscribed to for as long as they are there
   * @returns stops waiting
   */
  wait(sid: string, onSuccessor: () => void, isLive: boolean): () => void {
    const waiting = getOrInsert(this.#waiting, sid, () => new Set())
    if (!isLive) this.#cluster.subscribe(sid)
    waiting.add(onSuccessor)
    return () => {
      if (!waiting.delete(onSuccessor)) return
      if (!isLive) this.#cluster.unsubscribe(sid)
      if (waiting.size === 0) this.#waiting.delete(sid)
    }
  }

  /** A handshake has come with the session's cookie: a successor is noticed from now on, and not only when its first socket waits for it. */
  prepare(sid: string): void {
    const stop = this.wait(sid, () => undefined, false)
    setTimeout(stop, CONNECT_WAIT).unref()
  }

  /** A request had the session's cookie, and the store has no such session. */
  noteMissing(sid: string, isMoved: boolean): void {
    this.#missing.set(sid, isMoved)
    evictOldest(this.#missing, MAX_REMEMBERED)
  }

  /** Its data may not be in the other session yet. Only a request with its cookie repeats the move then. */
  isMoved(sid: string): boolean {
    return this.#missing.get(sid) === true
  }

  /** Has a request asked for the session in vain, and no request replaces it by a regenerated one? */
  wasMissed(sid: string): boolean {
    return this.#missing.has(sid) && !this.rotations.has(sid)
  }

  /** Is the session known to be gone, or has a request asked for it in vain? */
  isGone(sid: string): boolean {
    return this.#missing.has(sid) || this.#clock.hasEnded(sid)
  }

  /** The response to a request with the session's cookie has brought the cookie of a new session. */
  replaced(sid: string): void {
    if (!this.#missing.has(sid)) return
    this.#onSuccessor(sid)
    this.#publisher.publishReplaced(sid)
  }

  /** The response to a handshake with the session's cookie has brought the cookie of a new session. */
  replacedByHandshake(sid: string): void {
    this.#publisher.publishCookieSent(sid)
  }

  /**
   * Another process says that the session has ended.
   * @param answered the browser gets another session; settles when the response with its cookie has left
   */
  onReportedEnd(sid: string, answered: Promise<unknown> | undefined): void {
    if (!answered) {
      this.wakeWaiting(sid)
      return
    }
    const arrived = answered.then(() => {
      this.wakeWaiting(sid)
      return cookieArrival()
    })
    this.#onTheWay.set(sid, arrived)
    evictOldest(this.#onTheWay, MAX_REMEMBERED)
    arrived.then(() => {
      if (this.#onTheWay.get(sid) === arrived) this.#onTheWay.delete(sid)
    })
  }

  /** The store has no such session. What another process has said of its end is believed now: handshakes wait for the new cookie. */
  applyReportedRotation(sid: string): void {
    const arrived = this.#onTheWay.get(sid)
    if (arrived && !this.#clock.hasEnded(sid)) this.#clock.noteEnd(sid, 'regenerated', arrived)
  }

  /** For a session that was gone before, an end means that it has a successor. */
  wakeWaiting(sid: string): void {
    if (this.#waiting.has(sid)) this.#onSuccessor(sid)
  }

  #onSuccessor(sid: string): void {
    this.#replacedAt.set(sid, performance.now())
    evictOldest(this.#replacedAt, MAX_REMEMBERED)
    for (const onSuccessor of [...(this.#waiting.get(sid) ?? [])]) onSuccessor()
  }

  /** Has the session got a successor after that moment? @param sinceMs by `performance.now()` */
  wasReplacedSince(sid: string, sinceMs: number): boolean {
    return (this.#replacedAt.get(sid) ?? 0) > sinceMs
  }

  /** Is the cookie of a new session still on its way to the browser? */
  isComing(sid: string): boolean {
    const at = this.#replacedAt.get(sid)
    return at !== undefined && performance.now() - at < COOKIE_ARRIVAL
  }
}

import { warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import { evictOldest } from '../util/bounded-map.js'
import type { SessionReplica } from './replica.js'

/** While a store is down visitors come and go: no more sessions than these are kept in memory for their unsaved changes. */
const MOST_FAILED = 10_000

/**
 * The replicas of a store, by session id. One that is not pinned is held weakly: a timer of the application that still has a reference
 * writes to the same replica that a socket which returns gets.
 */
export class Registry {
  readonly #pinned = new Map<string, SessionReplica>()
  readonly #others = new Map<string, WeakRef<SessionReplica>>()
  readonly #collected = new FinalizationRegistry<string>((sid) => {
    if (!this.#others.get(sid)?.deref()) this.#others.delete(sid)
  })

  get(sid: string): SessionReplica | undefined {
    return this.#pinned.get(sid) ?? this.#others.get(sid)?.deref()
  }

  /** Adds a replica that is not pinned. */
  add(replica: SessionReplica): void {
    this.#others.set(replica.sid, new WeakRef(replica))
    this.#collected.register(replica, replica.sid)
  }

  /**
   * The application is given a view of a replica, and may refer to it from now on. It may get it late, when the replica was forgotten with its
   * last socket.
   * @returns the replica to use: another one, if the session has one by now
   */
  held(replica: SessionReplica): SessionReplica {
    const known = replica.ended ? replica : this.get(replica.sid)
    if (!known) this.add(replica)
    const current = known ?? replica
    current.isHeld = true
    return current
  }

  /** Forgets an ended session, so that its id can be used again. */
  remove(replica: SessionReplica): void {
    this.#pinned.delete(replica.sid)
    this.#others.delete(replica.sid)
  }

  /** Pins a replica while it has sockets or something to save. */
  setPinned(replica: SessionReplica, pinned: boolean): void {
    const { sid } = replica
    const holder = this.#pinned.get(sid)
    const isPinned = holder === replica
    // An ended session is forgotten, although sockets may outlive it.
    if (pinned === isPinned || replica.ended) return
    // Its last socket had gone, and others have connected since: what a handler of that socket still writes is saved, and they hear of it.
    if (pinned && holder) return
    if (pinned) this.#pinned.set(sid, replica)
    else this.#pinned.delete(sid)
    if (!pinned && replica.isHeld && this.#others.get(sid)?.deref() !== replica) this.add(replica)
  }

  /** Those with sockets or something to save. */
  pinned(): Iterable<SessionReplica> {
    return this.#pinned.values()
  }
}

/** The replicas whose save was given up. They are held here, with their unsaved changes, when nothing else holds them. */
export class FailedSaves {
  readonly #errors = new Map<SessionReplica, SharedSessionError>()
  #dropped = 0

  add(replica: SessionReplica, error: SharedSessionError): void {
    this.#errors.delete(replica)
    this.#errors.set(replica, error)
    if (!evictOldest(this.#errors, MOST_FAILED)) return
    this.#dropped++
    warnOnce(
      'unsaved',
      `More than ${MOST_FAILED} sessions could not be saved. The oldest are dropped, with their changes, as their sockets leave.`,
    )
  }

  delete(replica: SessionReplica): void {
    this.#errors.delete(replica)
  }

  /** Requests another save of each; those that fail again are added again. */
  retry(): void {
    const replicas = [...this.#errors.keys()]
    this.#errors.clear()
    for (const replica of replicas) replica.save().catch(() => undefined)
  }

  /** @throws `SAVE_FAILED` where there are failed saves, or some were dropped since the last call */
  assertNone(): void {
    const failed = [...this.#errors.values()]
    const dropped = this.#dropped
    this.#dropped = 0
    if (failed.length + dropped === 0) return
    const more = dropped > 0 ? ` Those of ${dropped} more were dropped.` : ''
    throw new SharedSessionError(
      'SAVE_FAILED',
      `Of ${failed.length} session(s) the changes could not be saved; they are kept in memory.${more}`,
      { cause: new AggregateError(failed) },
    )
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import type { ReportedEnd } from '../cluster/cluster-sync.js'
import type { RebaseResult } from '../document/tracked-document.js'
import type { KeyedQueue } from '../store/keyed-queue.js'
import { type Moment, SessionClock } from '../store/session-clock.js'
import type { EndReason } from '../types.js'
import { evictOldest } from '../util/maps.js'
import { settleWithin } from '../util/promises.js'
import { MAX_DEPTH, Notifier } from './notifier.js'
import { Registry } from './registry.js'
import type { SessionReplica } from './replica.js'

/**
 * After a response with a new cookie has left, the browser may need so long to receive it, in ms. Until then a handshake with the old cookie
 * has to be repeated.
 */
export const COOKIE_ARRIVAL = 1000

/** How many reported ends are remembered: those of sessions whose sockets have gone may never be looked up. */
const MOST_REPORTED = 10_000
/** How many sessions whose first write has an unknown outcome are remembered. */
const MAX_INDETERMINATE = 1000

/** Resolves when a browser should have the cookie of a response that has just left. */
export function cookieArrival(): Promise<void> {
  return pause(COOKIE_ARRIVAL, undefined, { ref: false })
}

/** The sessions of one store as this process knows them: which are live, which have ended, and how a session ends here. */
export class LocalSessions {
  readonly registry = new Registry()
  readonly failedSaves = this.registry.failedSaves
  readonly clock = new SessionClock()
  readonly notifier = new Notifier()
  readonly counts = { reads: 0, writes: 0, touches: 0, merges: 0, conflicts: 0, retries: 0, refusals: 0 }
  /** How sessions are said to have ended, until the store was read. */
  readonly reportedEnds = new Map<string, ReportedEnd>()
  /** Live sessions that a `store.clear()` took out of the store, until each was looked up. */
  readonly #cleared = new Set<string>()

  /** Sessions whose first write has an unknown outcome, and that no read has found: one may have ended, or was never there. */
  readonly #indeterminate = new Map<string, true>()

  /** A live session is said to have ended: by another process, by a `destroy` that failed, or by where it was moved to. */
  noteReportedEnd(sid: string, end: ReportedEnd): void {
    this.reportedEnds.set(sid, end)
    evictOldest(this.reportedEnds, MOST_REPORTED)
  }

  noteIndeterminate(sid: string): void {
    this.#indeterminate.set(sid, true)
    evictOldest(this.#indeterminate, MAX_INDETERMINATE)
  }

  /** A read that began at that moment has found the session in the store. */
  noteFound(sid: string, readMoment: Moment): void {
    this.#indeterminate.delete(sid)
    if (!this.clock.endedSince(sid, readMoment)) this.clock.noteStoredAgain(sid)
  }

  /** May a session that is not in the store never have been there? */
  isIndeterminate(sid: string): boolean {
    return this.#indeterminate.has(sid)
  }

  /** The replica of a session that has not ended. */
  living(sid: string): SessionReplica | undefined {
    const replica = this.registry.get(sid)
    return replica?.ended ? undefined : replica
  }

  /**
   * Ends a session in this process: its sockets are notified, and nothing of it is saved any more.
   * @param rotation settles when the response that brings the client its new cookie has left
   * @param arrived settles when that cookie should have reached the client
   */
  end(sid: string, reason: EndReason, rotation: Promise<unknown> | undefined, arrived = rotation): void {
    const replica = this.registry.get(sid)
    // It has ended once; a read that was answered since then is out of date as well.
    if (!replica && this.clock.hasEnded(sid)) {
      this.clock.noteEndAgain(sid)
      return
    }
    this.reportedEnds.delete(sid)
    this.clock.noteEnd(sid, reason, arrived)
    if (replica) {
      this.registry.remove(replica)
      this.failedSaves.delete(replica)
      replica.end(reason, rotation)
    }
    this.notifier.emit('session:destroyed', sid, { reason })
  }

  /** A session that was stored is not in the store any more. */
  onMissingInStore(sid: string): void {
    const expires = this.registry.get(sid)?.expires
    const reported = this.reportedEnds.get(sid)
    this.reportedEnds.delete(sid)
    const reason = reported?.reason ?? (expires !== undefined && expires <= Date.now() ? 'expired' : 'destroyed')
    // Whether that response has a cookie is not known here; after a rotation express-session nearly always sends one.
    this.end(sid, reason, reported?.after, reported?.after?.then(cookieArrival))
  }

  /** All sessions were taken out of the store: each live one is looked up. */
  onCleared(): void {
    this.clock.noteAllEnded()
    for (const replica of this.registry.pinned()) {
      this.#cleared.add(replica.sid)
      replica.revalidate().finally(() => this.#cleared.delete(replica.sid))
    }
  }

  /**
   * Is it unexpected that the store lacks the session? It was stored, no end of it was reported, and it has not expired.
   * @param stored the caller knows that the session was stored
   */
  isUnexpectedlyMissing(sid: string, stored: boolean): boolean {
    const replica = this.registry.get(sid)
    const isLive = replica?.stored === true && !replica.ended
    const isDue = replica?.expires !== undefined && replica.expires <= Date.now()
    const isReported = isDue || this.clock.hasEnded(sid) || this.reportedEnds.has(sid) || this.#cleared.has(sid)
    return (stored || isLive) && !isReported
  }

  reportMerge(sid: string, { conflicts, problems = [] }: Pick<RebaseResult, 'conflicts'> & Partial<RebaseResult>): void {
    this.counts.conflicts += conflicts.length
    for (const { path, base, mine, theirs, won } of conflicts) {
      this.notifier.emit('session:conflict', sid, { path, base, mine, theirs, won })
    }
    for (const problem of problems) this.notifier.problem(sid, problem)
  }

  /**
   * Resolves when everything that was written before is saved, and no commit is under way.
   * @param timeout ms for which a commit is waited for that the store does not answer
   * @throws `SAVE_FAILED` with what could not be saved
   */
  async flush(queue: KeyedQueue, timeout: number): Promise<void> {
    // No other timer keeps the process open; a caller that waits for a flush wants it to stay.
    const awake = setInterval(() => {}, 1000)
    try {
      this.failedSaves.retry()
      // Also for what listeners write when they are notified of a save. The depth bounds those that always write again.
      const waited = new Set<string>()
      for (let depth = 0; depth <= MAX_DEPTH; depth++) {
        const underWay = this.#underWay(queue, timeout, waited)
        if (underWay.length === 0) break
        await Promise.allSettled(underWay)
      }
    } finally {
      clearInterval(awake)
    }
    this.failedSaves.assertNone()
  }

  /** @param waited sessions whose commits were waited for: one that the store does not answer is not waited for again */
  #underWay(queue: KeyedQueue, timeout: number, waited: Set<string>): Promise<void>[] {
    const sids = queue.sids().filter((sid) => !waited.has(sid))
    for (const sid of sids) waited.add(sid)
    const saves = [...this.registry.pinned()]
      .filter(({ saving }) => saving)
      .map(({ saveQueue }) => saveQueue.whenSaved(saveQueue.dueSeq))
    return [...saves, ...sids.map((sid) => settleWithin(queue.idle(sid), timeout))]
  }
}

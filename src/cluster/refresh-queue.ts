import type { Committer } from '../store/committer.js'
import type { Moment, SessionClock } from '../store/session-clock.js'
import type { Snapshot } from '../store/snapshot.js'
import { backoff } from '../util/promises.js'

/** How many sessions are read in one round trip, where the store can do that. */
const BATCH = 100
/** ms before a store that failed is read again; it doubles up to the longest. */
const SHORTEST_DELAY = 250
const LONGEST_DELAY = 5000

/** What a batch has read of one session, without holding its lock. */
interface BatchRead {
  snapshot: Snapshot | undefined
  /** When the read began. */
  readMoment: Moment
  /** The session's replica then. */
  replica: object | undefined
}

/**
 * Reads live sessions that may be out of date: one batch at a time, each session once however often it is enqueued. Applying what was read
 * waits for the session's lock, and holds up no other session. Where the store fails it is read again for as long as the sessions live.
 */
export class RefreshQueue {
  readonly #committer: Committer
  readonly #clock: SessionClock
  readonly #living: (sid: string) => object | undefined
  readonly #apply: (sid: string, snapshot: Snapshot | undefined) => void
  readonly #queued = new Set<string>()
  /** Sessions that were read and wait for their lock. */
  readonly #applying = new Set<string>()
  #draining = false
  #failed = false
  #closed = false
  #failures = 0

  /**
   * @param living the replica of a session, if the session is still to be read
   * @param apply is called while holding the session's lock, with what the store holds
   */
  constructor(
    committer: Committer,
    clock: SessionClock,
    living: (sid: string) => object | undefined,
    apply: (sid: string, snapshot: Snapshot | undefined) => void,
  ) {
    this.#committer = committer
    this.#clock = clock
    this.#living = living
    this.#apply = apply
  }

  enqueue(sids: Iterable<string>): void {
    if (!this.#closed) for (const sid of sids) this.#queued.add(sid)
    if (this.#draining || this.#queued.size === 0) return
    this.#draining = true
    // All sessions that are enqueued in one tick are one batch.
    setImmediate(() => this.#drain())
  }

  /** Is the session to be read, or once more? */
  has(sid: string): boolean {
    return this.#queued.has(sid)
  }

  /** Opens the queue again after {@link close}. */
  open(): void {
    this.#closed = false
  }

  close(): void {
    this.#closed = true
    this.#queued.clear()
  }

  async #drain(): Promise<void> {
    while (!this.#closed) {
      if (this.#failed) await this.#pause()
      const batch = this.#nextBatch()
      if (batch.length === 0) break
      await this.#read(batch)
    }
    this.#draining = false
  }

  /** A session that waits for its lock is read again after that. */
  #nextBatch(): string[] {
    const batch: string[] = []
    for (const sid of this.#queued) {
      if (batch.length + this.#applying.size >= BATCH) break
      if (this.#applying.has(sid)) continue
      this.#queued.delete(sid)
      if (this.#living(sid)) batch.push(sid)
    }
    return batch
  }

  async #read(sids: string[]): Promise<void> {
    const readMoment = this.#clock.now()
    const replicas = sids.map(this.#living)
    // One unreadable session must not keep the others from being read: then each is read for itself.
    const snapshots = await this.#committer.readMany(sids).catch(() => undefined)
    for (const [index, sid] of sids.entries())
      this.#applyExclusively(sid, snapshots && { snapshot: snapshots[index], readMoment, replica: replicas[index] })
  }

  async #applyExclusively(sid: string, batch: BatchRead | undefined): Promise<void> {
    this.#applying.add(sid)
    try {
      await this.#committer.runExclusive(sid, async (read) => {
        // What was committed since may not be in it, nor what a handshake has read since, and made another replica of.
        const isSame = batch?.replica === this.#living(sid)
        const isCurrent = batch && isSame && !this.#clock.committedSince(sid, batch.readMoment)
        this.#apply(sid, isCurrent ? batch.snapshot : await read())
      })
      this.#failures = 0
    } catch {
      this.#failed = true
      this.enqueue([sid])
    }
    this.#applying.delete(sid)
    this.enqueue([])
  }

  #pause(): Promise<void> {
    this.#failed = false
    return new Promise((resolve) => {
      setTimeout(resolve, backoff(this.#failures++, SHORTEST_DELAY, LONGEST_DELAY)).unref()
    })
  }
}

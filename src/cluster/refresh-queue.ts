import type { Snapshot } from '../store/snapshot.js'
import { backoff } from '../util/timeout.js'

/** How many sessions are read in one round trip, where the store can do that. */
const BATCH = 100
/** ms before a store that failed is asked again; it doubles up to the longest. */
const SHORTEST = 250
const LONGEST = 5000

/** What looking needs of the process around it. */
export interface RefreshQueueHost {
  /** A moment, to tell by what has happened since then. */
  now(): number
  /** Outside the sessions' turns. @returns `undefined` where the store has no such read */
  readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[] | undefined>
  /** Takes in what was read at that moment, in the session's turn; reads where there is nothing. Rejects where that fails. */
  refreshed(sid: string, found: { document: Snapshot | undefined; moment: number } | undefined): Promise<void>
  /** Is it live, and was it ever stored? */
  isLive(sid: string): boolean
}

/**
 * Looks at live sessions that may have changed unheard: one batch at a time, each session once however often it is asked for. Sessions do
 * not wait for each other's turns: only for the reads. A store that fails is asked again for as long as the sessions live.
 */
export class RefreshQueue {
  readonly #host: RefreshQueueHost
  readonly #queued = new Set<string>()
  /** Those that are being taken in. */
  readonly #taking = new Set<string>()
  #draining = false
  #failed = false
  #closed = false
  #failures = 0

  constructor(host: RefreshQueueHost) {
    this.#host = host
  }

  enqueue(sids: Iterable<string>): void {
    if (!this.#closed) for (const sid of sids) this.#queued.add(sid)
    if (this.#draining || this.#queued.size === 0) return
    this.#draining = true
    // What is asked for in the same turn is one batch.
    setImmediate(() => this.#drain())
  }

  /** Used again after {@link close}. */
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
      const batch = this.#batch()
      if (batch.length === 0) break
      await this.#read(batch)
    }
    this.#draining = false
  }

  /** Those that are next. One that is being taken in is read again after that. */
  #batch(): string[] {
    const batch: string[] = []
    for (const sid of this.#queued) {
      if (batch.length + this.#taking.size >= BATCH) break
      if (this.#taking.has(sid)) continue
      this.#queued.delete(sid)
      if (this.#host.isLive(sid)) batch.push(sid)
    }
    return batch
  }

  async #read(sids: string[]): Promise<void> {
    const moment = this.#host.now()
    // One that cannot be read must not keep the others from being read: then each for itself.
    const found = await this.#host.readMany(sids).catch(() => undefined)
    for (const [index, sid] of sids.entries()) this.#take(sid, found && { document: found[index], moment })
  }

  async #take(sid: string, found: { document: Snapshot | undefined; moment: number } | undefined): Promise<void> {
    this.#taking.add(sid)
    try {
      await this.#host.refreshed(sid, found)
      this.#failures = 0
    } catch {
      this.#failed = true
      this.enqueue([sid])
    }
    this.#taking.delete(sid)
    this.enqueue([])
  }

  #pause(): Promise<void> {
    this.#failed = false
    return new Promise((resolve) => {
      setTimeout(resolve, backoff(this.#failures++, SHORTEST, LONGEST)).unref()
    })
  }
}

import type { Document } from '../store/document.js'

/** How many sessions are read in one round trip, where the store can do that. */
const BATCH = 100
/** ms before a store that failed is asked again; it doubles up to the longest. */
const SHORTEST = 250
const LONGEST = 5000

/** What looking needs of the process around it. */
export interface LooksHost {
  /** A moment, to tell by what has happened since then. */
  now(): number
  /** Outside the sessions' turns. @returns `undefined` where the store has no such read */
  readMany(sids: readonly string[]): Promise<(Document | undefined)[] | undefined>
  /** Takes in what was read at that moment, in the session's turn; reads where there is nothing. Rejects where that fails. */
  take(sid: string, found: { document: Document | undefined; moment: number } | undefined): Promise<void>
  /** Is it live, and was it ever stored? */
  isLive(sid: string): boolean
}

/**
 * Looks at live sessions that may have changed unheard: one batch at a time, each session once however often it is asked for. Sessions do
 * not wait for each other's turns: only for the reads. A store that fails is asked again for as long as the sessions live.
 */
export class Looks {
  readonly #host: LooksHost
  readonly #asked = new Set<string>()
  /** Those that are being taken in. */
  readonly #taking = new Set<string>()
  #looking = false
  #failed = false
  #closed = false
  #failures = 0

  constructor(host: LooksHost) {
    this.#host = host
  }

  ask(sids: Iterable<string>): void {
    if (!this.#closed) for (const sid of sids) this.#asked.add(sid)
    if (this.#looking || this.#asked.size === 0) return
    this.#looking = true
    // What is asked for in the same turn is one batch.
    setImmediate(() => this.#look())
  }

  /** Used again after {@link close}. */
  open(): void {
    this.#closed = false
  }

  close(): void {
    this.#closed = true
    this.#asked.clear()
  }

  async #look(): Promise<void> {
    while (!this.#closed) {
      if (this.#failed) await this.#pause()
      const batch = this.#batch()
      if (batch.length === 0) break
      await this.#read(batch)
    }
    this.#looking = false
  }

  /** Those that are next. One that is being taken in is read again after that. */
  #batch(): string[] {
    const batch: string[] = []
    for (const sid of this.#asked) {
      if (batch.length + this.#taking.size >= BATCH) break
      if (this.#taking.has(sid)) continue
      this.#asked.delete(sid)
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

  async #take(sid: string, found: { document: Document | undefined; moment: number } | undefined): Promise<void> {
    this.#taking.add(sid)
    try {
      await this.#host.take(sid, found)
      this.#failures = 0
    } catch {
      this.#failed = true
      this.ask([sid])
    }
    this.#taking.delete(sid)
    this.ask([])
  }

  #pause(): Promise<void> {
    this.#failed = false
    const longest = Math.min(LONGEST, SHORTEST * 2 ** this.#failures++)
    return new Promise((resolve) => {
      setTimeout(resolve, longest * (0.5 + Math.random() / 2)).unref()
    })
  }
}

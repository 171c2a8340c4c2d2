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
 * Looks at live sessions that may have changed unheard: one batch at a time, each session once however often it is asked for. A store
 * that fails is asked again for as long as the sessions live.
 */
export class Looks {
  readonly #host: LooksHost
  readonly #asked = new Set<string>()
  #looking = false
  #closed = false
  #failures = 0

  constructor(host: LooksHost) {
    this.#host = host
  }

  ask(sids: Iterable<string>): void {
    for (const sid of sids) this.#asked.add(sid)
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
    while (this.#asked.size > 0 && !this.#closed) {
      const batch = [...this.#asked].slice(0, BATCH)
      for (const sid of batch) this.#asked.delete(sid)
      const failed = await this.#read(batch.filter((sid) => this.#host.isLive(sid)))
      if (failed.length === 0) {
        this.#failures = 0
        continue
      }
      if (!this.#closed) for (const sid of failed) this.#asked.add(sid)
      await this.#pause()
    }
    this.#looking = false
  }

  /** @returns those that could not be read */
  async #read(sids: string[]): Promise<string[]> {
    const moment = this.#host.now()
    try {
      const found = sids.length > 1 ? await this.#host.readMany(sids) : undefined
      const taken = sids.map((sid, index) => this.#host.take(sid, found && { document: found[index], moment }))
      const results = await Promise.allSettled(taken)
      return sids.filter((_, index) => results[index]?.status === 'rejected')
    } catch {
      return sids
    }
  }

  #pause(): Promise<void> {
    const longest = Math.min(LONGEST, SHORTEST * 2 ** this.#failures++)
    return new Promise((resolve) => {
      setTimeout(resolve, longest * (0.5 + Math.random() / 2)).unref()
    })
  }
}

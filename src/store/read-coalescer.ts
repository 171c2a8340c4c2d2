import { getOrInsert } from '../util/bounded-map.js'
import { settleWithin } from '../util/timeout.js'

/** How long a read waits for the one before it, in ms: the answer to that one may be lost. */
const PATIENCE = 1000

/**
 * Concurrent reads of a session share one read of the store, if they were asked for before it begins. An earlier read is not shared: it
 * could be older than a write that the reader knows of.
 */
export class ReadCoalescer<Found> {
  readonly #readStore: (sid: string) => Promise<Found>
  /** Reads that have not begun, by session id. */
  readonly #waiting = new Map<string, Promise<Found>>()
  readonly #inFlight = new Map<string, Promise<unknown>>()

  /** @param readStore begins a read; its result is shared */
  constructor(readStore: (sid: string) => Promise<Found>) {
    this.#readStore = readStore
  }

  get(sid: string): Promise<Found> {
    return getOrInsert(this.#waiting, sid, () => this.#read(sid))
  }

  async #read(sid: string): Promise<Found> {
    // Reads asked for in this turn, or while an earlier read is in flight, join this one.
    const before = this.#inFlight.get(sid)
    await (before ? settleWithin(before, PATIENCE) : new Promise((resolve) => setImmediate(resolve)))
    this.#waiting.delete(sid)
    const reading = this.#readStore(sid)
    const settled = reading.then(
      () => undefined,
      () => undefined,
    )
    this.#inFlight.set(sid, settled)
    try {
      return await reading
    } finally {
      if (this.#inFlight.get(sid) === settled) this.#inFlight.delete(sid)
    }
  }
}

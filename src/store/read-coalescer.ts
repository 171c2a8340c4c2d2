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
  #turn: Promise<void> | undefined

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
    await (before ? settleWithin(before, PATIENCE) : this.#nextTurn())
    this.#waiting.delete(sid)
    const reading = this.#readStore(sid)
    this.#inFlight.set(sid, reading)
    try {
      return await reading
    } finally {
      if (this.#inFlight.get(sid) === reading) this.#inFlight.delete(sid)
    }
  }

  /** One turn for all. */
  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = undefined
        resolve()
      })
    })
    return this.#turn
  }
}

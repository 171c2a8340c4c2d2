import { type Deferred, deferred, settleWithin } from '../util/promises.js'

/** How long a read waits for the one before it, in ms: the answer to that one may be lost. */
const EARLIER_READ_WAIT = 1000

/** A read that has not begun. */
interface Waiting<Found> extends Deferred<Found> {
  readonly sid: string
}

/**
 * Concurrent reads of a session share one read of the store, if they were asked for before it begins. An earlier read is not shared: it
 * could be older than a write that the reader knows of.
 */
export class ReadCoalescer<Found> {
  readonly #readStore: (sid: string) => Promise<Found>
  /** Reads that have not begun, by session id. */
  readonly #waiting = new Map<string, Waiting<Found>>()
  readonly #inFlight = new Map<string, Promise<unknown>>()
  /** Those that begin in the next tick. */
  #next: Waiting<Found>[] = []

  /** @param readStore begins a read; its result is shared */
  constructor(readStore: (sid: string) => Promise<Found>) {
    this.#readStore = readStore
  }

  /** Reads asked for in this tick, or while an earlier read is in flight, join this one. */
  get(sid: string): Promise<Found> {
    const known = this.#waiting.get(sid)
    if (known) return known.promise
    const waiting = { sid, ...deferred<Found>() }
    this.#waiting.set(sid, waiting)
    const before = this.#inFlight.get(sid)
    if (before) settleWithin(before, EARLIER_READ_WAIT).then(() => this.#begin(waiting))
    else if (this.#next.push(waiting) === 1) setImmediate(() => this.#beginNext())
    return waiting.promise
  }

  #beginNext(): void {
    const next = this.#next
    this.#next = []
    for (const waiting of next) this.#begin(waiting)
  }

  #begin(waiting: Waiting<Found>): void {
    const { sid } = waiting
    this.#waiting.delete(sid)
    const reading = this.#readStore(sid)
    this.#inFlight.set(sid, reading)
    const ended = (): void => {
      if (this.#inFlight.get(sid) === reading) this.#inFlight.delete(sid)
    }
    reading.then(ended, ended)
    waiting.resolve(reading)
  }
}

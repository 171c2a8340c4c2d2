import type { SessionData } from 'express-session'
import { settleWithin } from '../util/timeout.js'

/** How long a read waits for the one before it, in ms: the answer to that one may be lost. */
const PATIENCE = 1000

type Found = SessionData | null | undefined

export interface ReadCoalescerHost {
  read(sid: string): Promise<Found>
  /** Each reader but the first is given a copy, with the same merge base. */
  onCopy(found: SessionData, copy: SessionData): void
}

/**
 * Concurrent reads of a session share one read of the store, if they were asked for before it begins. An earlier read is not shared: it
 * could be older than a write that the reader knows of.
 */
export class ReadCoalescer {
  readonly #host: ReadCoalescerHost
  /** Reads that have not begun, by session id. */
  readonly #waiting = new Map<string, Promise<Found>>()
  readonly #inFlight = new Map<string, Promise<unknown>>()

  constructor(host: ReadCoalescerHost) {
    this.#host = host
  }

  async get(sid: string): Promise<Found> {
    const shared = this.#waiting.get(sid)
    const waiting = shared ?? this.#read(sid)
    this.#waiting.set(sid, waiting)
    const found = await waiting
    if (!found || !shared) return found
    // Whole: express-session makes a Cookie of what it finds, in place, and a middleware around it may write into the rest.
    const copy = JSON.parse(JSON.stringify(found)) as SessionData
    this.#host.onCopy(found, copy)
    return copy
  }

  async #read(sid: string): Promise<Found> {
    // Reads asked for in this turn, or while an earlier read is in flight, join this one.
    const before = this.#inFlight.get(sid)
    await (before ? settleWithin(before, PATIENCE) : new Promise((resolve) => setImmediate(resolve)))
    this.#waiting.delete(sid)
    const reading = this.#host.read(sid)
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

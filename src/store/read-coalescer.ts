import type { SessionData } from 'express-session'
import { settleWithin } from '../util/timeout.js'

/** How long a read waits for the one before it, in ms: that one's answer may be lost. */
const PATIENCE = 1000

type Found = SessionData | null | undefined

/** Where the reads come from. */
export interface ReadCoalescerHost {
  read(sid: string): Promise<Found>
  /** Each reader but the first is given a copy, with the same base. */
  pass(found: SessionData, copy: SessionData): void
}

/**
 * Reads of one session that several ask for at once: one for all that have asked before it begins. Nobody is given what was read before
 * they asked, which could be older than what they know of.
 */
export class ReadCoalescer {
  readonly #host: ReadCoalescerHost
  /** Not begun yet, by session. */
  readonly #waiting = new Map<string, Promise<Found>>()
  readonly #underWay = new Map<string, Promise<unknown>>()

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
    this.#host.pass(found, copy)
    return copy
  }

  async #read(sid: string): Promise<Found> {
    // Those that come in this turn, or while an earlier one is answered, come along.
    const before = this.#underWay.get(sid)
    await (before ? settleWithin(before, PATIENCE) : new Promise((resolve) => setImmediate(resolve)))
    this.#waiting.delete(sid)
    const reading = this.#host.read(sid)
    const settled = reading.then(
      () => undefined,
      () => undefined,
    )
    this.#underWay.set(sid, settled)
    try {
      return await reading
    } finally {
      if (this.#underWay.get(sid) === settled) this.#underWay.delete(sid)
    }
  }
}

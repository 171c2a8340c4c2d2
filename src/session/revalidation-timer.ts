/** The longest delay a Node timer takes. */
const LONGEST = 2 ** 31 - 1

/** ms after the expiry before the store is read: it may count in other units, or by another clock. */
const GRACE = 50

/**
 * ms between reads of a session that the store keeps past the expiry in its cookie, at first and at most: some stores count in whole
 * seconds, and some do not store the new expiry on a touch.
 */
const OVERDUE = { first: 1000, most: 5000 }

/** What the timer reads of a session, and calls. */
export interface Revalidatable {
  /** ms since the epoch; `undefined` for a session that does not expire. */
  readonly expires: number | undefined
  /** When the store was last read or written, in ms since the epoch. */
  readonly confirmedAt: number
  /** Reads the store. Never rejects. */
  check(): Promise<void>
}

/**
 * Checks a live session against the store: when it expires, which no message announces, and every `interval` ms in between, jittered, unless
 * it was read or written meanwhile. Does not keep the process open.
 */
export class RevalidationTimer {
  readonly #session: Revalidatable
  readonly #interval: number | false
  #timer: NodeJS.Timeout | undefined
  #stopped = true

  /** @param interval ms; `false`: only when it expires */
  constructor(session: Revalidatable, interval: number | false) {
    this.#session = session
    this.#interval = interval
  }

  /** Starts, or restarts when the session's expiry has changed. */
  start(): void {
    this.#stopped = false
    clearTimeout(this.#timer)
    const now = Date.now()
    const { expires } = this.#session
    const untilEnd = expires === undefined ? LONGEST : untilExpiryCheck(expires - now)
    const untilCheck = this.#interval === false ? LONGEST : this.#interval * jitter()
    const delay = Math.min(untilEnd, untilCheck, LONGEST)
    if (delay >= LONGEST && expires === undefined) return
    this.#timer = setTimeout(() => this.#check(untilEnd <= untilCheck), delay)
    this.#timer.unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #check(atEnd: boolean): Promise<void> {
    const recent = this.#interval !== false && this.#session.confirmedAt > Date.now() - this.#interval / 2
    if (atEnd || !recent) await this.#session.check()
    if (!this.#stopped) this.start()
  }
}

/** One of a hundred values: Node keeps a list of timers per delay. */
function jitter(): number {
  return 0.9 + Math.floor(Math.random() * 100) / 500
}

/** @param left ms until the expiry in the cookie; not a number for a broken one */
function untilExpiryCheck(left: number): number {
  if (left > 0) return left + GRACE
  return -left > OVERDUE.first ? Math.min(-left, OVERDUE.most) : OVERDUE.first
}

/** The longest delay a Node timer takes. */
const LONGEST = 2 ** 31 - 1

/** ms past the end before the store is asked: it may count in other units, or by another clock. */
const GRACE = 50

/**
 * ms between questions about a session that lives on past the end its cookie tells, at first and at most: some stores count in whole
 * seconds, and some do not store that end on a touch.
 */
const OVERDUE = { first: 1000, most: 5000 }

/** When a session is looked at without anybody asking. */
export interface Revalidatable {
  /** ms since the epoch; `undefined` for a session without an end. */
  readonly expires: number | undefined
  /** When it was last read or written, in ms since the epoch. */
  readonly confirmedAt: number
  /** Asks the store. Never rejects. */
  check(): Promise<void>
}

/**
 * Asks the store about a live session at the time of its expiry, which no message announces, and every `interval` ms in between,
 * jittered, unless it was read or written meanwhile. Holds no process open.
 */
export class RevalidationTimer {
  readonly #session: Revalidatable
  readonly #interval: number | false
  #timer: NodeJS.Timeout | undefined
  #stopped = true

  /** @param interval ms; `false` for expiry alone */
  constructor(session: Revalidatable, interval: number | false) {
    this.#session = session
    this.#interval = interval
  }

  /** Starts, or starts anew when the session's end has moved. */
  start(): void {
    this.#stopped = false
    clearTimeout(this.#timer)
    const now = Date.now()
    const { expires } = this.#session
    const untilEnd = expires === undefined ? LONGEST : untilQuestion(expires - now)
    const untilCheck = this.#interval === false ? LONGEST : this.#interval * jitter()
    const delay = Math.min(untilEnd, untilCheck, LONGEST)
    if (delay >= LONGEST && expires === undefined) return
    this.#timer = setTimeout(() => this.#look(untilEnd <= untilCheck), delay)
    this.#timer.unref()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #look(atEnd: boolean): Promise<void> {
    const recent = this.#interval !== false && this.#session.confirmedAt > Date.now() - this.#interval / 2
    if (atEnd || !recent) await this.#session.check()
    if (!this.#stopped) this.start()
  }
}

/** One of a hundred: Node keeps a list of timers for each delay that there is. */
function jitter(): number {
  return 0.9 + Math.floor(Math.random() * 100) / 500
}

/** @param left ms until the end that the cookie tells; not a number for a broken one */
function untilQuestion(left: number): number {
  if (left > 0) return left + GRACE
  return -left > OVERDUE.first ? Math.min(-left, OVERDUE.most) : OVERDUE.first
}

import { getOrInsert } from '../util/maps.js'

/** The longest delay a Node timer takes. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** ms after the expiry before the store is read: it may count in other units, or by another clock. */
const EXPIRY_MARGIN_MS = 50

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
  readonly lastStoreContactMs: number
  /** Reads the store. Never rejects. */
  revalidate(): Promise<void>
}

/**
 * What the timer does when it is due. `revalidate` reads the store. `revalidateUnlessRecent` does so unless the store was read or written lately. `start`
 * starts again, because the moment was put forward.
 */
type Step = 'revalidate' | 'revalidateUnlessRecent' | 'start'

/** Timers that are due at the same moment share one of Node's: there is one for each live session. By that moment, in ms since the epoch. */
const dueGroups = new Map<number, Set<RevalidationTimer>>()

/**
 * Checks a live session against the store: when it expires, which no message announces, and every `interval` ms in between, jittered, unless
 * it was read or written meanwhile. Does not keep the process open.
 */
export class RevalidationTimer {
  readonly #session: Revalidatable
  readonly #interval: number | false
  #dueGroup: Set<RevalidationTimer> | undefined
  #next: Step = 'revalidate'
  #stopped = true

  /** @param interval ms; `false`: only when it expires */
  constructor(session: Revalidatable, interval: number | false) {
    this.#session = session
    this.#interval = interval
  }

  /** Starts, or restarts when the session's expiry has changed. */
  start(): void {
    this.#stopped = false
    this.#dueGroup?.delete(this)
    this.#dueGroup = undefined
    const now = Date.now()
    const { expires } = this.#session
    const untilExpiry = expires === undefined ? MAX_DELAY_MS : untilRevalidation(expires - now)
    const untilCheck = this.#interval === false ? MAX_DELAY_MS : this.#interval * jitter()
    const delay = Math.min(untilExpiry, untilCheck, MAX_DELAY_MS)
    if (delay >= MAX_DELAY_MS && expires === undefined) return
    const early = roundingOf(now + delay, delay)
    const isBeforeExpiry = early > 0 && expires !== undefined && expires > now
    this.#next = untilExpiry > untilCheck ? 'revalidateUnlessRecent' : isBeforeExpiry ? 'start' : 'revalidate'
    this.#dueGroup = getOrInsert(dueGroups, now + delay - early, () => groupDueIn(delay - early, now + delay - early))
    this.#dueGroup.add(this)
  }

  stop(): void {
    this.#stopped = true
    this.#dueGroup?.delete(this)
    this.#dueGroup = undefined
  }

  /** Its moment has come. */
  async onDue(): Promise<void> {
    this.#dueGroup = undefined
    const isRecent = this.#interval !== false && this.#session.lastStoreContactMs > Date.now() - this.#interval / 2
    if (this.#next === 'revalidate' || (this.#next === 'revalidateUnlessRecent' && !isRecent)) await this.#session.revalidate()
    if (!this.#stopped) this.start()
  }
}

function groupDueIn(delay: number, at: number): Set<RevalidationTimer> {
  const due = new Set<RevalidationTimer>()
  setTimeout(() => {
    dueGroups.delete(at)
    for (const timer of due) timer.onDue()
  }, delay).unref()
  return due
}

/** By how much a moment is put forward, so that others share it: less than a two-hundredth of the delay. In ms. */
function roundingOf(moment: number, delay: number): number {
  return moment % Math.max(1, 2 ** Math.floor(Math.log2(delay / 256)))
}

/** One of a hundred values: Node keeps a list of timers per delay. */
function jitter(): number {
  return 0.9 + Math.floor(Math.random() * 100) / 500
}

/** @param left ms until the expiry in the cookie; not a number for a broken one */
function untilRevalidation(left: number): number {
  if (left > -EXPIRY_MARGIN_MS) return left + EXPIRY_MARGIN_MS
  return -left > OVERDUE.first ? Math.min(-left, OVERDUE.most) : OVERDUE.first
}

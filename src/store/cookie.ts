import { equal } from '../document/json.js'
import { evictOldest } from '../util/maps.js'
import { type CookieJson, expiryOf, hasNoCookie, markedAsPresent } from './cookie-json.js'
import type { Moment, SessionClock } from './session-clock.js'

/**
 * Merges two changes of a cookie.
 * @param base the cookie that the writer had loaded
 * @param mine the writer's cookie now
 * @param theirs the cookie that the store holds now
 * @param meant the writer has set its cookie's expiry on purpose
 */
export function mergeCookies(base: CookieJson, mine: CookieJson, theirs: CookieJson, meant = false): CookieJson {
  if (hasNoCookie(mine)) return mine
  const expiry = meant ? mine : laterExpiry(base, mine, theirs)
  const { originalMaxAge, expires } = theirs
  // Mostly a writer has not changed its cookie, and it is the store's own object that goes on.
  const isTheirs = expires !== undefined && expiry.expires === expires && expiry.originalMaxAge === originalMaxAge
  if (isTheirs && (base === mine || mine === theirs || sameButForExpiry(base, mine))) return theirs
  const merged = markedAsPresent(theirs)
  for (const name of Object.keys({ ...base, ...mine })) {
    if (!equal((base[name] ?? null) as never, (mine[name] ?? null) as never)) merged[name] = mine[name]
  }
  for (const name of ['originalMaxAge', 'expires']) {
    if (expiry[name] === undefined) delete merged[name]
    else merged[name] = expiry[name]
  }
  return merged
}

/** Are all attributes but the expiry the same? An attribute whose value is an object counts as changed. */
function sameButForExpiry(a: CookieJson, b: CookieJson): boolean {
  const names = Object.keys(b)
  if (names.length !== Object.keys(a).length) return false
  return names.every((name) => a[name] === b[name] || ((name === 'expires' || name === 'originalMaxAge') && name in a))
}

/** Has a writer set another expiry than the one it had loaded? Without a base it has, unless touches move the expiry. */
export function setsExpiry(cookie: object | undefined, base: CookieJson | undefined, mine: CookieJson): boolean {
  if (base && changesMaxAge(base, mine)) return true
  return isPlainCookie(cookie) && (!base || expiryOf(base) !== expiryOf(mine))
}

/**
 * Is it no express-session `Cookie`? The expiry of such a Cookie moves with each touch, and its maximum age changes with it where
 * somebody sets it. The expiry of any other cookie is where its writer has put it.
 */
export function isPlainCookie(cookie: object | undefined): boolean {
  return typeof (cookie as { serialize?: unknown } | undefined)?.serialize !== 'function'
}

/** Has a writer set an expiry in the past? */
export function endsSession(cookie: object | undefined, base: CookieJson | undefined, mine: CookieJson): boolean {
  return hasExpired(mine) && setsExpiry(cookie, base, mine)
}

/** Has the session expired according to its cookie? */
export function hasExpired(cookie: CookieJson): boolean {
  const end = expiryOf(cookie)
  return end !== undefined && end <= Date.now()
}

/** Are they the same but for the expiry, which every touch moves? */
export function sameAttributes(a: CookieJson, b: CookieJson): boolean {
  const attributes = (cookie: CookieJson) => ({ ...cookie, expires: null, originalMaxAge: null }) as never
  return a === b || (!changesMaxAge(a, b) && equal(attributes(a), attributes(b)))
}

/** Has the stored expiry fallen behind by more than a tenth of the maximum age? Many stores do not store it on a touch. */
export function isBehind(stored: CookieJson, mine: CookieJson): boolean {
  const { originalMaxAge } = mine
  const [before, now] = [expiryOf(stored), expiryOf(mine)]
  if (typeof originalMaxAge !== 'number' || before === undefined || now === undefined) return false
  return now - before > originalMaxAge / 10
}

/** The cookie with the later expiry: a save never shortens a session's life, unless its writer changed the maximum age. */
function laterExpiry(base: CookieJson, mine: CookieJson, theirs: CookieJson): CookieJson {
  if (changesMaxAge(base, mine)) return mine
  if (changesMaxAge(base, theirs)) return theirs
  const later = (expiryOf(theirs) ?? Infinity) > (expiryOf(mine) ?? Infinity) ? theirs : mine
  return unexpired(later)
}

/** ms by which an unchanged maximum age may differ: express-session's touch reads the clock twice, and now and then loses one. */
const DRIFT = 50

function changesMaxAge(base: CookieJson, other: CookieJson): boolean {
  const [before, after] = [base.originalMaxAge ?? null, other.originalMaxAge ?? null]
  if (before === null || after === null) return before !== after
  return Math.abs(before - after) > DRIFT
}

/** Some stores do not store the expiry on a touch: written back unchanged, it would end the session now. */
function unexpired(cookie: CookieJson): CookieJson {
  return hasExpired(cookie) ? restarted(cookie) : cookie
}

/** The cookie with its time to live restarted; the same where it has none. */
export function restarted(cookie: CookieJson): CookieJson {
  const { originalMaxAge } = cookie
  if (typeof originalMaxAge !== 'number') return cookie
  return { ...cookie, expires: new Date(Date.now() + originalMaxAge).toISOString() }
}

/**
 * The writer's cookie with an expiry that does not shorten the session's life. The stored expiry is not enough: many stores do not
 * store it on a touch, and none of them says how long the session has left.
 */
export function withLaterExpiry(mine: CookieJson, theirs: CookieJson): CookieJson {
  const end = Math.max(expiryTimeOf(mine), expiryTimeOf(theirs), Date.now() + (theirs.originalMaxAge ?? 0))
  // express-session distinguishes `false`, which the application sets, from `null`.
  const { expires } = mine.expires ? theirs : mine
  return { ...mine, expires: Number.isFinite(end) ? new Date(end).toISOString() : (expires ?? null) }
}

function expiryTimeOf(cookie: CookieJson): number {
  return expiryOf(cookie) ?? Number.POSITIVE_INFINITY
}

/** How many sessions are remembered. A forgotten change counts as none. */
const MAX_REMEMBERED = 10_000

/**
 * The cookies that this process changed lately in more than their expiry. Most stores replace the cookie on a touch: a touch by a request
 * that loaded the session before such a change would undo it.
 */
export class RecentCookieChanges {
  readonly #clock: SessionClock
  readonly #cookies = new Map<string, { cookie: CookieJson; changedMoment: Moment }>()

  constructor(clock: SessionClock) {
    this.#clock = clock
  }

  note(sid: string, before: CookieJson, after: CookieJson): void {
    if (sameAttributes(before, after)) return
    this.#cookies.delete(sid)
    this.#cookies.set(sid, { cookie: after, changedMoment: this.#clock.advance() })
    evictOldest(this.#cookies, MAX_REMEMBERED)
  }

  /**
   * The cookie that a touch is to store.
   * @param base the cookie that the request had loaded, and when
   */
  touched(sid: string, base: { cookie: CookieJson; loadedMoment: Moment }, mine: CookieJson): CookieJson {
    const changed = this.#cookies.get(sid)
    if (!changed || changed.changedMoment <= base.loadedMoment) {
      this.note(sid, base.cookie, mine)
      return mine
    }
    const cookie = mergeCookies(base.cookie, mine, changed.cookie)
    this.note(sid, changed.cookie, cookie)
    if (!changesMaxAge(cookie, mine)) return { ...cookie, expires: mine.expires ?? null }
    return restarted({ ...cookie, expires: null })
  }
}

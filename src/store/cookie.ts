import { equal } from '../document/json.js'
import { evictOldest } from '../util/bounded-map.js'
import { type CookieJson, expiryOf, given, hasNoCookie } from './document.js'
import type { SessionClock } from './session-clock.js'

/**
 * The cookie that comes of a writer's.
 * @param base what the writer had loaded
 * @param mine what it has now
 * @param theirs what the store holds now
 * @param meant the end is as the writer wants it
 */
export function mergeCookies(base: CookieJson, mine: CookieJson, theirs: CookieJson, meant = false): CookieJson {
  if (hasNoCookie(mine)) return mine
  const merged = given(theirs)
  for (const name of Object.keys({ ...base, ...mine })) {
    if (!equal((base[name] ?? null) as never, (mine[name] ?? null) as never)) merged[name] = mine[name]
  }
  const life = meant ? mine : lifeOf(base, mine, theirs)
  for (const name of ['originalMaxAge', 'expires']) {
    if (life[name] === undefined) delete merged[name]
    else merged[name] = life[name]
  }
  return merged
}

/** Has a writer given its session another end than the one it had loaded? Without a base it has, unless the end moves by itself. */
export function movesEnd(cookie: object | undefined, base: CookieJson | undefined, mine: CookieJson): boolean {
  if (base && changedLife(base, mine)) return true
  return isPlainCookie(cookie) && (!base || expiryOf(base) !== expiryOf(mine))
}

/**
 * The end of express-session's own cookie moves with each touch, and its maximum age changes with it where somebody sets it. That of
 * any other is where its writer has put it.
 */
export function isPlainCookie(cookie: object | undefined): boolean {
  return typeof (cookie as { serialize?: unknown } | undefined)?.serialize !== 'function'
}

/** Has a writer given its session an end that is over? */
export function endsSession(cookie: object | undefined, base: CookieJson | undefined, mine: CookieJson): boolean {
  return isOver(mine) && movesEnd(cookie, base, mine)
}

/** Is it over by what its cookie says? */
export function isOver(cookie: CookieJson): boolean {
  const end = expiryOf(cookie)
  return end !== undefined && end <= Date.now()
}

/** Do they differ in nothing but the end, which every touch moves? */
export function sameAttributes(a: CookieJson, b: CookieJson): boolean {
  const attributes = (cookie: CookieJson) => ({ ...cookie, expires: null, originalMaxAge: null }) as never
  return !changedLife(a, b) && equal(attributes(a), attributes(b))
}

/** Has the stored end fallen behind by more than a tenth of the maximum age? Many stores do not store it on a touch. */
export function isBehind(stored: CookieJson, mine: CookieJson): boolean {
  const { originalMaxAge } = mine
  const [before, now] = [expiryOf(stored), expiryOf(mine)]
  if (typeof originalMaxAge !== 'number' || before === undefined || now === undefined) return false
  return now - before > originalMaxAge / 10
}

/** A save never shortens a session's life, unless its writer changed the maximum age. */
function lifeOf(base: CookieJson, mine: CookieJson, theirs: CookieJson): CookieJson {
  if (changedLife(base, mine)) return mine
  if (changedLife(base, theirs)) return theirs
  const later = (expiryOf(theirs) ?? Infinity) > (expiryOf(mine) ?? Infinity) ? theirs : mine
  return unexpired(later)
}

/** ms by which the maximum age may differ unchanged: express-session's touch reads the clock twice, and now and then loses one. */
const DRIFT = 50

function changedLife(base: CookieJson, other: CookieJson): boolean {
  const [before, after] = [base.originalMaxAge ?? null, other.originalMaxAge ?? null]
  if (before === null || after === null) return before !== after
  return Math.abs(before - after) > DRIFT
}

/** Some stores do not store the end on a touch: written back as it is, it would end the session now. */
function unexpired(cookie: CookieJson): CookieJson {
  const end = expiryOf(cookie)
  const { originalMaxAge } = cookie
  if (end === undefined || end > Date.now() || typeof originalMaxAge !== 'number') return cookie
  return { ...cookie, expires: new Date(Date.now() + originalMaxAge).toISOString() }
}

/** How many sessions are remembered. A forgotten change counts as none. */
const REMEMBERED = 10_000

/**
 * The cookies that this process changed lately in more than their expiry. Most stores replace the cookie on a touch: a touch by a request
 * that loaded the session before such a change would undo it.
 */
export class RecentCookieChanges {
  readonly #clock: SessionClock
  readonly #cookies = new Map<string, { cookie: CookieJson; at: number }>()

  constructor(clock: SessionClock) {
    this.#clock = clock
  }

  note(sid: string, before: CookieJson, after: CookieJson): void {
    if (sameAttributes(before, after)) return
    this.#cookies.delete(sid)
    this.#cookies.set(sid, { cookie: after, at: this.#clock.tick() })
    evictOldest(this.#cookies, REMEMBERED)
  }

  /**
   * The cookie that a touch is to store.
   * @param base what the toucher had loaded, and when
   */
  touched(sid: string, base: { cookie: CookieJson; at: number }, mine: CookieJson): CookieJson {
    const changed = this.#cookies.get(sid)
    if (!changed || changed.at <= base.at) {
      this.note(sid, base.cookie, mine)
      return mine
    }
    const cookie = mergeCookies(base.cookie, mine, changed.cookie)
    this.note(sid, changed.cookie, cookie)
    if (!changedLife(cookie, mine)) return { ...cookie, expires: mine.expires ?? null }
    const { originalMaxAge } = cookie
    return { ...cookie, expires: typeof originalMaxAge === 'number' ? new Date(Date.now() + originalMaxAge).toISOString() : null }
  }
}

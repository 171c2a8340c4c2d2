import { equal, type JsonObject } from '../document/json.js'
import { evictOldest } from '../util/bounded-map.js'
import { lastCommit } from './commit-history.js'
import type { CookieJson, Document } from './document.js'

/** Writes that are looked at when their session is read next. */
const MOST_GIVEN = 100
/** ms by which the clock of a store may differ. */
const SKEW = 5000

/** A session as the store was given it. */
interface Given {
  /** Its last commit. */
  id: string
  data: JsonObject
  at: number
}

/**
 * The time stamps that a store itself puts beside the application's data, as session-file-store's `__lastAccess` and connect-mongo's
 * `lastModified`. They are not the session's, so that nobody is told of them; and the store is given back what it gave.
 *
 * Those of other stores show themselves: what a store was not given, or not so, and hands out with the very commit that was written, is
 * its own. That is settled by the first session that is read after it was written, because code in other processes may write a moment as
 * well, and not lose the commit's name.
 */
export class StoreFields {
  readonly #names = new Set(['__lastAccess'])
  readonly #given = new Map<string, Given>()
  #isSettled = false

  /** A session is given to the store, with what the store had put there before. */
  gave(sid: string, { cookie, data }: Document, stamps: JsonObject | undefined): void {
    const id = this.#isSettled ? undefined : lastCommit(cookie)
    if (id === undefined) return
    this.#given.delete(sid)
    this.#given.set(sid, { id, data: { ...stamps, ...data }, at: Date.now() })
    evictOldest(this.#given, MOST_GIVEN)
  }

  /** The store has answered with a session. */
  got(sid: string, stored: object): void {
    // As connect-mongo hands it out, it is no JSON: an application's own would be a text.
    if ((stored as { lastModified?: unknown }).lastModified instanceof Date) this.#names.add('lastModified')
    const given = this.#given.get(sid)
    if (!given || given.id !== lastCommit((stored as { cookie?: CookieJson }).cookie)) return
    this.#isSettled = true
    this.#given.clear()
    for (const [name, value] of Object.entries(stored)) {
      if (name !== 'cookie' && isMoment(value, given.at) && !isSame(given.data[name], value)) this.#names.add(name)
    }
  }

  /** What of a session's data is the store's; `undefined` for nothing. */
  in(data: JsonObject): JsonObject | undefined {
    let found: JsonObject | undefined
    for (const name of this.#names) {
      if (Object.hasOwn(data, name)) {
        found ??= {}
        found[name] = data[name] as never
      }
    }
    return found
  }

  /** A session's data without what is the store's. */
  without(data: JsonObject): JsonObject {
    const stamps = this.in(data)
    if (!stamps) return data
    return Object.fromEntries(Object.entries(data).filter(([name]) => !Object.hasOwn(stamps, name)))
  }

  /** The same of a document. */
  outOf(document: Document): Document {
    const data = this.without(document.data)
    return data === document.data ? document : { cookie: document.cookie, data }
  }
}

function isMoment(value: unknown, since: number): boolean {
  const time =
    typeof value === 'number'
      ? value
      : typeof value === 'string' || value instanceof Date
        ? Date.parse(String(value))
        : Number.NaN
  return time >= since - SKEW && time <= Date.now() + SKEW
}

function isSame(given: unknown, value: unknown): boolean {
  return given !== undefined && equal(given as never, JSON.parse(JSON.stringify(value)))
}

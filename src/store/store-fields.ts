import { equal, type JsonObject } from '../document/json.js'
import { evictOldest } from '../util/maps.js'
import { historyOf } from './commit-history.js'
import type { CookieJson } from './cookie-json.js'
import { parseEntries } from './data-text.js'
import { Snapshot } from './snapshot.js'

/** How many writes are remembered until their session is read. */
const MOST_WRITTEN = 100
/** ms by which the clock of a store may differ. */
const SKEW = 5000

/** A session as the store was given it. */
interface Written {
  /** The id of its last commit. */
  id: string
  data: JsonObject
  at: number
}

/**
 * Recognizes the time stamps that a store itself puts beside the application's data, as session-file-store's `__lastAccess` and
 * connect-mongo's `lastModified`. They are not the session's: a change of them notifies no listener, and the store gets them back with a write.
 *
 * Those of other stores are found by comparison. The store returns the commit that was written, with a time stamp that it was not given
 * or was given with another value: then that time stamp is the store's own. The first session that is read after it was written decides
 * that for good: code in other processes may write a time stamp as well, and keep the commit's id.
 */
export class StoreFields {
  readonly #names = new Set(['__lastAccess'])
  readonly #written = new Map<string, Written>()
  #isSettled = false

  /** The store is given a session. */
  onWrite(sid: string, snapshot: Snapshot): void {
    const id = this.#isSettled ? undefined : snapshot.history?.ids.at(-1)
    if (id === undefined) return
    const { storeFields, data } = snapshot
    this.#written.delete(sid)
    this.#written.set(sid, { id, data: { ...storeFields, ...data }, at: Date.now() })
    evictOldest(this.#written, MOST_WRITTEN)
  }

  /** The store has answered with a session. */
  onRead(sid: string, stored: object): void {
    // As connect-mongo hands it out, it is no JSON: an application's own would be a text.
    if ((stored as { lastModified?: unknown }).lastModified instanceof Date) this.#names.add('lastModified')
    const written = this.#written.get(sid)
    const { cookie } = stored as { cookie?: CookieJson }
    if (!written || !cookie || historyOf(cookie)?.ids.at(-1) !== written.id) return
    this.#isSettled = true
    this.#written.clear()
    for (const [name, value] of Object.entries(stored)) {
      if (name !== 'cookie' && isTimeSince(value, written.at) && !isSame(written.data[name], value)) this.#names.add(name)
    }
  }

  /** The same session with the store's fields apart from its data. */
  separate(snapshot: Snapshot): Snapshot {
    const { cookie, history, entries } = snapshot
    if (entries) return this.#separateEntries(snapshot, entries)
    const { data } = snapshot
    const names = [...this.#names].filter((name) => Object.hasOwn(data, name))
    if (names.length === 0) return snapshot
    const storeFields = Object.fromEntries(names.map((name) => [name, data[name]])) as JsonObject
    const own = Object.fromEntries(Object.entries(data).filter(([name]) => !this.#names.has(name)))
    return new Snapshot({ cookie, history, storeFields, data: own })
  }

  /** The same without parsing the data. */
  #separateEntries(snapshot: Snapshot, entries: readonly string[]): Snapshot {
    const { cookie, history } = snapshot
    const starts = [...this.#names].map((name) => `${JSON.stringify(name)}:`)
    const isField = (entry: string): boolean => starts.some((start) => entry.startsWith(start))
    const fields = entries.filter(isField)
    if (fields.length === 0) return snapshot
    const own = entries.filter((entry) => !isField(entry))
    return new Snapshot({ cookie, history, storeFields: parseEntries(fields), entries: own, data: () => parseEntries(own) })
  }
}

function isTimeSince(value: unknown, since: number): boolean {
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

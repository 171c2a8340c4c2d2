import type { SessionData } from 'express-session'
import { isObject, type JsonObject } from '../document/json.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import { NEEDS_VIEW } from './lazy-view.js'
import { acceptedCookie } from './live-cookie.js'
import { isReservedName } from './reserved-names.js'

/**
 * A session that has sockets, and that nobody has written to yet: what the store holds, mostly as text. Most sockets of most applications never
 * use their sessions, and cost next to nothing. The first read of an object makes the document of a {@link SessionReplica}, the first write the rest.
 */
export class IdleSession {
  /** The session is in the store. */
  stored: boolean
  /** `Session.prototype` of the express-session that has made the session, where one has. Its names are no names of data. */
  readonly prototype: object
  /** When the store was last read or written, in ms since the epoch. */
  lastStoreContactMs = Date.now()
  #snapshot: Snapshot
  #expires: number | undefined
  /** That of the snapshot, in a copy, from the first {@link peek} on. */
  #data: JsonObject | undefined

  /** @param snapshot may be shared with others */
  constructor(snapshot: Snapshot, stored: boolean, prototype: object) {
    this.#snapshot = snapshot
    this.#expires = snapshot.expires
    this.stored = stored
    this.prototype = prototype
  }

  get snapshot(): Snapshot {
    return this.#snapshot
  }

  get expires(): number | undefined {
    return this.#expires
  }

  get originalMaxAge(): SessionData['cookie']['originalMaxAge'] | undefined {
    return this.#snapshot.cookie.originalMaxAge
  }

  /** A property of the session whose value is no object. @returns {@link NEEDS_VIEW} for an object, and for what is not the application's data */
  peek(key: string): unknown {
    if (key === 'toJSON' || isReservedName(key, this.prototype)) return NEEDS_VIEW
    this.#data ??= this.#snapshot.copy().data
    const value = Object.hasOwn(this.#data, key) ? this.#data[key] : undefined
    return isObject(value) ? NEEDS_VIEW : value
  }

  /** The data, for the caller to change: the snapshot may be shared, and keeps no parsed data. */
  takeData(): JsonObject {
    const data = this.#data ?? this.#snapshot.copy().data
    this.#data = undefined
    return data
  }

  /** The store holds something else by now. Its expiry is not earlier than the one that is known, unless the maximum age differs. @returns whether it is another one */
  receive(snapshot: Snapshot): boolean {
    const expires = this.#expires
    const cookie = acceptedCookie(snapshot.cookie, this.#snapshot.cookie, false)
    this.#set(cookie === snapshot.cookie ? snapshot : snapshot.with({ cookie }))
    this.#data = undefined
    return this.#expires !== expires
  }

  /** The store has the session, with that cookie. @param exact its expiry counts also where it is an earlier one */
  acceptCookie(cookie: CookieJson, exact: boolean): void {
    this.#set(this.#snapshot.with({ cookie: acceptedCookie(cookie, this.#snapshot.cookie, exact) }))
  }

  #set(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    this.#expires = snapshot.expires
    this.stored = true
    this.lastStoreContactMs = Date.now()
  }
}

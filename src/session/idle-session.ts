import type { SessionData } from 'express-session'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import { acceptedCookie } from './live-cookie.js'

/**
 * A session that has sockets, and that nobody has written to yet: what the store holds, mostly as text. Most sockets of most applications never
 * use their sessions, and cost next to nothing. The first read makes the document of a {@link SessionReplica}, the first write the rest.
 */
export class IdleSession {
  /** The session is in the store. */
  stored: boolean
  /** When the store was last read or written, in ms since the epoch. */
  lastStoreContactMs = Date.now()
  #snapshot: Snapshot
  #expires: number | undefined

  /** @param snapshot may be shared with others */
  constructor(snapshot: Snapshot, stored: boolean) {
    this.#snapshot = snapshot
    this.#expires = snapshot.expires
    this.stored = stored
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

  /** The store holds something else by now. Its expiry is not earlier than the one that is known, unless the maximum age differs. */
  receive(snapshot: Snapshot): void {
    const cookie = acceptedCookie(snapshot.cookie, this.#snapshot.cookie, false)
    this.#set(cookie === snapshot.cookie ? snapshot : snapshot.with({ cookie }))
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

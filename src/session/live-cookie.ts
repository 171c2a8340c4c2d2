import { types } from 'node:util'
import type { Cookie } from 'express-session'
import { notStorable, reservedKey, toNotStorable, writeRefused } from '../document/errors.js'
import { equal, isObject, type JsonObject } from '../document/json.js'
import type { SharedSessionError } from '../errors.js'
import { mergeCookies, restarted } from '../store/cookie.js'
import { type CookieJson, cookieToJson, expiryOf, setCookie } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'

const PROTOTYPE = '__proto__'
/** The attributes that make the session's end. `_expires` is where express-session's cookie keeps `expires`. */
const ENDS: readonly (string | symbol)[] = ['maxAge', 'expires', '_expires', 'originalMaxAge']

/** The cookie of a replica: one object for all its sockets. It takes over what the store has, under what a socket has changed. */
export class LiveCookie {
  readonly cookie: Cookie
  /** The cookie before a socket changed it; `undefined` where no such change is unsaved. */
  #base: CookieJson | undefined
  /** The present cookie as JSON, cached until it changes. */
  #json: CookieJson | undefined

  constructor(cookie: Cookie) {
    this.cookie = cookie
  }

  /** Has a socket changed it, and is that unsaved? */
  get changed(): boolean {
    return this.#base !== undefined
  }

  /** When the session expires, as far as this process knows, in ms since the epoch; `undefined` for one that does not expire. */
  get expires(): number | undefined {
    return expiryOf(this.cookie)
  }

  /**
   * The cookie in the view of one socket. Every assignment that changes something is tracked, through whatever reference it is made.
   * @param onWrite is called after such an assignment
   * @param onRejected is called instead of an assignment that is not made: its value may come from a client
   * @throws TypeError for an end that is neither a number nor a Date, as express-session's own `maxAge`
   */
  tracked(onWrite: () => void, onRejected: (error: SharedSessionError) => void): Cookie {
    const track = (cookie: Cookie, write: () => boolean): boolean => {
      const before = this.json()
      const done = write()
      this.#json = undefined
      if (JSON.stringify(cookie) !== JSON.stringify(before)) {
        this.#base ??= before
        onWrite()
      }
      return done
    }
    const isStorable = (key: string | symbol, value: unknown): boolean => {
      const path = ['cookie', String(key)]
      if (key === PROTOTYPE || typeof Reflect.get(this.cookie, key) === 'function')
        onRejected(writeRefused(toNotStorable(reservedKey(path), [], [])))
      else if ((isObject(value) && !types.isDate(value)) || typeof value === 'bigint') {
        onRejected(writeRefused(notStorable(path, 'an attribute of a cookie is a text, a number, a boolean or a Date')))
      } else return true
      return false
    }
    return new Proxy(this.cookie, {
      // Accessors of express-session's cookie run on the cookie itself: `maxAge` sets `expires`, which sets `originalMaxAge`.
      // A name from outside must not reach a prototype.
      get: (target, key) => (key === PROTOTYPE ? undefined : Reflect.get(target, key, target)),
      set: (target, key, value) => {
        if (!isStorable(key, value)) return true
        const attribute = attributeOf(key, value)
        return track(target, () => Reflect.set(target, attribute, value, target))
      },
      deleteProperty: (target, key) => track(target, () => Reflect.deleteProperty(target, key)),
    })
  }

  /** Restarts the session's time to live. */
  renew(): void {
    this.cookie.maxAge = this.cookie.originalMaxAge as number
    this.#json = undefined
  }

  /** Takes over the cookie of the store, or of a request. @param exact its expiry counts also where it is an earlier one */
  accept(remote: CookieJson, exact = false): void {
    const mine = this.json()
    const known = this.#base ?? mine
    const accepted = acceptedCookie(remote, known, exact)
    if (accepted === known) return
    // A socket's change stays on top.
    const next = this.#base ? mergeCookies(this.#base, mine, accepted) : accepted
    if (this.#base) this.#base = accepted
    if (equal(next as JsonObject, mine as JsonObject)) {
      // The same object from now on, so that it is compared no more.
      this.#json = next
      return
    }
    setCookie(this.cookie, next)
    this.#json = undefined
  }

  /** The cookie that a touch stores: a socket's change is not in it until it is saved. */
  touched(): CookieJson {
    return this.#base ? restarted(this.#base) : this.json()
  }

  /** Discards a socket's change: the store's cookie counts again. */
  discard(): void {
    this.#base = undefined
  }

  /** The cookie that a save writes. Its expiry is never earlier than the store's, unless a socket changed it. */
  mergeOnto(theirs: Snapshot | undefined): CookieJson {
    // As in express-session, the time to live starts when the session is first stored: its socket may have been there for long.
    if (!theirs && !this.#base && typeof this.cookie.originalMaxAge === 'number') this.renew()
    const mine = this.json()
    return theirs ? mergeCookies(this.#base ?? mine, mine, theirs.cookie) : mine
  }

  /** The result of {@link mergeOnto} is in flight. @returns what {@link abortSave} needs; `undefined` where no socket has changed it */
  beginSave(): CookieJson | undefined {
    const base = this.#base
    this.#base = undefined
    return base
  }

  /** The save did not reach the store: a socket's change is unsaved again. */
  abortSave(base: CookieJson | undefined): void {
    this.#base = base ?? this.#base
  }

  /** The store refuses the save for good: a session that it does not have gets back the cookie that it had before. */
  takeBack(base: CookieJson | undefined): void {
    if (!base || this.#base) return
    setCookie(this.cookie, base)
    this.#json = undefined
  }

  /** The cookie as JSON; callers must not change it. */
  json(): CookieJson {
    this.#json ??= cookieToJson(this.cookie)
    return this.#json
  }
}

/**
 * The attribute of express-session's cookie that an assignment sets. When a request ends, express-session makes an end of any number in `expires` and
 * `originalMaxAge`, as `maxAge` does at once, and throws for what is no number and no Date: the request is never answered.
 * @throws TypeError for such a value
 */
function attributeOf(key: string | symbol, value: unknown): string | symbol {
  if (!ENDS.includes(key)) return key
  if (types.isDate(value)) return key === 'maxAge' ? key : 'expires'
  if (value && typeof value !== 'number') throw new TypeError(`${String(key)} must be a number or Date`)
  return 'maxAge'
}

/**
 * What becomes of a known cookie when the store has another one. The later expiry of both counts, unless the maximum ages differ: then it was
 * changed on purpose.
 * @param exact its expiry counts also where it is an earlier one
 */
export function acceptedCookie(remote: CookieJson, known: CookieJson, exact: boolean): CookieJson {
  if (exact || remote.originalMaxAge !== known.originalMaxAge) return remote
  const end = expiryOf(remote)
  const knownEnd = expiryOf(known)
  const isLater = end !== undefined && knownEnd !== undefined && knownEnd > end
  return isLater ? { ...remote, expires: known.expires as string } : remote
}

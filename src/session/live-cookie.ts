import { types } from 'node:util'
import type { Cookie } from 'express-session'
import { notStorable, reservedKey, toNotStorable, writeRefused } from '../document/errors.js'
import { equal, isObject, type JsonObject } from '../document/json.js'
import type { SharedSessionError } from '../errors.js'
import { mergeCookies } from '../store/cookie.js'
import { type CookieJson, cookieToJson, expiryOf, setCookie } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'

const PROTOTYPE = '__proto__'

/** The cookie of a live session: one object for all its sockets, which follows the store unless a socket has changed it. */
export class LiveCookie {
  readonly cookie: Cookie
  /** As it was before a socket changed it; `undefined` where no such change is unsaved. */
  #base: CookieJson | undefined
  /** As it is, until it is changed. */
  #image: CookieJson | undefined

  constructor(cookie: Cookie) {
    this.cookie = cookie
  }

  /** A socket has changed it, and that is not saved. */
  get changed(): boolean {
    return this.#base !== undefined
  }

  /** When the session ends by what is known here, in ms since the epoch; `undefined` for one without an end. */
  get expires(): number | undefined {
    const { expires } = this.cookie
    return expires ? new Date(expires).getTime() : undefined
  }

  /**
   * The cookie as one socket holds it: every assignment that changes something is noticed, through whatever reference it is made.
   * @param wrote is called after such an assignment
   * @param refused is told of one that is not made: a client may have sent what is assigned
   */
  tracked(wrote: () => void, refused: (error: SharedSessionError) => void): Cookie {
    const notice = (cookie: Cookie, write: () => boolean): boolean => {
      const before = this.image()
      const done = write()
      this.#image = undefined
      if (JSON.stringify(cookie) !== JSON.stringify(before)) {
        this.#base ??= before
        wrote()
      }
      return done
    }
    const keeps = (key: string | symbol, value: unknown): boolean => {
      const path = ['cookie', String(key)]
      if (key === PROTOTYPE) refused(writeRefused(toNotStorable(reservedKey(path), [], [])))
      else if ((isObject(value) && !types.isDate(value)) || typeof value === 'bigint') {
        refused(writeRefused(notStorable(path, 'an attribute of a cookie is a text, a number, a boolean or a Date')))
      } else return true
      return false
    }
    return new Proxy(this.cookie, {
      // The accessors of express-session's cookie are to run on the cookie itself: `maxAge` sets `expires` sets `originalMaxAge`.
      // A name from outside must not reach a prototype here either.
      get: (target, key) => (key === PROTOTYPE ? undefined : Reflect.get(target, key, target)),
      set: (target, key, value) => !keeps(key, value) || notice(target, () => Reflect.set(target, key, value, target)),
      deleteProperty: (target, key) => notice(target, () => Reflect.deleteProperty(target, key)),
    })
  }

  /** Starts the session's life anew. */
  renew(): void {
    this.cookie.maxAge = this.cookie.originalMaxAge as number
    this.#image = undefined
  }

  /** Takes what the store, or a request, has. @param meant the end is as somebody wants it, also an earlier one */
  acceptRemote(image: CookieJson, meant = false): void {
    const mine = this.image()
    const seen = meant ? image : later(image, mine)
    if (this.#base || equal(seen as JsonObject, mine as JsonObject)) return
    setCookie(this.cookie, seen)
    this.#image = undefined
  }

  /** Forgets a socket's change, for what the store has. */
  discard(): void {
    this.#base = undefined
  }

  /** What a save writes: never an earlier end of the session than the store has, unless a socket changed it. */
  mergeOnto(theirs: Snapshot | undefined): CookieJson {
    // Its life begins when it is first stored, as with express-session: its socket may have been there for long.
    if (!theirs && !this.#base && typeof this.cookie.originalMaxAge === 'number') this.renew()
    const mine = this.image()
    return theirs ? mergeCookies(this.#base ?? mine, mine, theirs.cookie) : mine
  }

  /** What {@link mergeOnto} gave is on its way. @returns for {@link abortSave}; `undefined` where no socket has changed anything */
  beginSave(): CookieJson | undefined {
    const base = this.#base
    this.#base = undefined
    return base
  }

  /** What was on its way has not arrived. */
  abortSave(base: CookieJson | undefined): void {
    this.#base = base ?? this.#base
  }

  /** Not to be changed. */
  image(): CookieJson {
    this.#image ??= cookieToJson(this.cookie)
    return this.#image
  }
}

/** `image` with the later end of both, unless the maximum age is another one: then somebody meant it. */
function later(image: CookieJson, other: CookieJson): CookieJson {
  const end = expiryOf(image)
  const otherEnd = expiryOf(other)
  if (end === undefined || otherEnd === undefined || otherEnd <= end) return image
  return image.originalMaxAge === other.originalMaxAge ? { ...image, expires: other.expires as string } : image
}

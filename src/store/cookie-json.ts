import type { Cookie, Session, SessionData } from 'express-session'
import { isObject, type JsonObject } from '../document/json.js'
import { toJson } from '../document/to-json.js'

/** Marks the cookie of a session that was stored without one. */
const NO_COOKIE = Symbol('no cookie')

/** The JSON of an express-session cookie. */
export interface CookieJson {
  originalMaxAge?: number | null
  expires?: string | null
  [NO_COOKIE]?: true
  [attribute: string]: unknown
}

/** Stands for the cookie of a session that was stored without one. Only code that calls the store itself does that. */
export function noCookie(): CookieJson {
  return { [NO_COOKIE]: true }
}

/** Was the session stored without a cookie? */
export function hasNoCookie(cookie: CookieJson): boolean {
  return NO_COOKIE in cookie && Object.keys(cookie).length === 0
}

/** A copy without the mark of {@link noCookie}. */
export function markedAsPresent(cookie: CookieJson): CookieJson {
  return Object.fromEntries(Object.entries(cookie))
}

/** The JSON of a cookie, {@link noCookie} for none, and for what is no object. */
export function cookieToJson(cookie: unknown): CookieJson {
  return isObject(cookie) ? (toPlainJson(cookie) as CookieJson) : noCookie()
}

/** The result of JSON.parse(JSON.stringify(value)), several times as fast. */
export function toPlainJson(value: object): JsonObject {
  try {
    return toJson(value, []) as JsonObject
  } catch {
    // JSON nests deeper than that, or throws its own error.
    return JSON.parse(JSON.stringify(value))
  }
}

/**
 * An express-session `Cookie` made by the store itself. Stores read `cookie.maxAge`, which is an accessor of that class, and the
 * class cannot be imported: the application may have another copy of express-session.
 */
export function toCookie(store: { createSession(request: object, data: SessionData): Session }, json: CookieJson): Cookie {
  // Session's constructor wants a request, and reads nothing of it but an id.
  const { cookie } = store.createSession({}, { cookie: { ...json } } as unknown as SessionData)
  // A Cookie's own toJSON has the attributes it knows and no others. Keep all that the JSON has, and what the store changes.
  // Stores that build JSON themselves call toJSON as well.
  const known = cookie as unknown as { data: Record<string, unknown> }
  const first = known.data
  const toJSON = (): object => {
    const changed = Object.entries(known.data).filter(([name, value]) => name in json || !Object.is(value, first[name]))
    return { ...json, ...Object.fromEntries(changed) }
  }
  Object.defineProperty(cookie, 'toJSON', { value: toJSON, configurable: true })
  return cookie
}

/** What every express-session cookie has, also where its JSON has not. `_expires` is where it keeps `expires`. */
const PERMANENT = ['path', 'httpOnly', '_expires', 'originalMaxAge']

/** Makes a live cookie one with that JSON. */
export function setCookie(cookie: Cookie, json: CookieJson): void {
  const { originalMaxAge, expires, ...attributes } = json
  for (const name of Object.keys(cookie)) {
    if (!(name in json) && !PERMANENT.includes(name)) Reflect.deleteProperty(cookie, name)
  }
  Object.assign(cookie, attributes)
  // The setter of `expires` derives originalMaxAge from it, so that one comes last.
  cookie.expires = expires ? new Date(expires) : null
  cookie.originalMaxAge = originalMaxAge ?? null
}

/** When the session ends according to its cookie, in ms since the epoch; `undefined` for one without an end, or with one that is no date. */
export function expiryOf({ expires }: { readonly expires?: string | Date | null | undefined }): number | undefined {
  const end = expires ? new Date(expires).getTime() : Number.NaN
  return Number.isNaN(end) ? undefined : end
}

/**
 * The cookie of a session that a store holds, or is to hold. Where its maximum age is text, as after `cookie.expires = '2030-01-01'` in a
 * request, express-session would throw at the end of each request that loads it, and never answer: it becomes what a Date had made of it.
 */
export function usableCookie(cookie: CookieJson): CookieJson {
  const { originalMaxAge } = cookie
  if (!originalMaxAge || typeof originalMaxAge === 'number') return cookie
  const end = expiryOf(cookie)
  if (end === undefined) return { ...cookie, originalMaxAge: null, expires: null }
  return { ...cookie, originalMaxAge: end - Date.now(), expires: new Date(end).toISOString() }
}

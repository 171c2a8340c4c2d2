import type { Cookie, Session, SessionData } from 'express-session'
import { clone, type JsonObject } from '../document/json.js'
import { toJson } from '../document/to-json.js'

/** A stored session, taken apart: what express-session keeps about the cookie, and what the application keeps. */
export interface Document {
  readonly cookie: CookieJson
  readonly data: JsonObject
  /** The data as JSON, where that is at hand. */
  readonly json?: string | undefined
  /** The commits that led to it, as far as the store tells. */
  readonly record?: CommitHistory | undefined
}

/** What a stored session says of the commits that led to it. A save by a process without this package drops it. */
export interface CommitHistory {
  /** Grows by one with each commit. */
  v: number
  /** The last commits, the newest at the end. */
  ids: string[]
  /** Where what the session held has gone: it is no more, although the store has it for a while. */
  movedTo?: string
}

/** In the cookie of a session that was stored without one. */
const NO_COOKIE = Symbol('no cookie')

/** The JSON of an express-session cookie. */
export interface CookieJson {
  originalMaxAge?: number | null
  expires?: string | null
  [NO_COOKIE]?: true
  [attribute: string]: unknown
}

/** The same as a cookie that is there. */
export function given(cookie: CookieJson): CookieJson {
  return Object.fromEntries(Object.entries(cookie))
}

/** The JSON image of a session as a store hands it out or is given it. */
export function toDocument(stored: object | string): Document {
  const { cookie, ...data }: JsonObject = Object(typeof stored === 'string' ? JSON.parse(stored) : plainOf(stored))
  return { cookie: (cookie ?? { [NO_COOKIE]: true }) as CookieJson, data }
}

/** Was the session stored without a cookie? Only code that calls the store itself does that. */
export function hasNoCookie(image: CookieJson): boolean {
  return NO_COOKIE in image && Object.keys(image).length === 0
}

/**
 * An express-session `Cookie` made by the store itself. Stores read `cookie.maxAge`, which is an accessor of that class, and the
 * class cannot be imported: the application may have another copy of express-session.
 */
export function toCookie(store: { createSession(request: object, data: SessionData): Session }, image: CookieJson): Cookie {
  // Session's constructor wants a request, and reads nothing of it but an id.
  const { cookie } = store.createSession({}, { cookie: { ...image } } as unknown as SessionData)
  // A Cookie's JSON has the attributes it knows and no others: what is stored is to have those that its writer gave it, and what the
  // store changes. Stores that build JSON themselves call toJSON as well.
  const given = { ...image }
  const known = cookie as unknown as { data: Record<string, unknown> }
  const first = known.data
  const toJSON = (): object => {
    const changed = Object.entries(known.data).filter(([name, value]) => name in given || !Object.is(value, first[name]))
    return { ...given, ...Object.fromEntries(changed) }
  }
  Object.defineProperty(cookie, 'toJSON', { value: toJSON, configurable: true })
  return cookie
}

/** A document whose data is made when it is first looked at. */
class LateDocument implements Document {
  #make: (() => JsonObject) | undefined
  #data: JsonObject | undefined

  constructor(
    readonly cookie: CookieJson,
    make: () => JsonObject,
    readonly json: string | undefined,
    readonly record?: CommitHistory | undefined,
  ) {
    this.#make = make
  }

  get data(): JsonObject {
    if (this.#make) this.#data = this.#make()
    this.#make = undefined
    return this.#data as JsonObject
  }
}

/**
 * A document whose data is made when it is first looked at.
 * @param json the data as JSON, where that is at hand
 */
export function late(cookie: CookieJson, make: () => JsonObject, json?: string): Document {
  return new LateDocument(cookie, make, json)
}

/** The same data with another cookie or record, and still not looked at. */
export function altered(document: Document, { cookie, record }: Omit<Document, 'data'>): Document {
  return new LateDocument(cookie, () => document.data, document.json, record)
}

/** The JSON of a cookie. */
export function cookieToJson(cookie: object | undefined): CookieJson {
  return cookie ? (plainOf(cookie) as CookieJson) : { [NO_COOKIE]: true }
}

/** What JSON makes of an object; several times as fast as by way of a text. */
function plainOf(value: object): JsonObject {
  try {
    return toJson(value, []) as JsonObject
  } catch {
    // JSON's own error, or its own answer: it nests deeper.
    return JSON.parse(JSON.stringify(value))
  }
}

/** What a store is given: plain data under a real cookie, never a Proxy, and a copy: stores keep it, and some change it. */
export function toStored(cookie: Cookie, document: Document): SessionData {
  const data = document.json === undefined ? clone(document.data) : JSON.parse(document.json)
  return (hasNoCookie(document.cookie) ? data : { cookie, ...data }) as SessionData
}

/** What a store that keeps JSON is given. */
export function toText(cookie: CookieJson, document: Document): string {
  const data = document.json ?? JSON.stringify(document.data)
  if (hasNoCookie(cookie)) return data
  return `{"cookie":${JSON.stringify(cookie)}${data === '{}' ? '' : ','}${data.slice(1)}`
}

/** Puts the fields of a cookie's JSON onto a live cookie. */
export function setCookie(cookie: Cookie, image: CookieJson): void {
  const { originalMaxAge, expires, ...attributes } = image
  Object.assign(cookie, attributes)
  // The setter of `expires` derives originalMaxAge from it, so that one comes last.
  cookie.expires = expires ? new Date(expires) : null
  cookie.originalMaxAge = originalMaxAge ?? null
}

/** When the session ends by what its cookie says, in ms since the epoch; `undefined` for one without an end. */
export function expiryOf(image: CookieJson): number | undefined {
  return image.expires ? new Date(image.expires).getTime() : undefined
}

import { randomUUID } from 'node:crypto'
import type { Store } from 'express-session'
import type { JsonObject } from '../../../src/document/json.js'
import type { CookieJson, Document } from '../../../src/store/document.js'
import type { Driver, Snapshot } from '../../../src/store/drivers/driver.js'
import type { StoreMethods } from '../../../src/store/original-store.js'

/** A driver over a store, as the conformance suite looks at it. */
export interface Fixture {
  driver: Driver
  store: Store
  /** ms that a session has left by the store's own account; Infinity for one without an end. Absent where the store does not tell. */
  left?(sid: string): Promise<number>
  /** Top-level names that the store itself puts beside the application's. */
  adds?: string[]
  /** Requests that have reached the server so far. Absent where there is no server. */
  roundTrips?(): number
}

/** A store's own methods, as the gate hands them to a driver. */
export function methodsOf(store: Store): StoreMethods {
  const methods = store as unknown as StoreMethods
  return {
    get: methods.get.bind(store),
    set: methods.set.bind(store),
    destroy: methods.destroy.bind(store),
    ...(methods.touch && { touch: methods.touch.bind(store) }),
    createSession: methods.createSession.bind(store),
    regenerate: methods.regenerate.bind(store),
  }
}

export const HOUR = 3_600_000

export const newSid = (): string => randomUUID()

/** A document that lives for an hour, where nothing else is said. */
export function document(data: JsonObject, cookie: CookieJson = aged(HOUR)): Document {
  return { cookie, data }
}

/** The cookie of a session that lives for so many ms from now on. */
export function aged(ms: number): CookieJson {
  return { originalMaxAge: ms, expires: new Date(Date.now() + ms).toISOString(), httpOnly: true, path: '/' }
}

/** What a driver says that the store holds: what is made where it is asked for is no property of its own. */
export function content(held: Snapshot | undefined): { cookie: CookieJson; data: JsonObject; token: string } | undefined {
  return held && { cookie: held.document.cookie, data: held.document.data, token: held.etag }
}

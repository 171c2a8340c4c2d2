import { randomUUID } from 'node:crypto'
import type { Store } from 'express-session'
import type { JsonObject } from '../../../src/document/json.js'
import type { CookieJson, Document } from '../../../src/store/document.js'
import { chooseDriver } from '../../../src/store/drivers/choose.js'
import type { CompareAndSetDriver, PlainDriver, Snapshot } from '../../../src/store/drivers/driver.js'
import type { StoreMethods } from '../../../src/store/original-store.js'

/** A driver over a store, as the conformance suite looks at it. */
export interface Fixture {
  driver: CompareAndSetDriver
  /** The driver under test where it cannot compare: `driver` then reads and compares before each call. */
  plain?: PlainDriver
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

/** The driver for a store that can compare and set. @param redis the client, for a store that hides it */
export function comparing(store: Store, redis?: unknown): CompareAndSetDriver {
  const { driver } = chooseDriver(store, methodsOf(store), { redis })
  if (!driver.compares) throw new Error(`${driver.name} cannot compare`)
  return driver
}

/** The driver for a store that cannot. */
export function plainDriver(store: Store): PlainDriver {
  const { driver } = chooseDriver(store, methodsOf(store))
  if (driver.compares) throw new Error(`${driver.name} compares`)
  return driver
}

/** A plain driver as its caller uses it: reads first, and writes only over what is expected. */
export function checked(plain: PlainDriver): CompareAndSetDriver {
  const etag = ({ document }: Snapshot): string => JSON.stringify([document.cookie, document.data])
  const read = async (sid: string): Promise<Snapshot | undefined> => {
    const held = await plain.read(sid)
    return held && { ...held, etag: etag(held) }
  }
  return {
    name: plain.name,
    compares: true,
    read,
    destroy: (sid) => plain.destroy(sid),
    async write(sid, document, expected, life) {
      const held = await read(sid)
      if (held?.etag !== expected?.etag) return { written: false, held }
      await plain.write(sid, document, held, life)
      // The answer to a write is what was stored, also where that has expired at once.
      return { written: true, held: (await read(sid)) ?? { document, etag: '' } }
    },
    async touch(sid, { cookie }) {
      const held = await read(sid)
      return held !== undefined && plain.touch(sid, { cookie, data: { ...held.storeFields, ...held.document.data } })
    },
  }
}

import { randomUUID } from 'node:crypto'
import type { Store } from 'express-session'
import type { JsonObject } from '../../../src/document/json.js'
import type { CommitHistory } from '../../../src/store/commit-history.js'
import type { CookieJson } from '../../../src/store/cookie-json.js'
import { chooseDriver } from '../../../src/store/drivers/choose.js'
import type { CompareAndSetDriver, PlainDriver } from '../../../src/store/drivers/snapshot-driver.js'
import type { StoreMethods } from '../../../src/store/original-store.js'
import { Snapshot } from '../../../src/store/snapshot.js'

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
  /** The size of a large session, in bytes. @default 1_000_000 */
  largest?: number
  /** Requests that have reached the server so far. Absent where there is no server. */
  roundTrips?(): number
}

/** A store's own methods, as the interceptor passes them to a driver. */
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

/** A session that lives for an hour, where nothing else is said. */
export function snapshot(data: JsonObject, cookie: CookieJson = aged(HOUR), history?: CommitHistory): Snapshot {
  return new Snapshot({ cookie, data, history })
}

/** The cookie of a session that lives for so many ms from now on. */
export function aged(ms: number): CookieJson {
  return { originalMaxAge: ms, expires: new Date(Date.now() + ms).toISOString(), httpOnly: true, path: '/' }
}

/** A snapshot's content, for comparison: its data and its etag are made when they are asked for, and are no properties of its own. */
export function content(of: Snapshot | undefined): Pick<Snapshot, 'cookie' | 'data' | 'history' | 'etag'> | undefined {
  return of && { cookie: of.cookie, data: of.data, history: of.history, etag: of.etag }
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
  const read = async (sid: string): Promise<Snapshot | undefined> => {
    const found = await plain.read(sid)
    return found && withEtag(found)
  }
  return {
    name: plain.name,
    compares: true,
    read,
    destroy: (sid) => plain.destroy(sid),
    async write(sid, next, expected, ttl) {
      const found = await plain.read(sid)
      const current = found && withEtag(found)
      if (current?.etag !== expected?.etag) return { written: false, current }
      await plain.write(sid, next, found, ttl)
      // Nothing is found where the session has expired at once.
      return { written: true, current: (await read(sid)) ?? next }
    },
    async touch(sid, { cookie }) {
      const found = await plain.read(sid)
      return found !== undefined && plain.touch(sid, found.with({ cookie }))
    },
  }
}

function withEtag({ cookie, history, data }: Snapshot): Snapshot {
  return new Snapshot({ cookie, history, data, record: { text: JSON.stringify([cookie, history, data]) } })
}

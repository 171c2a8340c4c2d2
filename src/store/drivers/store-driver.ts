import type { Bus } from '../../bus.js'
import { badArgument } from '../../errors.js'

/** A session as a store holds it. */
export interface StoredSession {
  /** Its JSON, with the cookie. */
  readonly text: string
  /** Names exactly this content, as a digest that the server computes. Absent: the text names itself. */
  readonly token?: string | undefined
}

/** A session that is to be stored. */
export interface NextSession {
  /** Its JSON, with the cookie. To be stored as it is: no field of it is the driver's. */
  readonly text: string
  /** When it ends. `undefined`: the cookie has no end, and the session lives as long as the store lets such a session live. */
  readonly expires: Date | undefined
  /** The end of what is stored, if it is later, stays. */
  readonly atLeast: boolean
}

/** A message to other processes. */
export interface DriverMessage {
  readonly topic: string
  readonly text: string
}

/** The answer to a write. */
export type WriteAnswer =
  /** @param token names what is stored now. Absent: its text does */
  | { readonly written: true; readonly token?: string | undefined }
  /**
   * Nothing was written, as the store holds something else. `stored`: what it holds; `undefined`: nothing. Where the key is absent the library
   * reads.
   */
  | { readonly written: false; readonly stored?: StoredSession | undefined }

/**
 * How one kind of store is written with compare-and-set. A driver handles texts, tokens and ends only. It writes past the store's own methods, so
 * its rows, keys and ends have to be those that these methods read and write. A session whose end has passed is not there, for each method.
 */
export interface StoreDriver {
  /** As `stats()` names it. Also the name that a bus gives as `publishedByDriver` if this driver publishes its messages. */
  readonly name: string
  /**
   * Who is on the bus may have no right to read the store: messages only say that a session has changed, and each process reads it. `false`: the
   * messages may carry the change.
   * @default true
   */
  readonly opaque?: boolean
  /** The store is configured to do nothing on a touch: a session that is only touched is then written from time to time. @default false */
  readonly touchDisabled?: boolean
  /** A touch changes what `token` names, or the text where there is no token. @default false */
  readonly touchChangesContent?: boolean
  /** Reads a session. Rejects where the store cannot tell: `undefined` ends a live session. */
  read(sid: string): Promise<StoredSession | undefined>
  /**
   * Stores a session, in one atomic step, if the store holds what is expected.
   * @param expected `undefined`: nothing is there
   * @param message to be published in the same step, if the session is written. Only where a bus names this driver as `publishedByDriver`
   * @throws {IndeterminateWriteError} where the write was sent, and the answer lost. After any other error nothing was written
   */
  write(sid: string, next: NextSession, expected: StoredSession | undefined, message?: DriverMessage): Promise<WriteAnswer>
  /**
   * Restarts a session's time to live.
   * @returns whether the store has the session
   */
  touch(sid: string, expires: Date | undefined): Promise<boolean>
  /** Removes a session. One that is not there is removed as well. @param message as for `write` */
  destroy(sid: string, message?: DriverMessage): Promise<void>
  /** Reads several sessions in one round trip, in the order of the ids. Absent: one by one. */
  readMany?(sids: readonly string[]): Promise<(StoredSession | undefined)[]>
  /** The bus of the store's own server, where there is one. Called once. */
  bus?(): Bus | undefined
}

/** Recognizes a store. Returns its driver, or `undefined` for a store that it does not know. */
export type DriverFactory = (store: object) => StoreDriver | undefined

const METHODS = ['read', 'write', 'touch', 'destroy'] as const
const factories: DriverFactory[] = []

/**
 * Registers a driver for all stores that it recognizes. The one that was registered last is asked first, and all of them before those of this
 * package. To be called before `sharedsession()`.
 * @param factory is called with each store. It recognizes a store only where the store's methods are those that the driver stands for: a
 * subclass or a wrapper has others, and wants them called
 * @throws `BAD_ARGUMENT`
 */
export function registerDriver(factory: DriverFactory): void {
  if (typeof factory !== 'function') badArgument('registerDriver() takes a function from a store to its driver, or undefined.')
  factories.unshift(factory)
}

/** @throws `BAD_ARGUMENT` if a registered function returns something else than a driver */
export function registeredDriver(store: object): StoreDriver | undefined {
  for (const factory of factories) {
    const driver = factory(store)
    if (driver === undefined) continue
    if (isStoreDriver(driver)) return driver
    badArgument(`A function given to registerDriver() returned no driver: it needs a name, and ${METHODS.join('(), ')}().`)
  }
  return undefined
}

export function isStoreDriver(value: unknown): value is StoreDriver {
  if (typeof value !== 'object' || value === null || typeof (value as StoreDriver).name !== 'string') return false
  return METHODS.every((method) => typeof (value as StoreDriver)[method] === 'function')
}

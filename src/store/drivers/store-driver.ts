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

/** The session of a touch, for the few stores that need more of it than its end. */
export interface TouchedSession {
  /** The JSON of its cookie, for a store whose own `touch` stores the cookie. */
  readonly cookie: Readonly<Record<string, unknown>>
  /** Its JSON as the toucher has it, which the store need not hold: for a time to live that depends on the session. Made when it is asked for. */
  readonly text: string
}

/** The answer to a write. */
export type WriteAnswer =
  /** `stored`: what the store holds now. Absent: the text that it was given, which names itself. */
  | { readonly written: true; readonly stored?: StoredSession | undefined }
  /**
   * Nothing was written, as the store holds something else. `stored`: what it holds; `undefined`: nothing. Where the key is absent the library
   * reads. `resent`: the client library may have sent the write twice by itself, so that the first one may have been written.
   */
  | { readonly written: false; readonly stored?: StoredSession | undefined; readonly resent?: boolean | undefined }

/** A write was sent, and its answer lost: it may have happened, and may still happen. */
export class IndeterminateWriteError extends Error {
  constructor(cause: unknown) {
    super((cause as Error | undefined)?.message, { cause })
  }
}

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
  /**
   * The store is configured to do nothing on a touch: a session that is only touched is then written from time to time. `undefined`: not
   * known yet. @default false
   */
  readonly touchDisabled?: boolean | undefined
  /** A touch changes what `token` names, or the text where there is no token. @default false */
  readonly touchChangesContent?: boolean
  /** What the store's own `get` answers where there is no session. @default undefined */
  readonly missingValue?: null
  /** What the store's own methods call back with after they have done something. @default [] */
  readonly done?: readonly (null | undefined)[]
  /** Reads a session. Rejects where the store cannot tell: `undefined` ends a live session. */
  read(sid: string): Promise<StoredSession | undefined>
  /** The same without a promise, of a store in this process, whose handshakes are then answered at once. Throws as `read` rejects. */
  readNow?(sid: string): StoredSession | undefined
  /** `write` without a promise, of a store in this process. Used in place of `write` where there is `readNow` too. */
  writeNow?(sid: string, next: NextSession, expected: StoredSession | undefined): WriteAnswer
  /**
   * Stores a session, in one atomic step, if the store holds what is expected.
   * @param expected what this driver gave out before, or the same content. `undefined`: nothing is there
   * @param message to be published in the same step, if the session is written. Only where a bus names this driver as `publishedByDriver`
   * @throws {IndeterminateWriteError} where the write was sent, and the answer lost. After any other error nothing was written
   */
  write(sid: string, next: NextSession, expected: StoredSession | undefined, message?: DriverMessage): Promise<WriteAnswer>
  /**
   * Restarts a session's time to live.
   * @param expires as of {@link NextSession}
   * @returns whether the store has the session
   */
  touch(sid: string, expires: Date | undefined, session: TouchedSession): Promise<boolean>
  /** Removes a session. One that is not there is removed as well. @param message as for `write` */
  destroy(sid: string, message?: DriverMessage): Promise<void>
  /** Reads several sessions in one round trip, in the order of the ids. Absent: one by one. */
  readMany?: ((sids: readonly string[]) => Promise<(StoredSession | undefined)[]>) | undefined
  /** The message of the last `write` or `destroy` was refused, and the session written all the same. @default false */
  readonly publishRefused?: boolean
  /** The bus of the store's own server, where there is one. Called once, and again after `close()` of the last instance. */
  bus?(): Bus | undefined
  /** A session's topic on the bus, which must not show the id. Absent: a digest of the id. */
  topic?(sid: string): string
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

import { AsyncLocalStorage } from 'node:async_hooks'
import type { Session, SessionData, Store } from 'express-session'
import { isObject, type JsonObject } from '../document/json.js'
import { Attached } from '../util/attached.js'
import { isThenable } from '../util/promises.js'
import type { CookieJson } from './cookie-json.js'
import type { Snapshot } from './snapshot.js'

/** The methods of a store that this package calls or intercepts. */
export interface StoreMethods {
  get: Store['get']
  set: Store['set']
  destroy: Store['destroy']
  touch?: (sid: string, session: SessionData, callback?: (error?: unknown) => void) => void
  clear?: (callback?: (error?: unknown) => void) => void
  all?: (callback?: (error?: unknown, sessions?: unknown) => void) => unknown
  createSession: (request: object, data: SessionData) => Session
  regenerate: (request: object, callback: (error?: unknown) => unknown) => unknown
}

type OriginalMethods = Pick<StoreMethods, 'get' | 'set' | 'destroy' | 'touch' | 'createSession'>

/** A store's own methods, not intercepted, as promises. */
export class OriginalStore {
  readonly #methods: OriginalMethods
  /** Objects that the store was given. */
  readonly #given = new Attached<true>()
  readonly #calling = new AsyncLocalStorage<{ sid: string; isOver: boolean }>()
  /** The arguments of the store's last successful callback: some stores pass `null`, some nothing. */
  done: readonly (null | undefined)[] = []
  /** How many calls are not answered yet. */
  #pending = 0

  /** @param methods the store's own methods, bound to it */
  constructor(methods: OriginalMethods) {
    this.#methods = methods
  }

  get canTouch(): boolean {
    return this.#methods.touch !== undefined
  }

  /**
   * Does the store itself call, while it handles a call for that session? Many stores use their own methods: `touch` gets and sets,
   * `get` destroys a session that has expired.
   */
  isCalling(sid: unknown): boolean {
    const call = this.#calling.getStore()
    // A connection that the store opened during a call keeps its context for ever: later calls on it are not the store's.
    return call !== undefined && call.sid === sid && !call.isOver
  }

  /** Makes a session without data, as express-session does with what it has read. */
  createSession(cookie: CookieJson): Session {
    return this.#methods.createSession({}, { cookie: { ...cookie } } as unknown as SessionData)
  }

  /** The store's answer to `get`. */
  async get(sid: string): Promise<SessionData | null | undefined> {
    const found = await this.#call<SessionData | null | undefined>(sid, (done) => this.#methods.get(sid, done))
    // The store hands out the object that it keeps: a request would write into it, and its changes could not be told from what it had loaded.
    return found && this.#handsOut(found) ? JSON.parse(JSON.stringify(found)) : found
  }

  /** Resolves to what the store holds; to `undefined` for a missing session. */
  async find(sid: string): Promise<SessionData | undefined> {
    try {
      return (await this.get(sid)) ?? undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async write(sid: string, snapshot: Snapshot): Promise<void> {
    const session = snapshot.toSession(this.#methods)
    for (const value of [session, ...Object.values(session)])
      if (typeof value === 'object' && value !== null) this.#given.set(value, true)
    await this.#call(sid, (done) => this.#methods.set(sid, session, this.#notingDone(done)))
  }

  /** Refreshes a session's life. Where the store has no `touch` the session is written. */
  async touch(sid: string, snapshot: Snapshot): Promise<void> {
    const { touch } = this.#methods
    if (!touch) return this.write(sid, snapshot)
    const session = snapshot.toTouchedSession(this.#methods)
    withDates(session)
    await this.#call(sid, (done) => touch(sid, session, this.#notingDone(done)))
  }

  destroy(sid: string): Promise<void> {
    return this.#call(sid, (done) => this.#methods.destroy(sid, this.#notingDone(done)))
  }

  #notingDone(callback: (error?: unknown) => void): (...args: unknown[]) => void {
    return (...args) => {
      if (args.every((each) => each === null || each === undefined)) this.done = args as (null | undefined)[]
      callback(args[0])
    }
  }

  /** Is it an object that the store was given, or a shallow copy of one? */
  #handsOut(found: SessionData): boolean {
    return [found, ...Object.values(found)].some((value) => isObject(value) && this.#given.get(value))
  }

  #call<T = void>(sid: string, start: Parameters<typeof promisifyStoreCall<T>>[0]): Promise<T> {
    const call = { sid, isOver: false }
    this.#pending++
    const answered = this.#calling.run(call, () => promisifyStoreCall(start))
    const end = (): void => {
      call.isOver = true
      // Before Node 24 a storage in use makes every promise and every tick of the process dearer.
      if (--this.#pending === 0) this.#calling.disable()
    }
    answered.then(end, end)
    return answered
  }
}

/**
 * Calls a callback-style store method. Settles with the first answer of the store: some stores throw synchronously, some reject, some
 * call back twice.
 * @param start is given the callback, calls the store, and returns what the store returned
 */
export function promisifyStoreCall<T = void>(start: (callback: (error?: unknown, value?: T) => void) => unknown): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const returned = start((error, value) => (error ? reject(error) : resolve(value as T)))
    // An async method that fails before it calls back would otherwise be an unhandled rejection.
    if (isThenable(returned)) returned.then(undefined, reject)
  })
}

/** connect-mongo puts `lastModified` beside the application's data, and its `touch` wants it as the Date that it was. */
function withDates(session: SessionData): void {
  const { lastModified } = session as unknown as JsonObject
  if (typeof lastModified !== 'string' || Number.isNaN(Date.parse(lastModified))) return
  const date = new Date(lastModified)
  if (date.toISOString() === lastModified) Object.assign(session, { lastModified: date })
}

/** Is it session-file-store's error for a missing session? express-session knows it too. */
export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ENOENT'
}

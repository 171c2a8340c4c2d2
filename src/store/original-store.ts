import { AsyncLocalStorage } from 'node:async_hooks'
import type { Session, SessionData, Store } from 'express-session'
import type { JsonObject } from '../document/json.js'
import { isThenable } from '../util/timeout.js'
import type { Snapshot } from './snapshot.js'

/** The methods of a store that this package uses or takes over. */
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

type RawMethods = Pick<StoreMethods, 'get' | 'set' | 'destroy' | 'touch' | 'createSession'>

/** A store by its own methods, past the gate, as promises. */
export class OriginalStore {
  readonly #methods: RawMethods
  /** Objects that the store was given. */
  readonly #given = new WeakSet<object>()
  readonly #calling = new AsyncLocalStorage<{ sid: string; over: boolean }>()
  /** What the store last called back with where nothing went wrong: some say `null`, some nothing. */
  done: readonly (null | undefined)[] = []
  /** Calls that are not answered yet. */
  #open = 0

  /** @param methods the store's own methods, bound to it */
  constructor(methods: RawMethods) {
    this.#methods = methods
  }

  get canTouch(): boolean {
    return this.#methods.touch !== undefined
  }

  /**
   * Is it the store itself that calls, from within what it was asked for that session? Many use their own methods: `touch` gets and
   * sets, `get` destroys what has expired.
   */
  isCalling(sid: unknown): boolean {
    const call = this.#calling.getStore()
    // A connection that the store opened within a call keeps its context for ever: what others do on it later is not the store's.
    return call !== undefined && call.sid === sid && !call.over
  }

  /** What the store answers to `get`. */
  async get(sid: string): Promise<SessionData | null | undefined> {
    const found = await this.#call<SessionData | null | undefined>(sid, (done) => this.#methods.get(sid, done))
    // A store that hands out what it keeps: a request would write into it, and nobody could tell later what it had loaded.
    return found && this.#keeps(found) ? JSON.parse(JSON.stringify(found)) : found
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
      if (typeof value === 'object' && value !== null) this.#given.add(value)
    await this.#call(sid, (done) => this.#methods.set(sid, session, this.#noting(done)))
  }

  /** Refreshes a session's life. Where the store has no `touch` the session is written. */
  async touch(sid: string, snapshot: Snapshot): Promise<void> {
    const { touch } = this.#methods
    if (!touch) return this.write(sid, snapshot)
    const session = snapshot.toSession(this.#methods)
    withDates(session)
    await this.#call(sid, (done) => touch(sid, session, this.#noting(done)))
  }

  destroy(sid: string): Promise<void> {
    return this.#call(sid, (done) => this.#methods.destroy(sid, this.#noting(done)))
  }

  #noting(callback: (error?: unknown) => void): (...said: unknown[]) => void {
    return (...said) => {
      if (said.every((each) => each === null || each === undefined)) this.done = said as (null | undefined)[]
      callback(said[0])
    }
  }

  /** Itself, or what it has in it where it makes shallow copies. */
  #keeps(found: SessionData): boolean {
    return [found, ...Object.values(found)].some((value) => this.#given.has(value))
  }

  #call<T = void>(sid: string, start: Parameters<typeof promisifyStoreCall<T>>[0]): Promise<T> {
    const call = { sid, over: false }
    this.#open++
    const answered = this.#calling.run(call, () => promisifyStoreCall(start))
    const end = (): void => {
      call.over = true
      // Before Node 24 a storage in use makes every promise and every tick of the process dearer.
      if (--this.#open === 0) this.#calling.disable()
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

/** session-file-store reports a missing session as an error, and express-session knows that. */
export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ENOENT'
}

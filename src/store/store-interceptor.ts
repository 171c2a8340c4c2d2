import type { SessionData, Store } from 'express-session'
import { detachedString } from '../util/detached-string.js'
import { MethodPatch } from '../util/method-patch.js'
import { isThenable } from '../util/promises.js'
import { withoutHistories } from './commit-history.js'
import { type Choice, chooseDriver, type DriverHints } from './drivers/choose.js'
import { makesPlainSessions } from './express-session.js'
import { InFlightRequests, type Response, responseTo, type StoreRequest } from './in-flight-requests.js'
import { MergeBases } from './merge-bases.js'
import { OriginalStore, type StoreMethods } from './original-store.js'
import { rememberReplaced } from './own-methods.js'
import { type MissingSession, type ReadHandlers, SessionReader } from './session-reader.js'
import { Snapshot } from './snapshot.js'

/** A request that gets another session in place of the one it had. */
export interface Rotation {
  request: StoreRequest
  response: Response | undefined
}

/** The answers to the store's methods while they are intercepted. */
export interface StoreHandlers extends ReadHandlers {
  /** A session is read, and not by a handshake: usually by a request whose cookie names it. */
  noteRequestRead(sid: string): void
  save(sid: string, session: SessionData): Promise<void>
  touch(sid: string, session: SessionData): Promise<void>
  /** @param rotation the request whose `regenerate` destroys the session, and its response */
  destroy(sid: string, rotation?: Rotation): Promise<void>
  /** All sessions are about to be removed from the store. @returns is to be called with whether they were, once */
  clearing(): (succeeded: boolean) => void
}

type Callback = ((...args: unknown[]) => unknown) | undefined

/**
 * Replaces methods of a store, so that every write in this process goes through the committer, also the writes of code that does not
 * use this package. Puts the store's methods back in the end, unless somebody has put others over ours.
 */
export class StoreInterceptor {
  readonly original: OriginalStore
  readonly reader: SessionReader
  readonly choice: Choice
  readonly bases = new MergeBases()
  readonly #store: StoreMethods
  readonly #handlers: StoreHandlers
  readonly #patch: MethodPatch<keyof StoreMethods>
  readonly #requests: InFlightRequests
  /** The store's methods that return a promise, with a callback too. */
  readonly #async = new Set<keyof StoreMethods>()
  /** A session middleware is called for a handshake. */
  #handshake: { missing: MissingSession | undefined } | undefined
  /** A session middleware is called for what it reads of its request only. */
  #answersNothing = false
  readonly #makesPlainSessions: boolean
  #rotation: StoreRequest | undefined
  /** Called when the store has its methods back; `undefined` while no {@link uninstall} is under way. */
  #onUninstalled: (() => void) | undefined
  #active = true

  /** @param timeout ms that a read may take */
  constructor(store: Store, handlers: StoreHandlers, timeout: number, needs: DriverHints = {}) {
    this.#handlers = handlers
    this.reader = new SessionReader(handlers, this.bases, timeout)
    this.#store = store as unknown as StoreMethods
    this.#patch = new MethodPatch(store)
    this.#requests = new InFlightRequests(() => this.#restore())
    const { get, set, destroy, touch, createSession, regenerate } = this.#store
    const methods = {
      get: get.bind(store),
      set: set.bind(store),
      destroy: destroy.bind(store),
      ...(touch && { touch: touch.bind(store) }),
      createSession: createSession.bind(store),
      regenerate: regenerate.bind(store),
    }
    this.original = new OriginalStore(methods)
    this.choice = chooseDriver(store, methods, needs, this.original)
    this.#makesPlainSessions = makesPlainSessions(store)
    this.reader.readsNow = this.choice.driver.readNow !== undefined
    this.#install()
  }

  /**
   * Puts the store's methods back: at once, or when the requests and calls in flight have ended.
   * @param done is called then
   */
  uninstall(done: () => void): void {
    this.#onUninstalled = done
    if (this.#requests.size === 0) this.#restore()
  }

  /** Cancels {@link uninstall} before the last request has ended. */
  reinstall(): void {
    this.#onUninstalled = undefined
  }

  /** Something writes to the store that is no request. @returns is to be called when it has ended */
  hold(): () => void {
    this.#requests.begin()
    return this.#requests.end
  }

  /** A request is in flight from its read on; {@link InFlightRequests.track} goes on from where the callback makes its session. */
  #inFlight(callback: Callback): Callback {
    if (typeof callback !== 'function') return callback
    const end = this.hold()
    return (...args) => {
      try {
        return callback(...args)
      } finally {
        end()
      }
    }
  }

  /**
   * Calls a session middleware for a handshake, which may share its read with others: a visitor's tabs come at once.
   * @param missing a session that was just looked for, and is not there: it is not read again
   */
  duringHandshake<T>(call: () => T, missing?: MissingSession): T {
    this.#handshake = { missing }
    try {
      return call()
    } finally {
      this.#handshake = undefined
    }
  }

  /** Calls a session middleware whose read is never answered. Only where {@link isReadDirectly}. */
  unanswered<T>(call: () => T): T {
    this.#answersNothing = true
    try {
      return call()
    } finally {
      this.#answersNothing = false
    }
  }

  /** Does a session middleware's read make a plain session of what the store holds, with no method that somebody has put over ours? */
  get isReadDirectly(): boolean {
    return this.#active && this.#makesPlainSessions && this.#patch.isOnTop('get') && this.#patch.isOnTop('createSession')
  }

  #restore(): void {
    if (!this.#onUninstalled) return
    // Where another library has put its methods over ours, ours stay under them and pass everything on.
    this.#active = false
    this.#patch.restore()
    this.#onUninstalled()
  }

  #install(): void {
    const { touch, clear, all, createSession, regenerate } = this.#store
    const handlers = this.#handlers
    const { reader } = this
    this.#intercept('get', (sid: string, callback: Callback) => {
      if (this.#answersNothing) return undefined
      const handshake = this.#handshake
      if (handshake) return this.#answer('get', callback, reader.getForHandshake(sid, handshake.missing), true)
      handlers.noteRequestRead(sid)
      return this.#answer('get', this.#inFlight(callback), reader.get(sid), true)
    })
    this.#intercept('set', (sid: string, session: SessionData, callback: Callback) =>
      this.#answer('set', callback, handlers.save(sid, session)),
    )
    this.#intercept('destroy', (sid: string, callback: Callback) => {
      const rotation =
        this.#rotation?.sessionID === sid ? { request: this.#rotation, response: responseTo(this.#rotation) } : undefined
      return this.#answer('destroy', callback, handlers.destroy(sid, rotation))
    })
    if (touch) {
      this.#intercept('touch', (sid: string, session: SessionData, callback: Callback) =>
        this.#answer('touch', callback, handlers.touch(sid, session)),
      )
    }
    if (clear) {
      this.#intercept('clear', (callback: Callback) => {
        const ended = once(handlers.clearing())
        const given = typeof callback === 'function'
        const answered: Callback = (...args) => {
          ended(!args[0])
          return callback?.(...args)
        }
        const result: unknown = clear.call(this.#store, given ? answered : callback)
        if (isThenable(result))
          result.then(
            () => ended(true),
            () => ended(false),
          )
        // Nothing tells when it is done: it may be done at once, as MemoryStore's.
        else if (!given) ended(true)
        return result
      })
    }
    if (all) {
      this.#intercept('all', (callback: Callback) => {
        const shown: Callback = callback && ((error, sessions) => callback(error, withoutHistories(sessions)))
        const result = all.call(this.#store, shown)
        return result instanceof Promise ? result.then(withoutHistories) : result
      })
    }
    this.#intercept('createSession', (request: StoreRequest, data: SessionData) => {
      // Another library's `get` over ours hands out data that ours did not see.
      if (!this.bases.of(data)) {
        this.bases.set(data, {
          sid: request.sessionID ?? '',
          state: Snapshot.lazyFromSession(data),
          loadedMoment: handlers.now(),
          stored: true,
        })
      }
      const session = createSession.call(this.#store, request, data)
      this.bases.inherit(data, session)
      this.#requests.track(request)
      return session
    })
    this.#intercept('regenerate', (request: StoreRequest, callback: (error?: unknown) => unknown) => {
      this.#rotation = request
      try {
        return regenerate.call(this.#store, request, callback)
      } finally {
        this.#rotation = undefined
      }
    })
  }

  #intercept(method: keyof StoreMethods, ours: (...args: never[]) => unknown): void {
    const original = this.#store[method] as (...args: never[]) => unknown
    if (isAsync(original)) this.#async.add(method)
    const intercepted = (...args: never[]): unknown => {
      const pass = !this.#active || this.original.isCalling(args[0]) || !isOfSession(method, args)
      if (pass) return original.apply(this.#store, args)
      const [first, ...others] = args
      return typeof first === 'string' ? ours(detachedString(first) as never, ...others) : ours(...args)
    }
    rememberReplaced(intercepted, Object.getOwnPropertyDescriptor(this.#store, method))
    this.#patch.replace(method, intercepted)
  }

  /**
   * Calls back once, and outside of the promise, so that a callback that throws does so as it would without this package. Without a
   * callback the promise is the answer, as several stores have it; its caller need not handle a rejection.
   * @param valued the callback is given a value, also where that is `undefined`
   */
  #answer(
    method: keyof StoreMethods,
    callback: Callback,
    result: Promise<unknown>,
    valued = false,
  ): Promise<unknown> | undefined {
    const done = (): readonly unknown[] => this.choice.driver.done ?? this.original.done
    if (typeof callback !== 'function') {
      const answered = valued ? result : result.then(() => done()[1])
      answered.catch(() => undefined)
      return answered
    }
    const answer = (callBack: (...args: unknown[]) => unknown): void => {
      result.then(
        (value) => (valued ? process.nextTick(callBack, null, value) : process.nextTick(callBack, ...done())),
        (error) => process.nextTick(callBack, error, ...done().slice(1)),
      )
    }
    if (this.#async.has(method)) return new Promise((resolve) => answer((...args) => resolve(callback(...args))))
    answer(callback)
    return undefined
  }
}

/** A call without a session id, or without a session to save, is passed to the store. */
function isOfSession(method: keyof StoreMethods, [sid, session]: readonly unknown[]): boolean {
  if (method === 'get' || method === 'destroy') return typeof sid === 'string'
  return !(method === 'set' || method === 'touch') || (typeof sid === 'string' && typeof session === 'object' && session !== null)
}

/** A store may call back and settle a promise as well. */
function once<T>(listener: (value: T) => void): (value: T) => void {
  let isCalled = false
  return (value) => {
    if (!isCalled) listener(value)
    isCalled = true
  }
}

function isAsync(method: object): boolean {
  return Object.prototype.toString.call(method) === '[object AsyncFunction]'
}

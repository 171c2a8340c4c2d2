import type { Store } from 'express-session'
import type { InstanceOptions, SharedSessionOptions, StoreOptions } from '../options.js'
import { readOptions } from '../options.js'
import type { ParsedArguments } from '../parse-arguments.js'
import { acquireManager, type ManagerLease } from '../session/acquire-manager.js'
import type { EventSink } from '../session/notifier.js'
import type { SessionManager } from '../session/session-manager.js'
import { isExpressSession } from '../store/express-session.js'
import { type ProbeResult, probe } from '../store/probe.js'
import { SharedListeners } from '../util/shared-listeners.js'
import { VerifiedCookies } from './handshake/verified-cookies.js'
import { closedError, noStoreError } from './handshake-errors.js'
import { Mirrors } from './mirror/mirrors.js'

/** How much longer than one call of the store a handshake may take, because it may wait for a save that is due. In ms. */
const MARGIN = 2000

/** A session middleware makes no session while its store is disconnected: it has to be asked. */
const disconnects = new SharedListeners<[]>('disconnect')

/** What the handshakes of one `sharedsession()` instance share: its arguments, its options, and the manager of its store. */
export class InstanceContext {
  readonly middleware: ParsedArguments['middleware']
  readonly parser: ParsedArguments['parser']
  readonly options: InstanceOptions
  /** What the session middleware shows: its store, and its cookie's name and path. */
  readonly probed: ProbeResult
  /** Can a session be found without the session middleware's run? Not with a cookie parser, nor with a middleware around express-session's. */
  readonly canReadDirectly: boolean
  /** The session middleware is the very one that express-session returned. */
  readonly isExpressSession: boolean
  readonly verified: VerifiedCookies
  readonly mirrors: Mirrors
  /** The session middleware had run for a handshake before this package was asked. */
  middlewareRanBefore = false
  readonly #storeOptions: StoreOptions
  readonly #given: SharedSessionOptions
  readonly #events: EventSink
  readonly #onAcquired: (manager: SessionManager) => void
  #lease: ManagerLease | undefined
  #ignoreDisconnects: (() => void) | undefined
  #closed = false

  /** @param onAcquired is called once, with the manager of the store, when the store is first known */
  constructor(
    { middleware, parser, options }: ParsedArguments,
    events: EventSink,
    onAcquired: (manager: SessionManager) => void,
  ) {
    const { instance, store } = readOptions(options)
    this.middleware = middleware
    this.parser = parser
    this.options = instance
    this.probed = probe(middleware)
    this.isExpressSession = isExpressSession(middleware)
    this.canReadDirectly = !parser && this.isExpressSession
    this.verified = new VerifiedCookies(middleware, () => this.manager)
    this.mirrors = new Mirrors(instance)
    this.#storeOptions = store
    this.#given = options ?? {}
    this.#events = events
    this.#onAcquired = onAcquired
  }

  /**
   * How long the session middleware or the cookie parser may take in a handshake, in ms. Follows `retry.timeout`, an option per store: an
   * earlier instance may have given it.
   */
  get timeout(): number {
    return (this.leasedManager?.options ?? this.#storeOptions).retry.timeout + MARGIN
  }

  /**
   * The manager of the store, which is acquired the first time.
   * @param store that the session middleware showed, if it has
   * @returns `undefined` as long as no store is known
   * @throws `CLOSED`; `BAD_OPTION` if another instance on this store has other options per store
   */
  acquire(store?: unknown): SessionManager | undefined {
    if (this.#closed) throw closedError()
    if (!this.#lease && store) {
      this.#lease = acquireManager(store as Store, this.#storeOptions, this.#given, this.#events)
      this.#onAcquired(this.#lease.manager)
      this.#ignoreDisconnects = disconnects.add(store, () => this.verified.clear())
    }
    return this.#lease?.manager
  }

  /** The manager of the store, if the store is known; also after {@link close}. */
  get leasedManager(): SessionManager | undefined {
    return this.#lease?.manager
  }

  /** The same, `undefined` after {@link close}. */
  get manager(): SessionManager | undefined {
    return this.#closed ? undefined : this.leasedManager
  }

  /** @throws `NO_STORE` if the store is not known yet */
  requireManager(): SessionManager {
    if (this.#lease) return this.#lease.manager
    throw noStoreError(this.probed)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** From now on handshakes are refused with `CLOSED`. */
  close(): void {
    this.#closed = true
    this.verified.clear()
  }

  /** Ends the use of the store. */
  release(): void {
    this.#ignoreDisconnects?.()
    this.#lease?.release()
  }
}

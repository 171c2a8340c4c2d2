import * as channels from 'node:diagnostics_channel'
import { detachedString } from '../util/detached-string.js'
import { evictOldest } from '../util/maps.js'
import type { StoreRequest } from './in-flight-requests.js'

/** The key of a store's session manager on the store: an application may load this package twice, as ESM and as CommonJS. */
export const MANAGER = Symbol.for('sharedsession.manager.1')

/** Node's diagnostics channel: every response of every HTTP server of the process is published there. */
const RESPONSE_FINISHED = 'http.server.response.finish'
/** How many sessions are remembered. */
const MAX_SESSIONS = 1000

/**
 * The sessions that HTTP requests of this process keep in other stores, as with two calls of `expressSession()` that share no store.
 * Watches requests until one has used this store.
 */
export class OtherStores {
  readonly #store: WeakRef<object>
  readonly #sids = new Set<string>()

  constructor(store: object) {
    this.#store = new WeakRef(store)
  }

  open(): void {
    channels.unsubscribe(RESPONSE_FINISHED, this.#onResponse)
    channels.subscribe(RESPONSE_FINISHED, this.#onResponse)
  }

  close(): void {
    channels.unsubscribe(RESPONSE_FINISHED, this.#onResponse)
    this.#sids.clear()
  }

  /** Has an HTTP request found or made that session in another store, and none used this one? */
  have(sid: string): boolean {
    return this.#sids.has(sid)
  }

  /** Have requests found or made sessions in other stores, and none used this one? */
  get inUse(): boolean {
    return this.#sids.size > 0
  }

  readonly #onResponse = (message: unknown): void => {
    const { sessionStore, sessionID } = (message as { request: StoreRequest & { sessionStore?: unknown } }).request
    if (typeof sessionStore !== 'object' || sessionStore === null) return
    const mine = this.#store.deref()
    if (!mine || sessionStore === mine) this.close()
    // A store that has a session manager shares its sessions as well.
    else if (sessionID && !(MANAGER in sessionStore)) {
      this.#sids.add(detachedString(sessionID))
      evictOldest(this.#sids, MAX_SESSIONS)
    }
  }
}

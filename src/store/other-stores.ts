import * as channels from 'node:diagnostics_channel'
import { evictOldest } from '../util/bounded-map.js'
import type { StoreRequest } from './in-flight-requests.js'

/** Under which a store carries its hub: an application may load this package twice, as ESM and as CommonJS. */
export const HUB = Symbol.for('sharedsession.hub.1')

/** Node tells it of every response of every HTTP server of the process. */
const ANSWERED = 'http.server.response.finish'
/** So many sessions are remembered. */
const MOST = 1000

/**
 * The sessions that HTTP requests of this process keep in other stores, as with two calls of `expressSession()` that have no store in common.
 * Looks at requests until one has used this store.
 */
export class OtherStores {
  readonly #store: WeakRef<object>
  readonly #sids = new Set<string>()

  constructor(store: object) {
    this.#store = new WeakRef(store)
  }

  open(): void {
    channels.unsubscribe(ANSWERED, this.#answered)
    channels.subscribe(ANSWERED, this.#answered)
  }

  close(): void {
    channels.unsubscribe(ANSWERED, this.#answered)
    this.#sids.clear()
  }

  /** Has an HTTP request found or made that session in another store, and none used this one? */
  have(sid: string): boolean {
    return this.#sids.has(sid)
  }

  readonly #answered = (message: unknown): void => {
    const { sessionStore, sessionID } = (message as { request: StoreRequest & { sessionStore?: unknown } }).request
    if (typeof sessionStore !== 'object' || sessionStore === null) return
    const mine = this.#store.deref()
    if (!mine || sessionStore === mine) this.close()
    // One that has a hub is looked after as well.
    else if (sessionID && !(HUB in sessionStore)) {
      this.#sids.add(sessionID)
      evictOldest(this.#sids, MOST)
    }
  }
}

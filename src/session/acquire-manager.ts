import type { Store } from 'express-session'
import { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import { MANAGER } from '../store/other-stores.js'
import { getOrInsert } from '../util/bounded-map.js'
import type { EventSink } from './notifier.js'
import { SessionManager } from './session-manager.js'

/** Functions that are made of others, as `bind` does, and the like have no source to tell them apart by. */
const unreadable = new WeakMap<object, number>()
let unreadables = 0

/** Options as a text that is the same for the same options. A function is known by its source: each call may have made its own. */
function fingerprint({ redis, bus, ...options }: StoreOptions): string {
  const known = (object: object | false | undefined) => object && getOrInsert(unreadable, object, () => ++unreadables)
  return JSON.stringify({ ...options, redis: known(redis), bus: known(bus) }, (_key, value) => {
    if (typeof value !== 'function') return value
    const source = String(value)
    if (!source.includes('[native code]')) return source
    return `function ${getOrInsert(unreadable, value, () => ++unreadables)}`
  })
}

interface Entry {
  hub: SessionManager
  uses: number
  options: string
}

/** One call's use of a store's hub. */
export interface ManagerLease {
  manager: SessionManager
  /** The last use that ends gives the store back. */
  release(): void
}

/**
 * The hub of a store, made by the first call that uses it. Throws `BAD_OPTION` where the call's options per store differ from those
 * of the calls before it.
 */
export function acquireManager(store: Store, options: StoreOptions, listener: EventSink): ManagerLease {
  const carrier = store as unknown as Record<symbol, Entry | undefined>
  const wanted = fingerprint(options)
  let entry = carrier[MANAGER]
  // Given up, but requests in flight still hold it: nobody else is bound by its options.
  if (!entry || (entry.uses === 0 && entry.options !== wanted)) {
    entry = { hub: new SessionManager(store, options), uses: 0, options: wanted }
    Object.defineProperty(store, MANAGER, { value: entry, configurable: true, enumerable: false })
  }
  if (entry.options !== wanted) {
    throw new SharedSessionError(
      'BAD_OPTION',
      'sharedsession() was called before on this store with other values of onChange, merge, revalidate, retry, maxBytes, redis, driver or bus; these are per store, so give the same ones in each call.',
    )
  }
  entry.hub.renew()
  const mine = entry
  const { hub } = mine
  mine.uses++
  const unsubscribe = hub.notifier.subscribe(listener)
  return {
    manager: hub,
    release() {
      unsubscribe()
      mine.uses--
      if (mine.uses > 0) return
      hub.close(() => {
        if (carrier[MANAGER] === mine) Reflect.deleteProperty(carrier, MANAGER)
      })
    },
  }
}

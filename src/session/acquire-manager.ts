import type { Store } from 'express-session'
import { SharedSessionError } from '../errors.js'
import type { SharedSessionOptions, StoreOptions } from '../options.js'
import { MANAGER } from '../store/other-stores.js'
import type { EventSink } from './notifier.js'
import { SessionManager } from './session-manager.js'

/** What a store carries: its manager, and how many `sharedsession()` calls use it. */
interface ManagerEntry {
  manager: SessionManager
  leases: number
  options: StoreOptions
}

/** The use of a store's manager by one `sharedsession()` call. */
export interface ManagerLease {
  manager: SessionManager
  /** Ends this use. The last one closes the manager, which gives the store its methods back. */
  release(): void
}

/**
 * Returns the manager of a store; the first call makes it. Later calls inherit the options per store that they do not give.
 * @param options the call's options per store, with defaults filled in
 * @param given the options as the call gave them
 * @param sink gets all events of the store's sessions
 * @throws `BAD_OPTION` where the call gives another value of an option per store than the first call did
 */
export function acquireManager(store: Store, options: StoreOptions, given: SharedSessionOptions, sink: EventSink): ManagerLease {
  // express-session's type of a store allows no symbols.
  const carrier = store as unknown as Record<symbol, ManagerEntry | undefined>
  let entry = carrier[MANAGER]
  if (entry && entry.leases > 0) assertCompatible(entry.options, options, given)
  // Without leases only requests in flight still use the manager. It serves again where all options are the same.
  else if (!entry || !isSameForAll(entry.options, options)) {
    entry = { manager: new SessionManager(store, options), leases: 0, options }
    Object.defineProperty(store, MANAGER, { value: entry, configurable: true, enumerable: false })
  }
  const leased = entry
  const { manager } = leased
  manager.renew()
  leased.leases++
  const unsubscribe = manager.notifier.subscribe(sink)
  return {
    manager,
    release() {
      unsubscribe()
      leased.leases--
      if (leased.leases > 0) return
      manager.close(() => {
        if (carrier[MANAGER] === leased) Reflect.deleteProperty(carrier, MANAGER)
      })
    },
  }
}

function assertCompatible(first: StoreOptions, options: StoreOptions, given: SharedSessionOptions): void {
  const differing = namesOf(first).filter((name) => {
    if (given[name] === undefined) return false
    if (name !== 'retry') return !isSame(name, first, options)
    const { retry } = first
    return namesOf(retry).some((each) => given.retry?.[each] !== undefined && retry[each] !== options.retry[each])
  })
  if (differing.length === 0) return
  throw new SharedSessionError(
    'BAD_OPTION',
    `sharedsession() was called before on this store with other values of ${differing.join(' and ')}. Options per store have to agree: give the same values in each call (functions, clients and buses: the same object), or leave them out in later calls.`,
  )
}

/**
 * Compares `merge` and `retry` by what they contain, and all else by identity: a client or a bus is one object, and two functions with the
 * same source may have captured different values.
 */
function isSame(name: keyof StoreOptions, a: StoreOptions, b: StoreOptions): boolean {
  if (name !== 'merge' && name !== 'retry') return a[name] === b[name]
  const [first, second] = [Object(a[name]), Object(b[name])] as [Record<string, unknown>, Record<string, unknown>]
  if ((a[name] === false) !== (b[name] === false)) return false
  const keys = Object.keys(first)
  return keys.length === Object.keys(second).length && keys.every((key) => first[key] === second[key])
}

function isSameForAll(a: StoreOptions, b: StoreOptions): boolean {
  return namesOf(a).every((name) => isSame(name, a, b))
}

function namesOf<T extends object>(object: T): (keyof T)[] {
  return Object.keys(object) as (keyof T)[]
}

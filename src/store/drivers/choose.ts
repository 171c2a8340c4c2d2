import type { Driver } from '../driver.js'
import { isPlainMemoryStore } from '../memory-store.js'
import { RawStore, type StoreMethods } from '../raw.js'
import { GenericDriver } from './generic.js'
import { MemoryDriver } from './memory.js'
import { isOpaque } from './opaque.js'
import { PostgresDriver } from './postgres.js'
import { PostgresTable } from './postgres-table.js'
import { RedisDriver } from './redis.js'
import { RedisSettings } from './redis-store.js'

/** What the application adds where a store hides what a driver needs. */
export interface DriverNeeds {
  /** The Redis client that was given to the store. */
  redis?: unknown
}

/** A driver, and why it is not a better one. */
export interface Choice {
  driver: Driver
  /** What the application can do to get compare-and-set, in a sentence. */
  hint?: string
}

/**
 * Picks the driver by what the store offers, whatever its class is called.
 * @param methods the store's own methods, bound to it
 * @param raw the same as promises
 */
export function chooseDriver(
  store: object,
  methods: StoreMethods,
  needs: DriverNeeds = {},
  raw: RawStore = new RawStore(methods),
): Choice {
  if (isPlainMemoryStore(store)) return { driver: new MemoryDriver(store) }
  const redis = RedisSettings.of(store, needs.redis)
  if (redis) return { driver: new RedisDriver(redis, methods) }
  const table = PostgresTable.of(store, methods)
  if (table) return { driver: new PostgresDriver(table, methods) }
  // connect-redis tells; others that can be told so do not.
  const untouched = (store as { disableTouch?: unknown }).disableTouch === true
  const driver = new GenericDriver(raw, { opaque: isOpaque(store), untouched })
  return RedisSettings.hidden(store) ? { driver, hint: HIDDEN_CLIENT } : { driver }
}

const HIDDEN_CLIENT =
  'This Redis store hides its client, so that no script can be run: give the client to sharedsession as well, sharedsession(session, { redis: client }), or use connect-redis 9. It has to be one that answers with promises.'

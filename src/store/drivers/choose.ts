/**
 * drivers/: how one kind of store reads and writes.
 *
 * | file | |
 * |---|---|
 * | store-driver.ts | the contract of a driver, which is public: texts, tokens and ends |
 * | snapshot-driver.ts, contract-driver.ts | what the committer needs, by snapshots; a driver of the contract as it is used there |
 * | errors.ts | takes from the errors of client libraries what they show of sessions |
 * | generic.ts | any store, by its own `get` and `set`: what has no driver |
 * | choose.ts, driver-names.ts, ../own-methods.ts | the driver for a store, if its methods are its package's own |
 * | memory.ts, memorystore.ts | express-session's MemoryStore, and the package memorystore |
 * | redis/ | connect-redis: driver.ts, its Lua in scripts.ts, the store's settings, both client libraries in client.ts and subscriber.ts, the bus |
 * | postgres/ | connect-pg-simple, in table.ts: driver.ts, its SQL in statements.ts, the bus |
 * | subscriber/ | what buses listen with: a connection that is opened again, and subscribes in batches |
 * | dynamodb/ | connect-dynamodb, for the entry sharedsession/dynamodb |
 * | sql/ | stores in SQL databases; lazy-drivers.ts loads them at their first use |
 * | mongo/ | connect-mongo and connect-mongodb-session, loaded in the same way: statements with and without pipelines, what a document holds in formats.ts, change streams in bus.ts |
 *
 * docs/internals.md says how to add a store: "How to add".
 */

import { SharedSessionError } from '../../errors.js'
import { OriginalStore, type StoreMethods } from '../original-store.js'
import { ContractDriver } from './contract-driver.js'
import { type DriverName, type KnownStore, packageOf } from './driver-names.js'
import { isDynamoDbStore } from './dynamodb/table.js'
import { GenericDriver } from './generic.js'
import { loadMongoDrivers, loadSqlDrivers } from './lazy-drivers.js'
import { isPlainMemoryStore, MemoryDriver, textsOfMemoryStore } from './memory.js'
import { isPlainLruStore, textsOfLruStore } from './memorystore.js'
import { PostgresDriver } from './postgres/driver.js'
import { PostgresTable } from './postgres/table.js'
import { RedisDriver } from './redis/driver.js'
import { RedisSettings } from './redis/settings.js'
import type { SnapshotDriver } from './snapshot-driver.js'
import { registeredDriver, type StoreDriver } from './store-driver.js'

/** The options that help a driver where the store hides something. */
export interface DriverHints {
  /** The Redis client that was given to the store. */
  redis?: unknown
  /** The driver to use. `undefined`: the best one that leaves none of the store's own methods out. */
  driver?: DriverName | StoreDriver | undefined
}

/** The chosen driver, and why it is not a better one. */
export interface Choice {
  driver: SnapshotDriver
  /** What the application can do to get compare-and-set, in a sentence. */
  hint?: string
  /** The same, where the application may not expect that it has to. */
  warning?: string
}

/**
 * Chooses the driver by the members of the store, whatever its class is called.
 * @param methods the store's own methods, bound to it
 * @param original the same as promises
 * @throws `BAD_OPTION` for a driver that does not fit the store
 */
export function chooseDriver(
  store: object,
  methods: StoreMethods,
  hints: DriverHints = {},
  original: OriginalStore = new OriginalStore(methods),
): Choice {
  // connect-redis shows this option; other stores that have it do not.
  const touchDisabled = (store as { disableTouch?: unknown }).disableTouch === true
  // Other stores may encrypt.
  const opaque = !RedisSettings.isPlain(store)
  const generic = (why: Omit<Choice, 'driver'> = {}): Choice => ({
    driver: new GenericDriver(original, { opaque, touchDisabled }),
    ...why,
  })
  if (hints.driver === 'generic') return generic()
  if (typeof hints.driver === 'object') return chosen(hints.driver)
  const registered = hints.driver === undefined ? registeredDriver(store) : undefined
  if (registered) return chosen(registered)
  if (hints.driver === undefined && isPlainMemoryStore(store)) return chosen(new MemoryDriver(textsOfMemoryStore(store)))
  if (hints.driver === undefined && isPlainLruStore(store)) return chosen(new MemoryDriver(textsOfLruStore(store, methods)))
  const known = knownStore(store, methods, hints.redis)
  if (hints.driver && (known?.name !== hints.driver || known.unfit)) {
    throw new SharedSessionError('BAD_OPTION', wrongDriver(hints.driver, known))
  }
  if (!known && isDynamoDbStore(store)) return generic({ hint: DYNAMODB })
  if (!known) return RedisSettings.hidesClient(store) ? generic({ hint: HIDDEN_CLIENT }) : generic()
  if (known.unfit) return generic({ hint: unfitHint(known) })
  if (known.foreign.length > 0 && !hints.driver) return generic({ warning: overriddenWarning(known) })
  return chosen(known.driver())
}

const chosen = (driver: StoreDriver): Choice => ({ driver: new ContractDriver(driver) })

/** A store of a package that has a driver, which may not fit this one. */
function knownStore(store: object, methods: StoreMethods, client: unknown): KnownStore | undefined {
  const redis = RedisSettings.of(store, client)
  if (redis) {
    return { name: 'redis', foreign: RedisSettings.foreign(store), driver: () => new RedisDriver(redis, methods) }
  }
  const table = PostgresTable.of(store)
  if (table) {
    return { name: 'postgres', foreign: PostgresTable.foreign(store), driver: () => new PostgresDriver('postgres', table) }
  }
  return loadSqlDrivers().sqlStore(store) ?? loadMongoDrivers().mongoStore(store)
}

function overriddenWarning({ name, foreign }: KnownStore): string {
  return `The session store has ${foreign.map((method) => `${method}()`).join(', ')} of its own, not those of ${packageOf(name)} (a subclass, a wrapper, or a version that sharedsession does not know). sharedsession calls them, and so cannot compare and set: two processes that save one session in the same moment can lose one of the two writes, and other processes hear of changes by socket.io's adapter alone. If sharedsession may write past these methods, say so by the option driver: '${name}'; if all is well as it is, by driver: 'generic'.`
}

function unfitHint({ name, unfit }: KnownStore): string {
  return `This store of ${name} ${unfit}. sharedsession calls its own methods, and so cannot compare and set.`
}

function wrongDriver(name: Exclude<DriverName, 'generic'>, known: KnownStore | undefined): string {
  const needed = `The option driver: '${name}' needs a store of ${packageOf(name)}`
  if (known?.unfit && known.name === name) return `${needed} that its driver can write, and this one ${known.unfit}.`
  return name === 'redis' ? `${needed} whose client it can reach: give the client by the option redis.` : `${needed}.`
}

const DYNAMODB =
  'connect-dynamodb has a driver in an entry of its own, as that needs its client: sharedsession(session, { driver: dynamodbDriver(store) }), with dynamodbDriver from sharedsession/dynamodb.'
const HIDDEN_CLIENT =
  'This Redis store hides its client, so that no script can be run: give the client to sharedsession as well, sharedsession(session, { redis: client }), or use connect-redis 9.'

import type { SessionData } from 'express-session'
import type { Bus } from './bus.js'
import { warnOnce } from './debug.js'
import { type MergeRules, type MergeStrategy, parsePath } from './document/merge-strategy.js'
import { badOption as bad } from './errors.js'
import { readOrigins } from './origins-option.js'
import { readPublish } from './publish-option.js'
import type { PublishOption } from './publish-types.js'
import { DRIVER_NAMES, type DriverName, type PackageName } from './store/drivers/driver-names.js'
import { toRedisClient } from './store/drivers/redis/client.js'
import { isStoreDriver, type StoreDriver } from './store/drivers/store-driver.js'
import type { EndReason } from './types.js'

// To add an option:
//
// 1. Declare it in SharedSessionOptions, with a comment that says its default.
// 2. Add its reader to INSTANCE_OPTIONS, or to STORE_OPTIONS if all instances on a store must agree. The reader checks the value and
//    returns the default for `undefined`. The compiler demands it, and takes the option's type from it.
// 3. Use it: `context.options` in src/socket, `manager.options` in src/session for an option per store.
//    If the value of an option per store is an object, say in session/acquire-manager.ts how two of them are compared.
// 4. Test bad values in test/options.test.ts, and what the option does beside its feature's tests.
// 5. Document it in the table of options in docs/api.md, and run `npm run api`: the report of the public types shows it.

/** What happens to a session's sockets when it ends. */
export type EndAction = 'reconnect' | 'disconnect' | 'keep'

/** In ms, more than eleven days. A timer of Node that is to wait for 2 ** 31 ms or longer waits for one, and some wait for twice a timeout. */
const LONGEST = 1_000_000_000

/** How a failed save is retried. All times in milliseconds. */
export interface RetryOptions {
  /** How often a save is tried. @default 5 */
  attempts?: number
  /** The pause after the first failure; it doubles each time, with jitter. @default 50 */
  minDelay?: number
  /** The longest pause. @default 2000 */
  maxDelay?: number
  /** How long one call of the store may take. @default 5000 */
  timeout?: number
}

/**
 * Options of `sharedsession()`. Those marked "per store" belong to the store: later calls use the values of the first one, and another value is
 * `BAD_OPTION`.
 */
export interface SharedSessionOptions<Publish extends PublishOption = PublishOption> {
  /** Save all changes automatically. Without it, call `session.save()`. @default false */
  autoSave?: boolean
  /** Store a new session although nothing was written to it. @default false */
  saveUninitialized?: boolean
  /**
   * `'reload'`: changes of other writers are merged into the live session, then `session:changed` is emitted. `'notify'`: the event is only
   * emitted. Per store. @default 'reload'
   */
  onChange?: 'reload' | 'notify'
  /**
   * A client without a session gets a cookie for its new one with the response to its handshake. `false`: only HTTP responses set cookies,
   * for example because visitors have to consent first. @default true
   */
  handshakeCookie?: boolean
  /** An ack waits until what its socket has written is saved, if a save is due or under way. @default true */
  holdAcks?: boolean
  /**
   * How a value is merged that two writers have changed, by path: `{ 'cart.total': 'sum', 'counters.*': 'sum', user: 'whole' }`.
   * `*` is any one key or index; a key with a dot is written `'a\\.b'`. `false`: no merging, a save replaces the whole session as
   * express-session does. Per store. @default {}
   */
  merge?: false | Record<string, MergeStrategy>
  /**
   * Events from the client keep the session alive: at most once in a tenth of `cookie.maxAge`, and once a minute without one. A number: at most
   * once in that many ms. `false`: never. @default true
   */
  touch?: boolean | number
  /**
   * Top-level keys that belong to one connection, such as `['room', 'socketId']`: each socket's `session` has its own values. They are not
   * stored, not shared and not part of `session:changed`, and end with the socket. Use `socket.data` in new code. @default []
   */
  perSocket?: readonly PerSocketKey[]
  /**
   * The sockets of a session join a room, `shared.room(target)`. `false`: they do not, for adapters that subscribe to each room;
   * `shared.room()` then throws, and no socket is recovered. @default true
   */
  room?: boolean
  /**
   * What pages get of the session: a function that returns it, or a list of paths like `['user.name', 'cart']`. The function gets a copy of
   * what the store holds, must be pure and synchronous, and runs once per commit and session; with a second parameter, the socket, once per
   * socket. Without the option nothing leaves the server.
   */
  publish?: Publish
  /** The largest published state, in bytes of JSON. @default 65536 */
  publishMaxBytes?: number
  /** ms between two changes that a session publishes on a node; changes in between are sent together. @default 0 */
  publishInterval?: number
  /** What happens to the sockets when the session ends; one action, or one per reason. @default 'reconnect' */
  onEnd?: EndAction | Partial<Record<EndReason, EndAction>>
  /** ms between checks of a live session against the store, `false` for none. MemoryStore is never checked. Per store. @default 30000 */
  revalidate?: number | false
  /**
   * Pages of other hosts that may connect with the session cookie: hosts (`'a.com'`, `'a.com:8443'`), origins or regular expressions; `'*'` for
   * any. The server's own host always may. Default: what Socket.IO's `cors.origin` allows, if `cors.credentials` is on. With this option `cors`
   * is not asked.
   */
  allowedOrigins?: string | RegExp | readonly (string | RegExp)[]
  /** Per store. */
  retry?: RetryOptions
  /** The largest session that sockets and `update()` save, in bytes of JSON. Per store. @default 1048576 */
  maxBytes?: number
  /**
   * The Redis client that the store uses: connect-redis 7 and 8 hide it, and without it two processes can undo each other's changes. It
   * must run scripts; `BAD_OPTION` otherwise. Per store.
   */
  redis?: object
  /**
   * How the store is written. `'redis'`, `'postgres'`, or the name of a package: by the driver for connect-redis, connect-pg-simple or that
   * package, even if a subclass or another package has replaced methods of the store; `BAD_OPTION` for other stores. `'generic'`: only by the
   * store's methods. A driver of your own: by that one. Default: by a driver, unless that would bypass such methods. Per store.
   */
  driver?: 'redis' | 'postgres' | PackageName | 'generic' | StoreDriver
  /**
   * How the processes that share the store notify each other: `postgresBus({ pool })`, your own implementation, or `false` for a single
   * process. Default: the store's own (Redis; Postgres with connect-session-knex; the change streams of a MongoDB replica set; that of the
   * store's driver), otherwise socket.io's adapter. Per store.
   */
  bus?: false | Bus
}

/** The keys that the application has declared in express-session's `SessionData`. */
type PerSocketKey = Exclude<keyof SessionData, 'cookie' | number>

/**
 * Checks the value of an option, and fills in the default.
 * @param name for the message of a `BAD_OPTION`
 */
type Reader<Value> = (value: unknown, name: string) => Value
type Readers = Partial<Record<keyof SharedSessionOptions, Reader<unknown>>>
type Values<All> = { [Name in keyof All]: All[Name] extends Reader<infer Value> ? Value : never }

/** The options that each instance has for itself. */
export type InstanceOptions = Values<typeof INSTANCE_OPTIONS>

const INSTANCE_OPTIONS = {
  autoSave: flag(false),
  saveUninitialized: flag(false),
  handshakeCookie: flag(true),
  holdAcks: flag(true),
  touch: (value = true, name): boolean | number =>
    typeof value === 'boolean' ? value : positive(value, name, 'true, false or '),
  perSocket: readPerSocket,
  room: flag(true),
  publish: readPublish,
  publishMaxBytes: (value, name): number => positive(value ?? 64 * 1024, name),
  publishInterval: (value, name): number => ((value ?? 0) === 0 ? 0 : positive(value, name, '0 or ', LONGEST)),
  onEnd: readOnEnd,
  allowedOrigins: readOrigins,
} satisfies Readers

/** The options that are the same for all instances on one store. */
export type StoreOptions = Values<typeof STORE_OPTIONS>

const STORE_OPTIONS = {
  onChange: (value, name) => oneOf(value ?? 'reload', name, ['reload', 'notify']),
  merge: readMerge,
  revalidate: (value, name): number | false => (value === false ? false : positive(value ?? 30_000, name, 'false or ')),
  retry: readRetry,
  maxBytes: (value, name): number => positive(value ?? 1024 * 1024, name),
  redis: readRedis,
  /** `undefined`: the best one that bypasses no method of the store. */
  driver: readDriver,
  /** `undefined`: by the store, or by socket.io's adapter. */
  bus: readBus,
} satisfies Required<Omit<Readers, keyof typeof INSTANCE_OPTIONS>>

/**
 * Checks options and fills in the defaults. Warns of unknown names.
 * @throws `BAD_OPTION`
 */
export function readOptions(given: SharedSessionOptions = {}): { instance: InstanceOptions; store: StoreOptions } {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) bad('options', 'an object', given)
  warnOfUnknown(given, { ...INSTANCE_OPTIONS, ...STORE_OPTIONS })
  return { instance: readAll(INSTANCE_OPTIONS, given), store: readAll(STORE_OPTIONS, given) }
}

function readAll<All extends Readers>(readers: All, given: SharedSessionOptions): Values<All> {
  const names = Object.keys(readers) as (keyof SharedSessionOptions)[]
  return Object.fromEntries(names.map((name) => [name, readers[name]?.(given[name], name)])) as Values<All>
}

function readRedis(value: unknown, name: string): object | undefined {
  if (value === undefined || toRedisClient(value)) return value as object | undefined
  return bad(name, 'a Redis client that runs scripts (node-redis 3 or later, or ioredis)', value)
}

function readDriver(value: unknown, name: string): DriverName | StoreDriver | undefined {
  if (value === undefined || isStoreDriver(value)) return value
  if (typeof value === 'object') bad(name, "an object with a name, read(), write(), touch() and destroy(), or 'generic'", value)
  return oneOf(value, name, DRIVER_NAMES)
}

function readBus(value: unknown, name: string): false | Bus | undefined {
  if (value === undefined || value === false) return value
  const methods = ['start', 'subscribe', 'unsubscribe', 'publish', 'close'] as const
  const isBus = typeof value === 'object' && value !== null && methods.every((each) => typeof (value as Bus)[each] === 'function')
  return isBus ? (value as Bus) : bad(name, `false, postgresBus({ pool }), or an object with ${methods.join(', ')}`, value)
}

export type Retry = Required<RetryOptions>
const DEFAULT_RETRY: Retry = { attempts: 5, minDelay: 50, maxDelay: 2000, timeout: 5000 }

function readRetry(value: unknown = {}, name: string): Retry {
  if (typeof value !== 'object' || value === null) bad(name, 'an object', value)
  warnOfUnknown(value, DEFAULT_RETRY, 'retry.')
  const retry = { ...DEFAULT_RETRY }
  for (const each of Object.keys(retry) as (keyof Retry)[]) {
    const most = each === 'attempts' ? undefined : LONGEST
    retry[each] = positive((value as RetryOptions)[each] ?? retry[each], `retry.${each}`, '', most)
  }
  return retry
}

/** Keys that have a meaning already: the members of express-session's `Session`, beside those of every object. */
const MEMBERS = ['cookie', 'id', 'req', 'save', 'reload', 'destroy', 'regenerate', 'touch', 'resetMaxAge', 'toJSON']

function readPerSocket(value: unknown, name: string): ReadonlySet<string> | undefined {
  if (value === undefined) return undefined
  const wanted = "a list of top-level keys, as ['room', 'socketId']"
  if (!Array.isArray(value)) bad(name, wanted, value)
  for (const key of value as unknown[]) {
    if (typeof key !== 'string' || key === '' || key.includes('.')) bad(name, wanted, key)
    if (MEMBERS.includes(key) || key in Object.prototype) bad(name, `${wanted}, and no member of the session`, key)
  }
  return value.length > 0 ? new Set(value) : undefined
}

/** Sorted by path, so that two instances may write the paths in any order. */
function readMerge(value: unknown = {}, name: string): false | MergeRules {
  if (value === false) return false
  if (typeof value !== 'object' || value === null || Array.isArray(value)) bad(name, 'false or an object', value)
  const strategies: unknown[] = ['last', 'sum', 'whole']
  for (const [path, strategy] of Object.entries(value)) {
    const keys = parsePath(path)
    if (!keys) bad(name, "paths like 'cart.total' or 'counters.*'", path)
    if (keys[0] === 'cookie') bad(name, "paths of data, and the cookie is express-session's", path)
    if (!strategies.includes(strategy) && typeof strategy !== 'function') {
      bad(`${name}['${path}']`, "'last', 'sum', 'whole' or a function", strategy)
    }
  }
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function readOnEnd(value: unknown = 'reconnect', name: string): Record<EndReason, EndAction> {
  const actions: EndAction[] = ['reconnect', 'disconnect', 'keep']
  const isPerReason = typeof value === 'object' && value !== null
  const perReason = (isPerReason ? value : { destroyed: value, expired: value, regenerated: value }) as Partial<
    Record<EndReason, unknown>
  >
  const action = (reason: EndReason): EndAction =>
    oneOf(perReason[reason] === undefined ? 'reconnect' : perReason[reason], name, actions)
  for (const reason of Object.keys(perReason)) oneOf(reason, name, ['destroyed', 'expired', 'regenerated'])
  return { destroyed: action('destroyed'), expired: action('expired'), regenerated: action('regenerated') }
}

function flag(otherwise: boolean): Reader<boolean> {
  return (given, name) => {
    const value = given ?? otherwise
    return typeof value === 'boolean' ? value : bad(name, 'true or false', value)
  }
}

/**
 * @param or the other values that the option takes
 * @param most the largest number that it takes
 */
function positive(value: unknown, name: string, or = '', most = Number.MAX_VALUE): number {
  if (typeof value === 'number' && value > 0 && value <= most) return value
  return bad(name, `${or}a number above 0${most === LONGEST ? `, at most ${LONGEST}` : ''}`, value)
}

function oneOf<const T extends string>(value: unknown, name: string, choices: readonly T[]): T {
  return choices.includes(value as T) ? (value as T) : bad(name, choices.map((choice) => `'${choice}'`).join(' or '), value)
}

function warnOfUnknown(given: object, known: object, prefix = ''): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue
    const similar = Object.keys(known).find((each) => each.toLowerCase() === name.toLowerCase())
    const hint = similar === undefined ? '' : ` Did you mean "${prefix}${similar}"?`
    warnOnce(`option ${prefix}${name}`, `sharedsession does not know the option "${prefix}${name}"; it has no effect.${hint}`)
  }
}

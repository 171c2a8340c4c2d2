import type { SessionData } from 'express-session'
import type { Bus } from './cluster/bus.js'
import { warnOnce } from './debug.js'
import { type MergeRules, type MergeStrategy, parsePath } from './document/merge-strategy.js'
import { SharedSessionError } from './errors.js'
import { toRedisClient } from './store/drivers/redis/client.js'
import type { EndReason } from './types.js'

/** What becomes of a session's sockets when it ends. */
export type EndAction = 'reconnect' | 'disconnect' | 'keep'

/** How a failed save is tried again. All times in milliseconds. */
export interface RetryOptions {
  /** How often a save is tried before it is given up. @default 5 */
  attempts?: number
  /** The pause after the first failure; it doubles, and is jittered. @default 50 */
  minDelay?: number
  /** The longest pause. @default 2000 */
  maxDelay?: number
  /** How long one call of the store may take. @default 5000 */
  timeout?: number
}

/** Options of `sharedsession()`. Those marked "per store" must agree between all calls on one store. */
export interface SharedSessionOptions {
  /** Save by itself whatever is modified. Without it, call `session.save()`. @default false */
  autoSave?: boolean
  /** Store a new session that nobody modified. @default false */
  saveUninitialized?: boolean
  /** `'reload'`: merge what others wrote into the live session, then tell. `'notify'`: only tell. Per store. @default 'reload' */
  onChange?: 'reload' | 'notify'
  /**
   * A client whose first contact is a socket gets its session's cookie with the response to its handshake. `false`: only HTTP sets it, as
   * where visitors have to be asked before. @default true
   */
  handshakeCookie?: boolean
  /** An ack waits until what its socket wrote is saved, where a save is due or under way. @default true */
  holdAcks?: boolean
  /**
   * What becomes of a place that two writers have changed, by path: `{ 'cart.total': 'sum', 'counters.*': 'sum', user: 'whole' }`.
   * `*` is any one key or index; a key with a dot is written `'a\\.b'`. `false`: no merging, a save replaces the whole document as
   * express-session does. Per store. @default {}
   */
  merge?: false | Record<string, MergeStrategy>
  /** The application's messages keep the session alive. A number: at most once per so many ms. @default true */
  touch?: boolean | number
  /**
   * Top-level keys that belong to one connection, such as `['room', 'socketId']`: each socket's `session` has its own. They are not
   * stored, not shared and not told, and end with the socket. `socket.data` is the better place for new code. @default []
   */
  perSocket?: readonly PerSocketKey[]
  /**
   * The sockets of a session are in a room, `shared.room(target)`. `false`: they are not, so that adapters which subscribe to each room have
   * nothing to subscribe to; `shared.room()` then throws, and no socket is recovered. @default true
   */
  room?: boolean
  /** What becomes of the sockets when the session ends; one action, or one per reason. @default 'reconnect' */
  onEnd?: EndAction | Partial<Record<EndReason, EndAction>>
  /** ms between checks of a live session against the store, `false` for none. Never done on MemoryStore. Per store. @default 30000 */
  revalidate?: number | false
  /** Hosts or origins that may connect with the session cookie, besides the server's own. `'*'` for any. */
  allowedOrigins?: string | RegExp | readonly (string | RegExp)[]
  /** Per store. */
  retry?: RetryOptions
  /** The largest session that is accepted, in bytes of JSON. Per store. @default 1048576 */
  maxBytes?: number
  /**
   * The Redis client that was given to the store: connect-redis 7 and 8 hide it, and without it two processes can undo each other's
   * changes. One that runs scripts and answers with promises; `BAD_OPTION` for others. Per store.
   */
  redis?: object
  /**
   * How the store is written. `'redis'`, `'postgres'`: by the driver for connect-redis or connect-pg-simple, also past methods that a
   * subclass or somebody else has put over theirs; `BAD_OPTION` for other stores. `'generic'`: by its methods alone. Default: by a driver
   * where that leaves no method out. Per store.
   */
  driver?: 'redis' | 'postgres' | 'generic'
  /**
   * How the processes that share the store tell each other what they did: `postgresBus({ pool })`, an own implementation, or `false` for a
   * single process. Default: the store itself where that is Redis, else socket.io's adapter. Per store.
   */
  bus?: false | Bus
}

/** The keys that the application has declared, as express-session's `SessionData`. */
type PerSocketKey = Exclude<keyof SessionData, 'cookie' | number>

export type Retry = Required<RetryOptions>

/** What is the same for all calls on one store. */
export interface StoreOptions {
  onChange: 'reload' | 'notify'
  merge: false | MergeRules
  revalidate: number | false
  retry: Retry
  maxBytes: number
  redis: object | undefined
  /** `undefined`: the best that leaves none of the store's own methods out. */
  driver: 'redis' | 'postgres' | 'generic' | undefined
  /** `undefined`: from the store, else from socket.io's adapter; `false`: none. */
  bus: false | Bus | undefined
}

/** What each call has of its own. */
export interface CallOptions {
  autoSave: boolean
  saveUninitialized: boolean
  handshakeCookie: boolean
  holdAcks: boolean
  touch: boolean | number
  perSocket: ReadonlySet<string> | undefined
  room: boolean
  onEnd: Record<EndReason, EndAction>
  allowedOrigins: readonly (string | RegExp)[] | undefined
}

const DEFAULT_RETRY: Retry = { attempts: 5, minDelay: 50, maxDelay: 2000, timeout: 5000 }
const KNOWN = new Set([
  'autoSave',
  'saveUninitialized',
  'handshakeCookie',
  'onChange',
  'holdAcks',
  'merge',
  'touch',
  'perSocket',
  'room',
  'onEnd',
  'revalidate',
  'allowedOrigins',
  'retry',
  'maxBytes',
  'redis',
  'driver',
  'bus',
])

/** Checks options and fills in the defaults. Throws `BAD_OPTION`; warns of names it does not know. */
export function readOptions(given: SharedSessionOptions = {}): { call: CallOptions; store: StoreOptions } {
  if (typeof given !== 'object' || given === null) bad('options', 'an object', given)
  warnOfUnknown(Object.keys(given), KNOWN)
  const flag = (
    name: 'autoSave' | 'saveUninitialized' | 'handshakeCookie' | 'holdAcks' | 'room',
    otherwise: boolean,
  ): boolean => {
    const value = given[name] ?? otherwise
    return typeof value === 'boolean' ? value : bad(name, 'true or false', value)
  }
  return {
    call: {
      autoSave: flag('autoSave', false),
      saveUninitialized: flag('saveUninitialized', false),
      handshakeCookie: flag('handshakeCookie', true),
      holdAcks: flag('holdAcks', true),
      touch: readTouch(given.touch),
      perSocket: readPerSocket(given.perSocket),
      room: flag('room', true),
      onEnd: readOnEnd(given.onEnd),
      allowedOrigins: readOrigins(given.allowedOrigins),
    },
    store: {
      onChange: oneOf('onChange', given.onChange ?? 'reload', ['reload', 'notify']),
      merge: readMerge(given.merge),
      revalidate: given.revalidate === false ? false : positive('revalidate', given.revalidate ?? 30_000, 'false or '),
      retry: readRetry(given.retry),
      maxBytes: positive('maxBytes', given.maxBytes ?? 1024 * 1024),
      redis: readRedis(given.redis),
      driver:
        given.driver === undefined
          ? undefined
          : oneOf<'redis' | 'postgres' | 'generic'>('driver', given.driver, ['redis', 'postgres', 'generic']),
      bus: readBus(given.bus),
    },
  }
}

function readRedis(given: SharedSessionOptions['redis']): object | undefined {
  if (given === undefined || toRedisClient(given)) return given
  return bad('redis', 'a Redis client that answers with promises (node-redis 4 and later without legacyMode, or ioredis)', given)
}

function readBus(given: unknown): StoreOptions['bus'] {
  if (given === undefined || given === false) return given
  const methods = ['start', 'subscribe', 'unsubscribe', 'publish', 'close'] as const
  const isBus = typeof given === 'object' && given !== null && methods.every((name) => typeof (given as Bus)[name] === 'function')
  return isBus ? (given as Bus) : bad('bus', `false, postgresBus({ pool }), or an object with ${methods.join(', ')}`, given)
}

function readRetry(given: RetryOptions = {}): Retry {
  if (typeof given !== 'object' || given === null) bad('retry', 'an object', given)
  warnOfUnknown(Object.keys(given), new Set(Object.keys(DEFAULT_RETRY)), 'retry.')
  const retry = { ...DEFAULT_RETRY }
  for (const name of Object.keys(retry) as (keyof Retry)[]) retry[name] = positive(`retry.${name}`, given[name] ?? retry[name])
  return retry
}

function readTouch(given: SharedSessionOptions['touch'] = true): boolean | number {
  return typeof given === 'boolean' ? given : positive('touch', given, 'true, false or ')
}

/** What express-session's `Session` has, and what every object has, has a meaning already. */
const MEMBERS = ['cookie', 'id', 'req', 'save', 'reload', 'destroy', 'regenerate', 'touch', 'resetMaxAge', 'toJSON']

function readPerSocket(given: unknown): CallOptions['perSocket'] {
  if (given === undefined) return undefined
  const wanted = "a list of top-level keys, as ['room', 'socketId']"
  if (!Array.isArray(given)) bad('perSocket', wanted, given)
  for (const key of given as unknown[]) {
    if (typeof key !== 'string' || key === '' || key.includes('.')) bad('perSocket', wanted, key)
    if (MEMBERS.includes(key) || key in Object.prototype) bad('perSocket', `${wanted}, and no member of the session`, key)
  }
  return given.length > 0 ? new Set(given) : undefined
}

/** Sorted, because the order in which the paths are written makes no difference between two calls. */
function readMerge(given: SharedSessionOptions['merge'] = {}): StoreOptions['merge'] {
  if (given === false) return false
  if (typeof given !== 'object' || given === null || Array.isArray(given)) bad('merge', 'false or an object', given)
  const strategies: unknown[] = ['last', 'sum', 'whole']
  for (const [path, strategy] of Object.entries(given)) {
    const keys = parsePath(path)
    if (!keys) bad('merge', "paths like 'cart.total' or 'counters.*'", path)
    if (keys[0] === 'cookie') bad('merge', "paths of data, and the cookie is express-session's", path)
    if (!strategies.includes(strategy) && typeof strategy !== 'function') {
      bad(`merge['${path}']`, "'last', 'sum', 'whole' or a function", strategy)
    }
  }
  return Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function readOnEnd(given: SharedSessionOptions['onEnd'] = 'reconnect'): Record<EndReason, EndAction> {
  const actions: EndAction[] = ['reconnect', 'disconnect', 'keep']
  const per = typeof given === 'object' && given !== null ? given : { destroyed: given, expired: given, regenerated: given }
  const action = (reason: EndReason): EndAction => oneOf('onEnd', per[reason] === undefined ? 'reconnect' : per[reason], actions)
  for (const reason of Object.keys(per)) oneOf('onEnd', reason, ['destroyed', 'expired', 'regenerated'])
  return { destroyed: action('destroyed'), expired: action('expired'), regenerated: action('regenerated') }
}

function readOrigins(given: SharedSessionOptions['allowedOrigins']): CallOptions['allowedOrigins'] {
  if (given === undefined) return undefined
  const list = (Array.isArray(given) ? given : [given]) as readonly unknown[]
  for (const entry of list) {
    if (!(entry instanceof RegExp) && (typeof entry !== 'string' || entry === '')) {
      bad('allowedOrigins', "origins or host names, regular expressions, or '*'", entry)
    }
  }
  return list as readonly (string | RegExp)[]
}

/** @param or what else the option takes */
function positive(name: string, value: unknown, or = ''): number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : bad(name, `${or}a number above 0`, value)
}

function warnOfUnknown(names: string[], known: ReadonlySet<string>, prefix = ''): void {
  for (const name of names) {
    if (known.has(name)) continue
    warnOnce(`option ${prefix}${name}`, `sharedsession does not know the option "${prefix}${name}"; it has no effect.`)
  }
}

function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  return choices.includes(value as T) ? (value as T) : bad(name, choices.map((choice) => `'${choice}'`).join(' or '), value)
}

function bad(name: string, wanted: string, value: unknown): never {
  const got =
    typeof value === 'string' ? `'${value}'` : value === null ? 'null' : typeof value === 'object' ? 'an object' : String(value)
  throw new SharedSessionError('BAD_OPTION', `The option ${name} takes ${wanted}; it was given ${got}.`)
}

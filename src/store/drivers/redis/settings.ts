import type { SessionData } from 'express-session'
import { SharedSessionError } from '../../../errors.js'
import { foreignMethods, type Methods, runGet } from '../../own-methods.js'
import { type RedisClient, toRedisClient } from './client.js'

/** The public members of a connect-redis store. */
interface RedisStore {
  client: unknown
  prefix: string
  serializer: Serializer
  ttl: number | ((session: SessionData) => number)
  disableTTL?: boolean
  disableTouch?: boolean
}

/** The store's way to turn sessions into bytes and back. It may encrypt, and it may take its time. */
interface Serializer {
  stringify(session: SessionData): string | Promise<string>
  parse(stored: string): SessionData | Promise<SessionData>
}

/** The names that connect-redis' methods access: 9 and 10; 7 and 8; 5 and 6; 4. */
const METHODS: Methods = {
  get: ['client get parse prefix serializer'],
  set: [
    'client destroy disableTTL getTTL prefix serializer set stringify',
    '_getTTL client destroy disableTTL prefix serializer set stringify',
    '_getTTL client destroy disableTTL prefix push serializer set stringify',
    '_getTTL client prefix push serializer set stringify',
  ],
  touch: [
    'client disableTTL disableTouch expire getTTL prefix',
    '_getTTL client disableTTL disableTouch expire prefix',
    '_getTTL client disableTouch expire prefix',
  ],
  destroy: ['client del prefix'],
}
const TTL_METHODS = ['getTTL', '_getTTL']
const TTL: readonly string[] = ['ceil cookie expires now ttl']

/** The configuration of a connect-redis store. Read anew for each use, as the store itself does. */
export class RedisSettings {
  /** Is called when the store has another client. */
  onReplaced: () => void = () => undefined
  readonly #store: RedisStore
  /** The store's `client` when it was last read. Where the store hides the real client it is something else. */
  #lastClient: unknown
  #client: RedisClient

  private constructor(store: RedisStore, client: RedisClient) {
    this.#store = store
    this.#lastClient = store.client
    this.#client = client
  }

  /**
   * @param given the application's client, for stores that hide theirs: connect-redis 7 and 8 keep it in a closure
   * @returns `undefined` for a store that is not connect-redis, or whose client cannot be reached
   */
  static of(store: object, given?: unknown): RedisSettings | undefined {
    if (!isRedisStore(store)) return undefined
    const client = toRedisClient(store.client) ?? toRedisClient(given)
    return client && new RedisSettings(store, client)
  }

  /** Is only the client missing? The application can give it. */
  static hidesClient(store: object): boolean {
    return isRedisStore(store) && toRedisClient(store.client) === undefined
  }

  /** The store's methods that are not connect-redis' own. */
  static foreign(store: object): string[] {
    const found = TTL_METHODS.filter((name) => name in store)
    const foreign = foreignMethods(store, { ...METHODS, ...Object.fromEntries(found.map((name) => [name, TTL])) })
    return foreign.length > 0 || keyOf(store, 'sid') === `${(store as RedisStore).prefix}sid` ? foreign : ['get']
  }

  /** Does the store keep its sessions as plain JSON? */
  static isPlain(store: object): boolean {
    return isRedisStore(store) && store.serializer === JSON && RedisSettings.foreign(store).length === 0
  }

  /** The application may give the store another one at any time. @throws `STORE_FAILED` for a client that cannot be used */
  get client(): RedisClient {
    const { client } = this.#store
    if (client !== this.#lastClient) {
      const next = toRedisClient(client)
      if (!next) throw new SharedSessionError('STORE_FAILED', UNUSABLE_CLIENT)
      this.#lastClient = client
      this.#client = next
      this.onReplaced()
    }
    return this.#client
  }

  key(sid: string): string {
    return this.#store.prefix + sid
  }

  async stringify(session: SessionData): Promise<string> {
    return this.#store.serializer.stringify(session)
  }

  /** @returns the session as JSON, which is at hand where no serializer has to be asked */
  parse(stored: string | Buffer): string | Promise<string> {
    const { serializer } = this.#store
    return serializer === JSON ? String(stored) : parsedBy(serializer, stored)
  }

  /** Can only the store's serializer read its sessions? */
  get opaque(): boolean {
    return this.#store.serializer !== JSON
  }

  /** Do touches leave the key alone? */
  get touchDisabled(): boolean {
    return Boolean(this.#store.disableTouch || this.#store.disableTTL)
  }

  /**
   * ms that a session lives after a write; 0: connect-redis would delete it, -1: for ever.
   * @param session for a `ttl` function
   */
  ttl(expires: Date | undefined, session: () => SessionData): number {
    const seconds = this.seconds(expires, session)
    if (!(seconds > 0)) return 0
    return this.#store.disableTTL ? -1 : Math.ceil(seconds * 1000)
  }

  /** Whole seconds, as connect-redis computes them. */
  seconds(expires: Date | undefined, session: () => SessionData): number {
    const { ttl } = this.#store
    if (typeof ttl === 'function') return ttl(session())
    return expires ? Math.ceil((expires.getTime() - Date.now()) / 1000) : ttl
  }
}

/** A client that is configured to answer with Buffers has a serializer that takes them. */
async function parsedBy(serializer: Serializer, stored: string | Buffer): Promise<string> {
  return JSON.stringify(await serializer.parse(stored as string)) ?? 'null'
}

const UNUSABLE_CLIENT =
  'The Redis store was given another client after sharedsession(), one that does not run scripts. Give it a client that does, or call close() and sharedsession() again, with the option redis for a store that hides its client.'

/** The key that the store's own `get` reads. */
function keyOf(store: object, sid: string): unknown {
  let found: unknown
  runGet(store, sid, {
    get(key: unknown) {
      found = key
      return new Promise(() => undefined)
    },
  })
  return found
}

function isRedisStore(store: object): store is RedisStore {
  const { client, prefix, serializer, ttl } = store as Partial<RedisStore>
  return (
    typeof client === 'object' &&
    client !== null &&
    typeof prefix === 'string' &&
    typeof serializer?.stringify === 'function' &&
    typeof serializer.parse === 'function' &&
    (typeof ttl === 'number' || typeof ttl === 'function')
  )
}

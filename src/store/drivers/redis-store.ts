import type { SessionData } from 'express-session'
import { type Document, toDocument } from '../document.js'
import { type RedisClient, toRedisClient } from './redis-client.js'

/** The public face of a connect-redis store. */
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

/** How a connect-redis store is configured: read where it is used, as the store itself does. */
export class RedisSettings {
  readonly client: RedisClient
  readonly #store: RedisStore

  private constructor(store: RedisStore, client: RedisClient) {
    this.#store = store
    this.client = client
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

  /** The client is the only thing missing: it can be given. */
  static hidden(store: object): boolean {
    return isRedisStore(store) && toRedisClient(store.client) === undefined
  }

  key(sid: string): string {
    return this.#store.prefix + sid
  }

  async stringify(session: SessionData): Promise<string> {
    return this.#store.serializer.stringify(session)
  }

  async parse(stored: string | Buffer): Promise<Document> {
    const { serializer } = this.#store
    if (serializer === JSON) return toDocument(String(stored))
    // A client that was told to answer with Buffers has a serializer that takes them.
    return toDocument(await serializer.parse(stored as string))
  }

  /** Only the store's serializer can read what is stored. */
  get opaque(): boolean {
    return this.#store.serializer !== JSON
  }

  /** What is written is only made JSON of: nobody keeps the session or changes it. */
  get isPlain(): boolean {
    return !this.opaque && typeof this.#store.ttl === 'number'
  }

  /** Touches do nothing to the key. */
  get untouched(): boolean {
    return Boolean(this.#store.disableTouch || this.#store.disableTTL)
  }

  /** ms that a session lives after it was written; 0: connect-redis would delete it, -1: without an end. */
  life(session: SessionData): number {
    const seconds = this.seconds(session)
    if (!(seconds > 0)) return 0
    return this.#store.disableTTL ? -1 : Math.ceil(seconds * 1000)
  }

  /** Whole seconds, as connect-redis computes them. */
  seconds(session: SessionData): number {
    const { ttl } = this.#store
    if (typeof ttl === 'function') return ttl(session)
    const { expires } = session.cookie
    return expires ? Math.ceil((Number(new Date(expires)) - Date.now()) / 1000) : ttl
  }
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

import type { SessionData } from 'express-session'
import type { StoreMethods } from '../original-store.js'
import { foreignMethods, type Methods } from '../own-methods.js'
import { Snapshot } from '../snapshot.js'
import { expiryInText } from '../stored-text.js'
import type { TextMap } from './memory.js'

/** The public members of a store of the package memorystore. */
interface LruStore {
  options: { ttl?: number | ((options: object, session: SessionData, sid: string) => number) }
  serializer: unknown
  /** An lru-cache, which forgets what has expired. */
  store: {
    get(sid: string): string | undefined
    set(sid: string, text: string, ms: number): unknown
    del(sid: string): unknown
    reset(): unknown
  }
}

const METHODS: Methods = {
  get: ['get parse serializer store'],
  set: ['options serializer set store stringify'],
  touch: ['cookie get options parse serializer set store stringify'],
  destroy: ['del forEach isArray store'],
}

const DAY = 86_400_000

/** A memorystore with its own methods, which keeps JSON. With another serializer, only its methods know what it keeps. */
export function isPlainLruStore(store: object): store is LruStore {
  const { options, serializer, store: cache } = store as Partial<LruStore>
  const isCache = (['get', 'set', 'del', 'reset'] as const).every((name) => typeof cache?.[name] === 'function')
  return isCache && typeof options === 'object' && serializer === JSON && foreignMethods(store, METHODS).length === 0
}

/** @param methods the store's own */
export function textsOfLruStore(given: LruStore, methods: Pick<StoreMethods, 'createSession'>): TextMap {
  // The application may replace the cache and the options.
  const ttl = (sid: string, text: string): number => {
    const { ttl } = given.options
    if (typeof ttl === 'function') return ttl(given.options, Snapshot.fromStored({ text }).toSession(methods), sid)
    if (typeof ttl === 'number') return ttl
    const end = expiryInText(text)
    return end === undefined ? DAY : Math.floor(end - Date.now())
  }
  return {
    done: [null],
    liveByCookie: false,
    get: (sid) => given.store.get(sid),
    set: (sid, text) => void given.store.set(sid, text, ttl(sid, text)),
    delete: (sid) => void given.store.del(sid),
  }
}

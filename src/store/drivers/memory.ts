import { loadExpressSession } from '../../util/lazy-modules.js'
import { hasExpired, withLaterExpiry } from '../cookie.js'
import { Snapshot } from '../snapshot.js'
import type { TtlPolicy } from '../transaction.js'
import type { CompareAndSetDriver, WriteResult } from './driver.js'
import { methodOf } from './own-methods.js'

/** express-session's own store, which keeps the JSON of its sessions. */
interface MemoryStore {
  sessions: Record<string, string>
}

/** It keeps its sessions in an object without a prototype: nobody else can write there. */
export function isMemoryStore(store: object): store is MemoryStore {
  const { sessions } = store as { sessions?: object }
  return typeof sessions === 'object' && sessions !== null && Object.getPrototypeOf(sessions) === null
}

/**
 * Its methods are express-session's own: those of a subclass, or those that somebody has put over them, are to be called. By their
 * source, because the application may have another copy of express-session.
 */
export function isPlainMemoryStore(store: object): store is MemoryStore {
  if (!isMemoryStore(store)) return false
  const { prototype } = loadExpressSession().MemoryStore
  const methods = ['get', 'set', 'destroy', 'touch', 'all', 'clear'] as const
  const isItsOwn = (name: (typeof methods)[number]): boolean =>
    Object.hasOwn(Object.getPrototypeOf(store), name) && String(methodOf(store, name)) === String(prototype[name])
  return methods.every(isItsOwn)
}

/**
 * express-session's MemoryStore. A text is compared and replaced in one turn of the event loop, so that nothing can come in between.
 * The texts are those that the store's own methods keep.
 */
export class MemoryDriver implements CompareAndSetDriver {
  readonly name = 'memory'
  readonly compares = true
  readonly done = []
  /** The end is in the text. */
  readonly touchChangesContent = true
  readonly #store: MemoryStore

  constructor(store: MemoryStore) {
    this.#store = store
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    return this.#find(sid)
  }

  async write(sid: string, snapshot: Snapshot, expected: Snapshot | undefined, ttl: TtlPolicy): Promise<WriteResult> {
    const { sessions } = this.#store
    const isExpected = sessions[sid] === expected?.etag && !(expected && hasExpired(expected.cookie))
    const current = isExpected ? undefined : this.#find(sid)
    // A session that has expired is not there.
    if (!isExpected && (expected || current)) return { written: false, current }
    const extended = expected && ttl === 'extend'
    const written = extended ? snapshot.with({ cookie: withLaterExpiry(snapshot.cookie, expected.cookie, 0) }) : snapshot
    const text = written.toText()
    sessions[sid] = text
    return { written: true, current: written.storedAs(text, text) }
  }

  async touch(sid: string, { cookie }: Snapshot): Promise<boolean> {
    const current = this.#find(sid)
    if (!current) return false
    this.#store.sessions[sid] = current.with({ cookie }).toText()
    return true
  }

  async destroy(sid: string): Promise<void> {
    delete this.#store.sessions[sid]
  }

  #find(sid: string): Snapshot | undefined {
    const text = this.#store.sessions[sid]
    if (!text) return undefined
    const found = Snapshot.from(text, text)
    if (!hasExpired(found.cookie)) return found
    delete this.#store.sessions[sid]
    return undefined
  }
}

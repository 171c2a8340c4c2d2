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

/** Where a store of this process keeps its sessions as JSON. */
export interface Texts {
  /** The arguments of the store's successful callback. */
  readonly done: readonly null[]
  /** Does a session live until its cookie's end? Otherwise the store itself forgets what has expired. */
  readonly liveByCookie: boolean
  get(sid: string): string | undefined
  set(sid: string, text: string, session: Snapshot): void
  delete(sid: string): void
}

export function textsOfMemoryStore(store: MemoryStore): Texts {
  return {
    done: [],
    liveByCookie: true,
    get: (sid) => store.sessions[sid],
    set(sid, text) {
      store.sessions[sid] = text
    },
    delete(sid) {
      delete store.sessions[sid]
    },
  }
}

/**
 * A store that keeps JSON in this process: express-session's MemoryStore, and memorystore. A text is compared and replaced in one turn of the
 * event loop, so that nothing can come in between. The texts are those that the store's own methods keep.
 */
export class MemoryDriver implements CompareAndSetDriver {
  readonly name = 'memory'
  readonly compares = true
  readonly done: readonly null[]
  /** The end is in the text. */
  readonly touchChangesContent = true
  readonly #texts: Texts

  constructor(texts: Texts) {
    this.#texts = texts
    this.done = texts.done
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    return this.readNow(sid)
  }

  readNow(sid: string, known?: Snapshot): Snapshot | undefined {
    const text = this.#texts.get(sid)
    if (!text) return undefined
    const found = known?.text === text ? known : Snapshot.from(text, text)
    if (!this.#hasExpired(found)) return found
    this.#texts.delete(sid)
    return undefined
  }

  async write(sid: string, snapshot: Snapshot, expected: Snapshot | undefined, ttl: TtlPolicy): Promise<WriteResult> {
    const isExpected = this.#texts.get(sid) === expected?.etag && !(expected && this.#hasExpired(expected))
    const current = isExpected ? undefined : this.readNow(sid)
    // A session that has expired is not there.
    if (!isExpected && (expected || current)) return { written: false, current }
    const extended = expected && ttl === 'extend'
    const written = extended ? snapshot.with({ cookie: withLaterExpiry(snapshot.cookie, expected.cookie, 0) }) : snapshot
    const text = written.toText()
    this.#texts.set(sid, text, written)
    return { written: true, current: written.storedAs(text, text) }
  }

  async touch(sid: string, { cookie }: Snapshot): Promise<boolean> {
    const current = this.readNow(sid)?.with({ cookie })
    if (!current) return false
    this.#texts.set(sid, current.toText(), current)
    return true
  }

  async destroy(sid: string): Promise<void> {
    this.#texts.delete(sid)
  }

  #hasExpired({ cookie }: Snapshot): boolean {
    return this.#texts.liveByCookie && hasExpired(cookie)
  }
}

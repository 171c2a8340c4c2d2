import { loadExpressSession } from '../../util/lazy-modules.js'
import { foreignMethods, type Methods, methodOf } from '../own-methods.js'
import { Snapshot } from '../snapshot.js'
import { expiryInText } from '../stored-text.js'
import type { NextSession, StoreDriver, StoredSession, TouchedSession, WriteAnswer } from './store-driver.js'

/** express-session's own store, which keeps the JSON of its sessions. */
interface MemoryStore {
  sessions: Record<string, string>
}

/** It keeps its sessions in an object without a prototype: nobody else can write there. */
export function isMemoryStore(store: object): store is MemoryStore {
  const { sessions } = store as { sessions?: object }
  return typeof sessions === 'object' && sessions !== null && Object.getPrototypeOf(sessions) === null
}

/** The names that the methods of express-session 1 access. */
const METHODS: Methods = {
  get: ['call'],
  set: ['sessions stringify'],
  destroy: ['sessions'],
  touch: ['call cookie sessions stringify'],
  all: ['call create keys length sessions'],
  clear: ['create sessions'],
}

/**
 * Its methods are express-session's own: those of a subclass, or those that somebody has put over them or over those of the class, are to be
 * called. By their source, because the application may have another copy of express-session.
 */
export function isPlainMemoryStore(store: object): store is MemoryStore {
  if (!isMemoryStore(store) || foreignMethods(store, METHODS).length > 0) return false
  // They access too few names: those of a subclass may access the same.
  const { prototype } = loadExpressSession().MemoryStore
  const isItsOwn = (name: string): boolean =>
    Object.hasOwn(Object.getPrototypeOf(store), name) && String(methodOf(store, name)) === String(Reflect.get(prototype, name))
  return Object.keys(METHODS).every(isItsOwn)
}

/** Where a store of this process keeps its sessions as JSON. */
export interface TextMap {
  /** The arguments of the store's successful callback. */
  readonly done: readonly null[]
  /** Does a session live until its cookie's end? Otherwise the store itself forgets what has expired. */
  readonly liveByCookie: boolean
  get(sid: string): string | undefined
  set(sid: string, text: string): void
  delete(sid: string): void
}

export function textsOfMemoryStore(store: MemoryStore): TextMap {
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
 * A store that keeps JSON in this process: express-session's MemoryStore, and memorystore. A text is compared and replaced in one tick of the
 * event loop, so that nothing can come in between. The texts are those that the store's own methods keep: the end of a session is in its text.
 */
export class MemoryDriver implements StoreDriver {
  readonly name = 'memory'
  /** No other process reads the store: what a bus carries is all that it can have. */
  readonly opaque = false
  readonly done: readonly null[]
  readonly touchChangesContent = true
  readonly #texts: TextMap

  constructor(texts: TextMap) {
    this.#texts = texts
    this.done = texts.done
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    return this.readNow(sid)
  }

  readNow(sid: string): StoredSession | undefined {
    const text = this.#texts.get(sid)
    if (!text) return undefined
    if (!this.#isOver(expiryInText(text))) return { text }
    this.#texts.delete(sid)
    return undefined
  }

  async write(sid: string, next: NextSession, expected: StoredSession | undefined): Promise<WriteAnswer> {
    return this.writeNow(sid, next, expected)
  }

  writeNow(sid: string, next: NextSession, expected: StoredSession | undefined): WriteAnswer {
    const end = expected && expiryInText(expected.text)
    const isExpected = this.#texts.get(sid) === expected?.text && !this.#isOver(end)
    const stored = isExpected ? undefined : this.readNow(sid)
    // A session that has expired is not there.
    if (!isExpected && (expected || stored)) return { written: false, stored }
    const isShorter = expected && next.atLeast && (end ?? Infinity) > (next.expires?.getTime() ?? Infinity)
    const text = isShorter ? withExpiry(next.text, end) : next.text
    this.#texts.set(sid, text)
    return text === next.text ? { written: true } : { written: true, stored: { text } }
  }

  async touch(sid: string, _expires: Date | undefined, { cookie }: TouchedSession): Promise<boolean> {
    const current = this.readNow(sid)
    if (!current) return false
    this.#texts.set(sid, Snapshot.fromStored(current).with({ cookie }).toText())
    return true
  }

  async destroy(sid: string): Promise<void> {
    this.#texts.delete(sid)
  }

  #isOver(end: number | undefined): boolean {
    return this.#texts.liveByCookie && end !== undefined && end <= Date.now()
  }
}

function withExpiry(text: string, end: number | undefined): string {
  const snapshot = Snapshot.fromStored({ text })
  const expires = end === undefined ? null : new Date(end).toISOString()
  return snapshot.with({ cookie: { ...snapshot.cookie, expires } }).toText()
}

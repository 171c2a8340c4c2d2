import { keepHistory } from '../commit-history.js'
import { isOver } from '../cookie.js'
import { type Document, toDocument, toText } from '../document.js'
import type { MemoryStore } from '../memory-store.js'
import { TextSnapshot } from '../snapshot.js'
import type { CompareAndSetDriver, Snapshot, TtlPolicy, WriteResult } from './driver.js'
import { withLaterExpiry } from './expiry.js'

/**
 * express-session's MemoryStore. Its texts are looked at and replaced in one turn, so that nothing can come in between; what is kept
 * is what its own methods keep.
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
    return this.#look(sid)
  }

  async write(sid: string, document: Document, expected: Snapshot | undefined, life: TtlPolicy): Promise<WriteResult> {
    const { sessions } = this.#store
    const isThere = sessions[sid] === expected?.etag && !(expected && isOver(expected.document.cookie))
    const held = isThere ? undefined : this.#look(sid)
    // What has expired is not there either.
    if (!isThere && (expected || held)) return { written: false, held }
    const cookie =
      expected && life === 'atLeast' ? withLaterExpiry(document.cookie, expected.document.cookie, 0) : document.cookie
    const text = toText(cookie, document)
    sessions[sid] = text
    return { written: true, held: new TextSnapshot(text, { name: text, cookie }) }
  }

  async touch(sid: string, { cookie }: Document): Promise<boolean> {
    const held = this.#look(sid)
    if (!held) return false
    const { document } = held
    this.#store.sessions[sid] = toText(keepHistory(cookie, document.cookie), document)
    return true
  }

  async destroy(sid: string): Promise<void> {
    delete this.#store.sessions[sid]
  }

  #look(sid: string): Snapshot | undefined {
    const text = this.#store.sessions[sid]
    if (!text) return undefined
    const document = toDocument(text)
    if (!isOver(document.cookie)) return new TextSnapshot(text, { name: text, first: document })
    delete this.#store.sessions[sid]
    return undefined
  }
}

import type { SessionData } from 'express-session'
import { digest } from '../../util/hash.js'
import { altered, type Document, toDocument } from '../document.js'
import type { OriginalStore } from '../original-store.js'
import { StoreFields } from '../store-fields.js'
import type { Driver, Snapshot, TtlPolicy, Unchecked, WriteResult } from './driver.js'
import { withLaterExpiry } from './expiry.js'

/**
 * Any store that has `get` and `set`. It reads before it writes, and nothing keeps another process from writing in between; within
 * one process the caller's lanes do.
 */
export class GenericDriver implements Driver {
  readonly name = 'generic'
  readonly compares = false
  readonly unchecked: Unchecked
  readonly opaque: boolean
  readonly touchDisabled: boolean
  readonly #raw: OriginalStore
  readonly #stamps = new StoreFields()

  /**
   * @param opaque what the store keeps is not for others to read
   * @param untouched the store was told to do nothing on a touch
   */
  constructor(raw: OriginalStore, { opaque = false, untouched = false } = {}) {
    this.opaque = opaque
    this.touchDisabled = untouched
    this.#raw = raw
    this.unchecked = {
      stamps: this.#stamps,
      touchWrites: !raw.canTouch,
      write: async (sid, document, held, life) => {
        await this.#overwrite(sid, document, held, life)
      },
      touch: (sid, document) => this.#retouch(sid, document),
    }
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    const found = await this.#raw.find(sid)
    if (!found) return undefined
    this.#stamps.got(sid, found)
    return this.#hold(found)
  }

  async write(sid: string, document: Document, expected: Snapshot | undefined, life: TtlPolicy): Promise<WriteResult> {
    const held = await this.read(sid)
    if (held?.etag !== expected?.etag) return { written: false, held }
    return { written: true, held: this.#hold(await this.#overwrite(sid, document, held, life)) }
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    // What a touch of a missing session does depends on the store: nothing, an error, or a session that rises from the dead.
    const held = await this.read(sid)
    return (
      held !== undefined && this.#retouch(sid, { cookie: document.cookie, data: { ...held.storeFields, ...held.document.data } })
    )
  }

  destroy(sid: string): Promise<void> {
    return this.#raw.destroy(sid)
  }

  #overwrite(sid: string, document: Document, held: Snapshot | undefined, life: TtlPolicy): Promise<SessionData> {
    const { cookie } = document
    const living = held && life === 'atLeast' ? withLaterExpiry(cookie, held.document.cookie) : cookie
    this.#stamps.gave(sid, document, held?.storeFields)
    const { storeFields: stamps } = held ?? {}
    return this.#raw.write(
      sid,
      stamps ? { cookie: living, data: { ...stamps, ...document.data } } : altered(document, { cookie: living }),
    )
  }

  #hold(stored: SessionData): Snapshot {
    const { cookie, data } = toDocument(stored)
    const document = { cookie, data: this.#stamps.without(data) }
    return {
      document,
      storeFields: this.#stamps.in(data),
      // Made where it is asked for: who keeps its writers apart by itself compares nothing.
      get etag() {
        return digest(JSON.stringify(document))
      },
    }
  }

  async #retouch(sid: string, document: Document): Promise<boolean> {
    try {
      await this.#raw.touch(sid, document)
      return true
    } catch (error) {
      // Gone in between: some stores, as connect-mongo, call that an error.
      if ((await this.#raw.read(sid)) === undefined) return false
      throw error
    }
  }
}

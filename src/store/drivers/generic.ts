import { altered, type Document, toDocument } from '../document.js'
import type { OriginalStore } from '../original-store.js'
import { StoreFields } from '../store-fields.js'
import type { PlainDriver, Snapshot, TtlPolicy } from './driver.js'
import { withLaterExpiry } from './expiry.js'

/**
 * Any store that has `get` and `set`. Nothing keeps another process from writing between a caller's read and its write; within one
 * process the caller's queue does.
 */
export class GenericDriver implements PlainDriver {
  readonly name = 'generic'
  readonly compares = false
  readonly stamps = new StoreFields()
  readonly touchWrites: boolean
  readonly opaque: boolean
  readonly touchDisabled: boolean
  readonly #raw: OriginalStore

  /**
   * @param opaque what the store keeps is not for others to read
   * @param untouched the store was told to do nothing on a touch
   */
  constructor(raw: OriginalStore, { opaque = false, untouched = false } = {}) {
    this.opaque = opaque
    this.touchDisabled = untouched
    this.touchWrites = !raw.canTouch
    this.#raw = raw
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    const found = await this.#raw.find(sid)
    if (!found) return undefined
    this.stamps.got(sid, found)
    const { cookie, data } = toDocument(found)
    return { document: { cookie, data: this.stamps.without(data) }, storeFields: this.stamps.in(data), etag: '' }
  }

  async write(sid: string, document: Document, held: Snapshot | undefined, life: TtlPolicy): Promise<void> {
    const { cookie } = document
    const living = held && life === 'atLeast' ? withLaterExpiry(cookie, held.document.cookie) : cookie
    this.stamps.gave(sid, document, held?.storeFields)
    const { storeFields } = held ?? {}
    await this.#raw.write(
      sid,
      storeFields ? { cookie: living, data: { ...storeFields, ...document.data } } : altered(document, { cookie: living }),
    )
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    try {
      await this.#raw.touch(sid, document)
      return true
    } catch (error) {
      // Gone in between: some stores, as connect-mongo, call that an error.
      if ((await this.#raw.read(sid)) === undefined) return false
      throw error
    }
  }

  destroy(sid: string): Promise<void> {
    return this.#raw.destroy(sid)
  }
}

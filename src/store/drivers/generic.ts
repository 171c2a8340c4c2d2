import { withLaterExpiry } from '../cookie.js'
import type { OriginalStore } from '../original-store.js'
import { Snapshot } from '../snapshot.js'
import { StoreFields } from '../store-fields.js'
import type { TtlPolicy } from '../transaction.js'
import type { PlainDriver } from './snapshot-driver.js'

/**
 * Any store that has `get` and `set`. Nothing keeps another process from writing between a caller's read and its write; within one
 * process the caller's queue does.
 */
export class GenericDriver implements PlainDriver {
  readonly name = 'generic'
  readonly compares = false
  readonly storeFields = new StoreFields()
  readonly touchWrites: boolean
  readonly opaque: boolean
  readonly touchDisabled: boolean
  readonly #original: OriginalStore

  /**
   * @param opaque the store's content is not for others to read
   * @param touchDisabled the store is configured to do nothing on a touch
   */
  constructor(original: OriginalStore, { opaque = false, touchDisabled = false } = {}) {
    this.opaque = opaque
    this.touchDisabled = touchDisabled
    this.touchWrites = !original.canTouch
    this.#original = original
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    const found = await this.#original.find(sid)
    if (!found) return undefined
    this.storeFields.onRead(sid, found)
    return this.storeFields.separate(Snapshot.lazyFromSession(found))
  }

  async write(sid: string, snapshot: Snapshot, current: Snapshot | undefined, ttl: TtlPolicy): Promise<void> {
    const written = snapshot.with({
      cookie: current && ttl === 'extend' ? withLaterExpiry(snapshot.cookie, current.cookie) : snapshot.cookie,
      storeFields: current?.storeFields,
    })
    this.storeFields.onWrite(sid, written)
    await this.#original.write(sid, written)
  }

  async touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    try {
      await this.#original.touch(sid, snapshot)
      return true
    } catch (error) {
      // Gone in between: some stores, as connect-mongo, call that an error.
      if ((await this.#original.find(sid)) === undefined) return false
      throw error
    }
  }

  destroy(sid: string): Promise<void> {
    return this.#original.destroy(sid)
  }
}

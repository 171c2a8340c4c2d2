import type { SessionData } from 'express-session'
import { altered, type Document, toDocument } from '../document.js'
import type { Driver, Held, Life, Unchecked, WriteResult } from '../driver.js'
import type { RawStore } from '../raw.js'
import { Stamps } from '../stamps.js'
import { digest } from './digest.js'
import { outliving } from './life.js'

/**
 * Any store that has `get` and `set`. It reads before it writes, and nothing keeps another process from writing in between; within
 * one process the caller's lanes do.
 */
export class GenericDriver implements Driver {
  readonly name = 'generic'
  readonly compares = false
  readonly unchecked: Unchecked
  readonly opaque: boolean
  readonly untouched: boolean
  readonly #raw: RawStore
  readonly #stamps = new Stamps()

  /**
   * @param opaque what the store keeps is not for others to read
   * @param untouched the store was told to do nothing on a touch
   */
  constructor(raw: RawStore, { opaque = false, untouched = false } = {}) {
    this.opaque = opaque
    this.untouched = untouched
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

  async read(sid: string): Promise<Held | undefined> {
    const found = await this.#raw.find(sid)
    if (!found) return undefined
    this.#stamps.got(sid, found)
    return this.#hold(found)
  }

  async write(sid: string, document: Document, expected: Held | undefined, life: Life): Promise<WriteResult> {
    const held = await this.read(sid)
    if (held?.token !== expected?.token) return { written: false, held }
    return { written: true, held: this.#hold(await this.#overwrite(sid, document, held, life)) }
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    // What a touch of a missing session does depends on the store: nothing, an error, or a session that rises from the dead.
    const held = await this.read(sid)
    return held !== undefined && this.#retouch(sid, { cookie: document.cookie, data: { ...held.stamps, ...held.document.data } })
  }

  destroy(sid: string): Promise<void> {
    return this.#raw.destroy(sid)
  }

  #overwrite(sid: string, document: Document, held: Held | undefined, life: Life): Promise<SessionData> {
    const { cookie } = document
    const living = held && life === 'atLeast' ? outliving(cookie, held.document.cookie) : cookie
    this.#stamps.gave(sid, document, held?.stamps)
    const { stamps } = held ?? {}
    return this.#raw.write(
      sid,
      stamps ? { cookie: living, data: { ...stamps, ...document.data } } : altered(document, { cookie: living }),
    )
  }

  #hold(stored: SessionData): Held {
    const { cookie, data } = toDocument(stored)
    const document = { cookie, data: this.#stamps.without(data) }
    return {
      document,
      stamps: this.#stamps.in(data),
      // Made where it is asked for: who keeps its writers apart by itself compares nothing.
      get token() {
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

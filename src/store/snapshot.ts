import { type CookieJson, type Document, late, toDocument } from './document.js'
import type { Snapshot } from './drivers/driver.js'

/** What is known of a text. */
interface Known {
  /** The token, or what makes it of the JSON. */
  name: string | ((json: string) => string)
  /** The session's cookie. */
  cookie?: CookieJson
  /** The document, for the first who asks, where the text was taken apart already. */
  first?: Document
}

/**
 * What a store holds of a session, as text. It is taken apart, and named, only where somebody asks: most requests save nothing, and a
 * session that is live knows what is in it. The data of each document that it gives is the caller's own; their cookie is not.
 */
export class TextSnapshot implements Snapshot {
  readonly #json: string
  #name: Known['name']
  #cookie: CookieJson | undefined
  #first: Document | undefined

  /** @param json the whole session */
  constructor(json: string, { name, cookie, first }: Known) {
    this.#json = json
    this.#name = name
    this.#cookie = cookie ?? first?.cookie
    this.#first = first
  }

  get json(): string {
    return this.#json
  }

  get etag(): string {
    if (typeof this.#name !== 'string') this.#name = this.#name(this.#json)
    return this.#name
  }

  get document(): Document {
    const first = this.#first
    this.#first = undefined
    if (first) return first
    if (this.#cookie) return late(this.#cookie, () => toDocument(this.#json).data)
    const document = toDocument(this.#json)
    this.#cookie = document.cookie
    return document
  }
}

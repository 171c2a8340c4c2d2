import { type Document, late, toDocument } from './document.js'
import type { Held } from './driver.js'

/**
 * What a store holds of a session, as text. It is taken apart, and named, only where somebody asks: most requests save nothing, and a
 * session that is live knows what is in it. Each document that it gives is the caller's own.
 *
 * @param json the whole session
 * @param name the token, or what makes it of the JSON
 * @param cookie the cookie as JSON, where that is known
 * @param first the document, for the first who asks, where it was taken apart already
 */
export function heldText(json: string, name: string | ((json: string) => string), cookie?: string, first?: Document): Held {
  let token: string | undefined
  const held = {
    get token() {
      token ??= typeof name === 'string' ? name : name(json)
      return token
    },
    get document(): Document {
      if (first) {
        const document = first
        first = undefined
        return document
      }
      if (cookie !== undefined) return late(JSON.parse(cookie), () => toDocument(json).data)
      const document = toDocument(json)
      cookie = JSON.stringify(document.cookie)
      return document
    },
  }
  // Beside what it says: another text may say the same.
  return Object.defineProperty(held, 'json', { value: json, enumerable: false })
}

import type { Held } from './driver.js'

const MOST_SESSIONS = 2000
/** In characters of JSON. */
const MOST_TEXT = 16 * 1024 * 1024

interface Entry {
  json: string
  token: string
}

/**
 * What the store was last seen to hold, of the sessions that were in use last: a commit starts from there without asking, because a
 * store that compares refuses what is not true any more. Kept as text: nobody can change it by changing what it was handed.
 */
export class Known {
  readonly #entries = new Map<string, Entry>()
  #text = 0

  get(sid: string): Held | undefined {
    const entry = this.#entries.get(sid)
    return entry && { document: JSON.parse(entry.json), token: entry.token }
  }

  note(sid: string, held: Held | undefined): void {
    this.forget(sid)
    if (!held) return
    const json = JSON.stringify(held.document)
    this.#entries.set(sid, { json, token: held.token })
    this.#text += json.length
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST_SESSIONS && this.#text <= MOST_TEXT) return
      this.forget(oldest)
    }
  }

  forget(sid: string): void {
    this.#text -= this.#entries.get(sid)?.json.length ?? 0
    this.#entries.delete(sid)
  }
}

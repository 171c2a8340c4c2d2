import { toText } from './document.js'
import type { Held } from './driver.js'
import { HeldText } from './held.js'

const MOST_SESSIONS = 2000
/** In characters of JSON. */
const MOST_TEXT = 16 * 1024 * 1024

/**
 * What the store was last seen to hold, of the sessions that were in use last: a commit starts from there without asking, because a
 * store that compares refuses what is not true any more. Kept as text: nobody can change it by changing what it was handed.
 */
export class Known {
  readonly #entries = new Map<string, Held>()
  #text = 0

  get(sid: string): Held | undefined {
    return this.#entries.get(sid)
  }

  note(sid: string, held: Held | undefined): void {
    this.forget(sid)
    if (!held) return
    const entry = held.json === undefined ? textOf(held) : held
    this.#entries.set(sid, entry)
    this.#text += lengthOf(entry)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST_SESSIONS && this.#text <= MOST_TEXT) return
      this.forget(oldest)
    }
  }

  forget(sid: string): void {
    this.#text -= lengthOf(this.#entries.get(sid))
    this.#entries.delete(sid)
  }
}

function textOf({ document: { cookie, data }, token }: Held): Held {
  return new HeldText(toText(cookie, { cookie, data }), { name: token, cookie })
}

function lengthOf(held: Held | undefined): number {
  return held?.json?.length ?? 0
}

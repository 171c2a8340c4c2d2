import { toText } from './document.js'
import type { Snapshot } from './drivers/driver.js'
import { TextSnapshot } from './snapshot.js'

const MOST_SESSIONS = 2000
/** In characters of JSON. */
const MOST_TEXT = 16 * 1024 * 1024

/**
 * What the store was last seen to hold, of the sessions that were in use last: a commit starts from there without asking, because a
 * store that compares refuses what is not true any more. Kept as text: nobody can change it by changing what it was handed.
 */
export class SnapshotCache {
  readonly #entries = new Map<string, Snapshot>()
  #text = 0

  get(sid: string): Snapshot | undefined {
    return this.#entries.get(sid)
  }

  set(sid: string, held: Snapshot | undefined): void {
    this.delete(sid)
    if (!held) return
    const entry = held.json === undefined ? textOf(held) : held
    this.#entries.set(sid, entry)
    this.#text += lengthOf(entry)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST_SESSIONS && this.#text <= MOST_TEXT) return
      this.delete(oldest)
    }
  }

  delete(sid: string): void {
    this.#text -= lengthOf(this.#entries.get(sid))
    this.#entries.delete(sid)
  }
}

function textOf({ document: { cookie, data }, etag: token }: Snapshot): Snapshot {
  return new TextSnapshot(toText(cookie, { cookie, data }), { name: token, cookie })
}

function lengthOf(held: Snapshot | undefined): number {
  return held?.json?.length ?? 0
}

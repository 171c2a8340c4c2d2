import type { Snapshot } from './snapshot.js'

const MOST_SESSIONS = 2000
/** In characters of JSON. */
const MOST_TEXT = 16 * 1024 * 1024

/**
 * What a store that compares was last seen to hold, for the sessions that were in use last. A commit starts from there without a read:
 * the store refuses the write if that is not true any more. Each reader gets a copy.
 */
export class SnapshotCache {
  readonly #entries = new Map<string, Snapshot>()
  #text = 0

  get(sid: string): Snapshot | undefined {
    return this.#entries.get(sid)?.copy()
  }

  set(sid: string, snapshot: Snapshot | undefined): void {
    this.delete(sid)
    if (!snapshot) return
    // A copy, so that parsed data is not kept.
    const entry = snapshot.copy()
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

function lengthOf(entry: Snapshot | undefined): number {
  return entry?.text?.length ?? 0
}

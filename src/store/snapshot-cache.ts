import { evictOldest } from '../util/maps.js'
import type { Snapshot } from './snapshot.js'

const MAX_SESSIONS = 2000
/** In characters of JSON. */
const MAX_TEXT = 16 * 1024 * 1024

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

  /** What is kept itself: its data is not to be changed. */
  peek(sid: string): Snapshot | undefined {
    return this.#entries.get(sid)
  }

  /** @returns the copy that is kept, whose data is not to be changed */
  set(sid: string, snapshot: Snapshot | undefined): Snapshot | undefined {
    this.delete(sid)
    if (!snapshot) return undefined
    // A copy, so that parsed data is not kept.
    const entry = snapshot.copy()
    this.#entries.set(sid, entry)
    this.#text += lengthOf(entry)
    while (this.#entries.size > 0) {
      const evicted = evictOldest(this.#entries, this.#text > MAX_TEXT ? this.#entries.size - 1 : MAX_SESSIONS)
      if (!evicted) break
      this.#text -= lengthOf(evicted[1])
    }
    return entry
  }

  delete(sid: string): void {
    this.#text -= lengthOf(this.#entries.get(sid))
    this.#entries.delete(sid)
  }
}

function lengthOf(entry: Snapshot | undefined): number {
  const { text, entries } = entry ?? {}
  // The entries are the data once more.
  return (text?.length ?? 0) * (entries ? 2 : 1)
}

import type { EndReason } from '../types.js'
import { evictOldest } from '../util/maps.js'

/** How many sessions are remembered for each kind of event. */
const MAX_REMEMBERED = 10_000

/** How a session ended. */
export interface Tombstone {
  reason: EndReason
  /** When it ended, in ticks of the clock. */
  endedAt: number
  /** The same id was stored again since. */
  storedAgain: boolean
  /** Settles when the response to the request that rotated the session away should have arrived; `undefined` from then on. */
  rotation: Promise<unknown> | undefined
  /** When that response had arrived; before it, and where there is none, as `endedAt`. A client that came earlier may have had the session's cookie only. */
  knownAt: number
}

/**
 * The logical clock of one store in this process. A read notes `now()` before it starts; afterwards the clock tells whether the session was
 * committed or ended in between, so that what was read is out of date.
 *
 * Commits and ends are kept in maps of their own, because a forgotten one means different things: a session whose last commit was forgotten
 * counts as committed up to the newest forgotten commit (reading again is safe), one whose end was forgotten counts as not ended. Many
 * commits must not push out an end: its session could be written back.
 */
export class SessionClock {
  readonly #commits = new Map<string, number>()
  readonly #tombstones = new Map<string, Tombstone>()
  #ticks = 0
  /** The newest commit that is not remembered any more. */
  #forgottenCommit = 0
  /** When all sessions of the store were last ended at once. */
  #allEndedAt = 0

  /** The present moment, to compare later events with. */
  now(): number {
    return this.#ticks
  }

  /** Counts an event that this clock does not keep. @returns its moment */
  tick(): number {
    return ++this.#ticks
  }

  noteCommit(sid: string): void {
    this.#commits.delete(sid)
    this.#commits.set(sid, this.tick())
    const oldest = evictOldest(this.#commits, MAX_REMEMBERED)
    if (oldest) this.#forgottenCommit = oldest[1]
  }

  /** Was the session committed after that moment? Also `true` where it may have been, and was forgotten. */
  committedSince(sid: string, moment: number): boolean {
    return (this.#commits.get(sid) ?? this.#forgottenCommit) > moment
  }

  /** The sessions that were committed after that moment, as far as they are remembered. */
  committedAfter(moment: number): string[] {
    return [...this.#commits].filter(([, at]) => at > moment).map(([sid]) => sid)
  }

  noteEnd(sid: string, reason: EndReason, rotation?: Promise<unknown>): void {
    const endedAt = this.tick()
    const tombstone: Tombstone = { reason, endedAt, storedAgain: false, rotation, knownAt: endedAt }
    rotation?.then(() => {
      tombstone.rotation = undefined
      tombstone.knownAt = this.tick()
    })
    this.#tombstones.delete(sid)
    this.#tombstones.set(sid, tombstone)
    evictOldest(this.#tombstones, MAX_REMEMBERED)
  }

  /** An ended session was ended once more: what was read since its first end is out of date as well. */
  noteEndAgain(sid: string): void {
    const tombstone = this.#tombstones.get(sid)
    if (tombstone) tombstone.endedAt = tombstone.knownAt = this.tick()
  }

  noteAllEnded(): void {
    this.#allEndedAt = this.tick()
  }

  /** Did the session end after that moment? */
  endedSince(sid: string, moment: number): boolean {
    return Math.max(this.#allEndedAt, this.#tombstones.get(sid)?.endedAt ?? 0) > moment
  }

  /** How the session ended, also where its id was stored again since. */
  tombstone(sid: string): Tombstone | undefined {
    return this.#tombstones.get(sid)
  }

  /** Has the session ended, and was its id not stored again? */
  hasEnded(sid: string): boolean {
    return this.#tombstones.get(sid)?.storedAgain === false
  }

  /** The store has a session by this id again: an application that makes its own ids may use one twice. */
  noteStoredAgain(sid: string): void {
    const tombstone = this.#tombstones.get(sid)
    if (tombstone) tombstone.storedAgain = true
  }
}

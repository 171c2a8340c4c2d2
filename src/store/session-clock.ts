import type { EndReason } from '../types.js'
import { evictOldest } from '../util/maps.js'

/** How many sessions are remembered for each kind of event. */
const MAX_REMEMBERED = 10_000

declare const brand: unique symbol

/** A moment by a {@link SessionClock}: how many events it had counted. No time, and no tick of the event loop. Fields that have one end in `Tick`. */
export type Tick = number & { readonly [brand]: 'Tick' }

/** The first moment of each clock. */
export const FIRST_TICK = 0 as Tick

/** How a session ended. */
export interface Tombstone {
  reason: EndReason
  /** When it ended. */
  endedTick: Tick
  /** The same id was stored again since. */
  storedAgain: boolean
  /** Settles when the response to the request that rotated the session away should have arrived; `undefined` from then on. */
  rotation: Promise<unknown> | undefined
  /** When that response had arrived; before it, and where there is none, as `endedTick`. A client that came earlier may have had the session's cookie only. */
  knownTick: Tick
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
  readonly #commits = new Map<string, Tick>()
  readonly #tombstones = new Map<string, Tombstone>()
  #now = FIRST_TICK
  /** The newest commit that is not remembered any more. */
  #forgottenTick = FIRST_TICK
  /** When all sessions of the store were last ended at once. */
  #allEndedTick = FIRST_TICK

  /** The present moment, to compare later events with. */
  now(): Tick {
    return this.#now
  }

  /** The moment of the event that is counted next. */
  next(): Tick {
    return (this.#now + 1) as Tick
  }

  /** Counts an event that this clock does not keep. @returns its moment */
  tick(): Tick {
    this.#now = this.next()
    return this.#now
  }

  noteCommit(sid: string): void {
    this.#commits.delete(sid)
    this.#commits.set(sid, this.tick())
    const oldest = evictOldest(this.#commits, MAX_REMEMBERED)
    if (oldest) this.#forgottenTick = oldest[1]
  }

  /** Was the session committed after that moment? Also `true` where it may have been, and was forgotten. */
  committedSince(sid: string, since: Tick): boolean {
    return (this.#commits.get(sid) ?? this.#forgottenTick) > since
  }

  /** The sessions that were committed after that moment, as far as they are remembered. */
  committedAfter(since: Tick): string[] {
    return [...this.#commits].filter(([, committedTick]) => committedTick > since).map(([sid]) => sid)
  }

  noteEnd(sid: string, reason: EndReason, rotation?: Promise<unknown>): void {
    const endedTick = this.tick()
    const tombstone: Tombstone = { reason, endedTick, storedAgain: false, rotation, knownTick: endedTick }
    rotation?.then(() => {
      tombstone.rotation = undefined
      tombstone.knownTick = this.tick()
    })
    this.#tombstones.delete(sid)
    this.#tombstones.set(sid, tombstone)
    evictOldest(this.#tombstones, MAX_REMEMBERED)
  }

  /** An ended session was ended once more: what was read since its first end is out of date as well. */
  noteEndAgain(sid: string): void {
    const tombstone = this.#tombstones.get(sid)
    if (tombstone) tombstone.endedTick = tombstone.knownTick = this.tick()
  }

  noteAllEnded(): void {
    this.#allEndedTick = this.tick()
  }

  /** Did the session end after that moment? */
  endedSince(sid: string, since: Tick): boolean {
    return Math.max(this.#allEndedTick, this.#tombstones.get(sid)?.endedTick ?? 0) > since
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

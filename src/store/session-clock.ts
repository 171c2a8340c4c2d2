import type { EndReason } from '../types.js'
import { evictOldest } from '../util/maps.js'

/** How many sessions are remembered for each kind of event. */
const MAX_REMEMBERED = 10_000

declare const brand: unique symbol

/** A moment by a {@link SessionClock}: how many events it had counted. It is no time in ms. Fields that have one end in `Moment`. */
export type Moment = number & { readonly [brand]: 'Moment' }

/** The first moment of each clock. */
export const FIRST_MOMENT = 0 as Moment

/** How a session ended. */
export interface Tombstone {
  reason: EndReason
  /** When it ended. */
  endedMoment: Moment
  /** The same id was stored again since. */
  storedAgain: boolean
  /** Settles when the response to the request that rotated the session away should have arrived; `undefined` from then on. */
  rotation: Promise<unknown> | undefined
  /** When that response had arrived; before it, and where there is none, as `endedMoment`. A client that came earlier may have had the session's cookie only. */
  knownMoment: Moment
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
  readonly #commits = new Map<string, Moment>()
  readonly #tombstones = new Map<string, Tombstone>()
  #now = FIRST_MOMENT
  /** The newest commit that is not remembered any more. */
  #forgottenMoment = FIRST_MOMENT
  /** When all sessions of the store were last ended at once. */
  #allEndedMoment = FIRST_MOMENT

  /** The present moment, to compare later events with. */
  now(): Moment {
    return this.#now
  }

  /** The moment of the event that is counted next. */
  next(): Moment {
    return (this.#now + 1) as Moment
  }

  /** Counts an event that this clock does not keep. @returns its moment */
  advance(): Moment {
    this.#now = this.next()
    return this.#now
  }

  noteCommit(sid: string): void {
    this.#commits.delete(sid)
    this.#commits.set(sid, this.advance())
    const oldest = evictOldest(this.#commits, MAX_REMEMBERED)
    if (oldest) this.#forgottenMoment = oldest[1]
  }

  /** Was the session committed after that moment? Also `true` where it may have been, and was forgotten. */
  committedSince(sid: string, since: Moment): boolean {
    return (this.#commits.get(sid) ?? this.#forgottenMoment) > since
  }

  /** The sessions that were committed after that moment, as far as they are remembered. */
  committedAfter(since: Moment): string[] {
    return [...this.#commits].filter(([, committedMoment]) => committedMoment > since).map(([sid]) => sid)
  }

  noteEnd(sid: string, reason: EndReason, rotation?: Promise<unknown>): void {
    const endedMoment = this.advance()
    const tombstone: Tombstone = { reason, endedMoment, storedAgain: false, rotation, knownMoment: endedMoment }
    rotation?.then(() => {
      tombstone.rotation = undefined
      tombstone.knownMoment = this.advance()
    })
    this.#tombstones.delete(sid)
    this.#tombstones.set(sid, tombstone)
    evictOldest(this.#tombstones, MAX_REMEMBERED)
  }

  /** An ended session was ended once more: what was read since its first end is out of date as well. */
  noteEndAgain(sid: string): void {
    const tombstone = this.#tombstones.get(sid)
    if (tombstone) tombstone.endedMoment = tombstone.knownMoment = this.advance()
  }

  noteAllEnded(): void {
    this.#allEndedMoment = this.advance()
  }

  /** Did the session end after that moment? */
  endedSince(sid: string, since: Moment): boolean {
    return Math.max(this.#allEndedMoment, this.#tombstones.get(sid)?.endedMoment ?? 0) > since
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

import type { Next, Writer } from '../store/contract.js'
import { type CookieImage, type Document, late } from '../store/document.js'
import type { Held } from '../store/driver.js'
import type { Conflict, Ledger } from '../tracking/ledger.js'
import type { LiveCookie } from './cookie.js'
import type { Member } from './member.js'
import { currentRound } from './rounds.js'
import { assertSize } from './size.js'

/** What a session's writer needs of its session. */
export interface WriterHost {
  readonly ledger: Ledger<Member>
  readonly liveCookie: LiveCookie
  readonly maxBytes: number
  /** `false`: a save replaces the document. */
  readonly merging: boolean
  readonly isEnded: boolean
  /** Others have written what was told and not taken in. */
  readonly isBehind: boolean
  absorb(theirs: Document): void
  conflicts(conflicts: Conflict[]): void
  /** A save that met what others had written has reached the store. */
  merged(): void
  /** Everything up to that count of writes is in the store. */
  covered(count: number): void
  /** A save of this session's has reached the store. */
  written(next: Next, round: number): void
  /** One has not, so that its changes are unsaved again. */
  failed(): void
  /** Nobody knows whether one has, nor ever will. @param count of the last write that was in it */
  lost(count: number): void
  /** Is this what the session is based on? */
  follows(known: Document): boolean
  /** It is worth trying again. */
  resume(): void
}

/** A save that is on its way into the store. */
interface Flight {
  /** The count of the last write that is in it. */
  count: number
  round: number
  /** See {@link LiveCookie.take}. */
  cookie: CookieImage | undefined
  conflicts: Conflict[]
  /** It may be in the store. */
  doubtful?: boolean
  /** The session has another base since it left. */
  rebased?: boolean
}

/**
 * Writes what the sockets of one session have changed. There is at most one save of a session on its way: also one that has been
 * given up on still is, until the store has answered it.
 */
export class SessionWriter implements Writer {
  readonly origin = 'socket'
  stored: boolean
  readonly #host: WriterHost
  #count = 0
  #round = 0
  #met = false
  #flight: Flight | undefined
  /** Names what the ledger's base is in the store, where that is known: what has that name need not be looked at. */
  #base: string | undefined

  constructor(host: WriterHost, stored: boolean) {
    this.#host = host
    this.stored = stored
  }

  /** How many writes there were so far. */
  get count(): number {
    return this.#count
  }

  /** How many listeners led to what is unsaved. */
  get round(): number {
    return this.#round
  }

  /** Never stored: its id was made for a handshake here. */
  get fresh(): boolean {
    return !this.stored
  }

  /** Something was written. @returns the count of this write */
  wrote(): number {
    this.#round = Math.max(this.#round, currentRound())
    return ++this.#count
  }

  /** What others had written was merged with what is unsaved. */
  met(): void {
    this.#met = true
  }

  /** Is there nothing to save, and nothing on its way? */
  get isIdle(): boolean {
    const { ledger, liveCookie: cookie } = this.#host
    return this.stored && !this.#flight && !cookie.changed && !ledger.pending()
  }

  /** What was unsaved is not to be saved any more. */
  forget(): void {
    this.#round = 0
    this.#met = false
    this.#host.covered(this.#count)
  }

  /** Nobody knows whether what is on its way has arrived: nothing is to be taken in until that is known. */
  get inDoubt(): boolean {
    return this.#flight?.doubtful === true
  }

  // Made when it is asked for, which is when a write was in doubt: every session has a writer.
  get doubted(): Writer['doubted'] {
    return {
      begun: () => {
        if (this.#flight) this.#flight.doubtful = true
      },
      answered: () => this.#host.resume(),
    }
  }

  follows(known: Document, held: Held): boolean {
    return held.token === this.#base ? !this.#host.isBehind : this.#host.follows(known)
  }

  /** Something else was taken in. */
  rebased(): void {
    this.#base = undefined
    if (this.#flight) this.#flight.rebased = true
  }

  onto(theirs: Document | undefined, held?: Held): Next | undefined {
    const { ledger, liveCookie: cookie, maxBytes, merging, isBehind } = this.#host
    if (this.#host.isEnded) return undefined
    ledger.poll()
    const isBase = held !== undefined && held.token === this.#base && !isBehind
    if (theirs && !isBase && (merging || !ledger.pending())) {
      this.#host.absorb(theirs)
      this.#base = held?.token
    }
    // Listeners have just run, and may have written: that is in this save.
    const count = this.#count
    const { patches, by, conflicts } = ledger.collect()
    try {
      const json = ledger.json()
      assertSize(json, maxBytes)
      const document = late(cookie.onto(theirs), () => JSON.parse(json), json)
      const flight = { count, round: this.#round, cookie: cookie.take(), conflicts }
      this.#round = 0
      if (theirs && !flight.cookie && patches.length === 0) {
        this.#host.conflicts(conflicts)
        this.#host.covered(count)
        return undefined
      }
      this.#flight = flight
      return { document, write: true, patches, by }
    } catch (error) {
      ledger.rollback()
      throw error
    }
  }

  written(next: Next, token?: string): void {
    const { count, round, conflicts, rebased } = this.#land()
    this.#base = rebased ? undefined : token
    if (this.#met) this.#host.merged()
    this.#met = false
    this.#host.conflicts(conflicts)
    this.stored = true
    this.#host.covered(count)
    this.#host.written(next, round)
  }

  failed(): void {
    const { round, cookie } = this.#land()
    this.#host.ledger.rollback()
    this.#host.liveCookie.restore(cookie)
    this.#round = Math.max(this.#round, round)
    this.#host.failed()
  }

  /** What was on its way is not sent again: the session becomes what the store holds. */
  lost(): void {
    this.#base = undefined
    this.#host.lost(this.#land().count)
  }

  #land(): Flight {
    const flight = this.#flight as Flight
    this.#flight = undefined
    return flight
  }
}

import type { Conflict, TrackedDocument } from '../document/tracked-document.js'
import type { CookieJson } from '../store/cookie-json.js'
import { Snapshot } from '../store/snapshot.js'
import type { Proposal, Transaction } from '../store/transaction.js'
import type { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import { currentDepth } from './notification-depth.js'
import { assertSize } from './size.js'

/** What a session's writer needs of its session. */
export interface ReplicaTransactionHost {
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  readonly maxBytes: number
  /** `false`: a save replaces the document. */
  readonly merging: boolean
  readonly isEnded: boolean
  /** Others have written what was told and not taken in. */
  readonly isBehind: boolean
  absorb(theirs: Snapshot): void
  conflicts(conflicts: Conflict[]): void
  /** A save that met what others had written has reached the store. */
  merged(): void
  /** Everything up to that count of writes is in the store. */
  covered(count: number): void
  /** A save of this session's has reached the store. */
  written(next: Proposal, round: number): void
  /** One has not, so that its changes are unsaved again. */
  failed(): void
  /** Nobody knows whether one has, nor ever will. @param count of the last write that was in it */
  outcomeUnknown(count: number): void
  /** Is this what the session is based on? */
  follows(known: Snapshot): boolean
  /** It is worth trying again. */
  resume(): void
}

/** A save that is on its way into the store. */
interface InFlightSave {
  /** The count of the last write that is in it. */
  count: number
  round: number
  /** See {@link LiveCookie.beginSave}. */
  cookie: CookieJson | undefined
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
export class ReplicaTransaction implements Transaction {
  readonly origin = 'socket'
  mustExist: boolean
  readonly #host: ReplicaTransactionHost
  #count = 0
  #round = 0
  #merged = false
  #inFlight: InFlightSave | undefined
  /** Names what the ledger's base is in the store, where that is known: what has that name need not be looked at. */
  #base: string | undefined

  constructor(host: ReplicaTransactionHost, stored: boolean) {
    this.#host = host
    this.mustExist = stored
  }

  /** How many writes there were so far. */
  get seq(): number {
    return this.#count
  }

  /** How many listeners led to what is unsaved. */
  get round(): number {
    return this.#round
  }

  /** Never stored: its id was made for a handshake here. */
  get fresh(): boolean {
    return !this.mustExist
  }

  /** Something was written. @returns the count of this write */
  nextSeq(): number {
    this.#round = Math.max(this.#round, currentDepth())
    return ++this.#count
  }

  /** What others had written was merged with what is unsaved. */
  markMerged(): void {
    this.#merged = true
  }

  /** Is there nothing to save, and nothing on its way? */
  get isIdle(): boolean {
    const { document: ledger, liveCookie: cookie } = this.#host
    return this.mustExist && !this.#inFlight && !cookie.changed && !ledger.hasChanges()
  }

  /** What was unsaved is not to be saved any more. */
  forget(): void {
    this.#round = 0
    this.#merged = false
    this.#host.covered(this.#count)
  }

  /** Nobody knows whether what is on its way has arrived: nothing is to be taken in until that is known. */
  get isIndeterminate(): boolean {
    return this.#inFlight?.doubtful === true
  }

  // Made when it is asked for, which is when a write was in doubt: every session has a writer.
  get onIndeterminate(): Transaction['onIndeterminate'] {
    return {
      begun: () => {
        if (this.#inFlight) this.#inFlight.doubtful = true
      },
      answered: () => this.#host.resume(),
    }
  }

  canStartFrom(cached: Snapshot): boolean {
    return this.#isBase(cached) ? !this.#host.isBehind : this.#host.follows(cached)
  }

  /** A store that cannot compare has no etags. */
  #isBase({ etag }: Snapshot): boolean {
    return etag !== undefined && etag === this.#base
  }

  /** Something else was taken in. */
  rebased(): void {
    this.#base = undefined
    if (this.#inFlight) this.#inFlight.rebased = true
  }

  rebase(theirs: Snapshot | undefined): Proposal | undefined {
    const { document: ledger, liveCookie: cookie, maxBytes, merging, isBehind } = this.#host
    if (this.#host.isEnded) return undefined
    ledger.scanRawObjects()
    const isBase = theirs !== undefined && this.#isBase(theirs) && !isBehind
    if (theirs && !isBase && (merging || !ledger.hasChanges())) {
      this.#host.absorb(theirs)
      this.#base = theirs.etag
    }
    // Listeners have just run, and may have written: that is in this save.
    const count = this.#count
    const { patches, by, conflicts } = ledger.takeChanges()
    try {
      const json = ledger.json()
      assertSize(json, maxBytes)
      const snapshot = new Snapshot({ cookie: cookie.mergeOnto(theirs), data: () => JSON.parse(json), dataText: json })
      const flight = { count, round: this.#round, cookie: cookie.beginSave(), conflicts }
      this.#round = 0
      if (theirs && !flight.cookie && patches.length === 0) {
        this.#host.conflicts(conflicts)
        this.#host.covered(count)
        return undefined
      }
      this.#inFlight = flight
      return { snapshot, write: true, patches, by }
    } catch (error) {
      ledger.rollback()
      throw error
    }
  }

  committed(next: Proposal, token?: string): void {
    const { count, round, conflicts, rebased } = this.#land()
    this.#base = rebased ? undefined : token
    if (this.#merged) this.#host.merged()
    this.#merged = false
    this.#host.conflicts(conflicts)
    this.mustExist = true
    this.#host.covered(count)
    this.#host.written(next, round)
  }

  aborted(): void {
    const { round, cookie } = this.#land()
    this.#host.document.rollback()
    this.#host.liveCookie.abortSave(cookie)
    this.#round = Math.max(this.#round, round)
    this.#host.failed()
  }

  /** What was on its way is not sent again: the session becomes what the store holds. */
  outcomeUnknown(): void {
    this.#base = undefined
    this.#host.outcomeUnknown(this.#land().count)
  }

  #land(): InFlightSave {
    const flight = this.#inFlight as InFlightSave
    this.#inFlight = undefined
    return flight
  }
}

import type { Conflict, TrackedDocument } from '../document/tracked-document.js'
import type { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import type { Committer } from '../store/committer.js'
import type { CookieJson } from '../store/cookie-json.js'
import { Snapshot } from '../store/snapshot.js'
import type { Proposal, Transaction } from '../store/transaction.js'
import { assertSize, refusedByStore } from './errors.js'
import type { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import { currentDepth } from './notifier.js'
import { SaveQueue, type SaveQueueActions } from './save-queue.js'
import type { SessionBase } from './session-base.js'

/** How often `maxBytes` a session that could not be saved may have: clients may go on writing. */
const GROWTH = 2

/** What is saved, and what a save calls. */
export interface SaveHost {
  readonly sid: string
  readonly options: StoreOptions
  readonly committer: Committer
  readonly counts: { merges: number; retries: number }
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  readonly base: SessionBase
  reportConflicts(conflicts: Conflict[]): void
  /** A save is due, or none is any more. */
  activeChanged(): void
  /** What was to be saved is saved, or discarded. */
  allSaved(): void
  /** @param depth of the listeners that led to the save */
  committed(proposal: Proposal, depth: number): void
  gaveUp(error: SharedSessionError, depth: number): void
  /** @param seq of the last write that may be lost */
  outcomeUnknown(seq: number): void
  /**
   * Writes were taken back.
   * @param seq of the last one
   * @param authors `undefined`: all that have unsaved writes
   */
  refused(seq: number, authors: Iterable<object> | undefined, error: SharedSessionError): void
}

/** A save that is on its way into the store. */
interface InFlightSave {
  /** The number of the last write that is in it. */
  seq: number
  depth: number
  /** What {@link LiveCookie.beginSave} returned. */
  cookie: CookieJson | undefined
  conflicts: Conflict[]
  /** {@link SessionBase.rebases} when it left. */
  rebases: number
  /** What the store holds until then. `undefined`: no such session. */
  theirs: Snapshot | undefined
  /** It may be in the store. */
  indeterminate?: boolean
}

/**
 * Saves one replica: it counts the writes of its sockets, and commits what they have changed. There is one transaction for all its saves.
 * At most one save is in flight; one that was given up stays in flight until the store has answered it.
 */
export class ReplicaTransaction implements Transaction, SaveQueueActions {
  readonly origin = 'socket'
  readonly queue: SaveQueue
  readonly #host: SaveHost
  #seq = 0
  #depth = 0
  #ended = false
  #inFlight: InFlightSave | undefined

  constructor(host: SaveHost) {
    this.#host = host
    this.queue = new SaveQueue(this, host.options.retry)
  }

  /** The number of the last write. */
  get seq(): number {
    return this.#seq
  }

  get mustExist(): boolean {
    return this.#host.base.stored
  }

  /** Never stored: its id was made for a handshake in this process. */
  get isNew(): boolean {
    return !this.mustExist
  }

  /** What the save in flight is written over; `undefined` without one. */
  get inFlightOn(): { snapshot: Snapshot | undefined } | undefined {
    return this.#inFlight && { snapshot: this.#inFlight.theirs }
  }

  /** Is there anything that the store is not known to have? */
  get hasChanges(): boolean {
    const { document, liveCookie } = this.#host
    return this.#inFlight !== undefined || liveCookie.changed || document.hasChanges()
  }

  /** Counts a write. @returns its number */
  nextSeq(): number {
    this.#depth = Math.max(this.#depth, currentDepth())
    return ++this.#seq
  }

  /** Saves everything written so far. Rejects with what {@link SaveQueue.whenSaved} reports. */
  async saveAll(): Promise<void> {
    const seq = this.#seq
    this.queue.request(seq)
    await this.queue.whenSaved(seq)
  }

  /** Discards what is unsaved. */
  discard(): void {
    this.#host.document.discard()
    this.#host.liveCookie.discard()
    this.#allSaved()
  }

  /** The session has ended: nothing is written any more. */
  end(error: SharedSessionError): void {
    this.#ended = true
    this.queue.stop(error)
  }

  // What the queue calls.

  async save(): Promise<void> {
    const { document, base, sid, committer } = this.#host
    // What changes nothing of the document may repeat a write that is not in the store.
    if (!this.mustExist || this.hasChanges || base.hasPendingOthers || base.isIndeterminate) {
      await committer.commit(sid, this)
      return
    }
    const { conflicts } = document.takeChanges()
    this.#allSaved()
    this.#host.reportConflicts(conflicts)
  }

  activeChanged(): void {
    this.#host.activeChanged()
  }

  retrying(): void {
    this.#host.counts.retries++
  }

  gaveUp(error: SharedSessionError): void {
    const { document, options } = this.#host
    document.limitLength(GROWTH * options.maxBytes)
    this.#host.gaveUp(error, this.#depth)
  }

  #allSaved(): void {
    this.#depth = 0
    this.#host.base.merged = false
    this.#saved(this.#seq)
  }

  #saved(seq: number): void {
    this.queue.markSaved(seq)
    this.#host.document.limitLength(Number.POSITIVE_INFINITY)
    this.#host.allSaved()
  }

  // What the committer calls, see `Transaction`.

  /** The store may have the save that is in flight. Until that is known nothing may be merged into the document. */
  get isIndeterminate(): boolean {
    return this.#inFlight?.indeterminate === true
  }

  /** The store has the session, perhaps with the save in flight: the next save finds that out. */
  foundInStore(): void {
    this.#host.base.stored = true
    this.queue.resume()
  }

  // Made on demand, which is when the outcome of a write is unknown: every session has a transaction.
  get onIndeterminate(): Transaction['onIndeterminate'] {
    return {
      begun: () => {
        if (this.#inFlight) this.#inFlight.indeterminate = true
      },
      answered: () => this.queue.resume(),
    }
  }

  known(): Snapshot | undefined {
    return this.#host.base.initial
  }

  canStartFrom(cached: Snapshot): boolean {
    const { base, document } = this.#host
    return !base.hasPendingOthers && (base.matches(cached) || document.isBase(cached.data))
  }

  /** @throws `TOO_LARGE`, and what the document reports of values that JSON cannot hold: its changes are unsaved as before */
  rebase(theirs: Snapshot | undefined): Proposal | undefined {
    const { document, liveCookie, base, options } = this.#host
    if (this.#ended) return undefined
    document.scanWatchedObjects()
    const isBase = theirs !== undefined && base.matches(theirs) && !base.hasPendingOthers
    if (theirs && !isBase && (options.merge !== false || !document.hasChanges())) {
      base.rebase(theirs, 'remote')
      base.etag = theirs.etag
    }
    // Listeners have just run, and may have written: that is in this save.
    const seq = this.#seq
    const { patches, by, conflicts } = document.takeChanges()
    try {
      const json = document.json()
      assertSize(json, options.maxBytes)
      const snapshot = new Snapshot({ cookie: liveCookie.mergeOnto(theirs), data: () => JSON.parse(json), dataText: json })
      const cookie = liveCookie.beginSave()
      const save: InFlightSave = { seq, depth: this.#depth, cookie, conflicts, rebases: base.rebases, theirs }
      this.#depth = 0
      if (theirs && !cookie && patches.length === 0) {
        this.#host.reportConflicts(conflicts)
        this.#saved(seq)
        return undefined
      }
      this.#inFlight = save
      return { snapshot, write: true, patches, by }
    } catch (error) {
      document.rollback()
      throw error
    }
  }

  committed(proposal: Proposal, etag?: string): void {
    const { base, counts } = this.#host
    const { seq, depth, conflicts, rebases } = this.#takeInFlight()
    base.etag = rebases === base.rebases ? etag : undefined
    if (base.merged) counts.merges++
    base.merged = false
    this.#host.reportConflicts(conflicts)
    this.#saved(seq)
    base.saved(proposal.snapshot)
    this.queue.resume()
    this.#host.committed(proposal, depth)
  }

  aborted(): void {
    const { depth, cookie } = this.#takeInFlight()
    this.#host.document.rollback()
    this.#host.liveCookie.abortSave(cookie)
    this.#depth = Math.max(this.#depth, depth)
    this.queue.resume()
  }

  /** What the store cannot hold must not be in each later save: the session becomes what the store holds. */
  contentRefused({ patches, by = [] }: Proposal, cause: unknown): SharedSessionError {
    const { seq, depth, cookie, theirs } = this.#takeInFlight()
    const { base, liveCookie } = this.#host
    const error = refusedByStore(
      patches.map(({ path }) => path),
      cause,
    )
    this.#depth = Math.max(this.#depth, depth)
    liveCookie.takeBack(cookie)
    base.refused(theirs, { patches, by, origin: 'socket', depth })
    this.queue.failsUpTo(seq)
    this.#host.refused(seq, cookie ? undefined : by.flatMap((authors) => [...authors]), error)
    return error
  }

  /** The save is not sent again: the session becomes what the store holds. Where that is nothing, it may have ended, and is not created once more. */
  outcomeUnknown({ patches, by }: Proposal): void {
    const { seq, depth, theirs } = this.#takeInFlight()
    this.#host.base.stored = true
    this.#host.base.outcomeUnknown(theirs, { patches, by, origin: 'socket', depth })
    this.queue.failsUpTo(seq)
    this.#host.outcomeUnknown(seq)
  }

  #takeInFlight(): InFlightSave {
    const save = this.#inFlight as InFlightSave
    this.#inFlight = undefined
    return save
  }
}

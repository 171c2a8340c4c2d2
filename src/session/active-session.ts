import type { Cookie } from 'express-session'
import type { JsonObject } from '../document/json.js'
import type { Conflict, RebaseResult, TrackedDocument } from '../document/tracked-document.js'
import { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import type { Committer } from '../store/committer.js'
import { setCookie } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import type { Proposal } from '../store/transaction.js'
import { storeError } from './errors.js'
import type { IdleSession } from './idle-session.js'
import { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import type { Members } from './members.js'
import type { Change } from './notifier.js'
import type { ReplicaContext, SaveFailure } from './replica-context.js'
import { ReplicaTransaction, type SaveHost } from './replica-transaction.js'
import { type BaseHost, SessionBase } from './session-base.js'
import { warnIfNotSaved } from './warnings.js'
import { WriteOutcomes } from './write-outcomes.js'

type ActiveSessionContext = Omit<ReplicaContext<never>, 'registry'>

/** The replica of an active session. */
export interface ActiveSessionOwner {
  readonly sid: string
  readonly members: Members
  readonly ended: SharedSessionError | undefined
  notify(change: Change): void
  /** The store is known to hold this now. */
  storedChanged(snapshot: Snapshot): void
  expiryChanged(): void
  /** A save is due, or none is any more. */
  activeChanged(): void
  revalidate(): Promise<void>
  saveEnded(failure?: SaveFailure): void
}

/** What a replica has from the first write on, of its own or of others: its cookie, its saves, what others wrote. */
export class ActiveSession implements BaseHost, SaveHost {
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  readonly base: SessionBase
  readonly transaction: ReplicaTransaction
  readonly writes: WriteOutcomes
  readonly #context: ActiveSessionContext
  readonly #owner: ActiveSessionOwner

  /** @param cookie is the replica's from now on, where express-session has made one already */
  constructor(
    context: ActiveSessionContext,
    owner: ActiveSessionOwner,
    idle: IdleSession,
    document: TrackedDocument<Member>,
    cookie?: Cookie,
  ) {
    this.#context = context
    this.#owner = owner
    this.document = document
    if (cookie) setCookie(cookie, idle.snapshot.cookie)
    this.liveCookie = new LiveCookie(cookie ?? context.cookieOf(idle.snapshot.cookie))
    this.base = new SessionBase(this, idle)
    this.writes = new WriteOutcomes(this)
    this.transaction = new ReplicaTransaction(this)
    if (owner.ended) this.end(owner.ended)
  }

  /** A socket has written. */
  wrote(member: Member): void {
    const { transaction, writes } = this
    const { ended } = this.#owner
    const seq = transaction.nextSeq()
    writes.wrote(member, seq)
    if (ended) writes.wroteAfterEnd(member, ended)
    else if (member.autoSave) transaction.queue.request(seq)
  }

  /** A socket has written what is here already. It may not be in the store: then this write is as unsaved, or as lost, as the one that it repeats. */
  repeated(member: Member): void {
    const { transaction, writes, base } = this
    if (this.#owner.ended) return
    if (base.isIndeterminate) {
      this.wrote(member)
      writes.repeatsLost(member)
    } else if (transaction.seq > transaction.queue.savedSeq) {
      writes.repeatsUnsaved(member, transaction.seq)
      if (member.autoSave) transaction.queue.request(transaction.seq)
    }
  }

  /** The cookie in the view of a socket. */
  trackedCookie(member: Member): Cookie {
    return this.liveCookie.tracked(
      () => {
        this.wrote(member)
        this.expiryChanged()
      },
      (error) => this.writes.rejected(error, member),
    )
  }

  /** A socket has gone. */
  left(member: Member): void {
    const { queue } = this.transaction
    const isAbandoned = () => !this.#owner.ended && member.lastWrite > Math.max(queue.requestedSeq, queue.savedSeq)
    warnIfNotSaved(this.document, this.#owner.members, isAbandoned)
  }

  /** Restarts the session's time to live, in the store as well. */
  touch(): void {
    this.liveCookie.renew()
    if (this.#owner.ended || !this.base.stored) return
    this.committer
      .touch(this.sid, { cookie: () => this.liveCookie.touched(), data: () => this.document.base() })
      .catch(() => undefined)
    this.expiryChanged()
  }

  /**
   * Resolves when everything written so far is saved. Calls the store only where something is unsaved or kept aside.
   * @param member the socket that calls; its rejected writes are reported to it
   * @throws `NOT_STORABLE` and the like for a write that was rejected since its last `save()`, or that the store has refused;
   *   `OUTCOME_UNKNOWN` where writes may not have reached the store, also by an earlier save, once; `SESSION_ENDED`; `SAVE_FAILED`
   */
  async save(member?: Member): Promise<void> {
    const { transaction, base, writes } = this
    const { ended } = this.#owner
    this.document.scanWatchedObjects()
    if (ended) {
      // Many callers ignore the result: report what was to be saved as a late write.
      if (member && member.lastWrite > transaction.queue.savedSeq) this.wrote(member)
      throw ended
    }
    // To be saved, or merged, although nothing was written.
    if (!base.stored || base.hasPendingOthers) transaction.nextSeq()
    await writes.assertNotLost(member, transaction.saveAll())
    writes.throwRejected(member)
  }

  /** @throws `SESSION_NOT_FOUND` where the store has no such session; `SESSION_ENDED`; `STORE_FAILED` */
  async reload(member: Member): Promise<void> {
    const { transaction, base } = this
    const { sid } = this.#owner
    this.#assertLive()
    this.document.scanWatchedObjects()
    if (member.autoSave) await transaction.saveAll()
    let found = true
    await this.#context.committer
      .readExclusive(sid, (snapshot) => {
        found = snapshot !== undefined
        if (this.#owner.ended) return
        if (!snapshot) return base.stored ? this.#context.onMissingInStore(sid) : undefined
        if (transaction.isIndeterminate) return transaction.foundInStore()
        // Changes whose save was requested are not discarded.
        if (!member.autoSave && !transaction.queue.active) this.#discard(member)
        base.rebase(snapshot, 'remote')
      })
      .catch((cause) => {
        throw storeError('read', cause)
      })
    if (!found) {
      throw new SharedSessionError('SESSION_NOT_FOUND', 'The session is not in the store: it has ended, or was never saved.')
    }
    this.#assertLive()
  }

  /** @throws `STORE_FAILED` where the store could not destroy it: the session lives on */
  async destroy(member: Member): Promise<void> {
    const { writes, transaction } = this
    const { sid, ended } = this.#owner
    const failed = (cause: unknown): never => {
      writes.destroyFailed(member)
      throw storeError('destroyed', cause)
    }
    // A handler may have waited while the session was moved.
    if (ended) return this.#context.destroyTarget(sid).catch(failed)
    this.document.scanWatchedObjects()
    writes.destroying(member, transaction.seq)
    await this.#context.destroy(sid).catch(failed)
  }

  /** The session has ended: nothing of it is saved any more. */
  end(error: SharedSessionError): void {
    this.transaction.end(error)
    this.writes.sessionEnded(this.transaction.seq, error)
  }

  // What the base and the transaction ask, and call.

  get sid(): string {
    return this.#owner.sid
  }

  get options(): StoreOptions {
    return this.#context.options
  }

  get committer(): Committer {
    return this.#context.committer
  }

  get counts(): SaveHost['counts'] {
    return this.#context.counts
  }

  /** What the store is known to hold, without the save that is in flight: a copy. */
  get storedData(): JsonObject {
    const { inFlightOn } = this.transaction
    return inFlightOn ? (inFlightOn.snapshot?.copy().data ?? {}) : this.base.latest
  }

  lostAgain(member: Member): void {
    this.writes.repeatsLost(member)
  }

  notify(change: Change): void {
    this.#owner.notify(change)
  }

  storedChanged(snapshot: Snapshot): void {
    this.#owner.storedChanged(snapshot)
  }

  notifyFailure(members: readonly Member[], error: SharedSessionError, depth?: number): void {
    this.#context.notifier.notifyFailure(this.sid, members, error, depth)
  }

  reportMerge(result: RebaseResult): void {
    this.#context.reportMerge(this.sid, result)
  }

  reportConflicts(conflicts: Conflict[]): void {
    if (conflicts.length > 0) this.#context.reportMerge(this.sid, { conflicts })
  }

  expiryChanged(): void {
    this.#owner.expiryChanged()
  }

  activeChanged(): void {
    this.writes.saved(this.transaction.queue.savedSeq)
    this.#owner.activeChanged()
  }

  allSaved(): void {
    this.#owner.saveEnded()
  }

  committed({ patches, by }: Proposal, depth: number): void {
    this.#owner.notify({ patches, by, origin: 'socket', depth })
    if (!this.#owner.ended) this.#context.notifier.notifySaved(this.sid, patches, depth)
  }

  gaveUp(error: SharedSessionError, depth: number): void {
    this.#owner.saveEnded({ error, isKept: error.code === 'SAVE_FAILED' || this.transaction.hasChanges })
    this.notifyFailure(this.#present(this.writes.concernedBy(error, this.transaction.queue.savedSeq)), error, depth)
  }

  outcomeUnknown(seq: number): void {
    this.writes.lost(this.transaction.queue.savedSeq, seq)
    // Before anything else is saved. Where this read fails, the committer's listener has the session read again.
    this.#owner.revalidate()
  }

  refused(seq: number, authors: Iterable<object> | undefined, error: SharedSessionError): void {
    this.writes.lost(this.transaction.queue.savedSeq, seq, error, authors && new Set(authors))
    // What was known of it may be old: the store has refused the content without comparing.
    this.#owner.revalidate()
  }

  /** Discards what is unsaved, also what other sockets have written. */
  #discard(by: Member): void {
    const { transaction, writes } = this
    if (transaction.hasChanges) {
      const message = 'What a socket had not saved was discarded: another socket of the session has called reload().'
      const error = new SharedSessionError('SAVE_FAILED', message)
      const others = this.#present(writes.discarded(by, transaction.queue.savedSeq, error))
      // Not before all of it is done: a listener may write.
      if (others.length > 0) queueMicrotask(() => this.notifyFailure(others, error))
    }
    transaction.discard()
  }

  #present(members: readonly Member[]): Member[] {
    const present = new Set(this.#owner.members)
    return members.filter((member) => present.has(member))
  }

  #assertLive(): void {
    if (this.#owner.ended) throw this.#owner.ended
  }
}

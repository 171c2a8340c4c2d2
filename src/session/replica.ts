import type { Cookie } from 'express-session'
import { applyRemoteCommit, type CommitMessage } from '../cluster/apply-remote-commit.js'
import type { Patch } from '../document/patch.js'
import { type Conflict, type RebaseResult, TrackedDocument } from '../document/tracked-document.js'
import { SharedSessionError } from '../errors.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import type { Proposal } from '../store/transaction.js'
import type { ChangeOrigin, EndReason, LiveSession as Face } from '../types.js'
import type { SessionHost, Start } from './host.js'
import { InboundChanges, type InboundChangesHost } from './inbound-changes.js'
import { LateWrites } from './late-writes.js'
import { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import { currentDepth } from './notification-depth.js'
import type { Change } from './notifier.js'
import { viewOf } from './per-socket.js'
import { type Moment, notMade, RejectedWrites } from './rejected-writes.js'
import { ReplicaTransaction, type ReplicaTransactionHost } from './replica-transaction.js'
import { RevalidationTimer } from './revalidation-timer.js'
import { SaveQueue, type SaveQueueHost } from './save-queue.js'
import { SessionMethods } from './session-methods.js'
import { storeError } from './store-error.js'
import { warnNotJson } from './warn-not-json.js'
import { warnIfNotSaved } from './warn-not-saved.js'

/**
 * One session in this process: its data, what of it is unsaved, its sockets, its end. Over 300 lines because it is what all parts of a
 * session meet in; each of them (writer, saver, hearing, cookie, vigil) has a file of its own, and asks the session by an interface of its own.
 */
export class SessionReplica implements SaveQueueHost, ReplicaTransactionHost, InboundChangesHost {
  readonly sid: string
  readonly members = new Set<Member>()
  readonly document: TrackedDocument<Member>
  readonly saveQueue: SaveQueue
  readonly liveCookie: LiveCookie
  /** A client's cookie has named it: it is more than what a handshake has made for a client that names none. */
  usedByRequest = false
  /** A request that has it stores it, although nothing was written to it: `saveUninitialized` of the session middleware. */
  storedByRequests = false
  readonly #host: SessionHost
  readonly #transaction: ReplicaTransaction
  readonly #inbound: InboundChanges
  readonly #revalidation: RevalidationTimer
  /** Made for an end: most sessions never see one here. */
  #lateWriteLog: LateWrites | undefined
  #ended: SharedSessionError | undefined
  #seen = Date.now()
  /** Bytes of messages that were taken in since the store was read or written. */
  #notified = 0
  readonly #rejectedWrites = new RejectedWrites()

  constructor(host: SessionHost, { sid, data, cookie, prototype, stored }: Start) {
    this.#host = host
    this.sid = sid
    this.liveCookie = new LiveCookie(cookie)
    this.document = new TrackedDocument<Member>(data, {
      prototype,
      fixed: { cookie },
      strategies: host.strategies,
      members: new SessionMethods(this, prototype),
      // Every write comes through a face.
      onWrite: (member) => this.#wrote(member as Member),
      onLossy: warnNotJson,
      maxBytes: host.options.maxBytes,
      onProblem: (error, member, write) => this.#refused(error, member as Member, write),
    })
    this.saveQueue = new SaveQueue(this, host.options.retry)
    this.#transaction = new ReplicaTransaction(this, stored)
    this.#inbound = new InboundChanges(this, host.options)
    this.#revalidation = new RevalidationTimer(this, host.options.revalidate)
  }

  get cookie(): Cookie {
    return this.liveCookie.cookie
  }

  get stored(): boolean {
    return this.#transaction.mustExist
  }

  get expires(): number | undefined {
    return this.liveCookie.expires
  }

  get confirmedAt(): number {
    return this.#seen
  }

  /** Why nothing can be done with this session any more. */
  get ended(): SharedSessionError | undefined {
    return this.#ended
  }

  /** Something of this session is on its way into the store, or is to be. */
  get busy(): boolean {
    return this.saveQueue.active
  }

  /** The session as one of its sockets holds it. */
  view(member: Member): Face {
    const face = this.document.view(member)
    // The ledger's root has express-session's prototype, its members and the application's data: what the type says.
    return (member.perSocket ? viewOf(member, face, member.perSocket) : face) as Face
  }

  trackedCookie(member: Member): Cookie {
    return this.liveCookie.tracked(
      () => {
        this.#wrote(member)
        this.#watch()
      },
      (error) => this.#refused(error, member, undefined),
    )
  }

  join(member: Member): void {
    this.members.add(member)
    this.updatePin()
    this.#host.listen(this.sid, true)
    this.#watch()
  }

  leave(member: Member): void {
    // Once: by the time the socket of an ended session is gone, another session may have the id.
    if (!this.members.delete(member)) return
    this.updatePin()
    warnIfNotSaved(this, member)
    if (this.members.size > 0) return
    this.#host.listen(this.sid, false)
    this.#revalidation.stop()
  }

  /**
   * Resolves when everything written so far is saved; makes no call of the store where nothing is unsaved or untaken.
   * @param member who asks: rejects where a write of its was not made since it asked last; all others are saved
   */
  async save(member?: Member): Promise<void> {
    this.scanRawObjects()
    if (this.#ended) {
      // Many look at no result of a save: what was to be in it is as lost as a write.
      if (member && member.lastWrite > this.saveQueue.savedSeq) this.#wrote(member)
      throw this.#ended
    }
    // To be saved or taken in although nothing was modified.
    if (!this.stored || this.#inbound.hasPendingRemote) this.#transaction.nextSeq()
    await this.#saveUpTo(this.#transaction.seq)
    this.#rejectedWrites.throwFor(member)
  }

  /** Asks for a save of a new session that nobody has modified. */
  create(): void {
    if (!this.stored) this.save().catch(() => undefined)
  }

  async reload(member: Member): Promise<void> {
    if (this.#ended) throw this.#ended
    this.scanRawObjects()
    if (member.autoSave) await this.#saveUpTo(this.#transaction.seq)
    let found = true
    await this.#host
      .inspect(this.sid, (document) => {
        found = document !== undefined
        if (this.#ended) return
        if (!document) return this.stored ? this.#host.onMissingInStore(this.sid) : undefined
        if (this.#transaction.isIndeterminate) return this.saveQueue.resume()
        // What somebody has asked to save is not discarded.
        if (!member.autoSave && !this.saveQueue.active) this.#discard()
        this.#inbound.rebase(document, 'remote')
      })
      .catch((cause) => {
        throw storeError('read', cause)
      })
    if (!found) {
      throw new SharedSessionError('SESSION_NOT_FOUND', 'The session is not in the store: it has ended, or was never saved.')
    }
    if (this.#ended) throw this.#ended
  }

  async destroy(member: Member): Promise<void> {
    if (this.#ended) return
    this.scanRawObjects()
    const late = this.#lateWrites()
    late.destroying(member, this.#transaction.seq)
    try {
      await this.#host.destroy(this.sid)
    } catch (cause) {
      late.notDestroyed(member)
      throw storeError('destroyed', cause)
    }
  }

  /** Starts the session's life anew, in the store as well. */
  touch(): void {
    this.liveCookie.renew()
    if (this.#ended || !this.stored) return
    this.#host.refresh(this).catch(() => undefined)
    this.#watch()
  }

  /** Folds in what was done to raw objects that a handler still holds. */
  scanRawObjects(): void {
    if (this.document.hasRawObjects) this.document.scanRawObjects()
  }

  /**
   * What an ack of this socket has to wait for: the writes made through it, as far as a save of them is due or under way.
   * @param at the socket's counts when the event came in
   * @returns `undefined` for nothing; rejects where one of the writes was not made, or is not in the store
   */
  pendingSaveOf(member: Member, at: Moment): Promise<void> | undefined {
    this.scanRawObjects()
    if (this.#rejectedWrites.isRefused(member, at)) return Promise.reject(notMade())
    const { lastWrite, lastLost } = member
    const { lastWrite: before } = at
    const { writeCount } = this.document
    const { savedSeq: saved, dueSeq: due, requestedSeq: wanted } = this.saveQueue
    if (lastLost > before) {
      return Promise.reject(new SharedSessionError('OUTCOME_UNKNOWN', 'What this ack is for may not be in the store.'))
    }
    const isUnsaved = lastWrite > before && lastWrite > saved
    if (this.#ended) {
      const isLost =
        isUnsaved && (lastWrite <= wanted || this.#lateWrites().isLate(lastWrite)) && !this.#endedBy(member, lastWrite)
      return isLost ? Promise.reject(this.#ended) : undefined
    }
    // Asked to be saved, and given up on.
    if (isUnsaved && lastWrite <= wanted && lastWrite > due) {
      return Promise.reject(new SharedSessionError('SAVE_FAILED', 'The save of what this ack is for has failed.'))
    }
    const count = Math.min(lastWrite, due)
    if (count <= saved) return undefined
    // What was done to an assigned object is looked at when it is saved.
    return this.saveQueue.whenSaved(count).then(
      () => this.#rejectedWrites.assertKept(member, at, writeCount),
      (error) => {
        if (!this.#endedBy(member, lastWrite)) throw error
      },
    )
  }

  /** Somebody else's commit reached the store. @param told bytes of the message that says so; 0 where the store was read or written */
  onRemoteDocument(document: Snapshot, origin: ChangeOrigin, told = 0): void {
    if (this.#ended) return
    // It may have what is on its way here in it, and may not: the save that finds out takes it in.
    if (this.#transaction.isIndeterminate) this.saveQueue.resume()
    else this.#inbound.receive(document, origin, told)
  }

  /**
   * Where another process's commit leads, see {@link applyRemoteCommit}. Without merging a save writes whatever is here, and what was only told is not
   * to get into the store; neither may a session grow for ever by what is told.
   * @param bytes of the message
   */
  applyRemoteCommit(message: CommitMessage, bytes: number): Snapshot | 'known' | undefined {
    const isBelieved = this.merging && this.#notified + bytes <= this.maxBytes
    return applyRemoteCommit(isBelieved ? message : { ...message, change: undefined }, this.#inbound, this.liveCookie.image())
  }

  /** The life of the session was refreshed in the store. @param meant its end is as somebody wants it */
  touched(cookie: CookieJson, meant = false): void {
    this.see(cookie, 0, meant)
    this.#watch()
  }

  /** Asks the store whether the session is still there, and for what others have written. */
  async check(): Promise<void> {
    if (!this.stored) return
    await this.#host
      .inspect(this.sid, (document) => {
        if (document) this.onRemoteDocument(document, 'remote')
        else this.#host.onMissingInStore(this.sid)
      })
      // A store that is down has ended no session; it is asked again.
      .catch(() => undefined)
  }

  /** The session is no more: nothing is saved, its sockets are told. */
  end(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.scanRawObjects()
    this.#ended = new SharedSessionError('SESSION_ENDED', `The session has ended (${reason}); nothing of it is saved any more.`)
    this.#revalidation.stop()
    this.saveQueue.stop(this.#ended)
    this.#lateWrites().ended(this.#transaction.seq, this.#ended)
    for (const member of [...this.members]) member.onSessionEnd(reason, after)
  }

  /** Lets go of timers; the data stays readable. */
  close(): void {
    this.#revalidation.stop()
  }

  // What its saver asks.

  async write(): Promise<void> {
    this.scanRawObjects()
    if (this.#transaction.isIdle && !this.#inbound.hasPendingRemote) {
      const { conflicts } = this.document.takeChanges()
      this.#transaction.forget()
      this.conflicts(conflicts)
    } else await this.#host.commit(this.sid, this.#transaction)
  }

  updatePin(): void {
    this.#host.setPinned(this, this.members.size > 0 || this.saveQueue.active)
  }

  retrying(): void {
    this.#host.retrying()
  }

  unsaved(error: SharedSessionError): void {
    this.#host.unsaved(this, error)
    const writers = [...this.members].filter((member) => member.lastWrite > this.saveQueue.savedSeq)
    this.#host.notifier.notifyFailure(this, writers, error, this.#transaction.round)
  }

  // What its writer asks.

  get maxBytes(): number {
    return this.#host.options.maxBytes
  }

  get merging(): boolean {
    return this.#host.options.merge !== false
  }

  get isEnded(): boolean {
    return this.#ended !== undefined
  }

  get isBehind(): boolean {
    return this.#inbound.hasPendingRemote
  }

  absorb(theirs: Snapshot): void {
    this.#inbound.rebase(theirs, 'remote')
  }

  conflicts(conflicts: Conflict[]): void {
    this.#host.conflicts(this.sid, conflicts)
  }

  covered(count: number): void {
    this.saveQueue.markSaved(count)
  }

  merged(): void {
    this.#host.count('merges')
  }

  written({ snapshot, patches, by }: Proposal, round: number): void {
    this.see(snapshot.cookie)
    this.#inbound.saved(snapshot.history)
    if (!this.merging) this.#inbound.replaced()
    this.resume()
    this.#announce({ patches, by, origin: 'socket', depth: round })
    if (!this.#ended) this.#host.notifier.notifySaved(this.sid, patches, round)
  }

  failed(): void {
    this.resume()
  }

  follows({ data }: Snapshot): boolean {
    return !this.isBehind && this.document.isBase(data)
  }

  resume(): void {
    this.saveQueue.resume()
  }

  outcomeUnknown(count: number): void {
    // The session becomes what the store holds.
    const { savedSeq: saved } = this.saveQueue
    for (const member of this.members) {
      if (member.lastWrite > saved) member.lastLost = Math.min(member.lastWrite, count)
    }
    this.check()
  }

  // What its hearing asks.

  see(cookie: CookieJson, told = 0, meant = false): void {
    this.#transaction.mustExist = true
    // A message may be made up: only reads and writes put off the next question to the store.
    if (told === 0) this.#seen = Date.now()
    this.#notified = told === 0 ? 0 : this.#notified + told
    const { expires } = this
    this.liveCookie.acceptRemote(cookie, meant)
    if (this.expires !== expires) this.#watch()
  }

  absorbed({ patches, conflicts, problems }: RebaseResult, unsaved: boolean): void {
    this.#transaction.rebased()
    if (unsaved && patches.length > 0) this.#transaction.markMerged()
    this.conflicts(conflicts)
    this.#host.mergesFailed(this.sid, problems)
  }

  notifyPending(patches: Patch[], origin: ChangeOrigin): void {
    this.#announce({ patches, by: undefined, origin, depth: currentDepth() })
  }

  /** Its end may have moved. */
  #watch(): void {
    if (this.members.size > 0 && !this.#ended) this.#revalidation.start()
  }

  #wrote(member: Member): void {
    const count = this.#transaction.nextSeq()
    member.lastWrite = count
    if (this.#ended) this.#lateWrites().wrote(member, this.#ended)
    else if (member.autoSave) this.saveQueue.request(count)
  }

  #lateWrites(): LateWrites {
    this.#lateWriteLog ??= new LateWrites((member, error) => this.#host.notifier.notifyFailure(this, [member], error))
    return this.#lateWriteLog
  }

  #endedBy(member: Member, write: number): boolean {
    return this.#lateWriteLog?.isEndedBy(member, write) ?? false
  }

  #refused(error: SharedSessionError, member: Member | undefined, write: number | undefined): void {
    if (member) this.#rejectedWrites.add(error, member, write)
    // Not in the middle of a write or a save, which a listener could get into.
    queueMicrotask(() => this.#host.notifier.notifyFailure(this, member ? [member] : [], error))
  }

  async #saveUpTo(count: number): Promise<void> {
    this.saveQueue.request(count)
    await this.saveQueue.whenSaved(count)
  }

  #discard(): void {
    this.document.discard()
    this.liveCookie.discard()
    this.#transaction.forget()
  }

  #announce(change: Change): void {
    if (change.patches.length > 0 && !this.#ended) this.#host.notifier.notifyChange(this, change)
  }
}

import type { Cookie } from 'express-session'
import { TrackedDocument } from '../document/tracked-document.js'
import { SharedSessionError } from '../errors.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import type { ChangeOrigin, EndReason, LiveSession } from '../types.js'
import { storeError } from './errors.js'
import { InboundChanges } from './inbound-changes.js'
import { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import type { Change } from './notifier.js'
import { viewOf } from './per-socket.js'
import type { ReplicaContext, ReplicaInit } from './replica-context.js'
import { ReplicaTransaction } from './replica-transaction.js'
import { RevalidationTimer } from './revalidation-timer.js'
import type { SaveQueue } from './save-queue.js'
import { SessionMethods } from './session-methods.js'
import { warnIfNotSaved, warnNotJson } from './warnings.js'
import { type WriteMark, WriteOutcomes } from './write-outcomes.js'

/**
 * One session in this process: its data, its unsaved changes, its sockets, its end. All sockets of the session share one replica. Writes are
 * made at once and saved later; what others write is merged underneath.
 *
 * | State         | Fields that say so                                     | Entered when                          | Left                                                        |
 * | ------------- | ------------------------------------------------------ | ------------------------------------- | ----------------------------------------------------------- |
 * | idle          | `saveQueue.active` false, `requestedSeq <= savedSeq`   | a save was committed                  | queued, by `save()` or a write with `autoSave`              |
 * | queued        | `saveQueue.active`, nothing in flight                  | `saveQueue.request()`                 | in flight, at the end of the tick or of a pause             |
 * | in flight     | `ReplicaTransaction.#inFlight`                         | `transaction.rebase()` has a proposal | idle, or queued if more was written, by `committed()`; queued, by `aborted()`; indeterminate, where no answer came |
 * | indeterminate | `transaction.isIndeterminate`                          | `onIndeterminate.begun()`             | as from in flight, when the same write is sent again; idle, by `outcomeUnknown()`, and the store is read |
 * | failed        | `saveQueue.active` false, `requestedSeq > savedSeq`    | `saveQueue` gives up (`SAVE_FAILED`)  | queued, by the next write, `flush()` or a late answer       |
 * | ended         | `ended`                                                | `end()`, in any state                 | never; its id gets a new replica                            |
 *
 * A write without `autoSave` changes no state. With `onChange: 'notify'` changes of others wait in `InboundChanges` for a save or `reload()`.
 */
export class SessionReplica {
  readonly sid: string
  readonly members = new Set<Member>()
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  readonly inbound: InboundChanges
  /** A client's cookie has named the session: it is more than what a handshake made for a client without a cookie. */
  namedByCookie = false
  /** A request that has the session stores it although nothing was written: `saveUninitialized` of the session middleware. */
  storedByRequests = false
  readonly #context: ReplicaContext<SessionReplica>
  readonly #transaction: ReplicaTransaction
  readonly #revalidation: RevalidationTimer
  readonly #writes: WriteOutcomes
  #ended: SharedSessionError | undefined

  constructor(context: ReplicaContext<SessionReplica>, { sid, data, cookie, prototype, stored }: ReplicaInit) {
    const { options, committer, counts, notifier } = context
    this.#context = context
    this.sid = sid
    const liveCookie = new LiveCookie(cookie)
    const document = new TrackedDocument<Member>(data, {
      prototype,
      fixed: { cookie },
      strategies: context.strategies,
      members: new SessionMethods(this, prototype),
      // Every write is made through a view, which has an author.
      onWrite: (member) => this.#onWrite(member as Member),
      onLossy: warnNotJson,
      maxBytes: options.maxBytes,
      onProblem: (error, member, write) => this.#writes.rejected(error, member as Member, write),
    })
    this.liveCookie = liveCookie
    this.document = document
    this.inbound = new InboundChanges({
      ...{ options, document, liveCookie, stored },
      notify: (change) => this.#notify(change),
      reportMerge: (result) => context.reportMerge(sid, result),
      expiryChanged: () => this.#restartTimer(),
    })
    this.#transaction = new ReplicaTransaction({
      ...{ sid, options, committer, counts, document, liveCookie, inbound: this.inbound },
      reportConflicts: (conflicts) => context.reportMerge(sid, { conflicts }),
      activeChanged: () => this.#updatePin(),
      committed: ({ patches, by }, depth) => {
        this.#notify({ patches, by, origin: 'socket', depth })
        if (!this.#ended) notifier.notifySaved(sid, patches, depth)
      },
      gaveUp: (error, depth) => {
        context.saveFailed(this, error)
        const writers = [...this.members].filter((member) => member.lastWrite > this.saveQueue.savedSeq)
        notifier.notifyFailure(sid, writers, error, depth)
      },
      outcomeUnknown: (seq) => {
        this.#writes.outcomeUnknown(this.members, this.saveQueue.savedSeq, seq)
        this.check()
      },
    })
    this.#revalidation = new RevalidationTimer(this, options.revalidate)
    this.#writes = new WriteOutcomes((members, error) => notifier.notifyFailure(sid, members, error))
  }

  get cookie(): Cookie {
    return this.liveCookie.cookie
  }

  get saveQueue(): SaveQueue {
    return this.#transaction.queue
  }

  get stored(): boolean {
    return this.inbound.stored
  }

  get expires(): number | undefined {
    return this.liveCookie.expires
  }

  /** When the store was last read or written, in ms since the epoch. */
  get confirmedAt(): number {
    return this.inbound.confirmedAt
  }

  /** Why nothing can be done with this session any more. */
  get ended(): SharedSessionError | undefined {
    return this.#ended
  }

  /** The session as one of its sockets has it. */
  view(member: Member): LiveSession {
    const view = this.document.view(member)
    // The root has express-session's prototype and members, and the application's data: what the type says.
    return (member.perSocket ? viewOf(member, view, member.perSocket) : view) as LiveSession
  }

  trackedCookie(member: Member): Cookie {
    return this.liveCookie.tracked(
      () => {
        this.#onWrite(member)
        this.#restartTimer()
      },
      (error) => this.#writes.rejected(error, member),
    )
  }

  join(member: Member): void {
    this.members.add(member)
    this.#updatePin()
    if (this.members.size === 1) this.#context.setSubscribed(this.sid, true)
    this.#restartTimer()
  }

  leave(member: Member): void {
    // Once: by the time the socket of an ended session has gone, another session may have the id.
    if (!this.members.delete(member)) return
    this.#updatePin()
    const { saveQueue: queue } = this
    const isAbandoned = () => !this.#ended && member.lastWrite > Math.max(queue.requestedSeq, queue.savedSeq)
    warnIfNotSaved(this.document, this.members, isAbandoned)
    if (this.members.size > 0) return
    this.#context.setSubscribed(this.sid, false)
    this.#revalidation.stop()
  }

  /**
   * Resolves when everything written so far is saved. Calls the store only where something is unsaved or kept aside.
   * @param member the socket that calls; its rejected writes are reported to it
   * @throws `NOT_STORABLE` and the like for a write that was rejected since its last `save()`; `SESSION_ENDED`; `SAVE_FAILED`
   */
  async save(member?: Member): Promise<void> {
    this.scanRawObjects()
    if (this.#ended) {
      // Many callers ignore the result: report what was to be saved as a late write.
      if (member && member.lastWrite > this.saveQueue.savedSeq) this.#onWrite(member)
      throw this.#ended
    }
    // To be saved, or merged, although nothing was written.
    if (!this.stored || this.inbound.hasPendingRemote) this.#transaction.nextSeq()
    await this.#transaction.saveAll()
    this.#writes.throwRejected(member)
  }

  /** Requests a save of a new, unmodified session. */
  create(): void {
    if (!this.stored) this.save().catch(() => undefined)
  }

  /** @throws `SESSION_NOT_FOUND` where the store has no such session; `SESSION_ENDED`; `STORE_FAILED` */
  async reload(member: Member): Promise<void> {
    if (this.#ended) throw this.#ended
    this.scanRawObjects()
    if (member.autoSave) await this.#transaction.saveAll()
    let found = true
    await this.#context.committer
      .inspect(this.sid, (snapshot) => {
        found = snapshot !== undefined
        if (this.#ended) return
        if (!snapshot) return this.stored ? this.#context.onMissingInStore(this.sid) : undefined
        if (this.#transaction.isIndeterminate) return this.saveQueue.resume()
        // Changes whose save was requested are not discarded.
        if (!member.autoSave && !this.saveQueue.active) this.#transaction.discard()
        this.inbound.rebase(snapshot, 'remote')
      })
      .catch((cause) => {
        throw storeError('read', cause)
      })
    if (!found) {
      throw new SharedSessionError('SESSION_NOT_FOUND', 'The session is not in the store: it has ended, or was never saved.')
    }
    if (this.#ended) throw this.#ended
  }

  /** @throws `STORE_FAILED` where the store could not destroy it: the session lives on */
  async destroy(member: Member): Promise<void> {
    if (this.#ended) return
    this.scanRawObjects()
    this.#writes.destroying(member, this.#transaction.seq)
    try {
      await this.#context.destroy(this.sid)
    } catch (cause) {
      this.#writes.destroyFailed(member)
      throw storeError('destroyed', cause)
    }
  }

  /** Restarts the session's time to live, in the store as well. */
  touch(): void {
    this.liveCookie.renew()
    if (this.#ended || !this.stored) return
    this.#context.committer.touch(this.sid, this.liveCookie.json(), () => this.document.base()).catch(() => undefined)
    this.#restartTimer()
  }

  /** Tracks what was done to plain objects that were assigned and that a handler still holds. */
  scanRawObjects(): void {
    if (this.document.hasRawObjects) this.document.scanRawObjects()
  }

  /** The save that an ack of this socket waits for, see {@link WriteOutcomes.pendingSave}. @param since when the event came in */
  pendingSaveOf(member: Member, since: WriteMark): Promise<void> | undefined {
    this.scanRawObjects()
    return this.#writes.pendingSave(member, since, this.saveQueue, this.document.writeCount, this.#ended)
  }

  /** A commit that is not this replica's reached the store. @param messageBytes of the message that reports it; 0 where the store was read */
  onRemoteSnapshot(snapshot: Snapshot, origin: ChangeOrigin, messageBytes = 0): void {
    if (this.#ended) return
    // It may contain the save in flight, and may not: the save that finds out merges it.
    if (this.#transaction.isIndeterminate) this.saveQueue.resume()
    else this.inbound.receive(snapshot, origin, messageBytes)
  }

  /** The session's time to live was restarted in the store. @param exact the expiry counts also where it is an earlier one */
  touched(cookie: CookieJson, exact = false): void {
    this.inbound.acceptCookie(cookie, 0, exact)
    this.#restartTimer()
  }

  /** Reads the store: is the session still there, and what have others written? Never rejects. */
  async check(): Promise<void> {
    if (!this.stored) return
    await this.#context.committer
      .inspect(this.sid, (snapshot) => {
        if (snapshot) this.onRemoteSnapshot(snapshot, 'remote')
        else this.#context.onMissingInStore(this.sid)
      })
      // A store that is down has ended no session; the timer checks again.
      .catch(() => undefined)
  }

  /** Ends the session: nothing is saved any more, and its sockets are notified. @param after when their transports may be closed */
  end(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.scanRawObjects()
    this.#ended = new SharedSessionError('SESSION_ENDED', `The session has ended (${reason}); nothing of it is saved any more.`)
    this.#revalidation.stop()
    this.#transaction.end(this.#ended)
    this.#writes.sessionEnded(this.#transaction.seq, this.#ended)
    for (const member of [...this.members]) member.onSessionEnd(reason, after)
  }

  /** Stops timers; the data stays readable. */
  close(): void {
    this.#revalidation.stop()
  }

  #onWrite(member: Member): void {
    const seq = this.#transaction.nextSeq()
    member.lastWrite = seq
    if (this.#ended) this.#writes.wroteAfterEnd(member, this.#ended)
    else if (member.autoSave) this.saveQueue.request(seq)
  }

  #updatePin(): void {
    this.#context.setPinned(this, this.members.size > 0 || this.saveQueue.active)
  }

  /** The session's expiry may have changed. */
  #restartTimer(): void {
    if (this.members.size > 0 && !this.#ended) this.#revalidation.start()
  }

  #notify(change: Change): void {
    if (change.patches.length > 0 && !this.#ended) this.#context.notifier.notifyChange(this.sid, this.members, change)
  }
}

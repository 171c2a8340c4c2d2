import type { Cookie } from 'express-session'
import type { CommitMessage } from '../cluster/message.js'
import type { JsonObject } from '../document/json.js'
import type { TrackedDocument } from '../document/tracked-document.js'
import { SharedSessionError } from '../errors.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Moment } from '../store/session-clock.js'
import type { Snapshot } from '../store/snapshot.js'
import type { ChangeOrigin, EndReason, LiveSession } from '../types.js'
import { ActiveSession, type ActiveSessionOwner } from './active-session.js'
import { IdleSession } from './idle-session.js'
import { lazyView, NEEDS_VIEW, type ViewSource } from './lazy-view.js'
import type { Member } from './member.js'
import { Members } from './members.js'
import type { Change } from './notifier.js'
import { viewOf } from './per-socket.js'
import type { ReplicaContext, ReplicaInit, SaveFailure, SessionTemplate, StoredObserver } from './replica-context.js'
import { RevalidationTimer } from './revalidation-timer.js'
import type { SaveQueue } from './save-queue.js'
import { createSessionDocument, type DocumentOwner } from './session-document.js'
import type { WriteMark } from './write-outcomes.js'

/**
 * One session in this process, which all its sockets share. Writes are made at once and saved later; what others write is merged underneath.
 *
 * | State         | Fields that say so                                     | Entered when                          | Left                                                        |
 * | ------------- | ------------------------------------------------------ | ------------------------------------- | ----------------------------------------------------------- |
 * | saved         | `saveQueue.active` false, `requestedSeq <= savedSeq`   | a save was committed                  | queued, by `save()` or a write with `autoSave`              |
 * | queued        | `saveQueue.active`, nothing in flight                  | `saveQueue.request()`                 | in flight, at the end of the tick or of a pause             |
 * | in flight     | `ReplicaTransaction.#inFlight`                         | `transaction.rebase()` has a proposal | saved, or queued if more was written, by `committed()`; queued, by `aborted()`; saved, by `contentRefused()`, without what the store cannot hold; indeterminate, where no answer came |
 * | indeterminate | `transaction.isIndeterminate`                          | `onIndeterminate.begun()`             | as from in flight, when the same write is sent again; saved, by `outcomeUnknown()`, and the store is read |
 * | failed        | `saveQueue.active` false, `requestedSeq > savedSeq`    | `saveQueue` gives up (`SAVE_FAILED`)  | queued, by the next write, `flush()` or a late answer       |
 * | ended         | `ended`                                                | `end()`, in any state                 | never; its id gets a new replica                            |
 *
 * A write without `autoSave` changes no state. With `onChange: 'notify'` changes of others wait in `SessionBase` for a save or `reload()`.
 */
export class SessionReplica implements ActiveSessionOwner, DocumentOwner, ViewSource<Member> {
  readonly sid: string
  readonly members = new Members()
  /** A client's cookie has named the session: it is more than what a handshake made for a client without a cookie. */
  namedByCookie = false
  /** The application may refer to it: it was given a view. */
  isHeld = false
  /** A request that has the session stores it although nothing was written: `saveUninitialized` of the session middleware. */
  storedByRequests = false
  /** When the read began by which the session is known, until its first socket joins. See {@link ReplicaInit}. */
  readMoment: Moment | undefined
  // When an event of a socket last touched the session, and when it became live here, in ms since the epoch.
  touchedAt = 0
  readonly liveSinceMs = Date.now()
  /** Why nothing can be done with this session any more. */
  ended: SharedSessionError | undefined
  #observers: readonly StoredObserver[] | undefined
  readonly #context: ReplicaContext<SessionReplica>
  /** Until the first write. */
  #idle: IdleSession | undefined
  /** From the first read of an object, or the first write, on. */
  #document: TrackedDocument<Member> | undefined
  /** From the first write on, of its own or of others, instead of `#idle`. */
  #active: ActiveSession | undefined
  #template: SessionTemplate | undefined
  #revalidation: RevalidationTimer | undefined

  constructor(context: ReplicaContext<SessionReplica>, { sid, snapshot, stored, readMoment, template }: ReplicaInit) {
    this.#context = context
    this.sid = sid
    this.#idle = new IdleSession(snapshot, stored, template?.prototype ?? context.sessionPrototype)
    this.readMoment = readMoment
    this.#template = template
  }

  get document(): TrackedDocument<Member> {
    this.#document ??= createSessionDocument(this, this.#idle as IdleSession, this.#context)
    return this.#document
  }

  get cookie(): Cookie {
    return this.activate().liveCookie.cookie
  }

  get saveQueue(): SaveQueue {
    return this.activate().transaction.queue
  }

  /** Is a save due or under way? */
  get saving(): boolean {
    return this.#active?.transaction.queue.active ?? false
  }

  get stored(): boolean {
    return (this.#idle ?? this.activate().base).stored
  }

  /** The session may be in the store from now on. */
  noteStored(): void {
    const state = this.#idle ?? this.activate().base
    state.stored = true
  }

  get expires(): number | undefined {
    return this.#idle ? this.#idle.expires : this.activate().liveCookie.expires
  }

  get originalMaxAge(): unknown {
    return this.#idle ? this.#idle.originalMaxAge : this.cookie.originalMaxAge
  }

  get history(): Snapshot['history'] {
    return this.#idle ? this.#idle.snapshot.history : this.activate().base.history
  }

  /** When the store was last read or written, in ms since the epoch. */
  get lastStoreContactMs(): number {
    return (this.#idle ?? this.activate().base).lastStoreContactMs
  }

  /** Does the session hold no data? */
  get isEmpty(): boolean {
    return this.#document ? this.#document.isEmpty : (this.#idle as IdleSession).snapshot.isEmpty
  }

  /** What the store is known to hold, without what is on its way there: a copy. */
  get storedData(): JsonObject {
    return this.#idle ? this.#idle.snapshot.copy().data : this.activate().storedData
  }

  /** How many writes there were so far. */
  get writeCount(): number {
    return this.#document?.writeCount ?? 0
  }

  /** May {@link scanWatchedObjects} find a write? */
  get hasWatchedObjects(): boolean {
    return this.#document?.hasWatchedObjects ?? false
  }

  /** From now on the session is not idle any more. */
  activate(): ActiveSession {
    if (this.#active) return this.#active
    this.#active = new ActiveSession(this.#context, this, this.#idle as IdleSession, this.document, this.#template?.cookie)
    this.#template = this.#idle = undefined
    return this.#active
  }

  /** The session as one of its sockets has it, the same one each time. */
  view(member: Member): LiveSession {
    if (member.view) return member.view
    const current = this.isHeld ? this : this.#context.registry.held(this)
    if (current !== this) return current.view(member)
    // The root has express-session's members and the application's data: what the type says.
    member.view = (this.#document ? this.makeView(member) : lazyView(member, this)) as LiveSession
    return member.view
  }

  peek({ perSocket }: Member, key: string): unknown {
    return this.#document || perSocket ? NEEDS_VIEW : (this.#idle as IdleSession).peek(key)
  }

  makeView(member: Member): object {
    return viewOf(member, this.document.view(member))
  }

  join(member: Member): void {
    this.members.add(member)
    if (this.members.size > 1) return
    this.activeChanged()
    this.#context.subscribe(this.sid, this.readMoment)
    this.readMoment = undefined
    this.expiryChanged()
  }

  leave(member: Member): void {
    // Once: when the socket of an ended session has gone, another session may have the id.
    if (!this.members.delete(member)) return
    this.activeChanged()
    this.#active?.left(member)
    if (this.members.size > 0) return
    this.#context.unsubscribe(this.sid)
    this.close()
  }

  /** See {@link ActiveSession.save}. @param member the socket that calls */
  save(member?: Member): Promise<void> {
    return this.activate().save(member)
  }

  /** Restarts the session's time to live, in the store as well. */
  touch(): void {
    this.activate().touch()
  }

  /** Requests a save of a new, unmodified session. */
  create(): void {
    if (!this.stored) this.save().catch(() => undefined)
  }

  /** Tracks what was done to plain objects that were assigned and that a handler still holds. */
  scanWatchedObjects(): void {
    this.#document?.scanWatchedObjects()
  }

  /** The save that an ack of this socket waits for, see {@link WriteOutcomes.pendingSave}. @param since when the event came in */
  pendingSaveOf(member: Member, since: WriteMark): Promise<void> | undefined {
    if (!this.#active) return undefined
    this.scanWatchedObjects()
    return this.#active.writes.pendingSave(member, since, this.saveQueue, this.document.writeCount, this.ended)
  }

  /** A commit that is not this replica's reached the store. @param messageBytes of the message that reports it; 0 where the store was read */
  receiveCommit(snapshot: Snapshot, origin: ChangeOrigin, messageBytes = 0): void {
    if (this.ended) return
    if (this.#idle && messageBytes === 0 && this.#isSilent(this.#idle, snapshot)) {
      if (this.#idle.receive(snapshot.copy())) this.expiryChanged()
      this.storedChanged(snapshot)
      return
    }
    const { transaction, base } = this.activate()
    // It may contain the save in flight, and may not: the save that finds out merges it.
    if (transaction.isIndeterminate) transaction.foundInStore()
    else base.receive(snapshot, origin, messageBytes)
  }

  /** What another process's commit makes of the session, see {@link ActiveSession.base}. */
  afterCommitMessage(message: CommitMessage, bytes: number): Snapshot | 'known' | undefined {
    return this.activate().base.afterCommitMessage(message, bytes)
  }

  /** Can what the store holds be noted without anybody who has to be notified, and without a merge? */
  #isSilent(idle: IdleSession, { dataText }: Snapshot): boolean {
    if (this.#document) return dataText !== undefined && dataText === idle.snapshot.dataText
    return this.#context.options.onChange === 'reload' && !this.#context.notifier.isListenedTo(this.members)
  }

  /** The session's time to live was restarted in the store. @param exact the expiry counts also where it is an earlier one */
  touched(cookie: CookieJson, exact = false): void {
    // While a save is in doubt nothing is merged, the cookie neither: its change would be lost.
    if (this.#active?.transaction.isIndeterminate) return
    if (this.#idle) this.#idle.acceptCookie(cookie, exact)
    else this.activate().base.acceptCookie(cookie, 0, exact)
    this.expiryChanged()
  }

  /** Reads the store: is the session still there, and what have others written? A store that is down has ended no session: the timer checks again. */
  async revalidate(): Promise<void> {
    if (!this.stored) return
    await this.#context.committer
      .readExclusive(this.sid, (snapshot) =>
        snapshot ? this.receiveCommit(snapshot, 'remote') : this.#context.onMissingInStore(this.sid),
      )
      .catch(() => undefined)
  }

  /** Ends the session: nothing is saved any more, and its sockets are notified. @param after when their transports may be closed */
  end(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.scanWatchedObjects()
    this.ended = new SharedSessionError('SESSION_ENDED', `The session has ended (${reason}); nothing of it is saved any more.`)
    this.close()
    this.#active?.end(this.ended)
    for (const member of [...this.members]) member.onSessionEnd(reason, after)
  }

  /** Stops timers; the data stays readable. */
  close(): void {
    this.#revalidation?.stop()
  }

  /** Keeps the replica in memory while it has sockets or something to save. */
  activeChanged(): void {
    this.#context.registry.setPinned(this, this.members.size > 0 || this.saving)
  }

  /** Restarts the timer that looks the session up when it expires. */
  expiryChanged(): void {
    if (this.members.size === 0 || this.ended) return
    const { revalidate } = this.#context.options
    if (revalidate !== false || this.expires !== undefined) this.#revalidation ??= new RevalidationTimer(this, revalidate)
    this.#revalidation?.start()
  }

  /** @returns ends it */
  observe(observer: StoredObserver): () => void {
    this.#observers = [...(this.#observers ?? []), observer]
    return () => {
      this.#observers = this.#observers?.filter((each) => each !== observer)
    }
  }

  storedChanged(snapshot: Snapshot): void {
    for (const observer of this.#observers ?? []) observer.stored(snapshot)
  }

  notify(change: Change): void {
    if (!this.ended) this.#context.notifier.notifyChange(this.sid, this.members, change)
  }

  saveEnded(failure?: SaveFailure): void {
    this.#context.registry.saveEnded(this, failure)
  }
}

import type { Cookie } from 'express-session'
import { SharedSessionError } from '../errors.js'
import type { Next } from '../store/contract.js'
import type { CookieImage, Document } from '../store/document.js'
import { type Absorbed, type Conflict, Ledger } from '../tracking/ledger.js'
import type { Patch } from '../tracking/patch.js'
import type { ChangeOrigin, EndReason, LiveSession as Face } from '../types.js'
import { LiveCookie } from './cookie.js'
import { FaceMembers } from './face.js'
import { storeFailed } from './failure.js'
import { type CommitMessage, follow } from './follow.js'
import { Hearing, type HearingHost } from './hearing.js'
import type { Change } from './herald.js'
import type { SessionHost, Start } from './host.js'
import { LateWrites } from './late-writes.js'
import type { Member } from './member.js'
import { warnNotJson } from './not-json.js'
import { warnIfNotSaved } from './not-saved.js'
import { viewOf } from './per-socket.js'
import { type Moment, notMade, Refusals } from './refusals.js'
import { currentRound } from './rounds.js'
import { Saver, type SaverHost } from './saver.js'
import { Vigil } from './vigil.js'
import { SessionWriter, type WriterHost } from './writer.js'

/**
 * One session in this process: its data, what of it is unsaved, its sockets, its end. Over 300 lines because it is what all parts of a
 * session meet in; each of them (writer, saver, hearing, cookie, vigil) has a file of its own, and asks the session by an interface of its own.
 */
export class LiveSession implements SaverHost, WriterHost, HearingHost {
  readonly sid: string
  readonly members = new Set<Member>()
  readonly ledger: Ledger<Member>
  readonly saver: Saver
  readonly liveCookie: LiveCookie
  /** A client's cookie has named it: it is more than what a handshake has made for a client that names none. */
  claimed = false
  /** A request that has it stores it, although nothing was written to it: `saveUninitialized` of the session middleware. */
  storedByRequests = false
  readonly #host: SessionHost
  readonly #writer: SessionWriter
  readonly #hearing: Hearing
  readonly #vigil: Vigil
  /** Made for an end: most sessions never see one here. */
  #late: LateWrites | undefined
  #ended: SharedSessionError | undefined
  #seen = Date.now()
  /** Bytes of messages that were taken in since the store was read or written. */
  #told = 0
  readonly #refusals = new Refusals()

  constructor(host: SessionHost, { sid, data, cookie, prototype, stored }: Start) {
    this.#host = host
    this.sid = sid
    this.liveCookie = new LiveCookie(cookie)
    this.ledger = new Ledger<Member>(data, {
      prototype,
      fixed: { cookie },
      rules: host.rules,
      members: new FaceMembers(this, prototype),
      // Every write comes through a face.
      onWrite: (member) => this.#wrote(member as Member),
      onLossy: warnNotJson,
      maxBytes: host.options.maxBytes,
      onProblem: (error, member, write) => this.#refused(error, member as Member, write),
    })
    this.saver = new Saver(this, host.options.retry)
    this.#writer = new SessionWriter(this, stored)
    this.#hearing = new Hearing(this, host.options)
    this.#vigil = new Vigil(this, host.options.revalidate)
  }

  get cookie(): Cookie {
    return this.liveCookie.cookie
  }

  get stored(): boolean {
    return this.#writer.stored
  }

  get expires(): number | undefined {
    return this.liveCookie.expires
  }

  get seen(): number {
    return this.#seen
  }

  /** Why nothing can be done with this session any more. */
  get ended(): SharedSessionError | undefined {
    return this.#ended
  }

  /** Something of this session is on its way into the store, or is to be. */
  get busy(): boolean {
    return this.saver.active
  }

  /** The session as one of its sockets holds it. */
  face(member: Member): Face {
    const face = this.ledger.face(member)
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
    this.hold()
    this.#host.listen(this.sid, true)
    this.#watch()
  }

  leave(member: Member): void {
    // Once: by the time the socket of an ended session is gone, another session may have the id.
    if (!this.members.delete(member)) return
    this.hold()
    warnIfNotSaved(this, member)
    if (this.members.size > 0) return
    this.#host.listen(this.sid, false)
    this.#vigil.stop()
  }

  /**
   * Resolves when everything written so far is saved; makes no call of the store where nothing is unsaved or untaken.
   * @param member who asks: rejects where a write of its was not made since it asked last; all others are saved
   */
  async save(member?: Member): Promise<void> {
    this.poll()
    if (this.#ended) {
      // Many look at no result of a save: what was to be in it is as lost as a write.
      if (member && member.lastWrite > this.saver.saved) this.#wrote(member)
      throw this.#ended
    }
    // To be saved or taken in although nothing was modified.
    if (!this.stored || this.#hearing.isBehind) this.#writer.wrote()
    await this.#saveUpTo(this.#writer.count)
    this.#refusals.throwFor(member)
  }

  /** Asks for a save of a new session that nobody has modified. */
  create(): void {
    if (!this.stored) this.save().catch(() => undefined)
  }

  async reload(member: Member): Promise<void> {
    if (this.#ended) throw this.#ended
    this.poll()
    if (member.autoSave) await this.#saveUpTo(this.#writer.count)
    let found = true
    await this.#host
      .inspect(this.sid, (document) => {
        found = document !== undefined
        if (this.#ended) return
        if (!document) return this.stored ? this.#host.gone(this.sid) : undefined
        if (this.#writer.inDoubt) return this.saver.resume()
        // What somebody has asked to save is not discarded.
        if (!member.autoSave && !this.saver.active) this.#discard()
        this.#hearing.absorb(document, 'remote')
      })
      .catch((cause) => {
        throw storeFailed('read', cause)
      })
    if (!found) {
      throw new SharedSessionError('SESSION_NOT_FOUND', 'The session is not in the store: it has ended, or was never saved.')
    }
    if (this.#ended) throw this.#ended
  }

  async destroy(member: Member): Promise<void> {
    if (this.#ended) return
    this.poll()
    const late = this.#lateWrites()
    late.destroying(member, this.#writer.count)
    try {
      await this.#host.destroy(this.sid)
    } catch (cause) {
      late.notDestroyed(member)
      throw storeFailed('destroyed', cause)
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
  poll(): void {
    if (this.ledger.watching) this.ledger.poll()
  }

  /**
   * What an ack of this socket has to wait for: the writes made through it, as far as a save of them is due or under way.
   * @param at the socket's counts when the event came in
   * @returns `undefined` for nothing; rejects where one of the writes was not made, or is not in the store
   */
  unsavedBy(member: Member, at: Moment): Promise<void> | undefined {
    this.poll()
    if (this.#refusals.isRefused(member, at)) return Promise.reject(notMade())
    const { lastWrite, lastLost } = member
    const { lastWrite: before } = at
    const { writes } = this.ledger
    const { saved, due, wanted } = this.saver
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
    return this.saver.until(count).then(
      () => this.#refusals.assertKept(member, at, writes),
      (error) => {
        if (!this.#endedBy(member, lastWrite)) throw error
      },
    )
  }

  /** Somebody else's commit reached the store. @param told bytes of the message that says so; 0 where the store was read or written */
  heard(document: Document, origin: ChangeOrigin, told = 0): void {
    if (this.#ended) return
    // It may have what is on its way here in it, and may not: the save that finds out takes it in.
    if (this.#writer.inDoubt) this.saver.resume()
    else this.#hearing.heard(document, origin, told)
  }

  /**
   * Where another process's commit leads, see {@link follow}. Without merging a save writes whatever is here, and what was only told is not
   * to get into the store; neither may a session grow for ever by what is told.
   * @param bytes of the message
   */
  after(message: CommitMessage, bytes: number): Document | 'known' | undefined {
    const isBelieved = this.merging && this.#told + bytes <= this.maxBytes
    return follow(isBelieved ? message : { ...message, change: undefined }, this.#hearing, this.liveCookie.image())
  }

  /** The life of the session was refreshed in the store. @param meant its end is as somebody wants it */
  refreshed(cookie: CookieImage, meant = false): void {
    this.see(cookie, 0, meant)
    this.#watch()
  }

  /** Asks the store whether the session is still there, and for what others have written. */
  async check(): Promise<void> {
    if (!this.stored) return
    await this.#host
      .inspect(this.sid, (document) => {
        if (document) this.heard(document, 'remote')
        else this.#host.gone(this.sid)
      })
      // A store that is down has ended no session; it is asked again.
      .catch(() => undefined)
  }

  /** The session is no more: nothing is saved, its sockets are told. */
  end(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.poll()
    this.#ended = new SharedSessionError('SESSION_ENDED', `The session has ended (${reason}); nothing of it is saved any more.`)
    this.#vigil.stop()
    this.saver.stop(this.#ended)
    this.#lateWrites().ended(this.#writer.count, this.#ended)
    for (const member of [...this.members]) member.ended(reason, after)
  }

  /** Lets go of timers; the data stays readable. */
  close(): void {
    this.#vigil.stop()
  }

  // What its saver asks.

  async write(): Promise<void> {
    this.poll()
    if (this.#writer.isIdle && !this.#hearing.isBehind) {
      const { conflicts } = this.ledger.collect()
      this.#writer.forget()
      this.conflicts(conflicts)
    } else await this.#host.commit(this.sid, this.#writer)
  }

  hold(): void {
    this.#host.hold(this, this.members.size > 0 || this.saver.active)
  }

  retrying(): void {
    this.#host.retrying()
  }

  unsaved(error: SharedSessionError): void {
    this.#host.unsaved(this, error)
    const writers = [...this.members].filter((member) => member.lastWrite > this.saver.saved)
    this.#host.herald.failed(this, writers, error, this.#writer.round)
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
    return this.#hearing.isBehind
  }

  absorb(theirs: Document): void {
    this.#hearing.absorb(theirs, 'remote')
  }

  conflicts(conflicts: Conflict[]): void {
    this.#host.conflicts(this.sid, conflicts)
  }

  covered(count: number): void {
    this.saver.covered(count)
  }

  merged(): void {
    this.#host.count('merges')
  }

  written({ document, patches, by }: Next, round: number): void {
    this.see(document.cookie)
    this.#hearing.saved(document.record)
    if (!this.merging) this.#hearing.replaced()
    this.resume()
    this.#announce({ patches, by, origin: 'socket', round })
    if (!this.#ended) this.#host.herald.saved(this.sid, patches, round)
  }

  failed(): void {
    this.resume()
  }

  follows({ data }: Document): boolean {
    return !this.isBehind && this.ledger.isBase(data)
  }

  resume(): void {
    this.saver.resume()
  }

  lost(count: number): void {
    // The session becomes what the store holds.
    const { saved } = this.saver
    for (const member of this.members) {
      if (member.lastWrite > saved) member.lastLost = Math.min(member.lastWrite, count)
    }
    this.check()
  }

  // What its hearing asks.

  see(cookie: CookieImage, told = 0, meant = false): void {
    this.#writer.stored = true
    // A message may be made up: only reads and writes put off the next question to the store.
    if (told === 0) this.#seen = Date.now()
    this.#told = told === 0 ? 0 : this.#told + told
    const { expires } = this
    this.liveCookie.see(cookie, meant)
    if (this.expires !== expires) this.#watch()
  }

  absorbed({ patches, conflicts, problems }: Absorbed, unsaved: boolean): void {
    this.#writer.rebased()
    if (unsaved && patches.length > 0) this.#writer.met()
    this.conflicts(conflicts)
    this.#host.mergesFailed(this.sid, problems)
  }

  tell(patches: Patch[], origin: ChangeOrigin): void {
    this.#announce({ patches, by: undefined, origin, round: currentRound() })
  }

  /** Its end may have moved. */
  #watch(): void {
    if (this.members.size > 0 && !this.#ended) this.#vigil.start()
  }

  #wrote(member: Member): void {
    const count = this.#writer.wrote()
    member.lastWrite = count
    if (this.#ended) this.#lateWrites().wrote(member, this.#ended)
    else if (member.autoSave) this.saver.request(count)
  }

  #lateWrites(): LateWrites {
    this.#late ??= new LateWrites((member, error) => this.#host.herald.failed(this, [member], error))
    return this.#late
  }

  #endedBy(member: Member, write: number): boolean {
    return this.#late?.isEndedBy(member, write) ?? false
  }

  #refused(error: SharedSessionError, member: Member | undefined, write: number | undefined): void {
    if (member) this.#refusals.add(error, member, write)
    // Not in the middle of a write or a save, which a listener could get into.
    queueMicrotask(() => this.#host.herald.failed(this, member ? [member] : [], error))
  }

  async #saveUpTo(count: number): Promise<void> {
    this.saver.request(count)
    await this.saver.until(count)
  }

  #discard(): void {
    this.ledger.discard()
    this.liveCookie.discard()
    this.#writer.forget()
  }

  #announce(change: Change): void {
    if (change.patches.length > 0 && !this.#ended) this.#host.herald.changed(this, change)
  }
}

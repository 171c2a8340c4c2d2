import { TrackedDocument } from '../document/tracked-document.js'
import { SharedSessionError } from '../errors.js'
import { storeError } from './errors.js'
import type { IdleSession } from './idle-session.js'
import { InboundChanges } from './inbound-changes.js'
import { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import type { Change } from './notifier.js'
import type { ReplicaContext, SessionTemplate } from './replica-context.js'
import { ReplicaTransaction } from './replica-transaction.js'
import { type SessionCommands, SessionMethods } from './session-methods.js'
import { warnNotJson } from './warnings.js'
import { WriteOutcomes } from './write-outcomes.js'

type PartsContext = Omit<ReplicaContext<never>, 'setPinned' | 'saveFailed'>

/** The replica that has the parts. */
export interface PartsOwner extends SessionCommands {
  readonly members: ReadonlySet<Member>
  readonly ended: SharedSessionError | undefined
  notify(change: Change): void
  expiryChanged(): void
  /** A save is due, or none is any more. */
  activeChanged(): void
  check(): Promise<void>
  saveGaveUp(error: SharedSessionError): void
}

/** What a replica has from the first use of its session on: its document, its cookie, its saves. */
export class ReplicaParts {
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  readonly inbound: InboundChanges
  readonly transaction: ReplicaTransaction
  readonly writes: WriteOutcomes
  readonly #context: PartsContext
  readonly #owner: PartsOwner

  /** @param template with the present cookie */
  constructor(context: PartsContext, owner: PartsOwner, idle: IdleSession, { cookie, prototype }: SessionTemplate) {
    this.#context = context
    this.#owner = owner
    const { options, committer, counts, notifier } = context
    const { sid } = owner
    const { snapshot, stored, confirmedAt } = idle
    const liveCookie = new LiveCookie(cookie)
    const writes = new WriteOutcomes((members, error) => notifier.notifyFailure(sid, members, error))
    const document = new TrackedDocument<Member>(snapshot.copy().data, {
      prototype,
      fixed: { cookie },
      strategies: context.strategies,
      members: new SessionMethods(owner, prototype),
      // Every write is made through a view, which has an author.
      onWrite: (member) => this.wrote(member as Member),
      onLossy: warnNotJson,
      maxBytes: options.maxBytes,
      onProblem: (error, member, write) => writes.rejected(error, member as Member, write),
    })
    const inbound = new InboundChanges({
      ...{ options, document, liveCookie, stored, confirmedAt, snapshot },
      notify: (change) => owner.notify(change),
      reportMerge: (result) => context.reportMerge(sid, result),
      expiryChanged: () => owner.expiryChanged(),
    })
    this.document = document
    this.liveCookie = liveCookie
    this.inbound = inbound
    this.writes = writes
    this.transaction = new ReplicaTransaction({
      ...{ sid, options, committer, counts, document, liveCookie, inbound },
      reportConflicts: (conflicts) => context.reportMerge(sid, { conflicts }),
      activeChanged: () => owner.activeChanged(),
      committed: ({ patches, by }, depth) => {
        owner.notify({ patches, by, origin: 'socket', depth })
        if (!owner.ended) notifier.notifySaved(sid, patches, depth)
      },
      gaveUp: (error, depth) => {
        owner.saveGaveUp(error)
        const { savedSeq } = this.transaction.queue
        const writers = [...owner.members].filter((member) => member.lastWrite > savedSeq)
        notifier.notifyFailure(sid, writers, error, depth)
      },
      outcomeUnknown: (seq) => {
        writes.outcomeUnknown(owner.members, this.transaction.queue.savedSeq, seq)
        owner.check()
      },
    })
    if (owner.ended) this.end(owner.ended)
  }

  /** A socket has written. */
  wrote(member: Member): void {
    const { transaction, writes } = this
    const { ended } = this.#owner
    const seq = transaction.nextSeq()
    member.lastWrite = seq
    if (ended) writes.wroteAfterEnd(member, ended)
    else if (member.autoSave) transaction.queue.request(seq)
  }

  /**
   * Resolves when everything written so far is saved. Calls the store only where something is unsaved or kept aside.
   * @param member the socket that calls; its rejected writes are reported to it
   * @throws `NOT_STORABLE` and the like for a write that was rejected since its last `save()`; `SESSION_ENDED`; `SAVE_FAILED`
   */
  async save(member?: Member): Promise<void> {
    const { transaction, inbound, writes } = this
    const { ended } = this.#owner
    this.#scan()
    if (ended) {
      // Many callers ignore the result: report what was to be saved as a late write.
      if (member && member.lastWrite > transaction.queue.savedSeq) this.wrote(member)
      throw ended
    }
    // To be saved, or merged, although nothing was written.
    if (!inbound.stored || inbound.hasPendingRemote) transaction.nextSeq()
    await transaction.saveAll()
    writes.throwRejected(member)
  }

  /** @throws `SESSION_NOT_FOUND` where the store has no such session; `SESSION_ENDED`; `STORE_FAILED` */
  async reload(member: Member): Promise<void> {
    const { transaction, inbound } = this
    const { sid } = this.#owner
    this.#assertLive()
    this.#scan()
    if (member.autoSave) await transaction.saveAll()
    let found = true
    await this.#context.committer
      .inspect(sid, (snapshot) => {
        found = snapshot !== undefined
        if (this.#owner.ended) return
        if (!snapshot) return inbound.stored ? this.#context.onMissingInStore(sid) : undefined
        if (transaction.isIndeterminate) return transaction.queue.resume()
        // Changes whose save was requested are not discarded.
        if (!member.autoSave && !transaction.queue.active) transaction.discard()
        inbound.rebase(snapshot, 'remote')
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
    if (ended) return
    this.#scan()
    writes.destroying(member, transaction.seq)
    try {
      await this.#context.destroy(sid)
    } catch (cause) {
      writes.destroyFailed(member)
      throw storeError('destroyed', cause)
    }
  }

  /** The session has ended: nothing of it is saved any more. */
  end(error: SharedSessionError): void {
    this.transaction.end(error)
    this.writes.sessionEnded(this.transaction.seq, error)
  }

  #assertLive(): void {
    if (this.#owner.ended) throw this.#owner.ended
  }

  #scan(): void {
    if (this.document.hasRawObjects) this.document.scanRawObjects()
  }
}

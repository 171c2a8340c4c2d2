import { TrackedDocument } from '../document/tracked-document.js'
import type { SharedSessionError } from '../errors.js'
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

/** The replica that has the parts. */
export interface PartsOwner extends SessionCommands {
  readonly members: ReadonlySet<Member>
  readonly ended: SharedSessionError | undefined
  /** A socket has written. */
  wrote(member: Member): void
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

  /** @param template with the present cookie */
  constructor(
    context: Omit<ReplicaContext<never>, 'setPinned' | 'saveFailed'>,
    owner: PartsOwner,
    idle: IdleSession,
    { cookie, prototype }: SessionTemplate,
  ) {
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
      onWrite: (member) => owner.wrote(member as Member),
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

  /** The session has ended: nothing of it is saved any more. */
  end(error: SharedSessionError): void {
    this.transaction.end(error)
    this.writes.sessionEnded(this.transaction.seq, error)
  }
}

import type { ClusterPublisher } from '../cluster/publisher.js'
import { includesLastCommit, isLower } from '../store/commit-history.js'
import type { DriverMessage } from '../store/drivers/store-driver.js'
import type { Snapshot } from '../store/snapshot.js'
import type { CommitListener, CommitStep, CommittedChange } from '../store/transaction.js'
import type { ChangeOrigin } from '../types.js'
import type { LocalSessions } from './local-sessions.js'
import { currentDepth } from './notifier.js'
import type { SessionReplica } from './replica.js'

/** Passes on what the committer reports: to the session's replica, to listeners and to the other processes. */
export class CommitEvents implements CommitListener {
  readonly #sessions: LocalSessions
  readonly #publisher: ClusterPublisher
  readonly #onMoved: (sid: string, to: string) => void
  readonly #reread: (sid: string) => void

  /** @param reread reads a live session until the store answers */
  constructor(
    sessions: LocalSessions,
    publisher: ClusterPublisher,
    onMoved: (sid: string, to: string) => void,
    reread: (sid: string) => void,
  ) {
    this.#sessions = sessions
    this.#publisher = publisher
    this.#onMoved = onMoved
    this.#reread = reread
  }

  outgoingMessage(step: CommitStep): DriverMessage | undefined {
    return this.#publisher.commitMessage(step)
  }

  onCommitted(commit: CommittedChange): void {
    const { sid, origin, next } = commit
    const { registry, clock, notifier } = this.#sessions
    if (next.movedTo !== undefined) {
      this.#publisher.publishCommit(commit)
      return
    }
    const replica = registry.get(sid)
    clock.noteStoredAgain(sid)
    clock.noteCommit(sid)
    this.#publisher.publishCommit(commit)
    // A replica notifies of its own saves.
    if (origin === 'socket') {
      if (!replica) return
      // Of an older replica of the session, to which a handler still wrote after its last socket had gone: this one does not know it.
      const isOther = next.write && next.snapshot.history !== undefined && !includesLastCommit(replica, next.snapshot.history)
      if (isOther) this.#onCommit(replica, next.snapshot, origin)
      return
    }
    if (next.ttl) replica?.touched(next.snapshot.cookie, true)
    if (replica) {
      // It may have been read while the answer to this commit was on its way, with what others have committed since.
      if (!includesLastCommit(replica, next.snapshot.history)) this.#onCommit(replica, next.snapshot, origin)
    } else if (notifier.hasListener('session:changed') && next.patches.length > 0)
      notifier.notifyGlobal(sid, next.patches, origin)
    // The patches are made only for somebody who listens.
    if (next.write && notifier.hasListener('session:saved')) notifier.notifySaved(sid, next.patches, currentDepth())
  }

  /** A commit of this process that the replica does not know. Its answer may have come after many other commits. */
  #onCommit(replica: SessionReplica, snapshot: Snapshot, origin: ChangeOrigin): void {
    if (isLower(snapshot.history, replica.history)) this.#reread(replica.sid)
    else replica.receiveCommit(snapshot, origin)
  }

  onMissingInStore(sid: string): void {
    this.#sessions.onMissingInStore(sid)
  }

  onMoved(sid: string, to: string): void {
    this.#onMoved(sid, to)
    // The message of that may come later, or never. Its sockets are to reconnect, for the other session.
    const sessions = this.#sessions
    const after = sessions.reportedEnds.get(sid)?.after
    if (sessions.living(sid)) sessions.noteReportedEnd(sid, { after, reason: 'regenerated' })
  }

  isUnexpectedlyMissing(sid: string, stored: boolean): boolean {
    return this.#sessions.isUnexpectedlyMissing(sid, stored)
  }

  onNewerSnapshot(sid: string, snapshot: Snapshot): void {
    this.#sessions.clock.noteCommit(sid)
    this.#sessions.registry.get(sid)?.receiveCommit(snapshot, 'remote')
  }

  // A batch of the refresh queue that was read before is out of date.
  onRead(sid: string, snapshot: Snapshot): void {
    const replica = this.#sessions.registry.get(sid)
    if (replica && !includesLastCommit(replica, snapshot.history)) this.#sessions.clock.noteCommit(sid)
  }

  mayHaveWritten(sid: string, isFirst: boolean): void {
    // It may have been stored, and have ended since: it is not created once more.
    this.#sessions.registry.get(sid)?.noteStored()
    if (isFirst) this.#sessions.noteIndeterminate(sid)
    this.mayHaveEnded(sid)
  }

  // Only other processes hear by the bus. What a handshake has read before counts as out of date. One that was never stored goes on.
  mayHaveEnded(sid: string): void {
    this.#sessions.clock.noteCommit(sid)
    this.#reread(sid)
  }

  count(what: 'reads' | 'writes' | 'touches' | 'refusals'): void {
    this.#sessions.counts[what]++
  }
}

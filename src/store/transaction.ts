import type { Patch } from '../document/patch.js'
import type { ChangeOrigin } from '../types.js'
import type { CommitHistory } from './commit-history.js'
import type { DriverMessage } from './drivers/store-driver.js'
import type { Snapshot } from './snapshot.js'

/** How long a session lives in the store after a write. */
export type TtlPolicy =
  /** At least as long as it would have lived without the write. */
  | 'extend'
  /** As long as its cookie says. */
  | 'exact'

/** The session that a transaction wants in the store. */
export interface Proposal {
  snapshot: Snapshot
  /** The snapshot has to be written; otherwise only the session's life is refreshed. */
  write: boolean
  /** From what the store holds to this snapshot. A getter may make them: ask only where they are of use, and do not copy the proposal. */
  readonly patches: Patch[]
  /** Absent: `extend`, unless the cookie's maximum age has changed. */
  ttl?: TtlPolicy | undefined
  /** The authors of each patch; absent where all are by one author who is not a socket. */
  by?: readonly ReadonlySet<object>[] | undefined
  /** The commit's id, where any process may make this commit, which has to happen once. Absent: a new one. */
  id?: string | undefined
  /** The session ends with this commit, and its data is moved to this session. */
  movedTo?: string | undefined
}

/** A set of changes to one session on its way into the store: a socket session's, a request's, or an `update()` recipe's. */
export interface Transaction {
  readonly origin: ChangeOrigin
  /** The session was in the store when its changes began. Missing there now, it has ended, and is not written again. */
  readonly mustExist: boolean
  /** It moves a session's data to another session. Is it given this one, which has been moved already, or is not in the store? Absent: no. */
  moves?(gone: Snapshot | undefined): boolean
  /** Its id was made in this process and was never stored: the store cannot have it, and is not read. */
  readonly isNew?: boolean
  /** No client has been sent the session's id: nobody else can have ended it. Absent: somebody may know it. */
  readonly isSecret?: boolean
  /**
   * What the store held when the session was loaded, as long as nothing was committed here since. Another process may have written
   * since, so it is enough to refresh the session's life, and not for more.
   */
  loaded?(): Snapshot | undefined
  /** What the store was last seen to hold, where the transaction knows it. Only for one that has `canStartFrom`. */
  known?(): Snapshot | undefined
  /**
   * Replays the changes onto what the store holds now.
   * @param current `undefined` for a session that is not in the store
   * @returns the session to write; `undefined` for nothing to do
   */
  rebase(current: Snapshot | undefined): Proposal | undefined
  /**
   * The proposal is in the store. Its snapshot has the new history.
   * @param etag of what the store holds, as long as nothing has come after it; only for a transaction that has `canStartFrom`
   */
  committed(proposal: Proposal, etag?: string): void
  /** The proposal is not in the store. */
  aborted(): void
  /**
   * Called in place of {@link aborted} where the store cannot hold the proposal's content, and would refuse it again. Absent: that is an error as
   * any other.
   * @returns what the commit rejects with
   */
  contentRefused?(proposal: Proposal, cause: unknown): unknown
  /** Can it start from a snapshot that the store may not hold any more? Absent: it can. */
  canStartFrom?(cached: Snapshot): boolean
  /**
   * Of a transaction that is committed again and again: the outcome of a write is not known yet, and the next commit begins with
   * finding out. Absent: there is no next one, and the commit fails with `OUTCOME_UNKNOWN`.
   */
  onIndeterminate?: {
    /** The proposal may be in the store. */
    begun(): void
    /** The store has answered: it is time for the next commit. */
    answered(): void
  }
  /** It will never be known whether the proposal reached the store. It is not written again. */
  outcomeUnknown?(proposal: Proposal): void
}

/** A commit about to be written. */
export interface CommitStep {
  sid: string
  /** With its new history. */
  next: Proposal
  /** The history that it continues. Absent where the store had no session, or one without a history. */
  from: CommitHistory | undefined
}

/** A commit that reached the store, or a refresh of the session's life: where `next.write` is false. */
export interface CommittedChange extends CommitStep {
  origin: ChangeOrigin
}

/** The rest of the process, as it is notified of commits. */
export interface CommitListener {
  /** The message to publish in the same step as this write, where the driver does that. */
  outgoingMessage(step: CommitStep): DriverMessage | undefined
  onCommitted(commit: CommittedChange): void
  /** A session that was stored is not in the store any more. */
  onMissingInStore(sid: string): void
  /** The session's data was moved to another session, which its browser has. */
  onMoved(sid: string, to: string): void
  /**
   * Would it be news that the store does not have the session: no end was announced, and its end is not due? Absent: never.
   * @param stored the caller knows that it was stored
   */
  isUnexpectedlyMissing?(sid: string, stored: boolean): boolean
  /** The store holds something newer than the last commit that this process knows. */
  onNewerSnapshot(sid: string, snapshot: Snapshot): void
  /** What the store holds was found out while holding the session's lock. Absent: nobody reads it without the lock. */
  onRead?(sid: string, snapshot: Snapshot): void
  /**
   * A write of this process has an unknown outcome, and nobody finds out. Absent: nobody has to look.
   * @param isFirst it was to create the session
   */
  mayHaveWritten?(sid: string, isFirst: boolean): void
  /** The same of a destroy. */
  mayHaveEnded?(sid: string): void
  /** `refusals`: writes that the store refused because another process was faster. */
  count(what: 'reads' | 'writes' | 'touches' | 'refusals'): void
}

export type CommitResult = 'written' | 'unchanged' | 'gone'

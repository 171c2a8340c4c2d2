import type { Patch } from '../document/patch.js'
import type { ChangeOrigin } from '../types.js'
import type { CommitHistory, Document } from './document.js'
import type { OutgoingMessage, Snapshot, TtlPolicy } from './drivers/driver.js'

/** What a writer makes of the document that the store holds. */
export interface Proposal {
  document: Document
  /** The document has to be written; otherwise only the session's life is refreshed. */
  write: boolean
  /** From the store's document to this one. */
  patches: Patch[]
  /** How long the session lives after it. Absent: no shorter than it would have, unless the maximum age is another one. */
  life?: TtlPolicy
  /** For each patch, who wrote it; absent where that is one writer, which is not a socket. */
  by?: readonly ReadonlySet<object>[]
  /** The commit's id, where the writer has to know later whether it has happened; otherwise a new one. */
  id?: string
  /** The session is no more: what it held goes to this one. */
  movedTo?: string
}

/** One set of changes on its way into the store: a socket session's, a request's, or an `update()` recipe. */
export interface Transaction {
  readonly origin: ChangeOrigin
  /** The session was in the store when this writer learned of it: missing now, it is gone for good and not written. */
  readonly mustExist: boolean
  /** It moves the session's data to another session: the only writer that is given what has been moved already. */
  readonly moves?: boolean
  /** Its id was made in this process and was never stored: the store cannot have it, and is not asked. */
  readonly fresh?: boolean
  /**
   * What the store held when the writer had loaded it, as long as nothing was committed here since. Another process may have written
   * it since: it is enough to start the session's life anew, and not for more.
   */
  loaded?(): Document | undefined
  /**
   * Replays the changes onto what the store holds at this moment.
   * @param theirs `undefined` for a session that was never stored
   * @param held what `theirs` was taken from, in a store that compares
   * @returns what to write; `undefined` for nothing
   */
  rebase(theirs: Document | undefined, held?: Snapshot): Proposal | undefined
  /** It is in the store. @param token its name there, if nothing has come after it; only for one that `follows` */
  committed(next: Proposal, token?: string): void
  /** It is not in the store. */
  aborted(): void
  /** Can it start from this document, of which it is not sure whether the store still holds it? Absent: it can. */
  canStartFrom?(known: Document, held: Snapshot): boolean
  /**
   * Of a writer that comes again: nothing is known of the write yet, and the next commit begins with finding out. Absent: there is no
   * next one, so that the commit fails with `OUTCOME_UNKNOWN`.
   */
  onIndeterminate?: {
    /** What was written may be in the store. */
    begun(): void
    /** The store has answered: it is worth coming again. */
    answered(): void
  }
  /** Nothing tells any more whether it is in the store: it is not written again. */
  outcomeUnknown?(): void
}

/** What a commit leads from and to. The document has its record. */
export interface CommitStep {
  sid: string
  next: Proposal
  /** Absent where the store had no session, or one without a record. */
  from: CommitHistory | undefined
}

/** A commit that reached the store. */
export interface CommittedChange extends Proposal {
  sid: string
  origin: ChangeOrigin
  /** See {@link CommitStep}. */
  from: CommitHistory | undefined
}

/** What the rest of the process is told of commits. */
export interface CommitListener {
  /** What other processes are to be told in the same step as this write, where the driver does that. */
  outgoingMessage(step: CommitStep): OutgoingMessage | undefined
  committed(commit: CommittedChange): void
  /** A session that was stored is not in the store any more. */
  onMissingInStore(sid: string): void
  /** What the session held was moved to another one, which its browser has. */
  moved(sid: string, to: string): void
  /** Is the session known to have ended? */
  hasEnded(sid: string): boolean
  /**
   * Would it be news here that the store does not have the session, of which nobody has told, and whose end is not due? Absent: never.
   * @param stored whoever asks knows that it was stored
   */
  unannounced?(sid: string, stored: boolean): boolean
  /** The store holds something newer than what was just committed, of which nothing is known here. */
  onNewerDocument(sid: string, document: Document): void
  /** `refusals`: writes that the store refused because another process was faster. */
  count(what: 'reads' | 'writes' | 'touches' | 'refusals'): void
}

export type CommitResult = 'written' | 'unchanged' | 'gone'

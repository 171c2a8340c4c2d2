import { SharedSessionError } from '../errors.js'
import type { Member } from './member.js'
import { Members } from './members.js'
import type { SaveQueue } from './save-queue.js'

/** How far a socket and its session were when an event came in. */
export interface WriteMark extends Pick<Member, 'lastWrite' | 'rejections'> {
  /** The count of the document's writes. */
  writes: number
  /** Writes of other events follow: after this count, */
  otherWritesFrom: number
  /** up to this one. */
  otherWritesTo: number
}

interface FailureReporter {
  /** Reports an error to members, and to the application. */
  notifyFailure(members: readonly Member[], error: SharedSessionError): void
}

/** A write of an object of which something could not be stored: found when it was saved. */
interface PartlyRejected {
  member: Member
  /** The count of the document's writes at that write. */
  write: number
}

/** How many of them are remembered for acks that still wait. */
const MAX_REJECTIONS = 100
const NONE: readonly PartlyRejected[] = []

/**
 * What became of the writes of one session's sockets: which were rejected because JSON cannot hold them, which may be lost, and which came
 * after the session's end. Acks and `save()` ask for it. Writes are known by their sequence numbers.
 */
export class WriteOutcomes {
  readonly #owner: FailureReporter
  /** Sockets with writes that are not saved, also those that have gone: their handlers may still save. */
  readonly #unsaved = new Members()
  /** Those among them whose last write repeats an unsaved one of another socket. */
  #repeating: Set<Member> | undefined
  #partlyRejected = NONE
  /** Sockets that destroy the session, with the number of the last write before their call. */
  #destroyers: Map<Member, number> | undefined
  /** The number of the last write before the end. */
  #seqAtEnd: number | undefined
  /** Sockets that were notified of a late write in this tick. */
  #notified: Set<Member> | undefined

  constructor(owner: FailureReporter) {
    this.#owner = owner
  }

  /** @param write where the save of an assigned object found it: the count of the write that assigned the object */
  rejected(error: SharedSessionError, member: Member | undefined, write?: number): void {
    if (member) {
      member.rejected = error
      if (write === undefined) member.rejections++
      else this.#partlyRejected = [...this.#partlyRejected.slice(1 - MAX_REJECTIONS), { member, write }]
    }
    // Not in the middle of a write or a save: a listener could get into it.
    queueMicrotask(() => this.#owner.notifyFailure(member ? [member] : [], error))
  }

  wrote(member: Member, seq: number): void {
    member.lastWrite = seq
    this.#unsaved.add(member)
  }

  /** The member's write repeats an unsaved one. @param seq of the last write */
  repeatsUnsaved(member: Member, seq: number): void {
    this.wrote(member, seq)
    this.#repeating ??= new Set()
    this.#repeating.add(member)
  }

  saved(savedSeq: number): void {
    for (const member of this.#unsaved) {
      if (member.lastWrite > savedSeq) continue
      this.#unsaved.delete(member)
      this.#repeating?.delete(member)
    }
  }

  /**
   * The store does not say whether it has the writes from `savedSeq` to `seq`, or refuses them.
   * @param refusal in the second case
   * @param authors of them, beside whom others may have repeated them; absent: all that have unsaved writes
   */
  lost(savedSeq: number, seq: number, refusal?: SharedSessionError, authors?: ReadonlySet<object>): void {
    this.saved(savedSeq)
    for (const member of this.#unsaved) {
      if (authors?.has(member) === false && !this.#repeating?.has(member)) continue
      member.lastLost = Math.min(member.lastWrite, seq)
      member.lossError = refusal
    }
  }

  /** All that is unsaved was discarded by one socket. @returns the others, whose writes are lost */
  discarded(by: Member, savedSeq: number, error: SharedSessionError): Member[] {
    this.saved(savedSeq)
    const others = [...this.#unsaved].filter((member) => member !== by)
    for (const member of others) {
      member.lastLost = member.lastWrite
      member.lossError = error
    }
    return others
  }

  /** The member's last write repeats one that may be lost: nothing is written for it. */
  repeatsLost(member: Member): void {
    member.lastLost = member.lastWrite
    member.lossError = undefined
  }

  /** The sockets whose writes a save that was given up had. What the store has refused before is in no later save. */
  concernedBy(error: SharedSessionError, savedSeq: number): Member[] {
    const unsaved = [...this.#unsaved].filter(({ lastWrite }) => lastWrite > savedSeq)
    const refused = unsaved.filter(({ lossError }) => lossError === error)
    if (refused.length > 0) return refused
    return unsaved.filter(({ lastWrite, lastLost, lossError }) => !lossError || lastWrite > lastLost)
  }

  /**
   * Waits for a `save()` of the member.
   * @throws what it rejects with; `OUTCOME_UNKNOWN`, or the store's refusal, where writes of the member may be lost since the call, or were before
   *   and no `save()` has failed for it
   */
  async assertNotLost(member: Member | undefined, save: Promise<void>): Promise<void> {
    const before = member?.lastLost ?? 0
    try {
      await save
      if (member && member.lastLost > Math.min(before, member.reportedLost)) throw lossOf(member, 'What was to be saved')
    } catch (error) {
      const isLoss = error === member?.lossError || (error as SharedSessionError).code === 'OUTCOME_UNKNOWN'
      if (member && isLoss) member.reportedLost = member.lastLost
      throw error
    }
  }

  /** @throws the error of the member's last rejected write, once */
  throwRejected(member: Member | undefined): void {
    const error = member?.rejected
    if (member) member.rejected = undefined
    if (error) throw error
  }

  destroying(member: Member, seq: number): void {
    this.#destroyers ??= new Map()
    this.#destroyers.set(member, seq)
  }

  destroyFailed(member: Member): void {
    this.#destroyers?.delete(member)
  }

  /** @param ended why nothing is saved any more */
  sessionEnded(seq: number, ended: SharedSessionError): void {
    this.#seqAtEnd = seq
    for (const [member, before] of this.#destroyers ?? []) if (member.lastWrite > before) this.wroteAfterEnd(member, ended)
  }

  /** Notifies once per tick: a handler that writes ten keys gets one error. */
  wroteAfterEnd(member: Member, { message }: SharedSessionError): void {
    if (!this.#notified) setImmediate(() => (this.#notified = undefined))
    this.#notified ??= new Set()
    if (this.#notified.has(member)) return
    this.#notified.add(member)
    this.#owner.notifyFailure([member], tooLate(message))
  }

  /**
   * The save that an ack of this member has to wait for.
   * @param since how far the member was when the event came in
   * @param writes the count of the document's writes up to which the ack reports
   * @param ended why the session has ended, if it has
   * @returns `undefined` where nothing is due; rejects where one of the member's writes was not made, or is not in the store
   */
  pendingSave(
    member: Member,
    since: WriteMark,
    saveQueue: SaveQueue,
    writes: number,
    ended: SharedSessionError | undefined,
  ): Promise<void> | undefined {
    if (member.rejections > since.rejections) return Promise.reject(notMade())
    const { lastWrite, lastLost } = member
    const { savedSeq, dueSeq, requestedSeq } = saveQueue
    if (lastLost > since.lastWrite) return Promise.reject(lossOf(member))
    const isUnsaved = lastWrite > since.lastWrite && lastWrite > savedSeq
    if (ended) {
      const isLate = this.#seqAtEnd !== undefined && lastWrite > this.#seqAtEnd
      const isLost = isUnsaved && (lastWrite <= requestedSeq || isLate) && !this.#isDestroyedBy(member, lastWrite)
      return isLost ? Promise.reject(ended) : undefined
    }
    // Its save was requested, and given up.
    if (isUnsaved && lastWrite <= requestedSeq && lastWrite > dueSeq) {
      return Promise.reject(new SharedSessionError('SAVE_FAILED', 'The save of what this ack is for has failed.'))
    }
    const seq = Math.min(lastWrite, dueSeq)
    if (seq <= savedSeq) return undefined
    return saveQueue.whenSaved(seq).then(
      // Changes inside an assigned object are read when it is saved, so their rejection is known only now.
      () => this.#assertStored(member, since, writes),
      (error) => {
        if (!this.#isDestroyedBy(member, lastWrite)) throw error
      },
    )
  }

  #assertStored(member: Member, since: WriteMark, upTo: number): void {
    // An earlier save than the one that was waited for.
    if (member.lastLost > since.lastWrite) throw lossOf(member)
    const { otherWritesFrom: from, otherWritesTo: to } = since
    const concerns = ({ member: writer, write }: PartlyRejected): boolean =>
      writer === member && write > since.writes && write <= upTo && !(write > from && write <= to)
    if (this.#partlyRejected.some(concerns)) throw notMade()
  }

  /** Did that socket end the session itself, after that write? Then it waits for no save of the write. */
  #isDestroyedBy(member: Member, write: number): boolean {
    return this.#seqAtEnd !== undefined && write <= (this.#destroyers?.get(member) ?? -1)
  }
}

function lossOf({ lossError }: Member, what = 'What this ack is for'): SharedSessionError {
  return lossError ?? new SharedSessionError('OUTCOME_UNKNOWN', `${what} may not be in the store.`)
}

function notMade(): SharedSessionError {
  return new SharedSessionError('NOT_STORABLE', 'A write that this ack is for was not made.')
}

/** With a stack that reaches the write: more than V8's ten frames lie in between. */
function tooLate(message: string): SharedSessionError {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 50
  try {
    return new SharedSessionError('SESSION_ENDED', `A socket has written to a session after its end. ${message}`)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import { equal } from '../document/json.js'
import { evictOldest } from '../util/maps.js'
import { withTimeout } from '../util/promises.js'
import { includesCommit, newCommitId, visibleCookie } from './commit-history.js'
import { type CommitContext, CommitStrategy, type StoreAnswer, type Touch, unknownOutcome } from './commit-strategy.js'
import { sameAttributes } from './cookie.js'
import type { CookieJson } from './cookie-json.js'
import type { PlainDriver } from './drivers/snapshot-driver.js'
import type { KeepLocked } from './keyed-queue.js'
import { LateAnswers } from './late-answers.js'
import { asCommit, ttlPolicyFor } from './proposal.js'
import { Snapshot } from './snapshot.js'
import { storeTimeout } from './store-timeout.js'
import type { CommitResult, Proposal, Transaction } from './transaction.js'

/** Each has a session's data, and is kept until that session is read again. */
const MOST_INDETERMINATE = 1000

/** ms before a store that says that it does not have a session is asked once more. */
const MISSING_RETRY_DELAY = 1000

/** A write to a store that cannot compare. */
interface PlainWrite {
  transaction: Transaction
  /** With its new history. */
  next: Proposal
  current: Snapshot | undefined
  id: string
  /** No other request, socket or process writes this session. */
  isFresh: boolean
}

/** Commits to a store that cannot compare: read first, and nothing else of the session until the write is answered. */
export class ReadModifyWriteStrategy extends CommitStrategy<PlainDriver> {
  /** Writes that failed, and of which a read could not show whether they took effect. */
  readonly #indeterminate = new Map<string, PlainWrite>()
  readonly #lateAnswers: LateAnswers

  constructor(driver: PlainDriver, context: CommitContext) {
    super(driver, context)
    this.#lateAnswers = new LateAnswers(this, context)
  }

  async commit(sid: string, transaction: Transaction, keepLocked: KeepLocked): Promise<CommitResult> {
    const idle = this.#idleSave(sid, transaction)
    if (idle) return this.refresh(sid, transaction, idle.proposal, idle.current, keepLocked)
    const isFresh = transaction.isNew === true && !this.readSettlesAWrite(sid)
    const hadEnded = this.clock.hasEnded(sid)
    const mustBeThere = transaction.mustExist && !transaction.moves?.(undefined)
    const current = isFresh ? undefined : await this.readLocked(sid, mustBeThere)
    if (this.reportIfGone(sid, current, transaction)) return 'gone'
    // A destroy that could not wait for this commit any longer.
    if (!hadEnded && this.clock.hasEnded(sid)) return this.reportMissing(sid)
    const proposal = transaction.rebase(current)
    if (proposal === undefined) return 'unchanged'
    if (!this.hasToWrite(proposal)) return this.refresh(sid, transaction, proposal, current, keepLocked)
    this.listener.count('writes')
    const id = proposal.id ?? newCommitId()
    const settled = this.#settle(sid, { transaction, next: asCommit(proposal, current, id), current, id, isFresh })
    keepLocked(settled)
    await withTimeout(settled, this.timeout, () =>
      unknownOutcome(
        `No answer came within ${this.timeout} ms. Nothing else of this session is written until one comes, or the store has told otherwise what became of it.`,
      ),
    )
    return 'written'
  }

  async load(sid: string): Promise<StoreAnswer> {
    const session = await this.context.original.get(sid)
    if (!session) return { session }
    this.driver.storeFields.onRead(sid, session)
    const base = Snapshot.lazyFromSession(session)
    const isMoved = base.movedTo !== undefined
    if (isMoved || this.#lateAnswers.hasBroughtBack(sid, base)) return { session: undefined, isMoved }
    const stored = session.cookie as unknown as CookieJson | undefined
    const cookie = stored && visibleCookie(stored)
    // In a copy: some stores hand out what they keep.
    return { session: cookie === stored ? session : ({ ...session, cookie } as unknown as SessionData), base }
  }

  /**
   * The read also settles an indeterminate write. Some stores say that they have no such session while they are out of order: where
   * no end was announced they are asked twice.
   * @param stored the caller knows that it was stored
   */
  async readLocked(sid: string, stored = false): Promise<Snapshot | undefined> {
    const first = await this.read(sid)
    const isUnexpected = first === undefined && this.listener.isUnexpectedlyMissing?.(sid, stored) === true
    // Jobs behind this one in the queue give up after too long a pause.
    if (isUnexpected) await pause(Math.min(MISSING_RETRY_DELAY, this.timeout / 2), undefined, { ref: false })
    const there = isUnexpected ? await this.read(sid) : first
    const found = there && this.#lateAnswers.hasBroughtBack(sid, there) ? undefined : there
    const write = this.#indeterminate.get(sid)
    if (!write) return found
    this.#indeterminate.delete(sid)
    // An earlier write of the same content may be what is there: then this one may still arrive.
    if (found && isWritten(found, write)) this.#onWritten(sid, write, includesCommit(found, write.id))
    else write.transaction.aborted()
    return found
  }

  /** With the data that the store holds, not with the caller's own: the touch of some stores is their set. */
  async touch(sid: string, touch: Touch): Promise<CookieJson | undefined> {
    const current = this.#loaded(sid, touch.loaded) ?? (await this.readLocked(sid))
    if (!current) return undefined
    // Not before: the read may have shown that a write has changed the cookie.
    const cookie = touch.cookie(this.context.cookies)
    return (await this.touchStore(sid, current.with({ cookie }))) ? cookie : undefined
  }

  readSettlesAWrite(sid: string): boolean {
    return this.#indeterminate.has(sid)
  }

  withoutStoreFields(snapshot: Snapshot): Snapshot {
    return this.driver.storeFields.separate(snapshot)
  }

  protected async isStillThere(sid: string): Promise<boolean> {
    return (await this.readLocked(sid)) !== undefined
  }

  /** A save that changes nothing of what its request has loaded: the store is not read. */
  #idleSave(sid: string, transaction: Transaction): { proposal: Proposal; current: Snapshot } | undefined {
    const current = this.#loaded(sid, transaction.loaded?.bind(transaction))
    const proposal = current && transaction.rebase(current)
    return proposal && !this.hasToWrite(proposal) ? { proposal, current } : undefined
  }

  #loaded(sid: string, loaded: Transaction['loaded']): Snapshot | undefined {
    if (!loaded || this.driver.touchWrites || this.readSettlesAWrite(sid) || this.clock.hasEnded(sid)) return undefined
    const snapshot = loaded()
    return snapshot && this.withoutStoreFields(snapshot)
  }

  /** Resolves when it is written; rejects when it is not, or when a read cannot show whether it is. */
  async #settle(sid: string, write: PlainWrite): Promise<void> {
    const { patience } = this
    let isLate = false
    const answer = this.#write(sid, write)
    try {
      await withTimeout(answer, patience, () => {
        isLate = true
        return new UnverifiableWriteError('', { cause: storeTimeout('a write', patience) })
      })
      this.#onWritten(sid, write)
    } catch (error) {
      if (isLate) this.#lateAnswers.follow(sid, write.id, answer)
      if (!(error instanceof UnverifiableWriteError)) throw this.abort(write.transaction, write.next, error)
      this.#setIndeterminate(sid, write)
      // The answer may never come: a read tells the outcome as well.
      if (isLate) await this.readLocked(sid).catch(() => write.transaction.onIndeterminate?.answered())
      throw error.cause
    }
  }

  /** @param arrived it is known to have reached the store, and not only its content */
  #onWritten(sid: string, { transaction, next, current }: PlainWrite, arrived = true): void {
    if (arrived) this.#lateAnswers.onWritten(sid, next.snapshot)
    this.reportCommitted(sid, transaction, next, current)
  }

  #setIndeterminate(sid: string, write: PlainWrite): void {
    this.#indeterminate.set(sid, write)
    write.transaction.onIndeterminate?.begun()
    const oldest = evictOldest(this.#indeterminate, MOST_INDETERMINATE)
    if (!oldest) return
    const [forgotten, { transaction, next, current }] = oldest
    if (transaction.outcomeUnknown) transaction.outcomeUnknown(next)
    else transaction.aborted()
    this.listener.mayHaveWritten?.(forgotten, current === undefined)
  }

  /**
   * An error may be the answer to a write that took effect, as when a connection is lost in between: a second write would do it twice,
   * so the store is read first.
   */
  async #write(sid: string, write: PlainWrite): Promise<void> {
    const { next, current } = write
    try {
      await this.driver.write(sid, next.snapshot, current, ttlPolicyFor(next, current))
    } catch (error) {
      const found = await this.read(sid).catch(() => {
        throw new UnverifiableWriteError('', { cause: error })
      })
      if (!found || !isWritten(found, write)) throw error
    }
  }
}

/** A write failed, and so did the read that would have told its outcome. */
class UnverifiableWriteError extends Error {}

/** By the commit's id, or, where the store or another process has dropped the history, by the content. */
function isWritten(found: Snapshot, { next: { snapshot }, id }: PlainWrite): boolean {
  return includesCommit(found, id) || (equal(found.data, snapshot.data) && sameAttributes(found.cookie, snapshot.cookie))
}

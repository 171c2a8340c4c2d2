import { setTimeout as pause } from 'node:timers/promises'
import { equal } from '../document/json.js'
import { evictOldest } from '../util/bounded-map.js'
import { storeTimeout, withTimeout } from '../util/timeout.js'
import {
  appendCommit,
  includesCommit,
  keepHistory,
  type LoadedSnapshot,
  loadSnapshot,
  newCommitId,
  withHistory,
} from './commit-history.js'
import { ttlPolicy } from './conditional-write.js'
import { sameAttributes } from './cookie.js'
import type { Document } from './document.js'
import type { PlainDriver, Snapshot } from './drivers/driver.js'
import type { KeepLocked, KeyedQueue } from './keyed-queue.js'
import { LateAnswers } from './late-answers.js'
import { unknownOutcome } from './outcome.js'
import type { StoreAccess } from './store-access.js'
import type { CommitListener, CommitResult, Proposal, Transaction } from './transaction.js'

/** Each has a session's data, and is kept until that session is read again. */
const MOST_DOUBTS = 1000

/** ms before a store that says that it does not have a session is asked once more. */
const PAUSE = 1000

/** A write that failed, and of which nobody could see whether it took effect. */
interface IndeterminateWrite {
  writer: Transaction
  next: Proposal
  theirs: LoadedSnapshot | undefined
  id: string
}

/** Commits to a store that cannot compare: read first, and nothing else of the session until the write is answered. */
export class ReadModifyWriteCommits {
  readonly #view: StoreAccess
  readonly #driver: PlainDriver
  readonly #listener: CommitListener
  readonly #indeterminate = new Map<string, IndeterminateWrite>()
  readonly #late: LateAnswers

  constructor(view: StoreAccess, driver: PlainDriver, lanes: KeyedQueue, listener: CommitListener) {
    this.#view = view
    this.#driver = driver
    this.#listener = listener
    this.#late = new LateAnswers(view, driver, lanes, listener)
    view.look = async (sid) => (await this.see(sid)) !== undefined
  }

  async commit(sid: string, writer: Transaction, hold: KeepLocked): Promise<CommitResult> {
    const idle = this.#idle(sid, writer)
    if (idle) return this.#view.refresh(sid, writer, idle.made, idle.theirs, hold)
    const isFresh = writer.fresh === true && !this.isIndeterminate(sid)
    const theirs = isFresh ? undefined : await this.see(sid, writer.mustExist && !writer.moves)
    if (this.#view.isGone(sid, theirs, writer)) return 'gone'
    const made = writer.rebase(theirs?.document)
    if (made === undefined) return 'unchanged'
    if (!this.#view.writes(made)) return this.#view.refresh(sid, writer, made, theirs, hold)
    this.#listener.count('writes')
    const settled = this.#settle(sid, { writer, next: { ...made, write: true }, theirs, id: made.id ?? newCommitId() }, isFresh)
    hold(settled)
    await withTimeout(settled, this.#view.timeout, () =>
      unknownOutcome(
        `No answer came within ${this.#view.timeout} ms. Nothing else of this session is written until one comes, or the store has told otherwise what became of it.`,
      ),
    )
    return 'written'
  }

  /** Resolves when it is written; rejects when it is not, or when nobody can see whether it is. */
  async #settle(sid: string, doubt: IndeterminateWrite, isFresh: boolean): Promise<void> {
    const { patience } = this.#view
    let isLate = false
    const answer = this.#writeSurely(sid, doubt, isFresh)
    try {
      await withTimeout(answer, patience, () => {
        isLate = true
        return new UnverifiableWriteError('', { cause: storeTimeout('a write', patience) })
      })
      this.#written(sid, doubt)
    } catch (error) {
      if (isLate) this.#late.follow(sid, doubt.id, answer)
      if (!(error instanceof UnverifiableWriteError)) {
        doubt.writer.aborted()
        throw error
      }
      this.#indeterminate.set(sid, doubt)
      doubt.writer.onIndeterminate?.begun()
      this.#forget()
      // The answer may never come: the store tells as well.
      if (isLate) await this.see(sid).catch(() => doubt.writer.onIndeterminate?.answered())
      throw error.cause
    }
  }

  #written(sid: string, { writer, next, theirs, id }: IndeterminateWrite): void {
    this.#late.passed(sid, next, id)
    this.#view.reportCommitted(sid, writer, next, theirs, appendCommit(theirs?.record, id))
  }

  /**
   * A read in the session's turn also tells what had become of a write in doubt. Some stores say that they have no such session while
   * they are out of order: where nobody has told of its end they are asked twice.
   * @param stored whoever asks knows that it was stored
   */
  async see(sid: string, stored = false): Promise<LoadedSnapshot | undefined> {
    const first = await this.#view.read(sid)
    const isUnheard = first === undefined && this.#listener.unannounced?.(sid, stored) === true
    // Those who wait for their turn give up when nothing happens for too long.
    if (isUnheard) await pause(Math.min(PAUSE, this.#view.timeout / 2), undefined, { ref: false })
    const found = isUnheard ? await this.#view.read(sid) : first
    const doubt = this.#indeterminate.get(sid)
    if (!doubt) return found
    this.#indeterminate.delete(sid)
    if (found && isIn(found, doubt)) this.#written(sid, doubt)
    else doubt.writer.aborted()
    return found
  }

  /** With what the store holds, not with the toucher's own data: the touch of some stores is their set. */
  async touch(sid: string, { cookie }: Document, loaded?: () => Document | undefined): Promise<boolean> {
    const theirs = this.#loaded(sid, loaded) ?? (await this.see(sid))?.held
    if (!theirs) return false
    const { document, storeFields: stamps } = theirs
    return this.#view.touch(sid, { cookie: keepHistory(cookie, document.cookie), data: { ...stamps, ...document.data } })
  }

  /** A save that changes nothing of what its writer has loaded: the store is not asked what it holds. */
  #idle(sid: string, writer: Transaction): { made: Proposal; theirs: LoadedSnapshot } | undefined {
    const held = this.#loaded(sid, writer.loaded)
    if (!held) return undefined
    const theirs = loadSnapshot(held)
    const made = writer.rebase(theirs.document)
    return made && !this.#view.writes(made) ? { made, theirs } : undefined
  }

  #loaded(sid: string, loaded: (() => Document | undefined) | undefined): Snapshot | undefined {
    if (!loaded || this.#driver.touchWrites || this.isIndeterminate(sid) || this.#listener.hasEnded(sid)) return undefined
    const document = loaded()
    const { stamps } = this.#driver
    return document && { document: stamps.outOf(document), storeFields: stamps.in(document.data), etag: '' }
  }

  isIndeterminate(sid: string): boolean {
    return this.#indeterminate.has(sid)
  }

  #forget(): void {
    const forgotten = evictOldest(this.#indeterminate, MOST_DOUBTS)?.[1].writer
    if (forgotten?.outcomeUnknown) forgotten.outcomeUnknown()
    else forgotten?.aborted()
  }

  /**
   * An error may be the answer to a write that took effect, as when a connection is lost in between: done again, it would be doubled.
   * @param isFresh nobody else writes it, so that it can be done again; and some stores answer no read of what they have not
   */
  async #writeSurely(sid: string, doubt: IndeterminateWrite, isFresh: boolean): Promise<void> {
    const { theirs, id } = doubt
    try {
      await this.#driver.write(sid, withHistory(doubt.next, theirs, id), theirs?.held, ttlPolicy(doubt.next, theirs))
    } catch (error) {
      const found = await this.#view.read(sid).catch(() => {
        throw isFresh ? error : new UnverifiableWriteError('', { cause: error })
      })
      if (!found || !isIn(found, doubt)) throw error
    }
  }
}

/** A write failed, and so did the look at what became of it. */
class UnverifiableWriteError extends Error {}

/** By its name, or, where the store or another process has dropped the record, by its content. */
function isIn(found: LoadedSnapshot, { next, id }: IndeterminateWrite): boolean {
  const { cookie, data } = next.document
  return includesCommit(found, id) || (equal(found.document.data, data) && sameAttributes(found.document.cookie, cookie))
}

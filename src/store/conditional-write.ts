import { setTimeout as pause } from 'node:timers/promises'
import { withTimeout } from '../util/promises.js'
import { coversSince, includesCommit, newCommitId } from './commit-history.js'
import type { CompareAndSetDriver, WriteResult } from './drivers/snapshot-driver.js'
import { type DriverMessage, IndeterminateWriteError } from './drivers/store-driver.js'
import { asCommit, ttlPolicyFor } from './proposal.js'
import { isContentRefusal } from './refused-content.js'
import type { Snapshot } from './snapshot.js'
import { storeTimeout } from './store-timeout.js'
import type { CommitListener, Proposal } from './transaction.js'

/** The outcome of a conditional write. */
export type Outcome =
  | {
      is: 'written'
      current: Snapshot
      /** What other processes have made of it since. */
      newer?: Snapshot
    }
  /** It did not happen, and never will: what it expected is gone. */
  | { is: 'refused'; current: Snapshot | undefined }
  /** It may have happened, and no read can show it any more. */
  | { is: 'unknown' }

/** How often a write is sent while its answers are lost. */
const MAX_ATTEMPTS = 3

/**
 * One conditional write. Where its answer is lost the very same write is sent again: it cannot happen twice, as it expects what was
 * there before it, and the store's answer shows how the first one ended. A session's first write takes nothing away: sent again it would
 * bring back what others have ended since.
 */
export class ConditionalWrite {
  /** With its new history. */
  readonly next: Proposal
  /** The store's answer to the last time it was sent, while that is outstanding. */
  pending: Promise<unknown> | undefined
  /** What the store has to hold. */
  readonly expected: Snapshot | undefined
  readonly #driver: CompareAndSetDriver
  readonly #sid: string
  readonly #id: string
  readonly #message: DriverMessage | undefined
  #isIndeterminate = false

  constructor(
    driver: CompareAndSetDriver,
    listener: CommitListener,
    sid: string,
    proposal: Proposal,
    expected: Snapshot | undefined,
  ) {
    this.#driver = driver
    this.#sid = sid
    this.#id = proposal.id ?? newCommitId()
    this.next = asCommit(proposal, expected, this.#id)
    this.expected = expected
    this.#message = listener.outgoingMessage({ sid, next: this.next, from: expected?.history })
  }

  /** It was sent, and may have happened. */
  get isIndeterminate(): boolean {
    return this.#isIndeterminate
  }

  /**
   * Rejects where the store did not answer, or answered with an error.
   * @param ms for all of it
   * @param mayRepeat is asked before it is sent again
   */
  async settle(ms: number, mayRepeat: () => boolean): Promise<Outcome> {
    const end = performance.now() + ms
    for (let time = 1; ; time++) {
      let late = false
      try {
        const sent = this.#send()
        if ('written' in sent) return this.#interpret(sent)
        this.pending = sent
        // Whole milliseconds: the first attempts of all writes share one timer.
        const result = await withTimeout(sent, Math.max(1, Math.ceil(end - performance.now())), () => {
          late = true
          return storeTimeout('a write', ms)
        })
        this.pending = undefined
        return this.#interpret(result)
      } catch (error) {
        if (!late) this.pending = undefined
        if (late || error instanceof IndeterminateWriteError) this.#isIndeterminate = true
        const cause = error instanceof IndeterminateWriteError ? error.cause : error
        // The same content as before: it was refused then as well.
        if (isContentRefusal(cause)) this.#isIndeterminate = false
        if (!this.#isIndeterminate || late || time === MAX_ATTEMPTS) throw cause
        await pause(Math.random() * 20 * time, undefined, { ref: false })
        if (!mayRepeat()) throw cause
      }
    }
  }

  /** What a read tells of a first write, after it was sent. @param current what the store holds */
  outcomeIn(current: Snapshot | undefined): Outcome {
    // It may have happened, and the session have ended since.
    return current ? this.#interpret({ written: false, current }) : { is: 'unknown' }
  }

  #send(): Promise<WriteResult> | WriteResult {
    const { next, expected } = this
    const ttl = ttlPolicyFor(next, expected)
    const { writeNow } = this.#driver
    // It takes no message.
    if (writeNow && !this.#message) return writeNow(this.#sid, next.snapshot, expected, ttl)
    return this.#driver.write(this.#sid, next.snapshot, expected, ttl, this.#message)
  }

  #interpret(result: WriteResult): Outcome {
    const { current } = result
    if (result.written) return { is: 'written', current: result.current }
    const isThere = current !== undefined && includesCommit(current, this.#id)
    // The client library may have sent it twice, and this be the answer to the second. One with a given id may be another process's, and
    // made of something else.
    if (isThere && this.next.id === undefined) {
      const isLast = current.history?.ids.at(-1) === this.#id
      return { is: 'written', current, ...(!isLast && { newer: current }) }
    }
    const isAmbiguous = !isThere && (this.#isIndeterminate || result.resent === true)
    if (isAmbiguous && current && !coversSince(current, this.expected)) return { is: 'unknown' }
    return { is: 'refused', current }
  }
}

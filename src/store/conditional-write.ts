import { setTimeout as pause } from 'node:timers/promises'
import type { Patch } from '../document/patch.js'
import { storeTimeout, withTimeout } from '../util/timeout.js'
import { appendCommit, coversSince, includesCommit, newCommitId } from './commit-history.js'
import type { CompareAndSetDriver, WriteResult } from './drivers/driver.js'
import { IndeterminateWriteError } from './drivers/store-driver.js'
import { isContentRefusal } from './refused-content.js'
import type { Snapshot } from './snapshot.js'
import type { CommitListener, OutgoingMessage, Proposal, TtlPolicy } from './transaction.js'

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
const TIMES = 3

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
  readonly #message: OutgoingMessage | undefined
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
        if (!this.#isIndeterminate || late || time === TIMES) throw cause
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

/** The proposal as it is written: its snapshot has the history of a commit with that id on top of what the store holds. */
export function asCommit(proposal: Proposal, current: Snapshot | undefined, id: string): Proposal {
  const { snapshot, movedTo } = proposal
  const history = { ...appendCommit(current?.history, id), ...(movedTo !== undefined && { movedTo }) }
  return new ChangedProposal(proposal, snapshot.with({ history }), true)
}

/** A proposal with another snapshot; its patches are still not made. A class, for the reason that `RequestTransaction` is one. */
export class ChangedProposal implements Proposal {
  readonly ttl: Proposal['ttl']
  readonly by: Proposal['by']
  readonly id: Proposal['id']
  readonly movedTo: Proposal['movedTo']
  readonly #proposal: Proposal

  constructor(
    proposal: Proposal,
    readonly snapshot: Snapshot,
    readonly write = proposal.write,
  ) {
    const { ttl, by, id, movedTo } = proposal
    this.#proposal = proposal
    this.ttl = ttl
    this.by = by
    this.id = id
    this.movedTo = movedTo
  }

  get patches(): Patch[] {
    return this.#proposal.patches
  }
}

/** A merge never shortens a session's life, unless its author changed the maximum age. */
export function ttlPolicyFor({ snapshot: { cookie }, ttl }: Proposal, current: Snapshot | undefined): TtlPolicy {
  if (ttl) return ttl
  const same = current && (cookie.originalMaxAge ?? null) === (current.cookie.originalMaxAge ?? null)
  return same ? 'extend' : 'exact'
}

import { setTimeout as pause } from 'node:timers/promises'
import { storeTimeout, withTimeout } from '../util/timeout.js'
import { coversSince, includesCommit, type LoadedSnapshot, loadSnapshot, newCommitId, withHistory } from './commit-history.js'
import type { Document } from './document.js'
import {
  type CompareAndSetDriver,
  IndeterminateWriteError,
  type OutgoingMessage,
  type Snapshot,
  type TtlPolicy,
  type WriteResult,
} from './drivers/driver.js'
import type { StoreAccess } from './store-access.js'
import type { Proposal } from './transaction.js'

/** What became of a conditional write. */
export type Outcome =
  | {
      is: 'written'
      held: Snapshot
      /** What others have made of it since. */
      newer?: Document
    }
  /** It did not happen, and never will: what it expected is gone. */
  | { is: 'refused'; now: LoadedSnapshot | undefined }
  /** It may have happened, and nothing tells any more. */
  | { is: 'unknown' }

/** How often a write whose answer was lost is sent again at once. */
const TIMES = 3

/**
 * One conditional write. Where its answer is lost the very same one is sent again: it cannot happen twice, as it expects what was
 * there before it, and what the store answers tells how the first ended.
 */
export class ConditionalWrite {
  readonly next: Proposal
  /** The last thing sent is not answered yet. */
  pending: Promise<unknown> | undefined
  readonly #driver: CompareAndSetDriver
  readonly #sid: string
  /** What it expects. */
  readonly theirs: LoadedSnapshot | undefined
  readonly id: string
  readonly #note: OutgoingMessage | undefined
  #doubtful = false

  constructor(driver: CompareAndSetDriver, view: StoreAccess, sid: string, next: Proposal, theirs: LoadedSnapshot | undefined) {
    this.#driver = driver
    this.id = next.id ?? newCommitId()
    this.#note = view.outgoingMessage(sid, next, theirs, this.id)
    this.#sid = sid
    this.next = next
    this.theirs = theirs
  }

  /** It was sent, and may have happened. */
  get isDoubtful(): boolean {
    return this.#doubtful
  }

  /** Rejects where the store did not tell, or told an error. @param ms for all of it */
  async settle(ms: number): Promise<Outcome> {
    const end = performance.now() + ms
    for (let time = 1; ; time++) {
      let late = false
      const sent = this.#send()
      this.pending = sent
      try {
        const result = await withTimeout(sent, Math.max(1, end - performance.now()), () => {
          late = true
          return storeTimeout('a write', ms)
        })
        this.pending = undefined
        return this.#interpret(result)
      } catch (error) {
        if (!late) this.pending = undefined
        if (late || error instanceof IndeterminateWriteError) this.#doubtful = true
        const cause = error instanceof IndeterminateWriteError ? error.cause : error
        if (!this.#doubtful || late || time === TIMES) throw cause
        await pause(Math.random() * 20 * time, undefined, { ref: false })
      }
    }
  }

  #send(): Promise<WriteResult> {
    const { next, theirs } = this
    return this.#driver.write(this.#sid, withHistory(next, theirs, this.id), theirs?.held, ttlPolicy(next, theirs), this.#note)
  }

  #interpret(result: WriteResult): Outcome {
    if (result.written) return { is: 'written', held: result.held }
    const now = see(result.held)
    // A client may have sent it twice by itself, and this be the answer to the second.
    if (now && includesCommit(now, this.id)) {
      const isLast = now.record?.ids.at(-1) === this.id
      return { is: 'written', held: now.held, ...(!isLast && { newer: now.document }) }
    }
    const ambiguous = this.#doubtful || result.resent === true
    if (ambiguous && now && !coversSince(now, this.theirs)) return { is: 'unknown' }
    return { is: 'refused', now }
  }
}

/** A merge never shortens a session's life, unless its writer meant it. */
export function ttlPolicy({ document: { cookie }, life }: Proposal, theirs: LoadedSnapshot | undefined): TtlPolicy {
  if (life) return life
  const same = theirs && (cookie.originalMaxAge ?? null) === (theirs.document.cookie.originalMaxAge ?? null)
  return same ? 'atLeast' : 'asCookie'
}

function see(held: Snapshot | undefined): LoadedSnapshot | undefined {
  return held && loadSnapshot(held)
}

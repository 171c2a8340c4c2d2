import { setTimeout as pause } from 'node:timers/promises'
import { SharedSessionError } from '../errors.js'
import { appendCommit, type LoadedSnapshot, loadSnapshot } from './commit-history.js'
import { ConditionalWrite } from './conditional-write.js'
import type { Document } from './document.js'
import type { CompareAndSetDriver } from './drivers/driver.js'
import { unknownOutcome } from './outcome.js'
import type { StoreAccess } from './store-access.js'
import type { CommitListener, CommitResult, Proposal, Transaction } from './transaction.js'

/** How long a commit goes on being slower than other processes, in ms. */
const PERSISTENCE = 10_000
/** After so many refusals it waits a moment: the others are to get through as well. */
const PATIENCE = 3

/** Commits to a store that compares: written on what it was last seen to hold, replayed on what its refusal brings along. */
export class CompareAndSetCommits {
  readonly #view: StoreAccess
  readonly #driver: CompareAndSetDriver
  readonly #listener: CommitListener
  /** Writes of which nothing is known yet, of writers that come again. */
  readonly #indeterminate = new WeakMap<Transaction, ConditionalWrite>()

  constructor(view: StoreAccess, driver: CompareAndSetDriver, listener: CommitListener) {
    this.#view = view
    this.#driver = driver
    this.#listener = listener
  }

  async commit(sid: string, writer: Transaction): Promise<CommitResult> {
    const end = performance.now() + PERSISTENCE
    let { theirs, sure } = await this.#start(sid, writer)
    for (let losses = 0; ; losses++) {
      if (this.#view.isGone(sid, theirs, writer)) return 'gone'
      let next = sure ? onto(writer, theirs) : tried(writer, theirs)
      // Only a write asks the store whether it still holds that.
      if (!sure && !(next && this.#view.writes(next))) {
        if (next) writer.aborted()
        theirs = await this.#view.read(sid)
        sure = true
        if (this.#view.isGone(sid, theirs, writer)) return 'gone'
        next = onto(writer, theirs)
      }
      if (next === undefined) return 'unchanged'
      if (!this.#view.writes(next)) {
        const refreshed = await this.#view.refresh(sid, writer, next, theirs)
        // That a store does nothing on a touch may show only when one is asked for.
        if (refreshed !== 'written' || !this.#view.writes(next)) return refreshed
      }
      this.#listener.count('writes')
      const outcome = await this.#settle(
        sid,
        writer,
        new ConditionalWrite(this.#driver, this.#view, sid, { ...next, write: true }, theirs),
      )
      if (outcome === 'written') return 'written'
      writer.aborted()
      this.#listener.count('refusals')
      if (performance.now() > end) throw tooSlow()
      if (losses >= PATIENCE) await pause(Math.random() * Math.min(20, 2 ** (losses - PATIENCE)), undefined, { ref: false })
      theirs = outcome
      sure = true
    }
  }

  see(sid: string): Promise<LoadedSnapshot | undefined> {
    return this.#view.read(sid)
  }

  touch(sid: string, document: Document): Promise<boolean> {
    return this.#view.touch(sid, document)
  }

  /** A session's writer takes nothing in while one of its writes is in doubt. */
  isIndeterminate(): boolean {
    return false
  }

  /** Where a commit starts from: the doubt of the one before, if that left one, is cleared up first. */
  async #start(sid: string, writer: Transaction): Promise<{ theirs: LoadedSnapshot | undefined; sure: boolean }> {
    const doubt = this.#indeterminate.get(writer)
    if (doubt && this.#listener.hasEnded(sid)) {
      this.#indeterminate.delete(writer)
      writer.aborted()
    } else if (doubt) {
      this.#listener.count('writes')
      const outcome = await this.#settle(sid, writer, doubt)
      if (outcome !== 'written') {
        writer.aborted()
        return { theirs: outcome, sure: true }
      }
    }
    const known = this.#view.cache.get(sid)
    const theirs = known && loadSnapshot(known)
    if (theirs && (writer.canStartFrom?.(theirs.document, theirs.held) ?? true)) return { theirs, sure: false }
    // What was never stored is made without asking; the store refuses where it has it after all.
    return !theirs && !writer.mustExist ? { theirs, sure: false } : { theirs: await this.#view.read(sid), sure: true }
  }

  /** @returns `'written'`, or what the store holds instead */
  async #settle(sid: string, writer: Transaction, attempt: ConditionalWrite): Promise<'written' | LoadedSnapshot | undefined> {
    const { next } = attempt
    this.#indeterminate.delete(writer)
    const outcome = await attempt.settle(this.#view.timeout).catch((error) => this.#unsettled(sid, writer, attempt, error))
    if (outcome.is === 'unknown') {
      this.#view.cache.delete(sid)
      writer.outcomeUnknown?.()
      throw unknownOutcome('It was not written again, because nothing tells any more whether it happened.')
    }
    if (outcome.is === 'refused') {
      this.#view.cache.set(sid, outcome.now?.held)
      return outcome.now
    }
    const { held, newer } = outcome
    this.#view.cache.set(sid, held)
    const record = appendCommit(attempt.theirs?.record, attempt.id)
    // Naming it may be a digest of all of it.
    const token = newer || !writer.canStartFrom ? undefined : held.etag
    this.#view.reportCommitted(sid, writer, next, attempt.theirs, record, token)
    if (newer) this.#listener.onNewerDocument(sid, newer)
    return 'written'
  }

  #unsettled(sid: string, writer: Transaction, attempt: ConditionalWrite, error: unknown): never {
    this.#view.cache.delete(sid)
    if (!attempt.isDoubtful) {
      writer.aborted()
      throw error
    }
    const { onIndeterminate: doubted } = writer
    if (!doubted) {
      writer.aborted()
      throw unknownOutcome('Read the session before you repeat it.', error)
    }
    this.#indeterminate.set(writer, attempt)
    doubted.begun()
    attempt.pending?.then(doubted.answered, doubted.answered)
    throw error
  }
}

function onto(writer: Transaction, theirs: LoadedSnapshot | undefined): Proposal | undefined {
  return writer.rebase(theirs?.document, theirs?.held)
}

/** What a writer refuses it may have refused for something that is not so any more. */
function tried(writer: Transaction, theirs: LoadedSnapshot | undefined): Proposal | undefined {
  try {
    return onto(writer, theirs)
  } catch {
    return undefined
  }
}

function tooSlow(): SharedSessionError {
  return new SharedSessionError(
    'STORE_TIMEOUT',
    `Others wrote this session faster for ${PERSISTENCE} ms: nothing was written. It is written by too many at once.`,
  )
}

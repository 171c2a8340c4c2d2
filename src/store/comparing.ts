import { setTimeout as pause } from 'node:timers/promises'
import { SharedSessionError } from '../errors.js'
import { Attempt } from './attempt.js'
import type { CommitListener, CommitResult, Next, Writer } from './contract.js'
import type { Document } from './document.js'
import { unknownOutcome } from './outcome.js'
import { recordAfter, type Seen, seen } from './record.js'
import type { StoreView } from './view.js'

/** How long a commit goes on being slower than other processes, in ms. */
const PERSISTENCE = 10_000
/** After so many refusals it waits a moment: the others are to get through as well. */
const PATIENCE = 3

/** Commits to a store that compares: written on what it was last seen to hold, replayed on what its refusal brings along. */
export class ComparingCommits {
  readonly #view: StoreView
  readonly #listener: CommitListener
  /** Writes of which nothing is known yet, of writers that come again. */
  readonly #doubts = new WeakMap<Writer, Attempt>()

  constructor(view: StoreView, listener: CommitListener) {
    this.#view = view
    this.#listener = listener
  }

  async commit(sid: string, writer: Writer): Promise<CommitResult> {
    const end = performance.now() + PERSISTENCE
    let { theirs, sure } = await this.#start(sid, writer)
    for (let losses = 0; ; losses++) {
      if (this.#view.isGone(sid, theirs, writer)) return 'gone'
      let next = sure ? onto(writer, theirs) : tried(writer, theirs)
      // Only a write asks the store whether it still holds that.
      if (!sure && !(next && this.#view.writes(next))) {
        if (next) writer.failed()
        theirs = await this.#view.see(sid)
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
      const outcome = await this.#settle(sid, writer, new Attempt(this.#view, sid, { ...next, write: true }, theirs))
      if (outcome === 'written') return 'written'
      writer.failed()
      this.#listener.count('refusals')
      if (performance.now() > end) throw tooSlow()
      if (losses >= PATIENCE) await pause(Math.random() * Math.min(20, 2 ** (losses - PATIENCE)), undefined, { ref: false })
      theirs = outcome
      sure = true
    }
  }

  see(sid: string): Promise<Seen | undefined> {
    return this.#view.see(sid)
  }

  touch(sid: string, document: Document): Promise<boolean> {
    return this.#view.touch(sid, document)
  }

  /** A session's writer takes nothing in while one of its writes is in doubt. */
  inDoubt(): boolean {
    return false
  }

  /** Where a commit starts from: the doubt of the one before, if that left one, is cleared up first. */
  async #start(sid: string, writer: Writer): Promise<{ theirs: Seen | undefined; sure: boolean }> {
    const doubt = this.#doubts.get(writer)
    if (doubt && this.#listener.dead(sid)) {
      this.#doubts.delete(writer)
      writer.failed()
    } else if (doubt) {
      this.#listener.count('writes')
      const outcome = await this.#settle(sid, writer, doubt)
      if (outcome !== 'written') {
        writer.failed()
        return { theirs: outcome, sure: true }
      }
    }
    const known = this.#view.known.get(sid)
    const theirs = known && seen(known)
    if (theirs && (writer.follows?.(theirs.document, theirs.held) ?? true)) return { theirs, sure: false }
    // What was never stored is made without asking; the store refuses where it has it after all.
    return !theirs && !writer.stored ? { theirs, sure: false } : { theirs: await this.#view.see(sid), sure: true }
  }

  /** @returns `'written'`, or what the store holds instead */
  async #settle(sid: string, writer: Writer, attempt: Attempt): Promise<'written' | Seen | undefined> {
    const { next } = attempt
    this.#doubts.delete(writer)
    const outcome = await attempt.settle(this.#view.timeout).catch((error) => this.#unsettled(sid, writer, attempt, error))
    if (outcome.is === 'unknown') {
      this.#view.known.forget(sid)
      writer.lost?.()
      throw unknownOutcome('It was not written again, because nothing tells any more whether it happened.')
    }
    if (outcome.is === 'refused') {
      this.#view.known.note(sid, outcome.now?.held)
      return outcome.now
    }
    const { held, newer } = outcome
    this.#view.known.note(sid, held)
    const record = recordAfter(attempt.theirs?.record, attempt.id)
    // Naming it may be a digest of all of it.
    const token = newer || !writer.follows ? undefined : held.token
    this.#view.written(sid, writer, next, attempt.theirs, record, token)
    if (newer) this.#listener.newer(sid, newer)
    return 'written'
  }

  #unsettled(sid: string, writer: Writer, attempt: Attempt, error: unknown): never {
    this.#view.known.forget(sid)
    if (!attempt.isDoubtful) {
      writer.failed()
      throw error
    }
    const { doubted } = writer
    if (!doubted) {
      writer.failed()
      throw unknownOutcome('Read the session before you repeat it.', error)
    }
    this.#doubts.set(writer, attempt)
    doubted.begun()
    attempt.pending?.then(doubted.answered, doubted.answered)
    throw error
  }
}

function onto(writer: Writer, theirs: Seen | undefined): Next | undefined {
  return writer.onto(theirs?.document, theirs?.held)
}

/** What a writer refuses it may have refused for something that is not so any more. */
function tried(writer: Writer, theirs: Seen | undefined): Next | undefined {
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

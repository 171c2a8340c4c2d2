import { setTimeout as pause } from 'node:timers/promises'
import { equal } from '../tracking/json.js'
import { overflow } from '../tracking/overflow.js'
import { lifeOf } from './attempt.js'
import type { CommitListener, CommitResult, Next, Writer } from './contract.js'
import { sameAttributes } from './cookies.js'
import type { Document } from './document.js'
import type { Held, Unchecked } from './driver.js'
import type { Hold, Lanes } from './lanes.js'
import { LateAnswers } from './late-answers.js'
import { timedOut, within } from './operation.js'
import { unknownOutcome } from './outcome.js'
import { carrying, contains, newCommitId, recordAfter, type Seen, seen, stamped } from './record.js'
import type { StoreView } from './view.js'

/** Each has a session's data, and is kept until that session is read again. */
const MOST_DOUBTS = 1000

/** ms before a store that says that it does not have a session is asked once more. */
const PAUSE = 1000

/** A write that failed, and of which nobody could see whether it took effect. */
interface Doubt {
  writer: Writer
  next: Next
  theirs: Seen | undefined
  id: string
}

/** Commits to a store that cannot compare: read first, and nothing else of the session until the write is answered. */
export class UncheckedCommits {
  readonly #view: StoreView
  readonly #driver: Unchecked
  readonly #listener: CommitListener
  readonly #doubts = new Map<string, Doubt>()
  readonly #late: LateAnswers

  constructor(view: StoreView, driver: Unchecked, lanes: Lanes, listener: CommitListener) {
    this.#view = view
    this.#driver = driver
    this.#listener = listener
    this.#late = new LateAnswers(view, driver, lanes, listener)
    view.look = async (sid) => (await this.see(sid)) !== undefined
  }

  async commit(sid: string, writer: Writer, hold: Hold): Promise<CommitResult> {
    const idle = this.#idle(sid, writer)
    if (idle) return this.#view.refresh(sid, writer, idle.made, idle.theirs, hold)
    const isFresh = writer.fresh === true && !this.inDoubt(sid)
    const theirs = isFresh ? undefined : await this.see(sid, writer.stored && !writer.moves)
    if (this.#view.isGone(sid, theirs, writer)) return 'gone'
    const made = writer.onto(theirs?.document)
    if (made === undefined) return 'unchanged'
    if (!this.#view.writes(made)) return this.#view.refresh(sid, writer, made, theirs, hold)
    this.#listener.count('writes')
    const settled = this.#settle(sid, { writer, next: { ...made, write: true }, theirs, id: made.id ?? newCommitId() }, isFresh)
    hold(settled)
    await within(settled, this.#view.timeout, () =>
      unknownOutcome(
        `No answer came within ${this.#view.timeout} ms. Nothing else of this session is written until one comes, or the store has told otherwise what became of it.`,
      ),
    )
    return 'written'
  }

  /** Resolves when it is written; rejects when it is not, or when nobody can see whether it is. */
  async #settle(sid: string, doubt: Doubt, isFresh: boolean): Promise<void> {
    const { patience } = this.#view
    let isLate = false
    const answer = this.#writeSurely(sid, doubt, isFresh)
    try {
      await within(answer, patience, () => {
        isLate = true
        return new Blind('', { cause: timedOut('a write', patience) })
      })
      this.#written(sid, doubt)
    } catch (error) {
      if (isLate) this.#late.follow(sid, doubt.id, answer)
      if (!(error instanceof Blind)) {
        doubt.writer.failed()
        throw error
      }
      this.#doubts.set(sid, doubt)
      doubt.writer.doubted?.begun()
      this.#forget()
      // The answer may never come: the store tells as well.
      if (isLate) await this.see(sid).catch(() => doubt.writer.doubted?.answered())
      throw error.cause
    }
  }

  #written(sid: string, { writer, next, theirs, id }: Doubt): void {
    this.#late.passed(sid, next, id)
    this.#view.written(sid, writer, next, theirs, recordAfter(theirs?.record, id))
  }

  /**
   * A read in the session's turn also tells what had become of a write in doubt. Some stores say that they have no such session while
   * they are out of order: where nobody has told of its end they are asked twice.
   * @param stored whoever asks knows that it was stored
   */
  async see(sid: string, stored = false): Promise<Seen | undefined> {
    const first = await this.#view.see(sid)
    const isUnheard = first === undefined && this.#listener.unannounced?.(sid, stored) === true
    // Those who wait for their turn give up when nothing happens for too long.
    if (isUnheard) await pause(Math.min(PAUSE, this.#view.timeout / 2), undefined, { ref: false })
    const found = isUnheard ? await this.#view.see(sid) : first
    const doubt = this.#doubts.get(sid)
    if (!doubt) return found
    this.#doubts.delete(sid)
    if (found && isIn(found, doubt)) this.#written(sid, doubt)
    else doubt.writer.failed()
    return found
  }

  /** With what the store holds, not with the toucher's own data: the touch of some stores is their set. */
  async touch(sid: string, { cookie }: Document, loaded?: () => Document | undefined): Promise<boolean> {
    const theirs = this.#loaded(sid, loaded) ?? (await this.see(sid))?.held
    if (!theirs) return false
    const { document, stamps } = theirs
    return this.#view.touch(sid, { cookie: carrying(cookie, document.cookie), data: { ...stamps, ...document.data } })
  }

  /** A save that changes nothing of what its writer has loaded: the store is not asked what it holds. */
  #idle(sid: string, writer: Writer): { made: Next; theirs: Seen } | undefined {
    const held = this.#loaded(sid, writer.loaded)
    if (!held) return undefined
    const theirs = seen(held)
    const made = writer.onto(theirs.document)
    return made && !this.#view.writes(made) ? { made, theirs } : undefined
  }

  #loaded(sid: string, loaded: (() => Document | undefined) | undefined): Held | undefined {
    if (!loaded || this.#driver.touchWrites || this.inDoubt(sid) || this.#listener.dead(sid)) return undefined
    const document = loaded()
    const { stamps } = this.#driver
    return document && { document: stamps.outOf(document), stamps: stamps.in(document.data), token: '' }
  }

  inDoubt(sid: string): boolean {
    return this.#doubts.has(sid)
  }

  #forget(): void {
    const forgotten = overflow(this.#doubts, MOST_DOUBTS)?.[1].writer
    if (forgotten?.lost) forgotten.lost()
    else forgotten?.failed()
  }

  /**
   * An error may be the answer to a write that took effect, as when a connection is lost in between: done again, it would be doubled.
   * @param isFresh nobody else writes it, so that it can be done again; and some stores answer no read of what they have not
   */
  async #writeSurely(sid: string, doubt: Doubt, isFresh: boolean): Promise<void> {
    const { theirs, id } = doubt
    try {
      await this.#driver.write(sid, stamped(doubt.next, theirs, id), theirs?.held, lifeOf(doubt.next, theirs))
    } catch (error) {
      const found = await this.#view.see(sid).catch(() => {
        throw isFresh ? error : new Blind('', { cause: error })
      })
      if (!found || !isIn(found, doubt)) throw error
    }
  }
}

/** A write failed, and so did the look at what became of it. */
class Blind extends Error {}

/** By its name, or, where the store or another process has dropped the record, by its content. */
function isIn(found: Seen, { next, id }: Doubt): boolean {
  const { cookie, data } = next.document
  return contains(found, id) || (equal(found.document.data, data) && sameAttributes(found.document.cookie, cookie))
}

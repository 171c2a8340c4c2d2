import { setTimeout as pause } from 'node:timers/promises'
import { evictOldest } from '../util/bounded-map.js'
import { settleWithin } from '../util/timeout.js'
import { appendCommit, type LoadedSnapshot, newCommitId, withHistory } from './commit-history.js'
import type { Document } from './document.js'
import type { PlainDriver } from './drivers/driver.js'
import type { KeepLocked, KeyedQueue } from './keyed-queue.js'
import type { StoreAccess } from './store-access.js'
import type { CommitListener, Proposal } from './transaction.js'

/** How often a store that fails is asked again, and the first pause before that, in ms; it doubles. */
const TIMES = 5
const PAUSE = 250
/** Each may have a session's data, and is kept until its answer comes. */
const MOST_SESSIONS = 1000

/** A session with writes that were given up on. */
interface Given {
  /** The commits that have neither been answered nor seen in the store. */
  open: Set<string>
  /** What was committed here since. */
  latest?: Document
}

/**
 * Writes to a store that cannot compare which were decided without their answer. One that reaches the store after that undoes what was
 * committed since, or brings back what has ended: when its answer comes, that is looked for and put right.
 */
export class LateAnswers {
  readonly #view: StoreAccess
  readonly #driver: PlainDriver
  readonly #lanes: KeyedQueue
  readonly #listener: CommitListener
  readonly #given = new Map<string, Given>()

  constructor(view: StoreAccess, driver: PlainDriver, lanes: KeyedQueue, listener: CommitListener) {
    this.#view = view
    this.#driver = driver
    this.#lanes = lanes
    this.#listener = listener
  }

  /** A write was given up on. @param id its commit */
  follow(sid: string, id: string, answer: Promise<unknown>): void {
    const given = this.#given.get(sid) ?? { open: new Set() }
    given.open.add(id)
    this.#given.set(sid, given)
    evictOldest(this.#given, MOST_SESSIONS)
    const answered = (): Promise<void> => this.#settle(sid, id, given)
    answer.then(answered, answered)
  }

  /** A store that fails is asked again, for a while. */
  async #settle(sid: string, id: string, given: Given): Promise<void> {
    for (let time = 0; time <= TIMES; time++) {
      try {
        return await this.#lanes.run(sid, undefined, (hold) => this.#look(sid, id, given, hold))
      } catch {
        await pause(PAUSE * 2 ** time, undefined, { ref: false })
      }
    }
  }

  /** A commit has reached the store. */
  passed(sid: string, { document }: Proposal, id: string): void {
    const given = this.#given.get(sid)
    if (given && !given.open.delete(id)) given.latest = document
  }

  async #look(sid: string, id: string, given: Given, hold: KeepLocked): Promise<void> {
    if (given.open.has(id)) {
      const found = await this.#view.read(sid)
      if (found?.record?.ids.at(-1) === id) await this.#putRight(sid, given, found, hold)
      given.open.delete(id)
    }
    if (given.open.size === 0 && this.#given.get(sid) === given) this.#given.delete(sid)
  }

  async #putRight(sid: string, { latest }: Given, found: LoadedSnapshot, hold: KeepLocked): Promise<void> {
    if (this.#listener.hasEnded(sid)) await this.#view.driver.destroy(sid)
    else if (latest) await this.#restore(sid, latest, found, hold)
    else this.#listener.onNewerDocument(sid, found.document)
  }

  async #restore(sid: string, latest: Document, found: LoadedSnapshot, hold: KeepLocked): Promise<void> {
    const id = newCommitId()
    const written = this.#driver.write(sid, withHistory({ document: latest }, found, id), found.held, 'atLeast')
    hold(settleWithin(written, this.#view.patience))
    await written
    this.#listener.onNewerDocument(sid, { ...latest, data: latest.data, record: appendCommit(found.record, id) })
  }
}

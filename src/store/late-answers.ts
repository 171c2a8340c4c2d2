import { evictOldest, getOrInsert } from '../util/maps.js'
import { settleWithin, withTimeout } from '../util/promises.js'
import { appendCommit, newCommitId } from './commit-history.js'
import type { CommitContext, CommitStrategy } from './commit-strategy.js'
import type { PlainDriver } from './drivers/snapshot-driver.js'
import type { KeepLocked } from './keyed-queue.js'
import type { Snapshot } from './snapshot.js'
import { storeTimeout } from './store-timeout.js'

/** Each may have a session's data, and is kept until its answer comes. */
const MOST_SESSIONS = 1000

/** A session with writes that were given up on. */
interface AbandonedWrites {
  /** The commits of those that are not answered. */
  open: string[]
  /** The last commit that was seen to reach the store since. */
  latest?: Snapshot
}

/**
 * Writes to a store that cannot compare, which timed out and whose outcome was found by a read. Such a write may reach the store later: it
 * then undoes later commits, or brings an ended session back. When its answer comes the session is read and put right.
 */
export class LateAnswers {
  readonly #strategy: CommitStrategy<PlainDriver>
  readonly #context: CommitContext
  readonly #abandoned = new Map<string, AbandonedWrites>()

  constructor(strategy: CommitStrategy<PlainDriver>, context: CommitContext) {
    this.#strategy = strategy
    this.#context = context
  }

  /** A write was given up on. @param id its commit */
  follow(sid: string, id: string, answer: Promise<unknown>): void {
    const writes = getOrInsert<string, AbandonedWrites>(this.#abandoned, sid, () => ({ open: [] }))
    writes.open.push(id)
    evictOldest(this.#abandoned, MOST_SESSIONS)
    const answered = (): Promise<void> => this.#strategy.persist(sid, (keepLocked) => this.#verify(sid, id, writes, keepLocked))
    answer.then(answered, answered)
  }

  /** Has such a write brought back a session that has ended? It counts as gone, and is destroyed when the write is answered. */
  hasBroughtBack(sid: string, { history }: Snapshot): boolean {
    const { open = [] } = this.#abandoned.get(sid) ?? {}
    return open.some((id) => id === history?.ids.at(-1)) && this.#context.clock.hasEnded(sid)
  }

  /** A commit has reached the store. */
  onWritten(sid: string, snapshot: Snapshot): void {
    const writes = this.#abandoned.get(sid)
    if (writes) writes.latest = snapshot
  }

  async #verify(sid: string, id: string, writes: AbandonedWrites, keepLocked: KeepLocked): Promise<void> {
    const current = await this.#strategy.read(sid)
    if (current?.history?.ids.at(-1) === id) await this.#putRight(sid, writes, current, keepLocked)
    writes.open.splice(writes.open.indexOf(id), 1)
    if (writes.open.length === 0 && this.#abandoned.get(sid) === writes) this.#abandoned.delete(sid)
  }

  async #putRight(sid: string, { latest }: AbandonedWrites, current: Snapshot, keepLocked: KeepLocked): Promise<void> {
    const { listener, clock } = this.#context
    const strategy = this.#strategy
    if (clock.hasEnded(sid)) await strategy.inTime(strategy.driver.destroy(sid), 'a destroy')
    // The commit that joins two sessions has the same id each time, and may be written again on top of later commits.
    else if (latest && !isSame(latest, current)) await this.#restore(sid, latest, current, keepLocked)
    else listener.onNewerSnapshot(sid, current)
  }

  async #restore(sid: string, latest: Snapshot, current: Snapshot, keepLocked: KeepLocked): Promise<void> {
    const id = newCommitId()
    const restored = latest.with({ history: appendCommit(current.history, id) })
    const written = this.#strategy.driver.write(sid, restored, current, 'extend')
    keepLocked(settleWithin(written, this.#strategy.patience))
    const { timeout } = this.#strategy
    await withTimeout(written, timeout, () => {
      // Its answer may come later, or never: nothing else of the session waits for it.
      this.follow(sid, id, written)
      return storeTimeout('a write', timeout)
    })
    this.#context.listener.onNewerSnapshot(sid, restored)
  }
}

/** Did the same commits lead to both? */
function isSame({ history: one }: Snapshot, { history: other }: Snapshot): boolean {
  return one?.ids.join() === other?.ids.join()
}

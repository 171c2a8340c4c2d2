/**
 * store/: how a session reaches the store of express-session, exactly once.
 *
 * | file | |
 * |---|---|
 * | store-interceptor.ts, original-store.ts | our methods in place of the store's; the store's own methods as promises |
 * | read-coalescer.ts, in-flight-requests.ts | concurrent handshakes share a read; when a request's response has finished |
 * | merge-bases.ts, request-transaction.ts | what a request had loaded; its save as a transaction |
 * | transaction.ts, proposal.ts | the contract: a set of changes that can be rebased on what the store holds, and the session it wants there |
 * | committer.ts, keyed-queue.ts | one commit at a time for each session |
 * | commit-strategy.ts | what both kinds of commit have in common |
 * | compare-and-set-strategy.ts, conditional-write.ts | commit by compare-and-set, and retry; one write, sent again when its answer is lost |
 * | read-modify-write-strategy.ts, late-answers.ts | commit by read-modify-write; writes that arrive after they were given up on |
 * | refused-content.ts | errors of databases that say that they cannot hold a content |
 * | snapshot.ts, snapshot-cache.ts | a session at one moment, and a cache of what the store was last seen to hold |
 * | session-clock.ts | the recent commits and ends of sessions, by one logical clock |
 * | commit-history.ts, cookie-json.ts, cookie.ts | the ids of the last commits, in the stored cookie; its JSON; merging two cookies |
 * | store-fields.ts | time stamps that a store itself adds |
 * | own-methods.ts | which methods of a store are its package's own |
 * | probe.ts, other-stores.ts | finds the store behind a session middleware; requests that use another store |
 * | drivers/ | how one kind of store reads and writes: snapshot-driver.ts is the contract, choose.ts picks one |
 *
 * A write: Committer.commit queues the transaction. While it holds the session's lock the strategy takes a snapshot of what the store holds, from the cache or
 * by a read, and has the transaction rebased on it. The driver writes the result if the store still holds that snapshot, otherwise it
 * comes back with what the store holds now, and the transaction is rebased again. Then the transaction and the listener are notified.
 */

import { answerWithin, settleWithin } from '../util/promises.js'
import type { CommitStrategy, StoreAnswer, Touch } from './commit-strategy.js'
import { CompareAndSetStrategy } from './compare-and-set-strategy.js'
import { RecentCookieChanges } from './cookie.js'
import type { SnapshotDriver } from './drivers/snapshot-driver.js'
import type { DriverMessage } from './drivers/store-driver.js'
import { KeyedQueue } from './keyed-queue.js'
import type { OriginalStore } from './original-store.js'
import { ReadModifyWriteStrategy } from './read-modify-write-strategy.js'
import { SessionClock } from './session-clock.js'
import type { Snapshot } from './snapshot.js'
import type { CommitListener, CommitResult, Transaction } from './transaction.js'

/** The one way into the store. Each session has one commit at a time in this process; the strategy depends on the driver. */
export class Committer {
  readonly queue = new KeyedQueue()
  /** A commit writes only if the store still holds what it has read. */
  readonly compares: boolean
  readonly #strategy: CommitStrategy
  readonly #listener: CommitListener
  readonly #clock: SessionClock

  /** @param timeout ms that one call of the store may take */
  constructor(
    driver: SnapshotDriver,
    original: OriginalStore,
    listener: CommitListener,
    timeout: number,
    clock = new SessionClock(),
  ) {
    const context = { original, queue: this.queue, clock, cookies: new RecentCookieChanges(clock), listener, timeout }
    this.#listener = listener
    this.#clock = clock
    this.compares = driver.compares
    this.#strategy = driver.compares ? new CompareAndSetStrategy(driver, context) : new ReadModifyWriteStrategy(driver, context)
  }

  /**
   * Rebases a transaction on what the store holds, and writes the result. Where the store cannot compare, no other commit of the
   * session starts until the write is answered, as a late write could undo it, or until a read has told the outcome.
   * @throws `STORE_TIMEOUT` where nothing was written, `OUTCOME_UNKNOWN` where that cannot be told, and the store's own errors
   */
  commit(sid: string, transaction: Transaction): Promise<CommitResult> {
    return this.queue.run(sid, this.#strategy.timeout, (keepLocked) => this.#strategy.commit(sid, transaction, keepLocked))
  }

  /** The answer to a `get`: the store's own, without the history. @param cached whether a write is likely to follow, which starts from it */
  load(sid: string, cached: boolean): Promise<StoreAnswer> {
    return this.#strategy.load(sid, cached)
  }

  /** The same for a handshake, synchronously; `undefined` where the store cannot do that. */
  loadNow(sid: string): StoreAnswer | undefined {
    return this.#strategy.loadNow(sid)
  }

  /** Reads what the store holds, within the time limit. While holding the session's lock, as it may settle the outcome of a write. */
  async #read(sid: string): Promise<Snapshot | undefined> {
    return this.#present(sid, await this.#strategy.readLocked(sid))
  }

  /** A session as the store hands it out, with the store's own fields apart. */
  withoutStoreFields(snapshot: Snapshot): Snapshot {
    return this.#strategy.withoutStoreFields(snapshot)
  }

  /** Is a commit of this session under way, or the outcome of one unknown? */
  isBusy(sid: string): boolean {
    return this.queue.busy(sid) || this.#strategy.readSettlesAWrite(sid)
  }

  /** Reads between two commits of the session, so that the result is not older than the last write of this process. */
  readExclusive<T>(sid: string, see: (found: Snapshot | undefined) => T): Promise<T> {
    return this.queue.run(sid, this.#strategy.timeout, async () => see(await this.#read(sid)))
  }

  /**
   * Runs a job while holding the session's lock, when the commit under way has ended.
   * @param job may read what the store holds
   */
  runExclusive(sid: string, job: (read: () => Promise<Snapshot | undefined>) => Promise<void>): Promise<void> {
    return this.queue.run(sid, this.#strategy.timeout, () => job(() => this.#read(sid)))
  }

  /**
   * Reads several sessions in one round trip, without holding their locks: the result may be older than a write of this process.
   * @returns `undefined` where the store cannot do that
   */
  async readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[] | undefined> {
    return (await this.#strategy.readMany(sids))?.map((found, index) => this.#present(sids[index] as string, found))
  }

  /** Refreshes a session's life, if the store still has it. */
  touch(sid: string, touch: Touch): Promise<void> {
    return this.queue.run(sid, this.#strategy.timeout, async (keepLocked) => {
      // Some stores insert on touch, which would bring a dead session back.
      if (this.#clock.hasEnded(sid)) return
      const settled = this.#strategy.touch(sid, touch)
      // Some stores set on touch: a late one would bring back a session that has ended meanwhile.
      const arrived = (): void => void this.#strategy.destroyAgain(sid)
      keepLocked(answerWithin(settled, this.#strategy.patience, arrived))
      const cookie = await this.#strategy.inTime(settled, 'a touch')
      if (cookie) touch.touched?.(cookie)
      else this.#strategy.reportMissing(sid)
    })
  }

  /**
   * Destroys a session after the commit that is under way. A commit that the store does not answer cannot hold it up for longer than
   * the time limit: then it is destroyed at once, and again when that commit has ended, for a while also where the store fails then.
   * @param done is called when the store has destroyed it, each time, and before anything else of this session runs
   * @param message is published in the same step
   */
  async destroy(sid: string, done: () => void, message?: DriverMessage): Promise<void> {
    // Without an answer it may be gone all the same, and its sockets here hear of that from nobody.
    const lookUp = (error: unknown): never => {
      this.#listener.mayHaveEnded?.(sid)
      throw error
    }
    const destroyOnce = (): Promise<void> => this.#strategy.destroy(sid, message).then(done, lookUp)
    let queued = Promise.resolve()
    /** Set where it did not wait for its turn. */
    let early: Promise<void> | undefined
    const begun = new Promise<void>((begin) => {
      queued = this.queue.run(sid, undefined, async (keepLocked) => {
        begin()
        const settled = destroyOnce()
        keepLocked(settleWithin(settled, this.#strategy.patience))
        try {
          await this.#strategy.inTime(settled, 'a destroy').catch(lookUp)
        } catch (error) {
          if (!early) throw error
          await this.#strategy.inTime(early, 'a destroy')
          // The commit may have brought back what was destroyed: nothing else of the session runs before that is gone.
          await this.#strategy.retry(() => this.#strategy.inTime(destroyOnce(), 'a destroy'))
        }
      })
    })
    queued.catch(() => undefined)
    try {
      await this.#strategy.inTime(begun, 'an earlier call for this session')
    } catch {
      early = destroyOnce()
      return this.#strategy.inTime(early, 'a destroy').catch(lookUp)
    }
    return queued
  }

  /** A moved session has ended: it counts as missing. */
  #present(sid: string, found: Snapshot | undefined): Snapshot | undefined {
    if (found?.movedTo === undefined) return found
    this.#listener.onMoved(sid, found.movedTo)
    return undefined
  }
}

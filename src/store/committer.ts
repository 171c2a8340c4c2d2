import type { JsonObject } from '../document/json.js'
import { answerWithin, settleWithin } from '../util/timeout.js'
import { CompareAndSetCommits } from './cas-commit.js'
import type { LoadedSnapshot } from './commit-history.js'
import { RecentCookieChanges } from './cookie.js'
import { type CookieJson, type Document, late } from './document.js'
import type { Driver, OutgoingMessage } from './drivers/driver.js'
import { type KeepLocked, KeyedQueue } from './keyed-queue.js'
import type { OriginalStore } from './original-store.js'
import { ReadModifyWriteCommits } from './rmw-commit.js'
import { SessionClock } from './session-clock.js'
import { type Loaded, StoreAccess } from './store-access.js'
import type { CommitListener, CommitResult, Transaction } from './transaction.js'

/** Into one kind of store. @param hold keeps the lane closed */
interface CommitStrategy {
  commit(sid: string, writer: Transaction, hold: KeepLocked): Promise<CommitResult>
  /** What the store holds, in the session's turn. */
  see(sid: string): Promise<LoadedSnapshot | undefined>
  /** @returns whether the store still has it */
  touch(sid: string, document: Document, loaded?: () => Document | undefined): Promise<boolean>
  /** Is it unknown what became of a write? */
  isIndeterminate(sid: string): boolean
}

/**
 * The one way into the store. For each session one commit at a time in this process: replay the writer's changes onto what the store
 * holds, write. A store that compares is written on what it was last seen to hold, and brings what it holds now along where that is
 * something else; others are read before.
 */
export class Committer {
  readonly queue = new KeyedQueue()
  readonly clock: SessionClock
  readonly cookies: RecentCookieChanges
  readonly #view: StoreAccess
  readonly #strategy: CommitStrategy
  readonly #listener: CommitListener

  /** @param timeout ms that one call of the store may take */
  constructor(driver: Driver, raw: OriginalStore, listener: CommitListener, timeout: number, clock = new SessionClock()) {
    this.clock = clock
    this.cookies = new RecentCookieChanges(clock)
    this.#view = new StoreAccess(driver, raw, this.cookies, listener, timeout)
    this.#listener = listener
    const { unchecked } = driver
    this.#strategy = unchecked
      ? new ReadModifyWriteCommits(this.#view, unchecked, this.queue, listener)
      : new CompareAndSetCommits(this.#view, listener)
  }

  /**
   * Rejects with `STORE_TIMEOUT` where nothing was written, with `OUTCOME_UNKNOWN` where that cannot be told, and with what the store
   * reported. Where the store cannot compare, no other commit of the session starts until a write is answered, as a late one could
   * undo it, or the store was asked for what it is not going to tell any more.
   */
  commit(sid: string, writer: Transaction): Promise<CommitResult> {
    return this.queue.run(sid, this.#view.timeout, (hold) => this.#strategy.commit(sid, writer, hold))
  }

  /** What a request is given for `get`: the store's own answer, without the record. */
  load(sid: string): Promise<Loaded> {
    return this.#view.load(sid)
  }

  /** What the store holds; one read, bounded. Safe to absorb only inside a lane. */
  async read(sid: string): Promise<Document | undefined> {
    return present(await this.#strategy.see(sid))
  }

  /** A document as a store hands it out, without what the store itself has put there. */
  own(document: Document): Document {
    return this.#view.driver.unchecked?.stamps.outOf(document) ?? document
  }

  /** Is something of this session on its way, or in doubt? */
  settling(sid: string): boolean {
    return this.queue.busy(sid) || this.#strategy.isIndeterminate(sid)
  }

  /** Reads between two commits of the session, so that what is read is not older than what this process wrote. */
  inspect(sid: string, see: (found: Document | undefined) => void): Promise<void> {
    return this.queue.run(sid, this.#view.timeout, async () => see(await this.read(sid)))
  }

  /**
   * Does something in the session's turn, when what is under way has ended.
   * @param job may ask for what the store holds
   */
  inTurn(sid: string, job: (read: () => Promise<Document | undefined>) => Promise<void>): Promise<void> {
    return this.queue.run(sid, this.#view.timeout, () => job(() => this.read(sid)))
  }

  /**
   * Several sessions in one round trip, outside their turns: what is read may be older than what this process has written meanwhile.
   * @returns `undefined` where the store cannot do that
   */
  async readMany(sids: readonly string[]): Promise<(Document | undefined)[] | undefined> {
    const found = await this.#view.readMany(sids)
    return found?.map((each, index) => {
      const sid = sids[index] as string
      // The next write starts from there. Where it has become something else the store says so.
      if (each && this.#view.driver.compares && !this.queue.busy(sid)) this.#view.cache.set(sid, each.held)
      return present(each)
    })
  }

  /**
   * Refreshes a session's life, if the store still has it.
   * @param data the session's, for the few stores that look at it
   * @param loaded see {@link Transaction.loaded}
   */
  touch(sid: string, cookie: CookieJson, data: () => JsonObject, loaded?: () => Document | undefined): Promise<void> {
    return this.queue.run(sid, this.#view.timeout, async (hold) => {
      // Some stores insert on touch, which would bring a dead session back.
      if (this.#listener.hasEnded(sid)) return
      const settled = this.#strategy.touch(sid, late(cookie, data), loaded)
      // Some stores set on touch: a late one would bring back what has ended meanwhile.
      const again = (): void => {
        if (this.#listener.hasEnded(sid)) this.destroy(sid, () => undefined).catch(() => undefined)
      }
      hold(answerWithin(settled, this.#view.patience, again))
      if (!(await this.#view.inTime(settled, 'a touch'))) this.#view.gone(sid)
    })
  }

  /**
   * Destroys after the commit that is under way. A commit that the store does not answer cannot hold it up for longer than the time
   * limit: then it is destroyed at once, and again when that commit has ended.
   * @param done is called when the store has destroyed it, each time, and before anything else of this session runs
   * @param note is told in the same step
   */
  async destroy(sid: string, done: () => void, note?: OutgoingMessage): Promise<void> {
    const once = (): Promise<void> => {
      this.#view.cache.delete(sid)
      return this.#view.driver.destroy(sid, note).then(done)
    }
    let inTurn = Promise.resolve()
    const begun = new Promise<void>((begin) => {
      inTurn = this.queue.run(sid, undefined, async (hold) => {
        begin()
        const settled = once()
        hold(settleWithin(settled, this.#view.patience))
        await this.#view.inTime(settled, 'a destroy')
      })
    })
    inTurn.catch(() => undefined)
    try {
      await this.#view.inTime(begun, 'an earlier call for this session')
    } catch {
      return this.#view.inTime(once(), 'a destroy')
    }
    return inTurn
  }
}

function present(found: LoadedSnapshot | undefined): Document | undefined {
  return found?.record?.movedTo === undefined ? found?.document : undefined
}

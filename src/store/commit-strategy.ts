import { setTimeout as pause } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import type { JsonObject } from '../document/json.js'
import { SharedSessionError } from '../errors.js'
import { settleWithin, withTimeout } from '../util/promises.js'
import type { RecentCookieChanges } from './cookie.js'
import type { CookieJson } from './cookie-json.js'
import type { SnapshotDriver } from './drivers/snapshot-driver.js'
import type { DriverMessage } from './drivers/store-driver.js'
import type { KeepLocked, KeyedQueue } from './keyed-queue.js'
import type { OriginalStore } from './original-store.js'
import { ProposalWithSnapshot } from './proposal.js'
import { isContentRefusal } from './refused-content.js'
import type { SessionClock } from './session-clock.js'
import type { Snapshot } from './snapshot.js'
import { SnapshotCache } from './snapshot-cache.js'
import { storeTimeout } from './store-timeout.js'
import type { CommitListener, CommitResult, Proposal, Transaction } from './transaction.js'

/** A store's answer to `get`. */
export interface StoreAnswer {
  readonly session: SessionData | null | undefined
  /** What the store holds, which the session's holder cannot change. Absent where it holds no session. */
  readonly base?: Snapshot | undefined
  /** There is no session, but its copy that is marked as moved to another one. */
  readonly isMoved?: boolean
}

/** A refresh of a session's life. All is asked for while holding the session's lock: a commit that is under way may change the cookie. */
export interface Touch {
  /** The cookie to store. @param changes what was changed here lately */
  cookie(changes: RecentCookieChanges): CookieJson
  /** The session's data, for the few stores that look at it. */
  data(): JsonObject
  /** See {@link Transaction.loaded}. */
  loaded?(): Snapshot | undefined
  /** The store has it. */
  touched?(cookie: CookieJson): void
}

/** What commits are made with. */
export interface CommitContext {
  original: OriginalStore
  queue: KeyedQueue
  clock: SessionClock
  cookies: RecentCookieChanges
  listener: CommitListener
  /** ms that one call of the store may take. */
  timeout: number
}

/** After its caller's timeout a late answer is awaited for at least this long, in ms: it usually comes, and the session stays locked until then. */
const MIN_LATE_WAIT = 1000
/** How often a store that fails is asked again, and the first pause before that, in ms; it doubles. */
const MAX_RETRIES = 5
const FIRST_RETRY_DELAY = 250

/** How to commit to one kind of store. All but `load`, `readMany` and `destroy` is called while holding the session's lock. */
export abstract class CommitStrategy<D extends SnapshotDriver = SnapshotDriver> {
  readonly driver: D
  protected readonly context: CommitContext
  protected readonly listener: CommitListener
  protected readonly clock: SessionClock
  /** Filled only where the store compares. */
  protected readonly cache = new SnapshotCache()

  constructor(driver: D, context: CommitContext) {
    this.driver = driver
    this.context = context
    this.listener = context.listener
    this.clock = context.clock
  }

  /** See {@link Committer.commit}. */
  abstract commit(sid: string, transaction: Transaction, keepLocked: KeepLocked): Promise<CommitResult>
  /** The answer to a `get`. @param cached whether the next commit starts from it, where the store compares */
  abstract load(sid: string, cached: boolean): Promise<StoreAnswer>
  /** Reads what the store holds, and settles the outcome of an earlier write with it. */
  abstract readLocked(sid: string): Promise<Snapshot | undefined>
  /** Refreshes a session's life. @returns the cookie that the store has been given; `undefined` where it has no such session any more */
  abstract touch(sid: string, touch: Touch): Promise<CookieJson | undefined>
  /** Is the outcome of a write unknown, so that the next read may tell the transaction of it? */
  abstract readSettlesAWrite(sid: string): boolean
  /** The session with the store's own fields apart. */
  abstract withoutStoreFields(snapshot: Snapshot): Snapshot
  /** Looks again for a session that a touch has not found. */
  protected abstract isStillThere(sid: string): Promise<boolean>

  /** The answer to the `get` of a handshake, synchronously; `undefined` where the driver cannot do that. */
  loadNow(_sid: string): StoreAnswer | undefined {
    return undefined
  }

  get timeout(): number {
    return this.context.timeout
  }

  /** ms after which an answer is not awaited any more. */
  get patience(): number {
    return this.timeout + Math.max(this.timeout, MIN_LATE_WAIT)
  }

  /** One read while holding the session's lock, bounded and counted. */
  async read(sid: string): Promise<Snapshot | undefined> {
    this.listener.count('reads')
    const found = await this.inTime(this.driver.read(sid), 'a read')
    if (found) this.listener.onRead?.(sid, found)
    return found
  }

  /** Several sessions in one round trip; `undefined` where the driver cannot do that. */
  async readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[] | undefined> {
    if (!this.driver.readMany) return undefined
    this.listener.count('reads')
    return this.inTime(this.driver.readMany(sids), 'a read')
  }

  /** @param what the store is asked for, as in "a read" */
  inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    return withTimeout(promise, this.timeout, () => storeTimeout(what, this.timeout))
  }

  /** The session is not in the store any more. */
  reportMissing(sid: string): 'gone' {
    this.cache.delete(sid)
    this.listener.onMissingInStore(sid)
    return 'gone'
  }

  protected async touchStore(sid: string, snapshot: Snapshot): Promise<boolean> {
    this.listener.count('touches')
    return (await this.driver.touch(sid, snapshot)) || this.isStillThere(sid)
  }

  /**
   * A commit has reached the store.
   * @param next with the history that is now in the store
   * @param current what the store held before
   * @param etag of what it holds now, as long as no other commit has come after it
   */
  protected reportCommitted(
    sid: string,
    transaction: Transaction,
    next: Proposal,
    current: Snapshot | undefined,
    etag?: string,
  ): void {
    if (current) this.context.cookies.note(sid, current.cookie, next.snapshot.cookie)
    transaction.committed(next, etag)
    this.listener.onCommitted({ sid, origin: transaction.origin, next, from: current?.history })
  }

  /** A proposal is not in the store, by an error that says so. @returns what the commit rejects with */
  protected abort(transaction: Transaction, proposal: Proposal, error: unknown): unknown {
    if (transaction.contentRefused && isContentRefusal(error)) return transaction.contentRefused(proposal, error)
    transaction.aborted()
    return error
  }

  /** Has it to be written? A touch is not enough where it does nothing: only a write keeps the session alive then. */
  protected hasToWrite(proposal: Proposal): boolean {
    return proposal.write || this.driver.touchDisabled === true
  }

  /** Is there no session for the transaction to write to? Notifies the listener of that. */
  protected reportIfGone(sid: string, current: Snapshot | undefined, transaction: Transaction): boolean {
    const { movedTo } = current ?? {}
    if (current ? movedTo === undefined : !transaction.mustExist) return false
    if (transaction.moves?.(current)) return false
    if (movedTo !== undefined) this.listener.onMoved(sid, movedTo)
    this.reportMissing(sid)
    return true
  }

  /** Commits a proposal that writes nothing: only the session's life is refreshed. */
  protected async refresh(
    sid: string,
    transaction: Transaction,
    proposal: Proposal,
    current: Snapshot | undefined,
    keepLocked?: KeepLocked,
  ): Promise<CommitResult> {
    const snapshot = proposal.snapshot.with({ history: current?.history, storeFields: current?.storeFields })
    const settled = this.touchStore(sid, snapshot).then(
      (isThere) => {
        if (isThere) this.reportCommitted(sid, transaction, new ProposalWithSnapshot(proposal, snapshot), current)
        else transaction.aborted()
        return isThere
      },
      (error) => {
        transaction.aborted()
        throw error
      },
    )
    keepLocked?.(settleWithin(settled, this.patience))
    return (await this.inTime(settled, 'a touch')) ? 'written' : this.reportMissing(sid)
  }

  /** Runs a job, and again while the store fails, for a while. */
  async retry(job: () => Promise<void>): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        return await job()
      } catch (error) {
        if (failures === MAX_RETRIES) throw error
      }
      await pause(FIRST_RETRY_DELAY * 2 ** failures, undefined, { ref: false })
    }
  }

  /** Runs a job while holding the session's lock, and again while the store fails, for a while. */
  persist(sid: string, job: (keepLocked: KeepLocked) => Promise<void>): Promise<void> {
    return this.retry(() => this.context.queue.run(sid, undefined, job)).catch(() => undefined)
  }

  /** What the store has carried out late may have brought an ended session back: it is destroyed again. */
  destroyAgain(sid: string): Promise<void> {
    return this.persist(sid, async (keepLocked) => {
      if (!this.clock.hasEnded(sid)) return
      const destroyed = this.destroy(sid)
      keepLocked(settleWithin(destroyed, this.patience))
      await this.inTime(destroyed, 'a destroy')
    })
  }

  /** Destroys a session at once, whatever is under way. */
  destroy(sid: string, message?: DriverMessage): Promise<void> {
    this.cache.delete(sid)
    return this.driver.destroy(sid, message)
  }
}

/** @param consequence a sentence */
export function unknownOutcome(consequence: string, cause?: unknown): SharedSessionError {
  return new SharedSessionError(
    'OUTCOME_UNKNOWN',
    `The session store did not tell how a write ended: it may or may not have happened. ${consequence}`,
    cause === undefined ? undefined : { cause },
  )
}

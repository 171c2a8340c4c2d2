import { setTimeout as pause } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import { SharedSessionError } from '../errors.js'
import { CommitStrategy, type StoreAnswer, type Touch, unknownOutcome } from './commit-strategy.js'
import { ConditionalWrite, type Outcome } from './conditional-write.js'
import type { CookieJson } from './cookie-json.js'
import type { CompareAndSetDriver } from './drivers/snapshot-driver.js'
import { Snapshot } from './snapshot.js'
import type { CommitResult, Proposal, Transaction } from './transaction.js'

/** Give up after losing the compare-and-set race for this long (ms). */
const PERSISTENCE = 10_000
/** After so many refusals a commit waits a moment before it tries again: the others are to get through as well. */
const PATIENT_AFTER = 3

/** Where a commit starts from. */
interface Start {
  current: Snapshot | undefined
  /** It was read just now, or came with a refusal; otherwise the store may hold something else by now. */
  isCurrent: boolean
}

/**
 * Commits to a store that compares. A commit starts from what the store was last seen to hold, without a read. Where that is stale the
 * store refuses the write and hands out what it holds now, and the commit is rebased on that.
 */
export class CompareAndSetStrategy extends CommitStrategy<CompareAndSetDriver> {
  /** Writes of unknown outcome, of transactions that are committed again. */
  readonly #indeterminate = new WeakMap<Transaction, ConditionalWrite>()

  async commit(sid: string, transaction: Transaction): Promise<CommitResult> {
    const end = performance.now() + PERSISTENCE
    let { current, isCurrent } = this.#cachedStart(sid, transaction) ?? (await this.#start(sid, transaction))
    for (let losses = 0; ; losses++) {
      if (this.reportIfGone(sid, current, transaction)) return 'gone'
      let proposal = isCurrent ? transaction.rebase(current) : tryRebase(transaction, current)
      // Only a write is refused where the store holds something else.
      if (!isCurrent && !(proposal && this.hasToWrite(proposal))) {
        if (proposal) transaction.aborted()
        current = await this.read(sid)
        isCurrent = true
        if (this.reportIfGone(sid, current, transaction)) return 'gone'
        proposal = transaction.rebase(current)
      }
      if (proposal === undefined) return 'unchanged'
      if (!this.hasToWrite(proposal)) {
        const refreshed = await this.refresh(sid, transaction, proposal, current)
        // That a store does nothing on a touch may show only with the first touch.
        if (refreshed !== 'written' || !this.hasToWrite(proposal)) return refreshed
      }
      const write = new ConditionalWrite(this.driver, this.listener, sid, proposal, current)
      const outcome = await this.#settle(sid, transaction, write)
      if (outcome === 'written') return 'written'
      transaction.aborted()
      this.listener.count('refusals')
      if (performance.now() > end) throw tooManyWriters()
      if (losses >= PATIENT_AFTER) await pauseAfterLosses(losses - PATIENT_AFTER)
      current = outcome
      if (current) this.listener.onRead?.(sid, current)
      isCurrent = true
    }
  }

  async load(sid: string, cached: boolean): Promise<StoreAnswer> {
    return this.#loaded(sid, await this.driver.read(sid), cached)
  }

  override loadNow(sid: string): StoreAnswer | undefined {
    const { driver } = this
    return driver.readNow && this.#loaded(sid, driver.readNow(sid, this.cache.peek(sid)), false)
  }

  #loaded(sid: string, snapshot: Snapshot | undefined, cached: boolean): StoreAnswer {
    const { missingValue } = this.driver
    const known = this.cache.peek(sid)
    const isNews = known ? known !== snapshot : cached
    const base = isNews ? this.cache.set(sid, snapshot) : snapshot
    if (!snapshot || snapshot.movedTo !== undefined) return { session: missingValue, isMoved: snapshot !== undefined }
    // Code that calls the store itself may have stored no session at all.
    if (snapshot.text === 'null') return { session: null }
    return new SnapshotAnswer(snapshot, base)
  }

  override async read(sid: string): Promise<Snapshot | undefined> {
    const snapshot = await super.read(sid)
    this.cache.set(sid, snapshot)
    return snapshot
  }

  override async readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[] | undefined> {
    const found = await super.readMany(sids)
    found?.forEach((snapshot, index) => {
      const sid = sids[index] as string
      // The next write starts from there. Where it has become something else the store says so.
      if (snapshot && !this.context.queue.busy(sid)) this.cache.set(sid, snapshot)
    })
    return found
  }

  readLocked(sid: string): Promise<Snapshot | undefined> {
    return this.read(sid)
  }

  async touch(sid: string, touch: Touch): Promise<CookieJson | undefined> {
    const cookie = touch.cookie(this.context.cookies)
    return (await this.touchStore(sid, new Snapshot({ cookie, data: touch.data }))) ? cookie : undefined
  }

  /** Here the write itself is sent again. */
  readSettlesAWrite(): boolean {
    return false
  }

  withoutStoreFields(snapshot: Snapshot): Snapshot {
    return snapshot
  }

  protected override touchStore(sid: string, snapshot: Snapshot): Promise<boolean> {
    if (this.driver.touchChangesContent) this.cache.delete(sid)
    return super.touchStore(sid, snapshot)
  }

  protected async isStillThere(): Promise<boolean> {
    return false
  }

  /** Settles the outcome of the transaction's last write first, if that is unknown. */
  async #start(sid: string, transaction: Transaction): Promise<Start> {
    const last = this.#indeterminate.get(transaction)
    if (last && this.clock.hasEnded(sid)) {
      this.#indeterminate.delete(transaction)
      transaction.aborted()
    } else if (last) {
      const outcome = await this.#settle(sid, transaction, last)
      if (outcome !== 'written') {
        transaction.aborted()
        return { current: outcome, isCurrent: true }
      }
    }
    return this.#cachedStart(sid, transaction) ?? { current: await this.read(sid), isCurrent: true }
  }

  /** A start without a read; `undefined` where one is needed, or where the last write has to be settled first. */
  #cachedStart(sid: string, transaction: Transaction): Start | undefined {
    if (this.#indeterminate.has(transaction)) return undefined
    const cached = this.cache.get(sid) ?? transaction.known?.()
    if (cached && (transaction.canStartFrom?.(cached) ?? true)) return { current: cached, isCurrent: false }
    // A session that was never stored is created without a read; the store refuses where it has it after all.
    return cached || transaction.mustExist ? undefined : { current: undefined, isCurrent: false }
  }

  /** @returns `'written'`, or what the store holds instead */
  async #settle(sid: string, transaction: Transaction, write: ConditionalWrite): Promise<'written' | Snapshot | undefined> {
    this.#indeterminate.delete(transaction)
    let outcome: Outcome
    try {
      outcome = await this.#outcome(sid, transaction, write)
    } catch (error) {
      return this.#unsettled(sid, transaction, write, error)
    }
    if (outcome.is === 'unknown') {
      this.cache.delete(sid)
      transaction.outcomeUnknown?.(write.next)
      this.listener.mayHaveWritten?.(sid, write.expected === undefined)
      throw unknownOutcome('It was not written again, because nothing tells any more whether it happened.')
    }
    const { current } = outcome
    this.cache.set(sid, current)
    if (outcome.is === 'refused') return current
    const { newer } = outcome
    // Read only if the transaction uses it: an etag may have to be computed from the whole session.
    const etag = newer || !transaction.canStartFrom ? undefined : outcome.current.etag
    this.reportCommitted(sid, transaction, write.next, write.expected, etag)
    if (newer) this.listener.onNewerSnapshot(sid, newer)
    return 'written'
  }

  /** A first write that was sent is looked up by a read where a client may know the session's id, and others have ended the session. */
  async #outcome(sid: string, transaction: Transaction, write: ConditionalWrite): Promise<Outcome> {
    const mayRepeat = (): boolean => write.expected !== undefined || transaction.isSecret === true
    if (!write.isIndeterminate || mayRepeat()) {
      this.listener.count('writes')
      try {
        return await write.settle(this.timeout, mayRepeat)
      } catch (error) {
        if (!write.isIndeterminate || write.pending || mayRepeat()) throw error
      }
    }
    return write.outcomeIn(await this.read(sid))
  }

  #unsettled(sid: string, transaction: Transaction, write: ConditionalWrite, error: unknown): never {
    this.cache.delete(sid)
    if (!write.isIndeterminate) throw this.abort(transaction, write.next, error)
    const { onIndeterminate } = transaction
    // No comparison tells a session that was destroyed meanwhile from one that was never there.
    if (write.expected === undefined) {
      const arrived = (): Promise<void> => this.destroyAgain(sid)
      write.pending?.then(arrived, arrived)
    }
    if (!onIndeterminate) {
      if (transaction.outcomeUnknown) transaction.outcomeUnknown(write.next)
      else transaction.aborted()
      // At once, for what was sent before; and when the last answer comes, if it does.
      const settled = (): void => this.listener.mayHaveWritten?.(sid, write.expected === undefined)
      settled()
      write.pending?.then(settled, settled)
      throw unknownOutcome('Read the session before you repeat it.', error)
    }
    this.#indeterminate.set(transaction, write)
    onIndeterminate.begun()
    write.pending?.then(onIndeterminate.answered, onIndeterminate.answered)
    throw error
  }
}

/** The session is parsed when it is asked for: a handshake needs its cookie only. */
class SnapshotAnswer implements StoreAnswer {
  readonly base: Snapshot
  readonly #snapshot: Snapshot
  #session: SessionData | undefined

  constructor(snapshot: Snapshot, base = snapshot) {
    this.#snapshot = snapshot
    this.base = base === snapshot && snapshot.text === undefined ? snapshot.copy() : base
  }

  get session(): SessionData {
    this.#session ??= this.#snapshot.takeSession() as unknown as SessionData
    return this.#session
  }
}

/** A recipe may throw because of a state that is not in the store any more: it runs again on what is. */
function tryRebase(transaction: Transaction, cached: Snapshot | undefined): Proposal | undefined {
  try {
    return transaction.rebase(cached)
  } catch {
    return undefined
  }
}

function pauseAfterLosses(losses: number): Promise<void> {
  return pause(Math.random() * Math.min(20, 2 ** losses), undefined, { ref: false })
}

function tooManyWriters(): SharedSessionError {
  return new SharedSessionError(
    'STORE_TIMEOUT',
    `Others wrote this session faster for ${PERSISTENCE} ms: nothing was written. It is written by too many at once.`,
  )
}

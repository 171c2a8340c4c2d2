import type { SessionData } from 'express-session'
import { settleWithin, storeTimeout, withTimeout } from '../util/timeout.js'
import {
  appendCommit,
  hasMoved,
  keepHistory,
  type LoadedSnapshot,
  loadSnapshot,
  rawHistory,
  withoutHistory,
} from './commit-history.js'
import type { RecentCookieChanges } from './cookie.js'
import { altered, type CommitHistory, type CookieJson, type Document, hasNoCookie } from './document.js'
import type { Driver, OutgoingMessage } from './drivers/driver.js'
import type { KeepLocked } from './keyed-queue.js'
import type { OriginalStore } from './original-store.js'
import { SnapshotCache } from './snapshot-cache.js'
import type { CommitListener, CommitResult, Proposal, Transaction } from './transaction.js'

/** What a store answers to `get`. */
export interface Loaded {
  session: SessionData | null | undefined
  /** Its JSON, with the record, where that is at hand. */
  json?: string | undefined
  /** The record that its cookie does not show. */
  record?: unknown
}

/** The least time in ms for which an answer is waited for after its caller was told that it is late: it mostly still comes. */
const PATIENCE = 1000

/** A store as commits see it: by its driver, in time, counted, and with the record apart from the document. */
export class StoreAccess {
  readonly driver: Driver
  readonly cache = new SnapshotCache()
  readonly timeout: number
  /** Looks again whether a session is there which a touch has not found. Absent: it is not. */
  look: ((sid: string) => Promise<boolean>) | undefined
  readonly #raw: OriginalStore
  readonly #cookies: RecentCookieChanges
  readonly #listener: CommitListener

  /** @param timeout ms that one call of the store may take */
  constructor(driver: Driver, raw: OriginalStore, cookies: RecentCookieChanges, listener: CommitListener, timeout: number) {
    this.driver = driver
    this.timeout = timeout
    this.#raw = raw
    this.#cookies = cookies
    this.#listener = listener
  }

  /** ms after which an answer is not waited for any more. */
  get patience(): number {
    return this.timeout + Math.max(this.timeout, PATIENCE)
  }

  /** What a request is given for `get`: the store's own answer, without the record. */
  async load(sid: string): Promise<Loaded> {
    const { driver } = this
    if (driver.compares) {
      const held = await driver.read(sid)
      this.cache.set(sid, held)
      if (!held) return { session: driver.missingValue }
      // Code that calls the store itself may have stored no session at all.
      if (held.json === 'null') return { session: null }
      const { cookie, data } = held.document
      if (hasMoved(cookie)) return { session: driver.missingValue }
      const session = hasNoCookie(cookie) ? data : { cookie: { ...withoutHistory(cookie) }, ...data }
      return { session: session as unknown as SessionData, json: held.json }
    }
    const session = await this.#raw.get(sid)
    if (session) driver.stamps.got(sid, session)
    const cookie = session?.cookie as CookieJson | undefined
    if (cookie && hasMoved(cookie)) return { session: undefined }
    const visible = cookie && withoutHistory(cookie)
    const shown = visible === cookie ? session : ({ ...session, cookie: visible } as unknown as SessionData)
    return { session: shown, record: rawHistory(cookie) }
  }

  /** One read, bounded. */
  read(sid: string): Promise<LoadedSnapshot | undefined> {
    this.#listener.count('reads')
    return this.inTime(this.#look(sid), 'a read')
  }

  async #look(sid: string): Promise<LoadedSnapshot | undefined> {
    const held = await this.driver.read(sid)
    const found = held && loadSnapshot(held)
    if (this.driver.compares) this.cache.set(sid, held)
    return found
  }

  /** Several sessions in one round trip; `undefined` where the driver cannot do that. */
  async readMany(sids: readonly string[]): Promise<(LoadedSnapshot | undefined)[] | undefined> {
    if (!this.driver.readMany) return undefined
    this.#listener.count('reads')
    const held = await this.inTime(this.driver.readMany(sids), 'a read')
    return held.map((each) => each && loadSnapshot(each))
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    this.#listener.count('touches')
    if (this.driver.compares && this.driver.touchChangesContent) this.cache.delete(sid)
    const isThere = await this.driver.touch(sid, document)
    return isThere || (await this.look?.(sid)) === true
  }

  /** What goes out in the same step as that commit, by the id that it gets. */
  outgoingMessage(sid: string, next: Proposal, theirs: LoadedSnapshot | undefined, id: string): OutgoingMessage | undefined {
    const from = theirs?.record
    return this.#listener.outgoingMessage({ sid, next: withRecord(next, appendCommit(from, id)), from })
  }

  /**
   * @param record of the document that is now in the store
   * @param token its name there, if nobody else's commit has come after it
   */
  reportCommitted(
    sid: string,
    writer: Transaction,
    next: Proposal,
    theirs: LoadedSnapshot | undefined,
    record: CommitHistory | undefined,
    token?: string,
  ): void {
    if (theirs) this.#cookies.note(sid, theirs.document.cookie, next.document.cookie)
    const made = withRecord(next, record)
    writer.committed(made, token)
    this.#listener.committed({ ...made, sid, origin: writer.origin, from: theirs?.record })
  }

  /** Is it to be written, and not only its life refreshed? Where a touch does nothing, only a write keeps the session alive. */
  writes(next: Proposal): boolean {
    return next.write || this.driver.touchDisabled === true
  }

  gone(sid: string): 'gone' {
    this.cache.delete(sid)
    this.#listener.onMissingInStore(sid)
    return 'gone'
  }

  /** Is there nothing for the writer to write to? Tells so. */
  isGone(sid: string, theirs: LoadedSnapshot | undefined, { mustExist: stored, moves }: Transaction): boolean {
    const { movedTo } = theirs?.record ?? {}
    if (moves || (theirs ? movedTo === undefined : !stored)) return false
    if (movedTo !== undefined) this.#listener.moved(sid, movedTo)
    this.gone(sid)
    return true
  }

  /** @param what is to be answered, as in "a read" */
  inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    return withTimeout(promise, this.timeout, () => storeTimeout(what, this.timeout))
  }

  /** A commit that writes nothing: the session's life starts anew. */
  async refresh(
    sid: string,
    writer: Transaction,
    next: Proposal,
    theirs: LoadedSnapshot | undefined,
    hold?: KeepLocked,
  ): Promise<CommitResult> {
    const cookie = theirs ? keepHistory(next.document.cookie, theirs.held.document.cookie) : next.document.cookie
    const { storeFields: stamps } = theirs?.held ?? {}
    const document = stamps ? { cookie, data: { ...stamps, ...next.document.data } } : altered(next.document, { cookie })
    const settled = this.touch(sid, document).then(
      (there) => {
        if (there) this.reportCommitted(sid, writer, next, theirs, theirs?.record)
        else writer.aborted()
        return there
      },
      (error) => {
        writer.aborted()
        throw error
      },
    )
    hold?.(settleWithin(settled, this.patience))
    const there = await withTimeout(settled, this.timeout, () => storeTimeout('a touch', this.timeout))
    return there ? 'written' : this.gone(sid)
  }
}

function withRecord(next: Proposal, record: CommitHistory | undefined): Proposal {
  return { ...next, document: altered(next.document, { cookie: next.document.cookie, record }) }
}

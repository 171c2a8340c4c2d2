import type { CommitMessage } from '../cluster/message.js'
import type { JsonObject } from '../document/json.js'
import { diff, type Patch } from '../document/patch.js'
import type { RebaseResult, TrackedDocument } from '../document/tracked-document.js'
import type { StoreOptions } from '../options.js'
import type { CommitHistory } from '../store/commit-history.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import type { ChangeOrigin } from '../types.js'
import { applyCommitMessage } from './apply-commit-message.js'
import type { IdleSession } from './idle-session.js'
import type { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import { byOthers, type Change, currentDepth } from './notifier.js'

/** What holds a {@link SessionBase}: what it merges into, and what it calls. */
export interface BaseHost {
  readonly options: StoreOptions
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  notify(change: Change): void
  /** The store is known to hold this now. */
  storedChanged(snapshot: Snapshot): void
  /** The member's writes repeat some that are not in the store. */
  lostAgain(member: Member): void
  reportMerge(result: RebaseResult): void
  expiryChanged(): void
}

/** Writes that may be in the store, and may not. The document has them, and was not changed since. */
interface IndeterminateWrites {
  /** What the store was last known to hold. */
  data: JsonObject
  /** The writes. Nobody was notified of them. */
  change: Change
}

/**
 * What the store is known to hold of one session, and how it gets into the replica: merged into the document at once or, with
 * `onChange: 'notify'`, kept aside until the next save or `reload()`. Listeners are notified either way, once.
 */
export class SessionBase {
  /** The session is in the store. */
  stored: boolean
  /** Unsaved changes lie on top of what others wrote. */
  merged = false
  /** How many times the document got another base. */
  rebases = 0
  readonly #target: BaseHost
  /** What others wrote that is not in the document: the whole data. */
  #pending: JsonObject | undefined
  /** Until the store is read. */
  #indeterminate: IndeterminateWrites | undefined
  /** The commits that led to the newest data known here; `undefined` where they are not known. */
  #history: CommitHistory | undefined
  #lastStoreContactMs: number
  /** The stored snapshot that the document is based on, or its etag, if known. */
  #base: Snapshot | string | undefined
  /** Bytes of the messages that were applied since the store was last read or written. */
  #messageBytesSinceRead = 0

  /** @param idle what the document was made of */
  constructor(target: BaseHost, { stored, lastStoreContactMs, snapshot }: IdleSession) {
    this.#target = target
    this.stored = stored
    this.#lastStoreContactMs = lastStoreContactMs
    this.#base = snapshot
    this.#history = snapshot.history
  }

  /** Etag of the stored snapshot that the document is based on, if known: a snapshot with this etag needs no comparison. */
  get etag(): string | undefined {
    return typeof this.#base === 'object' ? this.#base.etag : this.#base
  }

  set etag(etag: string | undefined) {
    this.#base = etag
  }

  /** The stored snapshot that the document was made of, as long as it is based on it. */
  get initial(): Snapshot | undefined {
    return typeof this.#base === 'object' && this.#base.etag !== undefined ? this.#base.copy() : undefined
  }

  /** Have others written something that is not in the document? */
  get hasPendingOthers(): boolean {
    return this.#pending !== undefined
  }

  /** When the store was last read or written, in ms since the epoch. */
  get lastStoreContactMs(): number {
    return this.#lastStoreContactMs
  }

  /** Is the document based on this snapshot, by its etag? A store that cannot compare has none. */
  matches({ etag }: Snapshot): boolean {
    return etag !== undefined && etag === this.etag
  }

  /** Is there something of which nobody knows whether the store has it? */
  get isIndeterminate(): boolean {
    return this.#indeterminate !== undefined
  }

  /** The newest data that the store is known to hold: a copy. */
  get latest(): JsonObject {
    const data = this.#pending ?? this.#indeterminate?.data
    return data ? structuredClone(data) : this.#target.document.base()
  }

  /** The commits that led to {@link latest}. */
  get history(): CommitHistory | undefined {
    return this.#history
  }

  /** Somebody else's commit reached the store. @param messageBytes of the message that reports it; 0 where the store was read */
  receive(snapshot: Snapshot, origin: ChangeOrigin, messageBytes: number): void {
    if (!this.#keepsAside()) {
      this.rebase(snapshot, origin, messageBytes)
      return
    }
    this.acceptCookie(snapshot.cookie, messageBytes)
    const indeterminate = this.#takeIndeterminate(snapshot.data)
    const news = this.#pending ? diff(this.#pending, snapshot.data) : this.#target.document.diffFromBase(snapshot.data)
    this.#setHistory(snapshot, news)
    this.#pending = snapshot.data
    // Without merging the next save stores them all the same.
    if (indeterminate && this.#target.options.merge === false) this.#indeterminate = { ...indeterminate, data: snapshot.data }
    this.#target.storedChanged(snapshot)
    this.#notify(news, origin, snapshot, indeterminate)
  }

  /** Merges what the store holds into the document; unsaved changes stay on top. */
  rebase(snapshot: Snapshot, origin: ChangeOrigin, messageBytes = 0): void {
    this.acceptCookie(snapshot.cookie, messageBytes)
    const notified = this.#pending
    this.#pending = undefined
    const indeterminate = this.#takeIndeterminate(snapshot.data)
    const isUnsaved = this.#target.document.hasChanges()
    const result = this.#target.document.rebase(snapshot.data)
    this.#setHistory(snapshot, result.patches)
    this.etag = undefined
    this.rebases++
    if (isUnsaved && result.patches.length > 0) this.merged = true
    this.#target.storedChanged(snapshot)
    this.#target.reportMerge(result)
    this.#notify(notified ? diff(notified, snapshot.data) : result.patches, origin, snapshot, indeterminate)
  }

  /** A save of this replica reached the store. Without merging it has replaced what was kept aside. */
  saved(snapshot: Snapshot): void {
    this.acceptCookie(snapshot.cookie)
    this.#history = snapshot.history
    if (this.#target.options.merge === false) this.#pending = undefined
    this.#target.storedChanged(snapshot)
    // They are in the store too: the save was written over them.
    const indeterminate = this.#takeIndeterminate()
    if (indeterminate) this.#target.notify(indeterminate.change)
  }

  /** A save may be in the store, and may not: until the store is read nobody else is shown what was in it. @param theirs what it was written over */
  outcomeUnknown(theirs: Snapshot | undefined, { patches, by, ...change }: Change): void {
    const { data, change: last } = this.#indeterminate ?? { data: this.#pending ?? theirs?.copy().data ?? {}, change: undefined }
    const all = { patches: [...(last?.patches ?? []), ...patches], by: [...(last?.by ?? []), ...(by ?? [])] }
    this.#indeterminate = { data, change: { ...change, ...all } }
    this.etag = undefined
  }

  /** The store has refused a save for good: the document becomes what it was written over, and later writes stay on top. */
  refused(theirs: Snapshot | undefined, change: Change): void {
    this.outcomeUnknown(theirs, change)
    if (theirs) {
      this.rebase(theirs, 'remote')
      return
    }
    const indeterminate = this.#takeIndeterminate({})
    const { patches } = this.#target.document.rebase({})
    this.rebases++
    this.#notify(patches, 'remote', { data: {} }, indeterminate)
  }

  /**
   * The document that another process's commit leads to, see {@link applyCommitMessage}. Without merging a save writes all that is here, and
   * indeterminate data must not get into the store; nor may messages alone make a session grow beyond its limit. Nor does one follow on a document
   * that may not be what the store holds.
   * @param bytes of the message
   */
  afterCommitMessage(message: CommitMessage, bytes: number): Snapshot | 'known' | undefined {
    const { merge, maxBytes } = this.#target.options
    const isApplicable = merge !== false && !this.#indeterminate && this.#messageBytesSinceRead + bytes <= maxBytes
    return applyCommitMessage(isApplicable ? message : { ...message, change: undefined }, this, this.#target.liveCookie.json())
  }

  /** The store has the session, with that cookie. @param exact its expiry counts also where it is an earlier one */
  acceptCookie(cookie: CookieJson, messageBytes = 0, exact = false): void {
    this.stored = true
    // A message may be forged: only reads and writes of the store put off the next revalidation.
    if (messageBytes === 0) this.#lastStoreContactMs = Date.now()
    this.#messageBytesSinceRead = messageBytes === 0 ? 0 : this.#messageBytesSinceRead + messageBytes
    const { liveCookie } = this.#target
    const { expires } = liveCookie
    liveCookie.accept(cookie, exact)
    if (liveCookie.expires !== expires) this.#target.expiryChanged()
  }

  /** @param stored what the store turns out to hold, if that is not what the document has */
  #takeIndeterminate(stored?: JsonObject): IndeterminateWrites | undefined {
    const indeterminate = this.#indeterminate
    this.#indeterminate = undefined
    if (indeterminate && stored)
      for (const member of this.#target.document.authorsOfUndone(stored)) this.#target.lostAgain(member)
    return indeterminate
  }

  /** Without merging, a document with unsaved changes is not touched: it is to replace the one in the store. */
  #keepsAside(): boolean {
    const { options, document } = this.#target
    if (options.onChange !== 'reload') return true
    if (options.merge !== false) return false
    document.scanWatchedObjects()
    return document.hasChanges()
  }

  /** A request's session does not name its commits: without news the history stays what it was. */
  #setHistory({ history }: Snapshot, news: Patch[]): void {
    if (history || news.length > 0) this.#history = history
  }

  /** @param patches from what the document had to what the store holds */
  #notify(
    patches: Patch[],
    origin: ChangeOrigin,
    { data }: Pick<Snapshot, 'data'>,
    indeterminate: IndeterminateWrites | undefined,
  ): void {
    const change = { patches, by: undefined, origin, depth: currentDepth() }
    if (!indeterminate) {
      this.#target.notify(change)
      return
    }
    // Those who wrote have their own writes. The others heard of none.
    const { by = [], depth } = indeterminate.change
    const authors = new Set(by.flatMap((each) => [...each]))
    const instead = new Map([...authors].map((author) => [author, [...byOthers(indeterminate.change, author), ...patches]]))
    this.#target.notify({ ...change, patches: diff(indeterminate.data, data), instead, depth: Math.max(change.depth, depth) })
  }
}

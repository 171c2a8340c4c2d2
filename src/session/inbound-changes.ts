import { applyRemoteCommit, type CommitMessage } from '../cluster/apply-remote-commit.js'
import type { JsonObject } from '../document/json.js'
import { diff, type Patch } from '../document/patch.js'
import type { RebaseResult, TrackedDocument } from '../document/tracked-document.js'
import type { StoreOptions } from '../options.js'
import type { CommitHistory } from '../store/commit-history.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import type { ChangeOrigin } from '../types.js'
import type { IdleSession } from './idle-session.js'
import type { LiveCookie } from './live-cookie.js'
import type { Member } from './member.js'
import { type Change, currentDepth } from './notifier.js'

/** What inbound changes are merged into, and what they call. */
export interface InboundTarget {
  readonly options: StoreOptions
  readonly document: TrackedDocument<Member>
  readonly liveCookie: LiveCookie
  notify(change: Change): void
  /** The store is known to hold this now. */
  storedChanged(snapshot: Snapshot): void
  reportMerge(result: RebaseResult): void
  expiryChanged(): void
}

/**
 * What the store is known to hold of one session, and how it gets into the replica: merged into the document at once or, with
 * `onChange: 'notify'`, kept aside until the next save or `reload()`. Listeners are notified either way, once.
 */
export class InboundChanges {
  /** The session is in the store. */
  stored: boolean
  /** Unsaved changes lie on top of what others wrote. */
  merged = false
  /** How many times the document got another base. */
  rebases = 0
  readonly #target: InboundTarget
  /** What others wrote that is not in the document: the whole data. */
  #pending: JsonObject | undefined
  /** The commits that led to the newest data known here; `undefined` where they are not known. */
  #history: CommitHistory | undefined
  #confirmedAt: number
  /** The stored snapshot that the document is based on, or its etag, if known. */
  #base: Snapshot | string | undefined
  /** Bytes of the messages that were applied since the store was last read or written. */
  #unconfirmedBytes = 0

  /** @param idle what the document was made of */
  constructor(target: InboundTarget, { stored, confirmedAt, snapshot }: IdleSession) {
    this.#target = target
    this.stored = stored
    this.#confirmedAt = confirmedAt
    this.#base = snapshot
    this.#history = snapshot.history
  }

  /** Etag of the stored snapshot that the document is based on, if known: a snapshot with this etag needs no comparison. */
  get baseEtag(): string | undefined {
    return typeof this.#base === 'object' ? this.#base.etag : this.#base
  }

  set baseEtag(etag: string | undefined) {
    this.#base = etag
  }

  /** The stored snapshot that the document was made of, as long as it is based on it. */
  get initial(): Snapshot | undefined {
    return typeof this.#base === 'object' && this.#base.etag !== undefined ? this.#base.copy() : undefined
  }

  /** Have others written something that is not in the document? */
  get hasPendingRemote(): boolean {
    return this.#pending !== undefined
  }

  /** When the store was last read or written, in ms since the epoch. */
  get confirmedAt(): number {
    return this.#confirmedAt
  }

  /** Is the document based on this snapshot, by its etag? A store that cannot compare has none. */
  isBase({ etag }: Snapshot): boolean {
    return etag !== undefined && etag === this.baseEtag
  }

  /** The newest data that the store is known to hold: a copy. */
  get latest(): JsonObject {
    return this.#pending ? structuredClone(this.#pending) : this.#target.document.base()
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
    const news = this.#pending ? diff(this.#pending, snapshot.data) : this.#target.document.diffFromBase(snapshot.data)
    this.#setHistory(snapshot, news)
    this.#pending = snapshot.data
    this.#target.storedChanged(snapshot)
    this.#notify(news, origin)
  }

  /** Merges what the store holds into the document; unsaved changes stay on top. */
  rebase(snapshot: Snapshot, origin: ChangeOrigin, messageBytes = 0): void {
    this.acceptCookie(snapshot.cookie, messageBytes)
    const notified = this.#pending
    this.#pending = undefined
    const isUnsaved = this.#target.document.hasChanges()
    const result = this.#target.document.rebase(snapshot.data)
    this.#setHistory(snapshot, result.patches)
    this.baseEtag = undefined
    this.rebases++
    if (isUnsaved && result.patches.length > 0) this.merged = true
    this.#target.storedChanged(snapshot)
    this.#target.reportMerge(result)
    this.#notify(notified ? diff(notified, snapshot.data) : result.patches, origin)
  }

  /** A save of this replica reached the store. Without merging it has replaced what was kept aside. */
  saved(snapshot: Snapshot): void {
    this.acceptCookie(snapshot.cookie)
    this.#history = snapshot.history
    if (this.#target.options.merge === false) this.#pending = undefined
    this.#target.storedChanged(snapshot)
  }

  /**
   * The document that another process's commit leads to, see {@link applyRemoteCommit}. Without merging a save writes all that is here, and
   * unconfirmed data must not get into the store; nor may messages alone make a session grow beyond its limit.
   * @param bytes of the message
   */
  applyRemoteCommit(message: CommitMessage, bytes: number): Snapshot | 'known' | undefined {
    const { merge, maxBytes } = this.#target.options
    const isApplicable = merge !== false && this.#unconfirmedBytes + bytes <= maxBytes
    return applyRemoteCommit(isApplicable ? message : { ...message, change: undefined }, this, this.#target.liveCookie.json())
  }

  /** The store has the session, with that cookie. @param exact its expiry counts also where it is an earlier one */
  acceptCookie(cookie: CookieJson, messageBytes = 0, exact = false): void {
    this.stored = true
    // A message may be forged: only reads and writes of the store put off the next revalidation.
    if (messageBytes === 0) this.#confirmedAt = Date.now()
    this.#unconfirmedBytes = messageBytes === 0 ? 0 : this.#unconfirmedBytes + messageBytes
    const { liveCookie } = this.#target
    const { expires } = liveCookie
    liveCookie.acceptRemote(cookie, exact)
    if (liveCookie.expires !== expires) this.#target.expiryChanged()
  }

  /** Without merging, a document with unsaved changes is not touched: it is to replace the one in the store. */
  #keepsAside(): boolean {
    const { options, document } = this.#target
    if (options.onChange !== 'reload') return true
    if (options.merge !== false) return false
    document.scanRawObjects()
    return document.hasChanges()
  }

  /** A request's session does not name its commits: without news the history stays what it was. */
  #setHistory({ history }: Snapshot, news: Patch[]): void {
    if (history || news.length > 0) this.#history = history
  }

  #notify(patches: Patch[], origin: ChangeOrigin): void {
    this.#target.notify({ patches, by: undefined, origin, depth: currentDepth() })
  }
}

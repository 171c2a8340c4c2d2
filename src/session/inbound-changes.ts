import type { JsonObject } from '../document/json.js'
import type { Patch } from '../document/patch.js'
import { diff } from '../document/patch.js'
import type { RebaseResult, TrackedDocument } from '../document/tracked-document.js'
import type { StoreOptions } from '../options.js'
import type { CommitHistory } from '../store/commit-history.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Snapshot } from '../store/snapshot.js'
import type { ChangeOrigin } from '../types.js'
import type { Member } from './member.js'

/** What the hearing of a session needs of it. */
export interface InboundChangesHost {
  readonly document: TrackedDocument<Member>
  /** The store has the session, with that cookie. @param told bytes of the message that says so; 0 for what was read or written */
  see(cookie: CookieJson, told: number): void
  /** @param unsaved something that is not saved yet lies on top of what was taken in */
  absorbed(found: RebaseResult, unsaved: boolean): void
  notifyPending(patches: Patch[], origin: ChangeOrigin): void
}

/** How a session learns what others wrote: it takes that in and tells it or, with `onChange: 'notify'`, only tells it at first. */
export class InboundChanges {
  readonly #host: InboundChangesHost
  readonly #options: StoreOptions
  /** What was told and not taken. */
  #pendingRemote: JsonObject | undefined
  /** The commits that led to the last document heard of; `undefined` where that is not known. */
  #record: CommitHistory | undefined

  constructor(host: InboundChangesHost, options: StoreOptions) {
    this.#host = host
    this.#options = options
  }

  /** Was something told that was not taken? */
  get hasPendingRemote(): boolean {
    return this.#pendingRemote !== undefined
  }

  /** What the store is known to hold: a copy. */
  get latest(): JsonObject {
    return this.#pendingRemote ? structuredClone(this.#pendingRemote) : this.#host.document.base()
  }

  /** The commits that led to {@link latest}. */
  get record(): CommitHistory | undefined {
    return this.#record
  }

  /** A save of this process's has led there. */
  saved(record: CommitHistory | undefined): void {
    this.#record = record
  }

  /** Somebody else's commit reached the store. @param told bytes of the message that says so; 0 where the store was read */
  receive(document: Snapshot, origin: ChangeOrigin, told: number): void {
    if (this.#options.onChange === 'reload' && !this.#isKept()) {
      this.rebase(document, origin, told)
      return
    }
    this.#host.see(document.cookie, told)
    const patches = this.#pendingRemote
      ? diff(this.#pendingRemote, document.data)
      : this.#host.document.diffFromBase(document.data)
    this.#note(document, patches)
    this.#pendingRemote = document.data
    this.#host.notifyPending(patches, origin)
  }

  /** Takes in what the store holds; what is unsaved here stays on top. What was told already is not told again. */
  rebase(document: Snapshot, origin: ChangeOrigin, bytes = 0): void {
    this.#host.see(document.cookie, bytes)
    const told = this.#pendingRemote
    this.#pendingRemote = undefined
    const unsaved = this.#host.document.hasChanges()
    const absorbed = this.#host.document.rebase(document.data)
    this.#note(document, absorbed.patches)
    this.#host.absorbed(absorbed, unsaved)
    this.#host.notifyPending(told ? diff(told, document.data) : absorbed.patches, origin)
  }

  /** What was told and not taken has been replaced by a save. */
  replaced(): void {
    this.#pendingRemote = undefined
  }

  /** A request's session does not name its commits; one that brings no news is what was known before. */
  #note({ history }: Snapshot, news: Patch[]): void {
    if (history || news.length > 0) this.#record = history
  }

  /** Without merging, a document with unsaved changes stays as it is, to replace the one in the store. */
  #isKept(): boolean {
    if (this.#options.merge !== false) return false
    this.#host.document.scanRawObjects()
    return this.#host.document.hasChanges()
  }
}

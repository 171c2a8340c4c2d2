import type { StoreOptions } from '../options.js'
import type { CommitRecord, CookieImage, Document } from '../store/document.js'
import { diff } from '../tracking/diff.js'
import type { JsonObject } from '../tracking/json.js'
import type { Absorbed, Ledger } from '../tracking/ledger.js'
import type { Patch } from '../tracking/patch.js'
import type { ChangeOrigin } from '../types.js'
import type { Member } from './member.js'

/** What the hearing of a session needs of it. */
export interface HearingHost {
  readonly ledger: Ledger<Member>
  /** The store has the session, with that cookie. @param told bytes of the message that says so; 0 for what was read or written */
  see(cookie: CookieImage, told: number): void
  /** @param unsaved something that is not saved yet lies on top of what was taken in */
  absorbed(found: Absorbed, unsaved: boolean): void
  tell(patches: Patch[], origin: ChangeOrigin): void
}

/** How a session learns what others wrote: it takes that in and tells it or, with `onChange: 'notify'`, only tells it at first. */
export class Hearing {
  readonly #host: HearingHost
  readonly #options: StoreOptions
  /** What was told and not taken. */
  #told: JsonObject | undefined
  /** The commits that led to the last document heard of; `undefined` where that is not known. */
  #record: CommitRecord | undefined

  constructor(host: HearingHost, options: StoreOptions) {
    this.#host = host
    this.#options = options
  }

  /** Was something told that was not taken? */
  get isBehind(): boolean {
    return this.#told !== undefined
  }

  /** What the store is known to hold: a copy. */
  get latest(): JsonObject {
    return this.#told ? structuredClone(this.#told) : this.#host.ledger.base()
  }

  /** The commits that led to {@link latest}. */
  get record(): CommitRecord | undefined {
    return this.#record
  }

  /** A save of this process's has led there. */
  saved(record: CommitRecord | undefined): void {
    this.#record = record
  }

  /** Somebody else's commit reached the store. @param told bytes of the message that says so; 0 where the store was read */
  heard(document: Document, origin: ChangeOrigin, told: number): void {
    if (this.#options.onChange === 'reload' && !this.#isKept()) {
      this.absorb(document, origin, told)
      return
    }
    this.#host.see(document.cookie, told)
    const patches = this.#told ? diff(this.#told, document.data) : this.#host.ledger.news(document.data)
    this.#note(document, patches)
    this.#told = document.data
    this.#host.tell(patches, origin)
  }

  /** Takes in what the store holds; what is unsaved here stays on top. What was told already is not told again. */
  absorb(document: Document, origin: ChangeOrigin, bytes = 0): void {
    this.#host.see(document.cookie, bytes)
    const told = this.#told
    this.#told = undefined
    const unsaved = this.#host.ledger.pending()
    const absorbed = this.#host.ledger.absorb(document.data)
    this.#note(document, absorbed.patches)
    this.#host.absorbed(absorbed, unsaved)
    this.#host.tell(told ? diff(told, document.data) : absorbed.patches, origin)
  }

  /** What was told and not taken has been replaced by a save. */
  replaced(): void {
    this.#told = undefined
  }

  /** A request's session does not name its commits; one that brings no news is what was known before. */
  #note({ record }: Document, news: Patch[]): void {
    if (record || news.length > 0) this.#record = record
  }

  /** Without merging, a document with unsaved changes stays as it is, to replace the one in the store. */
  #isKept(): boolean {
    if (this.#options.merge !== false) return false
    this.#host.ledger.poll()
    return this.#host.ledger.pending()
  }
}

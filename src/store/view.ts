import type { SessionData } from 'express-session'
import type { CommitListener, CommitResult, Next, Writer } from './contract.js'
import type { ChangedCookies } from './cookies.js'
import { altered, type CommitRecord, type CookieImage, type Document, hasNoCookie } from './document.js'
import type { Driver, Note } from './driver.js'
import { Known } from './known.js'
import type { Hold } from './lanes.js'
import { settledWithin, timedOut, within } from './operation.js'
import type { RawStore } from './raw.js'
import { carrying, hasMoved, rawRecord, recordAfter, type Seen, seen, withoutRecord } from './record.js'

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
export class StoreView {
  readonly driver: Driver
  readonly known = new Known()
  readonly timeout: number
  /** Looks again whether a session is there which a touch has not found. Absent: it is not. */
  look: ((sid: string) => Promise<boolean>) | undefined
  readonly #raw: RawStore
  readonly #cookies: ChangedCookies
  readonly #listener: CommitListener

  /** @param timeout ms that one call of the store may take */
  constructor(driver: Driver, raw: RawStore, cookies: ChangedCookies, listener: CommitListener, timeout: number) {
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
    if (this.driver.compares) {
      const held = await this.driver.read(sid)
      this.known.note(sid, held)
      if (!held) return { session: this.driver.missing }
      // Code that calls the store itself may have stored no session at all.
      if (held.json === 'null') return { session: null }
      const { cookie, data } = held.document
      if (hasMoved(cookie)) return { session: this.driver.missing }
      const session = hasNoCookie(cookie) ? data : { cookie: { ...withoutRecord(cookie) }, ...data }
      return { session: session as unknown as SessionData, json: held.json }
    }
    const session = await this.#raw.get(sid)
    if (session) this.driver.unchecked?.stamps.got(sid, session)
    const cookie = session?.cookie as CookieImage | undefined
    if (cookie && hasMoved(cookie)) return { session: undefined }
    const visible = cookie && withoutRecord(cookie)
    const shown = visible === cookie ? session : ({ ...session, cookie: visible } as unknown as SessionData)
    return { session: shown, record: rawRecord(cookie) }
  }

  /** One read, bounded. */
  see(sid: string): Promise<Seen | undefined> {
    this.#listener.count('reads')
    return this.inTime(this.#look(sid), 'a read')
  }

  async #look(sid: string): Promise<Seen | undefined> {
    const held = await this.driver.read(sid)
    const found = held && seen(held)
    if (this.driver.compares) this.known.note(sid, held)
    return found
  }

  /** Several sessions in one round trip; `undefined` where the driver cannot do that. */
  async seeMany(sids: readonly string[]): Promise<(Seen | undefined)[] | undefined> {
    if (!this.driver.readMany) return undefined
    this.#listener.count('reads')
    const held = await this.inTime(this.driver.readMany(sids), 'a read')
    return held.map((each) => each && seen(each))
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    this.#listener.count('touches')
    if (this.driver.touchWrites) this.known.forget(sid)
    const isThere = await (this.driver.unchecked ?? this.driver).touch(sid, document)
    return isThere || (await this.look?.(sid)) === true
  }

  /** What goes out in the same step as that commit, by the id that it gets. */
  note(sid: string, next: Next, theirs: Seen | undefined, id: string): Note | undefined {
    const from = theirs?.record
    return this.#listener.note({ sid, next: withRecord(next, recordAfter(from, id)), from })
  }

  /**
   * @param record of the document that is now in the store
   * @param token its name there, if nobody else's commit has come after it
   */
  written(
    sid: string,
    writer: Writer,
    next: Next,
    theirs: Seen | undefined,
    record: CommitRecord | undefined,
    token?: string,
  ): void {
    if (theirs) this.#cookies.note(sid, theirs.document.cookie, next.document.cookie)
    const made = withRecord(next, record)
    writer.written(made, token)
    this.#listener.committed({ ...made, sid, origin: writer.origin, from: theirs?.record })
  }

  /** Is it to be written, and not only its life refreshed? Where a touch does nothing, only a write keeps the session alive. */
  writes(next: Next): boolean {
    return next.write || this.driver.untouched === true
  }

  gone(sid: string): 'gone' {
    this.known.forget(sid)
    this.#listener.gone(sid)
    return 'gone'
  }

  /** Is there nothing for the writer to write to? Tells so. */
  isGone(sid: string, theirs: Seen | undefined, { stored, moves }: Writer): boolean {
    const { movedTo } = theirs?.record ?? {}
    if (moves || (theirs ? movedTo === undefined : !stored)) return false
    if (movedTo !== undefined) this.#listener.moved(sid, movedTo)
    this.gone(sid)
    return true
  }

  /** @param what is to be answered, as in "a read" */
  inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    return within(promise, this.timeout, () => timedOut(what, this.timeout))
  }

  /** A commit that writes nothing: the session's life starts anew. */
  async refresh(sid: string, writer: Writer, next: Next, theirs: Seen | undefined, hold?: Hold): Promise<CommitResult> {
    const cookie = theirs ? carrying(next.document.cookie, theirs.held.document.cookie) : next.document.cookie
    const { stamps } = theirs?.held ?? {}
    const document = stamps ? { cookie, data: { ...stamps, ...next.document.data } } : altered(next.document, { cookie })
    const settled = this.touch(sid, document).then(
      (there) => {
        if (there) this.written(sid, writer, next, theirs, theirs?.record)
        else writer.failed()
        return there
      },
      (error) => {
        writer.failed()
        throw error
      },
    )
    hold?.(settledWithin(settled, this.patience))
    const there = await within(settled, this.timeout, () => timedOut('a touch', this.timeout))
    return there ? 'written' : this.gone(sid)
  }
}

function withRecord(next: Next, record: CommitRecord | undefined): Next {
  return { ...next, document: altered(next.document, { cookie: next.document.cookie, record }) }
}

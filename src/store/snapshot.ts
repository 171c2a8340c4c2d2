import type { Session, SessionData } from 'express-session'
import { clone, isObject, type JsonObject } from '../document/json.js'
import { type CommitHistory, historyOf, textWithHistory, visibleCookie, withHistory } from './commit-history.js'
import { type CookieJson, cookieToJson, expiryOf, hasNoCookie, noCookie, toCookie, toPlainJson } from './cookie-json.js'
import { addLazily, entriesOf, isSessionJson, joinEntries, parseEntries } from './data-text.js'
import type { StoredSession } from './drivers/store-driver.js'
import {
  dataTextAfter,
  dataTextOf,
  expiryInText,
  parseData,
  plainCookieEnd,
  type SplitText,
  splitStoredText,
} from './stored-text.js'

/** In place of the position of the data: it is in the text, and nobody has looked where. */
const IN_TEXT = -1

interface SnapshotFields {
  /** `undefined`: it is in the text, which is one of {@link plainCookieEnd}. */
  cookie: CookieJson | undefined
  /** A number: where it begins in the text, see {@link splitStoredText}. */
  data: JsonObject | (() => JsonObject) | number
  history?: CommitHistory | undefined
  dataText?: string | undefined
  entries?: readonly string[] | undefined
  storeFields?: JsonObject | undefined
  text?: string | undefined
  record?: StoredSession | undefined
}

/** A session at one moment: as a store holds it, as a transaction wants it, or as it was committed. */
export class Snapshot {
  /** The commits that led to it, as far as the stored history names them. */
  readonly history: CommitHistory | undefined
  /** Fields that the store itself puts beside the data and gets back with a write. They are not in `data`. */
  readonly storeFields: JsonObject | undefined
  /** The data as the JSON of each key, see {@link entriesOf}, where it is at hand. */
  readonly entries: readonly string[] | undefined
  /** The whole session as the store holds it, where that is JSON. */
  readonly text: string | undefined
  /** What the driver has given out for it, in a store that compares. Copies of a snapshot share it. */
  readonly record: StoredSession | undefined
  // Most are kept for sockets that never use them: no functions for each.
  #cookie: CookieJson | undefined
  #data: JsonObject | (() => JsonObject) | number
  #dataText: string | undefined

  /** @param fields `data` may be a function, which is called when somebody asks */
  constructor({ cookie, data, history, dataText, entries, storeFields, text, record: stored }: SnapshotFields) {
    this.#cookie = cookie
    this.history = history
    this.storeFields = storeFields
    this.entries = entries
    this.text = text
    this.#dataText = dataText
    this.#data = data
    this.record = stored
  }

  /** @param session as a store hands it out or is given it */
  static fromSession(session: object): Snapshot {
    return Snapshot.#ofJson(toPlainJson(session))
  }

  /** @param stored as a driver has given it out */
  static fromStored(stored: StoredSession): Snapshot {
    const { text } = stored
    const end = plainCookieEnd(text)
    if (end !== undefined) return new Snapshot({ cookie: undefined, data: dataAfter(text, end), text, record: stored })
    const split = splitStoredText(text)
    if (!split) return Snapshot.#ofJson(JSON.parse(text), stored)
    const { cookie } = split
    return new Snapshot({
      cookie: visibleCookie(cookie),
      history: historyOf(cookie),
      data: dataAfter(text, split.end),
      text,
      record: stored,
    })
  }

  static #ofJson(session: unknown, stored?: StoredSession): Snapshot {
    const { cookie, ...data }: JsonObject = Object(session)
    const json = isObject(cookie) ? (cookie as CookieJson) : noCookie()
    return new Snapshot({ cookie: visibleCookie(json), history: historyOf(json), data, text: stored?.text, record: stored })
  }

  /** @param session one that its holder may change: what it is now is kept as text, which is parsed when somebody asks for the data */
  static lazyFromSession(session: object): Snapshot {
    const entries = entriesOf(session)
    if (!entries) return Snapshot.fromSession(session)
    const json = cookieToJson((session as { cookie?: object }).cookie)
    return new Snapshot({ cookie: visibleCookie(json), history: historyOf(json), data: () => parseEntries(entries), entries })
  }

  /** The session's cookie, without the history of commits that the stored cookie carries. Parsed when it is first asked for. */
  get cookie(): CookieJson {
    this.#cookie ??= visibleCookie((splitStoredText(this.text as string) as SplitText).cookie)
    return this.#cookie
  }

  /** When the session ends by its cookie, in ms since the epoch. Parses nothing where the text shows that. */
  get expires(): number | undefined {
    return this.#cookie ? expiryOf(this.#cookie) : expiryInText(this.text as string)
  }

  /** The session's data, which is the caller's own to change. Parsed when it is first asked for. */
  get data(): JsonObject {
    const data = this.#data
    if (typeof data === 'object') return data
    const made = typeof data === 'function' ? data() : dataIn(this.text as string, data)
    this.#data = made
    return made
  }

  /** Is there no data? Parses nothing where the text shows that. */
  get isEmpty(): boolean {
    // Where its beginning is known, there is some.
    if (typeof this.#data === 'number' && this.#data !== IN_TEXT) return false
    const dataText = this.#data === IN_TEXT ? dataTextOf(this.text as string) : undefined
    if (dataText !== undefined) return dataText === '{}'
    return Object.keys(this.data).length === 0
  }

  /** The data as JSON, where it is at hand. */
  get dataText(): string | undefined {
    if (this.#dataText === undefined && this.text !== undefined) {
      const isKnown = typeof this.#data === 'number' && this.#data !== IN_TEXT
      this.#dataText = isKnown ? dataTextAfter(this.text, this.#data as number) : dataTextOf(this.text)
    } else if (this.#dataText === undefined && this.entries) this.#dataText = joinEntries(this.entries)
    return this.#dataText
  }

  /** Names exactly this content in a store that compares. It may be computed from the stored bytes when it is first asked for. */
  get etag(): string | undefined {
    return this.record && (this.record.token ?? this.record.text)
  }

  /** The session that this one's data was moved to. */
  get movedTo(): string | undefined {
    return this.history?.movedTo
  }

  /** The same data under another cookie, history or store fields, and still not parsed. */
  with(changes: Partial<Pick<Snapshot, 'cookie' | 'history' | 'storeFields'>>): Snapshot {
    const { cookie, history, storeFields, dataText, entries } = this
    return new Snapshot({ cookie, history, storeFields, dataText, entries, data: () => this.data, ...changes })
  }

  /**
   * This session once a store holds it so. Its data is parsed from the text, and shares nothing with this one's.
   * @param stored whose text is that of {@link toText}
   */
  storedAs(stored: StoredSession): Snapshot {
    const { dataText } = this
    if (dataText === undefined || dataText === '{}' || hasNoCookie(this.cookie))
      return this.#inText(stored.text, stored, IN_TEXT, this.cookie)
    // The data is all of the text after its cookie, with a comma for the first brace.
    return this.#inText(stored.text, stored, stored.text.length - dataText.length, this.cookie)
  }

  /** The same content for another reader, who may change its data as well. */
  copy(): Snapshot {
    if (this.text === undefined) return this.#inText(this.toText(), this.record, IN_TEXT, this.cookie)
    return this.#inText(this.text, this.record, typeof this.#data === 'number' ? this.#data : IN_TEXT, this.#cookie)
  }

  #inText(text: string, stored: StoredSession | undefined, data: number, cookie: CookieJson | undefined): Snapshot {
    const { entries } = this
    const history = cookie && hasNoCookie(cookie) ? undefined : this.history
    return new Snapshot({ cookie, history, text, record: stored, data, entries })
  }

  /**
   * The session as a store hands it out, for a holder who may change it. To be called once; where the snapshot has no text, nothing else of its
   * data is to be used afterwards.
   */
  takeSession(): JsonObject {
    const json: unknown = this.text === undefined ? undefined : JSON.parse(this.text)
    if (isSessionJson(json)) return Object.assign(json, { cookie: { ...this.cookie } as JsonObject })
    // What is in the place of a cookie, and is none, is express-session's to judge.
    if (hasNoCookie(this.cookie)) return isObject(json) ? (json as JsonObject) : this.data
    return { cookie: { ...this.cookie } as JsonObject, ...this.data }
  }

  /** For a store that keeps JSON. */
  toText(): string {
    const data = this.dataText ?? JSON.stringify(this.data)
    if (hasNoCookie(this.cookie)) return data
    const cookie = textWithHistory(JSON.stringify(this.cookie), this.history)
    return `{"cookie":${cookie}${data === '{}' ? '' : ','}${data.slice(1)}`
  }

  /**
   * For a store's `set` and `touch`: plain data under a real cookie. A copy, as stores keep it and some change it.
   * @param store makes the cookie
   */
  toSession(store: { createSession(request: object, data: SessionData): Session }): SessionData {
    const own: JsonObject = this.dataText === undefined ? clone(this.data) : JSON.parse(this.dataText)
    const data = this.storeFields ? { ...this.storeFields, ...own } : own
    if (hasNoCookie(this.cookie)) return data as unknown as SessionData
    return { cookie: toCookie(store, withHistory(this.cookie, this.history)), ...data } as SessionData
  }

  /** The same for a store's `touch`: most stores look at the cookie only, so the data may be parsed when it is looked at. */
  toTouchedSession(store: { createSession(request: object, data: SessionData): Session }): SessionData {
    if (!this.entries || hasNoCookie(this.cookie)) return this.toSession(store)
    const session = { cookie: toCookie(store, withHistory(this.cookie, this.history)), ...this.storeFields }
    addLazily(session, this.entries)
    return session as unknown as SessionData
  }
}

/** @param end of the cookie */
function dataAfter(text: string, end: number): JsonObject | number {
  return end === text.length - 1 ? {} : end
}

function dataIn(text: string, end: number): JsonObject {
  return end === IN_TEXT ? Snapshot.fromStored({ text }).data : parseData(text, end)
}

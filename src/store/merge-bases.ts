import { withoutHistory, withRawHistory } from './commit-history.js'
import { type CookieJson, cookieToJson, type Document, toDocument } from './document.js'

/** What a writer had loaded, against which its save is compared. */
export interface MergeBase {
  sid: string
  /** The document, or its JSON: most requests save nothing, so it is taken apart only when one does. */
  state: string | Document
  cookie: CookieJson
  /** When it was loaded, by the clock of changed cookies. */
  at: number
  /** It was in the store; otherwise it was live here. */
  stored: boolean
  /** Present where the state is all that the store held then. */
  whole?: Whole | undefined
}

/** What makes a base the document that the store held. */
export interface Whole {
  /** The moment, by the clock of commits. */
  moment: number
  record: unknown
}

/** A save that a writer has asked for and whose turn has not come. */
export interface PendingSave {
  mine: Document
}

/**
 * Base states of HTTP writers: per `Session` object, and per result of `store.get` for code that calls `store.set(sid, data)`
 * itself. Held weakly: they live as long as the request does.
 */
export class MergeBases {
  readonly #bases = new WeakMap<object, MergeBase>()
  readonly #asked = new WeakMap<object, Set<PendingSave>>()

  of(writer: object): MergeBase | undefined {
    return this.#bases.get(writer)
  }

  /**
   * Takes the writer's present state as its base.
   * @param stored it was in the store
   * @param json the same as JSON, where that is at hand
   */
  capture(writer: object, sid: string, at: number, stored = true, json = JSON.stringify(writer), whole?: Whole): void {
    const { cookie } = writer as { cookie?: CookieJson }
    this.#bases.set(writer, { sid, state: json, cookie: cookieToJson(cookie), at, stored, whole })
  }

  /** Takes a document that was saved as the writer's base. @param whole where it is all that the store holds */
  saved(writer: object, sid: string, { cookie, data }: Document, now: number, whole?: Whole): void {
    // Its cookie is still the one it had loaded, whatever others have made of it.
    const at = this.#bases.get(writer)?.at ?? now
    this.#bases.set(writer, { sid, state: { cookie, data }, cookie, at, stored: true, whole })
  }

  /** The saves that a writer has asked for: what it is shown meanwhile has to be in them too, or they would undo it. */
  pendingSaves(writer: object): Set<PendingSave> {
    const asked = this.#asked.get(writer) ?? new Set()
    this.#asked.set(writer, asked)
    return asked
  }

  /** A `Session` made of data that `store.get` gave goes on from the same base. */
  inherit(from: object, to: object): void {
    const base = this.#bases.get(from)
    if (base) this.#bases.set(to, base)
  }
}

/** The document that the store held, with its record; `undefined` where the base does not tell all of it. */
export function wholeDocument(base: MergeBase | undefined, sid: string): Document | undefined {
  const document = base?.whole && base.stored ? baseDocument(base, sid) : undefined
  return document && { cookie: withRawHistory(document.cookie, base?.whole?.record), data: document.data }
}

/** The base's document; `undefined` where there is no base for that session. */
export function baseDocument(base: MergeBase | undefined, sid: string): Document | undefined {
  if (base?.sid !== sid) return undefined
  const { cookie, data } = typeof base.state === 'string' ? toDocument(base.state) : base.state
  return { cookie: withoutHistory(cookie), data }
}

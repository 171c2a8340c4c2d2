import { randomBytes } from 'node:crypto'
import { altered, type CommitHistory, type CookieJson, type Document, hasNoCookie } from './document.js'
import type { Snapshot } from './drivers/driver.js'
import type { Proposal } from './transaction.js'

/** Under which the stored cookie carries the record: neither the application nor express-session's change test looks there. */
const KEY = 'sharedsession'

/** How many commits a record names. */
const KEPT = 8

/** What a store holds, and apart from it the record, which nobody but the commit is to see. */
export interface LoadedSnapshot {
  held: Snapshot
  document: Document
  record: CommitHistory | undefined
}

export function loadSnapshot(held: Snapshot): LoadedSnapshot {
  const { document } = held
  const record = historyOf(document.cookie)
  return { held, document: altered(document, { cookie: withoutHistory(document.cookie), record }), record }
}

export function withoutHistory<Cookie extends CookieJson>(cookie: Cookie): Cookie {
  if (!(KEY in cookie)) return cookie
  const { [KEY]: _record, ...visible } = cookie
  return visible as Cookie
}

/** The same of all that a store's `all` gives: some give a list, some an object by ids. Nothing of the store's is changed. */
export function withoutHistories(sessions: unknown): unknown {
  if (Array.isArray(sessions)) return sessions.map(visible)
  if (typeof sessions !== 'object' || sessions === null) return sessions
  const copy = Object.create(Object.getPrototypeOf(sessions))
  for (const [sid, session] of Object.entries(sessions)) copy[sid] = visible(session)
  return copy
}

function visible(session: unknown): unknown {
  const { cookie } = Object(session) as { cookie?: CookieJson }
  return typeof cookie === 'object' && cookie !== null ? { ...Object(session), cookie: withoutHistory(cookie) } : session
}

/** The document that makes a commit, named by `id`, of what the store holds. */
export function withHistory(
  { document, movedTo }: Pick<Proposal, 'document' | 'movedTo'>,
  theirs: LoadedSnapshot | undefined,
  id: string,
): Document {
  if (hasNoCookie(document.cookie)) return document
  const record = { ...appendCommit(theirs?.record, id), ...(movedTo !== undefined && { movedTo }) }
  return altered(document, { cookie: { ...document.cookie, [KEY]: record } })
}

/** The record of a document that a commit makes of another one. */
export function appendCommit(record: CommitHistory | undefined, id: string, v = (record?.v ?? 0) + 1): CommitHistory {
  return { v, ids: [...(record?.ids ?? []), id].slice(-KEPT) }
}

/** What a cookie has of the record, to be put back by {@link withRawHistory}. */
export function rawHistory(cookie: CookieJson | undefined): unknown {
  return cookie?.[KEY]
}

/** The id of the last commit that a stored cookie names. */
export function lastCommit(cookie: CookieJson | undefined): string | undefined {
  return cookie && historyOf(cookie)?.ids.at(-1)
}

/** A cookie with the record that was taken from it. */
export function withRawHistory(cookie: CookieJson, record: unknown): CookieJson {
  return record === undefined ? cookie : { ...cookie, [KEY]: record }
}

/** The record goes on where a document is written again that nobody changed. */
export function keepHistory(cookie: CookieJson, from: CookieJson): CookieJson {
  return withRawHistory(cookie, rawHistory(from))
}

const ID_BYTES = 9
/** Randomness for many ids: asking for it is dear, whatever the amount. */
let pool = Buffer.alloc(0)

export function newCommitId(): string {
  if (pool.length < ID_BYTES) pool = randomBytes(128 * ID_BYTES)
  const id = pool.toString('base64url', 0, ID_BYTES)
  pool = pool.subarray(ID_BYTES)
  return id
}

/** Is that commit among those that led to this? */
export function includesCommit({ record }: LoadedSnapshot, id: string): boolean {
  return record?.ids.includes(id) ?? false
}

/**
 * Does what is held now name every commit since `before`? Then one that it does not name did not happen.
 * @param before `undefined`: the session was not in the store
 */
export function coversSince({ record }: LoadedSnapshot, before: LoadedSnapshot | undefined): boolean {
  if (!record) return false
  if (!before) return record.v === record.ids.length
  const last = before.record?.ids.at(-1)
  return last !== undefined && record.ids.includes(last)
}

function historyOf(cookie: CookieJson): CommitHistory | undefined {
  const { v, ids, movedTo } = (cookie[KEY] ?? {}) as Partial<CommitHistory>
  if (typeof v !== 'number' || !Array.isArray(ids)) return undefined
  return typeof movedTo === 'string' ? { v, ids, movedTo } : { v, ids }
}

/** Was what the session held moved to another one? Then it is no more, although the store has it for a while. */
export function hasMoved(cookie: CookieJson): boolean {
  return historyOf(cookie)?.movedTo !== undefined
}

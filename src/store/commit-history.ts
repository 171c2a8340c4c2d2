import { randomBytes } from 'node:crypto'
import { type CookieJson, usableCookie } from './cookie-json.js'

/** The name of the history in the stored cookie: neither the application nor express-session's change test looks there. */
const KEY = 'sharedsession'

/** How many commits a history names. */
const MAX_COMMIT_IDS = 8

/**
 * The last commits that led to a stored session. It is kept in the stored cookie; a save by a process without this package drops it.
 *
 * @example a stored session of three commits
 * ```json
 * {
 *   "cookie": {
 *     "originalMaxAge": 3600000, "expires": "2030-01-01T12:00:00.000Z", "httpOnly": true, "path": "/",
 *     "sharedsession": { "v": 3, "ids": ["Yk3vB0iX9aQe", "p1-Lr7sTz0Wd", "0aGf_4mNq8Hc"] }
 *   },
 *   "cart": { "items": ["book"] }
 * }
 * ```
 */
export interface CommitHistory {
  /** Grows by one with each commit. */
  v: number
  /** The ids of the last commits, the newest at the end. */
  ids: string[]
  /** Of commits that any process may repeat, which have to happen once: they are remembered when `ids` has forgotten them. */
  once?: string[]
  /** The session that this one's data was moved to: this one has ended, although the store keeps it for a while. */
  movedTo?: string
}

/** A session with what is known of its commits. */
interface WithHistory {
  readonly history?: CommitHistory | undefined
}

export function historyOf(cookie: CookieJson): CommitHistory | undefined {
  const { v, ids, once, movedTo } = (cookie[KEY] ?? {}) as Partial<CommitHistory>
  if (typeof v !== 'number' || !Array.isArray(ids)) return undefined
  const history: CommitHistory = { v, ids }
  if (Array.isArray(once)) history.once = once
  if (typeof movedTo === 'string') history.movedTo = movedTo
  return history
}

export function withoutHistory<Json extends CookieJson>(cookie: Json): Json {
  if (cookie[KEY] === undefined) return cookie
  const { [KEY]: _history, ...visible } = cookie
  return visible as Json
}

/** A stored cookie as readers of the session are given it. */
export function visibleCookie(stored: CookieJson): CookieJson {
  return usableCookie(withoutHistory(stored))
}

export function withHistory(cookie: CookieJson, history: CommitHistory | undefined): CookieJson {
  return history ? { ...cookie, [KEY]: history } : cookie
}

/** The same for a cookie's JSON as text. */
export function textWithHistory(cookie: string, history: CommitHistory | undefined): string {
  if (!history) return cookie
  return `${cookie.slice(0, -1)}${cookie === '{}' ? '' : ','}"${KEY}":${JSON.stringify(history)}}`
}

/** Takes the histories out of what a store's `all` gives: some give a list, some an object by ids. Changes nothing of the store's. */
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

/** The history after one more commit. */
export function appendCommit(history: CommitHistory | undefined, id: string, v = (history?.v ?? 0) + 1): CommitHistory {
  return { v, ids: withId(history?.ids, id), ...(history?.once && { once: history.once }) }
}

/** The same after one that has to happen once. */
export function appendCommitOnce(history: CommitHistory | undefined, id: string): CommitHistory {
  return { ...appendCommit(history, id), once: withId(history?.once, id) }
}

function withId(ids: readonly string[] = [], id: string): string[] {
  return [...ids.slice(1 - MAX_COMMIT_IDS), id]
}

/** 72 bits, as base64url. */
const ID_LENGTH = 12
/** Random text for many ids: asking for it is expensive, whatever the amount. */
let pool = ''

export function newCommitId(): string {
  if (pool.length < ID_LENGTH) pool = randomBytes(96 * ID_LENGTH).toString('base64url')
  const id = pool.slice(0, ID_LENGTH)
  pool = pool.slice(ID_LENGTH)
  return id
}

/** Counts one history fewer commits than another one? A process without this package may have begun to count again. */
export function isLower(history: CommitHistory | undefined, than: CommitHistory | undefined): boolean {
  return history !== undefined && than !== undefined && history.v < than.v
}

/** Is that commit among those that led to this session? */
export function includesCommit({ history }: WithHistory, id: string): boolean {
  return history !== undefined && (history.ids.includes(id) || history.once?.includes(id) === true)
}

/** Is the last commit of a history among those that led to this session? */
export function includesLastCommit(session: WithHistory, history: CommitHistory | undefined): boolean {
  const last = history?.ids.at(-1)
  return last !== undefined && includesCommit(session, last)
}

/**
 * Does the session name every commit since `before`? Then a commit that it does not name did not happen.
 * @param before `undefined`: the session was not in the store
 */
export function coversSince({ history }: WithHistory, before: WithHistory | undefined): boolean {
  if (!history) return false
  if (!before) return history.v === history.ids.length
  const last = before.history?.ids.at(-1)
  return last !== undefined && history.ids.includes(last)
}

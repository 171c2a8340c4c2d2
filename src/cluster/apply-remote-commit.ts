import type { JsonObject } from '../document/json.js'
import { apply } from '../document/patch.js'
import { appendCommit } from '../store/commit-history.js'
import { sameAttributes } from '../store/cookie.js'
import { type CommitHistory, type CookieJson, type Document, expiryOf } from '../store/document.js'
import type { Message } from './message.js'

export type CommitMessage = Message & { kind: 'commit' }

/** ms by which another process's clock may be ahead. */
const SKEW = 10_000

/** The newest revision that is known here. */
export interface KnownRevision {
  /** Its data: a copy for the caller. */
  readonly latest: JsonObject
  readonly record: CommitHistory | undefined
}

/**
 * Applies another process's commit to the revision that is known here. Revisions are compared by the ids of their commits, not by number:
 * numbers start again where a process without this package has written. Of the cookie only a later expiry is accepted, as a use of the
 * session makes it: the next save would bring a forged one into the store.
 * @returns `'known'` where the commit was seen before; `undefined` where the message does not follow on what is known, or names the commit
 * only, so that the session has to be read
 */
export function applyRemoteCommit(
  { from, to, change }: CommitMessage,
  known: KnownRevision,
  cookie: CookieJson,
): Document | 'known' | undefined {
  const { record } = known
  if (record?.ids.includes(to.id)) return 'known'
  if (!change || !from || record?.ids.at(-1) !== from.id || record.v !== from.v) return undefined
  try {
    const used = cookieAfterUse(cookie, change.cookie)
    if (!used) return undefined
    const data = apply(known.latest, change.patches)
    return { cookie: used, data, record: appendCommit(record, to.id, to.v) }
  } catch {
    return undefined
  }
}

/** The known cookie with the new expiry; `undefined` where another attribute differs, or the expiry is later than a use makes it. */
function cookieAfterUse(known: CookieJson, given: CookieJson): CookieJson | undefined {
  const { originalMaxAge } = known
  if (!sameAttributes(known, given)) return undefined
  const [before, end] = [expiryOf(known), expiryOf(given)]
  if (typeof originalMaxAge !== 'number') return before === end ? known : undefined
  return end !== undefined && end <= Date.now() + originalMaxAge + SKEW
    ? { ...known, expires: given.expires as string }
    : undefined
}

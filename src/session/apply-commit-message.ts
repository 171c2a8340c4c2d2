import type { CommitMessage } from '../cluster/message.js'
import type { JsonObject } from '../document/json.js'
import { apply } from '../document/patch.js'
import { appendCommit, type CommitHistory } from '../store/commit-history.js'
import { sameAttributes } from '../store/cookie.js'
import { type CookieJson, expiryOf } from '../store/cookie-json.js'
import { Snapshot } from '../store/snapshot.js'

/** ms by which another process's clock may be ahead. */
const SKEW = 10_000

/** The newest revision that is known here. */
export interface KnownRevision {
  /** Its data: a copy for the caller. */
  readonly latest: JsonObject
  /** The commits that led to it; `undefined` where they are not known. */
  readonly history: CommitHistory | undefined
}

/**
 * Applies another process's commit to the revision that is known here. Revisions are compared by the ids of their commits, not by number:
 * numbers start again where a process without this package has written. Of the cookie only a later expiry is accepted, as a use of the
 * session makes it: the next save would bring a forged one into the store.
 * @returns `'known'` where the commit was seen before; `undefined` where the message does not follow on what is known, or names the commit
 * only, so that the session has to be read
 */
export function applyCommitMessage(
  { from, to, change }: CommitMessage,
  known: KnownRevision,
  cookie: CookieJson,
): Snapshot | 'known' | undefined {
  const { history } = known
  if (history?.ids.includes(to.id)) return 'known'
  if (!change || !from || history?.ids.at(-1) !== from.id || history.v !== from.v) return undefined
  try {
    const used = cookieAfterUse(cookie, change.cookie)
    if (!used) return undefined
    const data = apply(known.latest, change.patches)
    return new Snapshot({ cookie: used, data, history: appendCommit(history, to.id, to.v) })
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

import type { JsonObject } from '../document/json.js'
import { apply } from '../document/patch.js'
import type { CommitHistory } from '../store/commit-history.js'
import { appendCommit } from '../store/commit-history.js'
import { sameAttributes } from '../store/cookie.js'
import { type CookieJson, expiryOf } from '../store/cookie-json.js'
import { Snapshot } from '../store/snapshot.js'
import type { Message } from './message.js'

export type CommitMessage = Message & { kind: 'commit' }

/** ms by which another process's clock may be ahead. */
const SKEW = 10_000

/** What the store is known to hold of a session. */
export interface KnownRevision {
  /** A copy for the caller. */
  readonly latest: JsonObject
  readonly record: CommitHistory | undefined
}

/**
 * The document that another process's commit has made of the one that is known here. Versions are compared by the names of commits
 * and not by their numbers: those start again where a process without this package has written. Of the cookie it is believed that the
 * session was used, and nothing else: a save here would bring a made up end into the store.
 * @returns `'known'` where that commit was already seen; `undefined` where the message does not follow on what is known, or does not say
 * enough, so that the session has to be read
 */
export function applyRemoteCommit(
  { from, to, change }: CommitMessage,
  known: KnownRevision,
  cookie: CookieJson,
): Snapshot | 'known' | undefined {
  const { record } = known
  if (record?.ids.includes(to.id)) return 'known'
  if (!change || !from || record?.ids.at(-1) !== from.id || record.v !== from.v) return undefined
  try {
    const moved = used(cookie, change.cookie)
    if (!moved) return undefined
    const data = apply(known.latest, change.patches)
    return new Snapshot({ cookie: moved, data, history: appendCommit(record, to.id, to.v) })
  } catch {
    return undefined
  }
}

/** The known cookie with the end that is told; `undefined` where another attribute differs, or the end is later than a use makes it. */
function used(known: CookieJson, told: CookieJson): CookieJson | undefined {
  const { originalMaxAge } = known
  if (!sameAttributes(known, told)) return undefined
  const [before, end] = [expiryOf(known), expiryOf(told)]
  if (typeof originalMaxAge !== 'number') return before === end ? known : undefined
  return end !== undefined && end <= Date.now() + originalMaxAge + SKEW
    ? { ...known, expires: told.expires as string }
    : undefined
}

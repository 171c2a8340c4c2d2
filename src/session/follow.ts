import type { Message } from '../bus/message.js'
import type { CommitRecord, CookieImage, Document } from '../store/document.js'
import { recordAfter } from '../store/record.js'
import type { JsonObject } from '../tracking/json.js'
import { apply } from '../tracking/patch.js'

export type CommitMessage = Message & { kind: 'commit' }

/** What the store is known to hold of a session. */
export interface Latest {
  /** A copy for the caller. */
  readonly latest: JsonObject
  readonly record: CommitRecord | undefined
}

/**
 * The document that another process's commit has made of the one that is known here. Versions are compared by the names of commits
 * and not by their numbers: those start again where a process without this package has written.
 * @returns `'known'` where that commit was already seen; `undefined` where the message does not follow on what is known, or does not say
 * enough, so that the session has to be read
 */
export function follow({ from, to, change }: CommitMessage, known: Latest): Document | 'known' | undefined {
  const { record } = known
  if (record?.ids.includes(to.id)) return 'known'
  if (!change || !from || record?.ids.at(-1) !== from.id || record.v !== from.v) return undefined
  try {
    const data = apply(known.latest, change.patches)
    return { cookie: change.cookie as CookieImage, data, record: recordAfter(record, to.id, to.v) }
  } catch {
    return undefined
  }
}

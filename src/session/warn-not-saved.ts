import { warnOnce } from '../debug.js'
import { equal, type JsonObject } from '../document/json.js'
import type { Member } from './member.js'
import type { SessionReplica } from './replica.js'

/** A listener of 'disconnect' may wait for something before it calls `save()`, in ms. */
const GRACE = 1000
/** So many keys are named. */
const NAMED = 5

/** Warns of a socket that has left, where nobody has asked, or is going to ask, for a save of what it wrote. */
export function warnIfNotSaved(live: SessionReplica, member: Member): void {
  // What a handler did to raw objects is not counted yet.
  if (!isUnasked(live, member) && !live.document.hasRawObjects) return
  const look = (): void => {
    live.scanRawObjects()
    if (!isUnasked(live, member)) return
    // The next write of such a socket saves everything.
    if ([...live.members].some(({ autoSave }) => autoSave)) return
    const keys = changedKeys(live.document.base(), live.document.snapshot())
    if (keys.length > 0) warnOnce('not saved', text(keys), 'SHAREDSESSION_NOT_SAVED')
  }
  setTimeout(look, GRACE).unref()
}

function isUnasked({ ended, saveQueue: saver }: SessionReplica, { lastWrite }: Member): boolean {
  return !ended && lastWrite > Math.max(saver.requestedSeq, saver.savedSeq)
}

function changedKeys(before: JsonObject, now: JsonObject): string[] {
  return Object.keys({ ...before, ...now }).filter((key) => !equal(before[key], now[key]))
}

function text(keys: string[]): string {
  const named = keys.slice(0, NAMED).join(', ')
  return (
    `A socket has left, and what was written to its session (${named}${keys.length > NAMED ? ', ...' : ''}) is not saved: no HTTP request and no other process sees it. ` +
    'Call session.save(), or use the option autoSave. Options are given to sharedsession(session, { autoSave: true }); io.use(shared, { ... }) ignores them.'
  )
}

import { warnOnce } from '../debug.js'
import { equal, type JsonObject } from '../tracking/json.js'
import type { LiveSession } from './live.js'
import type { Member } from './member.js'

/** A listener of 'disconnect' may wait for something before it calls `save()`, in ms. */
const GRACE = 1000
/** So many keys are named. */
const NAMED = 5

/** Warns of a socket that has left, where nobody has asked, or is going to ask, for a save of what it wrote. */
export function warnIfNotSaved(live: LiveSession, member: Member): void {
  // What a handler did to raw objects is not counted yet.
  if (!isUnasked(live, member) && !live.ledger.watching) return
  const look = (): void => {
    live.poll()
    if (!isUnasked(live, member)) return
    // The next write of such a socket saves everything.
    if ([...live.members].some(({ autoSave }) => autoSave)) return
    const keys = changedKeys(live.ledger.base(), live.ledger.snapshot())
    if (keys.length > 0) warnOnce('not saved', text(keys), 'SHAREDSESSION_NOT_SAVED')
  }
  setTimeout(look, GRACE).unref()
}

function isUnasked({ ended, saver }: LiveSession, { lastWrite }: Member): boolean {
  return !ended && lastWrite > Math.max(saver.wanted, saver.saved)
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

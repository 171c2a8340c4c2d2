import { warnedTopics, warnOnce } from '../debug.js'
import { formatPath } from '../document/errors.js'
import { equal, type JsonObject, type Path } from '../document/json.js'
import type { TrackedDocument } from '../document/tracked-document.js'
import type { Member } from './member.js'

/** A listener of 'disconnect' may take so long before it calls `save()`, in ms. */
const SAVE_GRACE_MS = 1000
/** How many unsaved keys the warning names. */
const NAMED = 5
/** Clients may choose keys, so the number of paths that are warned of is bounded. */
const MAX_TOPICS = 20
const NOT_JSON = 'not json '

/**
 * Warns of a socket that has left, if its writes are not saved and no save of them was requested.
 * @param members the session's other sockets
 * @param isAbandoned has the socket written something whose save was never requested?
 */
export function warnIfNotSaved(document: TrackedDocument<Member>, members: Iterable<Member>, isAbandoned: () => boolean): void {
  // What a handler did to raw objects is not counted yet.
  if (!isAbandoned() && !document.hasWatchedObjects) return
  const check = (): void => {
    document.scanWatchedObjects()
    if (!isAbandoned()) return
    // The next write of such a socket saves everything.
    if ([...members].some(({ autoSave }) => autoSave)) return
    const keys = changedKeys(document.base(), document.snapshot())
    if (keys.length > 0) warnOnce('not saved', notSavedText(keys), 'SHAREDSESSION_NOT_SAVED')
  }
  setTimeout(check, SAVE_GRACE_MS).unref()
}

function changedKeys(before: JsonObject, now: JsonObject): string[] {
  return Object.keys({ ...before, ...now }).filter((key) => !equal(before[key], now[key]))
}

function notSavedText(keys: string[]): string {
  const named = keys
    .slice(0, NAMED)
    .map((key) => formatPath([key]))
    .join(', ')
  return (
    `A socket has left, and what was written to its session (${named}${keys.length > NAMED ? ', ...' : ''}) is not saved: no HTTP request and no other process sees it. ` +
    'Call session.save(), or use the option autoSave. Options are given to sharedsession(session, { autoSave: true }); io.use(shared, { ... }) ignores them.'
  )
}

/** Warns once per path of a value that its JSON does not bring back. All items of one list count as one path. */
export function warnNotJson(path: Path, value: unknown): void {
  const place = formatPath(path.map((key) => (typeof key === 'number' ? 0 : key)))
  const topic = `${NOT_JSON}${place}`
  if (warnedTopics.has(topic) || [...warnedTopics].filter((each) => each.startsWith(NOT_JSON)).length >= MAX_TOPICS) return
  warnOnce(
    topic,
    `${place} of a session was given ${kindOf(value)}. Sessions are JSON, so ${becomes(value)} when it is saved, for this socket as well. Assign what JSON can hold, and make the object anew from it.`,
    'SHAREDSESSION_NOT_JSON',
  )
}

function kindOf(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } }).constructor?.name
  // express-session's cookie is an instance of what is called Object.
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object with methods'
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}

function becomes(value: unknown): string {
  if (typeof value === 'number') return 'it becomes null'
  if (typeof value !== 'object') return 'it is left out, or becomes null in an array,'
  if (value instanceof Date) return 'it becomes a string'
  if (value instanceof Map || value instanceof Set) return 'it becomes an empty object'
  return 'it becomes its JSON, without what its class adds,'
}

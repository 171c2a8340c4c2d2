import { warnOnce } from '../debug.js'
import { formatPath } from '../document/errors.js'
import type { Path } from '../document/json.js'

/** Keys may be chosen by clients: so many places are warned of. */
const MOST = 20
const warned = new Set<string>()

/** Warns once for each place that was given what its JSON cannot bring back. Items of one list are one place. */
export function warnNotJson(path: Path, value: object): void {
  const place = formatPath(path.map((key) => (typeof key === 'number' ? 0 : key)))
  if (warned.size >= MOST || warned.has(place)) return
  warned.add(place)
  warnOnce(
    `not json ${place}`,
    `${place} of a session was given ${nameOf(value)}. Sessions are JSON, so ${becomes(value)} when it is saved, for this socket as well. Assign what JSON can hold, and make the object anew from it.`,
    'SHAREDSESSION_NOT_JSON',
  )
}

function nameOf(value: object): string {
  const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } }).constructor?.name
  // express-session's cookie is an instance of what is called Object.
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object with methods'
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}

function becomes(value: object): string {
  if (value instanceof Date) return 'it becomes a string'
  if (value instanceof Map || value instanceof Set) return 'it becomes an empty object'
  return 'it becomes its JSON, without what its class adds,'
}

import { type Dict, equal, isObject, type JsonObject } from '../document/json.js'
import { diffTopLevelKeys } from '../document/merge.js'
import { diff, type Patch } from '../document/patch.js'

/** Data that may be there as text. */
interface Texts {
  readonly data: JsonObject
  readonly dataText: string | undefined
  readonly entries: readonly string[] | undefined
}

/** What is left of two sessions, as the JSON of two objects. */
interface Differing {
  before: string
  after: string
}

/**
 * The JSON of each top-level key of a session without its cookie, in their order. For `{ cookie, n: 1, user: { name: 'ada' } }`:
 * `['"n":1', '"user":{"name":"ada"}']`
 * @returns `undefined` for a session that has to be copied to know its JSON
 */
export function entriesOf(session: object): string[] | undefined {
  if (typeof (session as { toJSON?: unknown }).toJSON === 'function') return undefined
  const entries: string[] = []
  for (const key of Object.keys(session)) {
    if (key === 'cookie') continue
    // In an object, so that a `toJSON` is given its key.
    const json = JSON.stringify({ [key]: (session as Dict)[key] })
    // A copy leaves such a key out.
    if (json.includes('__proto__') && json.includes('"__proto__":')) return undefined
    if (json.length > 2) entries.push(json.slice(1, -1))
  }
  return entries
}

/** The data of which these are the {@link entriesOf | entries}. */
export function parseEntries(entries: readonly string[]): JsonObject {
  return JSON.parse(joinEntries(entries))
}

/** The JSON of which these are the {@link entriesOf | entries}. */
export function joinEntries(entries: readonly string[]): string {
  return `{${entries.join(',')}}`
}

/** Have both the same data? Mostly the texts show it. */
export function haveSameData(a: Texts, b: Texts): boolean {
  return haveSameText(a, b) || equal(a.data, b.data)
}

function haveSameText(a: Texts, b: Texts): boolean {
  if (a.entries && b.entries) return differingBetween(a.entries, b.entries) === undefined
  const { dataText } = a
  return dataText !== undefined && dataText === b.dataText
}

/**
 * What a session's data becomes, as patches that are made when somebody asks for them.
 * @returns `undefined` where nothing changes
 */
export function changeOf(before: Texts, after: Texts): (() => Patch[]) | undefined {
  const { entries } = after
  const dataText = before.entries ? undefined : before.dataText
  if (entries === undefined || (before.entries === undefined && dataText === undefined)) {
    const patches = patchesBetween(before.data, after.data)
    return patches.length > 0 ? () => patches : undefined
  }
  const differing = dataText === undefined ? differingBetween(before.entries ?? [], entries) : differingEntries(dataText, entries)
  if (!differing) return undefined
  let patches: Patch[] | undefined
  return () => {
    patches ??= patchesBetween(JSON.parse(differing.before), JSON.parse(differing.after))
    return patches
  }
}

/** Leaves out the entries that two sessions have in common at their start and at their end. See {@link differingEntries}. */
function differingBetween(before: readonly string[], after: readonly string[]): Differing | undefined {
  if (before === after) return undefined
  const shorter = Math.min(before.length, after.length)
  let first = 0
  while (first < shorter && before[first] === after[first]) first++
  if (first === before.length && first === after.length) return undefined
  let last = 0
  while (last < shorter - first && before[before.length - 1 - last] === after[after.length - 1 - last]) last++
  const rest = (entries: readonly string[]): string => joinEntries(entries.slice(first, entries.length - last))
  return { before: rest(before), after: rest(after) }
}

/**
 * Leaves out the entries that two sessions have in common at their start and at their end. All that is compared is text: a large session of
 * which one key has changed is not parsed.
 * @param dataText the JSON of a session without its cookie
 * @returns what is left, as the JSON of two objects; `undefined` where the texts are the same
 */
export function differingEntries(dataText: string, entries: readonly string[]): Differing | undefined {
  // Each entry with a comma before it. One that follows on another, or is followed by the end, is an entry of the session itself.
  const text = dataText === '{}' ? '' : `,${dataText.slice(1, -1)}`
  let start = 0
  let first = 0
  for (; first < entries.length; first++) {
    const entry = `,${entries[first]}`
    const next = start + entry.length
    if (!text.startsWith(entry, start) || (next < text.length && text[next] !== ',')) break
    start = next
  }
  let end = text.length
  let last = entries.length
  for (; last > first; last--) {
    const entry = `,${entries[last - 1]}`
    if (end - entry.length < start || !text.endsWith(entry, end)) break
    end -= entry.length
  }
  if (start === end && first === last) return undefined
  return { before: `{${text.slice(start + 1, end)}}`, after: joinEntries(entries.slice(first, last)) }
}

function patchesBetween(before: JsonObject, after: JsonObject): Patch[] {
  try {
    return diff(before, after)
  } catch (error) {
    // Nested too deep for that: without this package it would be stored.
    if (!(error instanceof RangeError)) throw error
    return diffTopLevelKeys(before, after)
  }
}

/** The JSON of a session without its cookie; `undefined` where the cookie does not come first. @param cookie as JSON */
export function withoutCookieText(text: string, cookie: string): string | undefined {
  const start = `{"cookie":${cookie}`
  if (!text.startsWith(start)) return undefined
  if (text[start.length] === ',') return `{${text.slice(start.length + 1)}`
  return text.length === start.length + 1 ? '{}' : undefined
}

/** Is it an object that JSON was parsed to, and has it a cookie? */
export function isSessionJson(value: unknown): value is JsonObject & { cookie: object } {
  return isObject(value) && isObject((value as Dict).cookie)
}

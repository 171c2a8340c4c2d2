import { type Dict, equal, isObject, type JsonObject } from '../document/json.js'
import { diffTopLevelKeys } from '../document/merge.js'
import { diff, type Patch } from '../document/patch.js'

/** Data that may be there as text. */
interface SessionTexts {
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
    const json = jsonOf(key, (session as Dict)[key])
    // A copy leaves such a key out.
    if (key === '__proto__' || (json?.includes('__proto__') && json.includes('"__proto__":'))) return undefined
    if (json !== undefined) entries.push(`${JSON.stringify(key)}:${json}`)
  }
  return entries
}

/**
 * The {@link entriesOf | entries} of data that was made out of other data. A value that is the same in both keeps its text.
 * @param data holds nothing but JSON, without `__proto__`
 */
export function entriesAfter(before: Pick<SessionTexts, 'data' | 'entries'>, data: JsonObject): string[] {
  const keys = before.entries ? Object.keys(before.data) : []
  return Object.keys(data).map((key, index) => {
    const isKept = key === keys[index] && data[key] === before.data[key]
    return isKept ? (before.entries?.[index] as string) : `${JSON.stringify(key)}:${JSON.stringify(data[key])}`
  })
}

/** The JSON of a value under a key; `undefined` where there is none. */
function jsonOf(key: string, value: unknown): string | undefined {
  const mayConvert = typeof value === 'object' || typeof value === 'function' || typeof value === 'bigint'
  if (!mayConvert || typeof (value as { toJSON?: unknown } | null)?.toJSON !== 'function') return JSON.stringify(value)
  // In an object, so that a `toJSON` is given its key.
  const json = JSON.stringify({ [key]: value })
  return json.length > 2 ? json.slice(JSON.stringify(key).length + 2, -1) : undefined
}

/** The data of which these are the {@link entriesOf | entries}. */
export function parseEntries(entries: readonly string[]): JsonObject {
  return JSON.parse(joinEntries(entries))
}

/** How long entries have to be, on the average, for accessors to be cheaper than parsing them. */
const MIN_LAZY_LENGTH = 100

/**
 * Gives an object that data. Where that is cheaper, it is parsed when somebody looks at one of its properties.
 * @param entries see {@link entriesOf}
 */
export function addLazily(target: object, entries: readonly string[]): void {
  const isLong = entries.reduce((length, entry) => length + entry.length, 0) > entries.length * MIN_LAZY_LENGTH
  const names = isLong ? entries.map(keyOf) : []
  if (!isLong || names.includes(undefined)) {
    Object.assign(target, parseEntries(entries))
    return
  }
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
  }
  const parse = (): void => {
    for (const [name, value] of Object.entries(parseEntries(entries))) {
      // Unless somebody has deleted or replaced it.
      if (Object.getOwnPropertyDescriptor(target, name)?.get) define(name, value)
    }
  }
  for (const name of names as string[]) {
    const get = (): unknown => {
      parse()
      return (target as Dict)[name]
    }
    Object.defineProperty(target, name, { get, set: (value) => define(name, value), enumerable: true, configurable: true })
  }
}

/** The key of an entry; `undefined` for one that is escaped. */
function keyOf(entry: string): string | undefined {
  const name = entry.slice(1, entry.indexOf('"', 1))
  return name.includes('\\') ? undefined : name
}

/** The JSON of which these are the {@link entriesOf | entries}. */
export function joinEntries(entries: readonly string[]): string {
  return `{${entries.join(',')}}`
}

/** Have both the same data? Mostly the texts show it. */
export function haveSameData(a: SessionTexts, b: SessionTexts): boolean {
  return haveSameText(a, b) || equal(a.data, b.data)
}

function haveSameText(a: SessionTexts, b: SessionTexts): boolean {
  if (a.entries && b.entries) return differingBetween(a.entries, b.entries) === undefined
  const { dataText } = a
  return dataText !== undefined && dataText === b.dataText
}

/**
 * What a session's data becomes, as patches that are made when somebody asks for them.
 * @returns `undefined` where nothing changes
 */
export function changeOf(before: SessionTexts, after: SessionTexts): (() => Patch[]) | undefined {
  const { entries } = after
  if (entries === undefined || (before.entries ?? before.dataText) === undefined) {
    const patches = patchesBetween(before.data, after.data)
    return patches.length > 0 ? () => patches : undefined
  }
  if (haveSameText(before, after)) return undefined
  let patches: Patch[] | undefined
  return () => {
    patches ??= patchesOf(
      before.entries ? differingBetween(before.entries, entries) : differingEntries(before.dataText ?? '{}', entries),
    )
    return patches
  }
}

function patchesOf(differing: Differing | undefined): Patch[] {
  return differing ? patchesBetween(JSON.parse(differing.before), JSON.parse(differing.after)) : []
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
  // Each entry has a comma before it, or the brace, and is an entry of the session itself if a comma or the last brace follows.
  const size = dataText === '{}' ? 0 : dataText.length - 1
  const isAt = (entry: string, at: number): boolean =>
    (at === 0 || dataText[at] === ',') && dataText.slice(at + 1, at + 1 + entry.length) === entry
  let start = 0
  let first = 0
  for (; first < entries.length; first++) {
    const entry = entries[first] as string
    const next = start + 1 + entry.length
    if (next > size || !isAt(entry, start) || (next < size && dataText[next] !== ',')) break
    start = next
  }
  let end = size
  let last = entries.length
  for (; last > first; last--) {
    const entry = entries[last - 1] as string
    const at = end - entry.length - 1
    if (at < start || !isAt(entry, at)) break
    end = at
  }
  if (start === end && first === last) return undefined
  return { before: `{${dataText.slice(start + 1, end)}}`, after: joinEntries(entries.slice(first, last)) }
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

/** Is it an object that JSON was parsed to, and has it a cookie? */
export function isSessionJson(value: unknown): value is JsonObject & { cookie: object } {
  return isObject(value) && isObject((value as Dict).cookie)
}

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject

/** A plain JSON object: what a store keeps and what {@link TrackedDocument.snapshot} gives. */
export type JsonObject = { [key: string]: JsonValue }

export type Key = string | number
/** The keys and indexes that lead to a value: `['cart', 'items', 0]`. */
export type Path = Key[]
/** A plain object. */
export type Dict = Record<string, unknown>
export type List = unknown[]

/** What can hold other values in JSON: a plain object or an array. */
export type Container = Dict | List

/** "No such property", where `undefined` would be a value. */
export const ABSENT: unique symbol = Symbol('absent')

export const isList = (value: unknown): value is List => Array.isArray(value)

export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** An array or a plain object, as opposed to a Date, a Map or a class instance. */
export function isContainer(value: unknown): value is Container {
  if (!isObject(value)) return false
  if (isList(value)) return true
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Are these two arrays, or two plain objects, so that their content can be compared and merged? */
export const sameKind = (a: unknown, b: unknown): boolean => isContainer(a) && isContainer(b) && isList(a) === isList(b)

/**
 * The keys of a JSON object without `__proto__`: `JSON.parse` makes it an own property, and copying that with an
 * assignment would set the copy's prototype.
 */
export function keysOf(value: object): string[] {
  const keys = Object.keys(value)
  const reserved = keys.indexOf('__proto__')
  if (reserved >= 0) keys.splice(reserved, 1)
  return keys
}

/** Containers of two trees that are known to differ: for each of one tree those of the other one. */
export type DifferingPairs = Map<object, Set<object>>

/** Deep equality of two JSON values, each of which may be {@link ABSENT}; the order of keys does not count. @param differing is read and added to */
export function equal(a: unknown, b: unknown, differing?: DifferingPairs): boolean {
  if (a === b) return true
  if (!isObject(a) || !isObject(b)) return false
  if (!differing) return isEqualContent(a, b)
  if (differing.get(a)?.has(b)) return false
  return isEqualContent(a, b, differing) || addPair(differing, a, b)
}

/** @returns that they are not equal */
export function addPair(differing: DifferingPairs, a: object, b: object): false {
  const others = differing.get(a)
  if (others) others.add(b)
  else differing.set(a, new Set([b]))
  return false
}

function isEqualContent(a: object, b: object, differing?: DifferingPairs): boolean {
  // Loops, here and below: a callback for each level would take two more frames of the stack, and JSON may nest deep.
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false
    for (let index = 0; index < a.length; index++) if (!equal(a[index], b[index], differing)) return false
    return true
  }
  if (isList(b)) return false
  const keys = keysOf(a)
  if (keys.length !== keysOf(b).length) return false
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !equal((a as Dict)[key], (b as Dict)[key], differing)) return false
  }
  return true
}

/** Deep copy of a JSON value. */
export function clone<T>(value: T): T {
  if (!isObject(value)) return value
  if (isList(value)) {
    const items: List = []
    for (const item of value) items.push(clone(item))
    return items as T
  }
  const copy: Dict = {}
  for (const key of keysOf(value)) copy[key] = clone((value as Dict)[key])
  return copy as T
}

/** A text that is the same for two JSON values exactly if they are {@link equal}: stores such as Postgres' `jsonb` reorder keys. */
export function fingerprint(value: unknown): string {
  // One call for the whole value: a text for each level, inside that of the level above, would cost the square of the depth.
  return JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (!isObject(value)) return value
  if (isList(value)) {
    const items: List = []
    for (const item of value) items.push(sorted(item))
    return items
  }
  const copy: Dict = {}
  for (const key of keysOf(value).sort()) copy[key] = sorted((value as Dict)[key])
  return copy
}

/** Replaces the content of an array; `splice(0, n, ...items)` would overflow the stack where there are many items. */
export function replaceContents(list: List, items: readonly unknown[]): void {
  list.length = 0
  for (const item of items) list.push(item)
}

/** Sets an own property, also where the prototype has a read-only one of that name. */
export function setOwn(target: Dict, key: string, value: unknown): void {
  if (Object.hasOwn(target, key) || !(key in target)) target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}

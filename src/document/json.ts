/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject

/** A plain JSON object: what a store keeps and what {@link TrackedDocument.snapshot} gives. */
export type JsonObject = { [key: string]: JsonValue }

export type Key = string | number
export type Path = Key[]
export type Dict = Record<string, unknown>
export type List = unknown[]

/** A container of the live tree. */
export type Container = Dict | List

/** "No such property", where `undefined` would be a value. */
export const ABSENT: unique symbol = Symbol('absent')

export const hasOwn = (target: object, key: PropertyKey): boolean => Object.hasOwn(target, key)

export const isList = (value: unknown): value is List => Array.isArray(value)

export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** An array or a plain object, as opposed to a Date, a Map or a class instance. */
export function isContainer(value: unknown): value is Container {
  if (!isObject(value)) return false
  if (isList(value)) return true
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Two containers of the same kind, which can therefore be compared from inside. */
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

/** Deep equality of two JSON values; the order of keys does not count. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (!isObject(a) || !isObject(b)) return false
  // Loops, here and below: a callback for each level would take two more frames of the stack.
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false
    for (let index = 0; index < a.length; index++) if (!equal(a[index], b[index])) return false
    return true
  }
  if (isList(b)) return false
  const keys = keysOf(a)
  if (keys.length !== keysOf(b).length) return false
  for (const key of keys) if (!hasOwn(b, key) || !equal((a as Dict)[key], (b as Dict)[key])) return false
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

/** A text that two JSON values share exactly if they are {@link equal}: stores such as Postgres' `jsonb` reorder keys. */
export function fingerprint(value: unknown): string {
  // One text for all of it: a text for each level, in that of the level above, would cost the square of the depth.
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

/** Replaces the content of an array; `splice(0, n, ...items)` would overflow the stack with many items. */
export function replaceContents(list: List, items: readonly unknown[]): void {
  list.length = 0
  for (const item of items) list.push(item)
}

import { equal, fingerprint, isList, isObject, sameKind } from './json.js'
import { upsert } from './upsert.js'

/** How to look at the elements of the older array, which may have changed since the moment that counts. */
export interface View {
  /** Does the element equal this JSON value? */
  same(element: unknown, value: unknown): boolean
  /** The element as a JSON value. */
  image(element: unknown): unknown
}

const AS_IT_IS: View = { same: equal, image: (element) => element }

/**
 * Finds the elements of `older` again in `newer`: by content, then objects by their `id`, `_id` or `key`, then, where the
 * length is the same, by position.
 *
 * @returns for each index of `newer` the index in `older`, or -1; no index of `older` occurs twice
 */
export function align(older: readonly unknown[], newer: readonly unknown[], view: View = AS_IT_IS): number[] {
  const match = new Array<number>(newer.length).fill(-1)
  const max = Math.min(older.length, newer.length)
  let head = 0
  while (head < max && view.same(older[head], newer[head])) match[head] = head++
  let tail = 0
  while (tail < max - head && view.same(older[older.length - 1 - tail], newer[newer.length - 1 - tail])) {
    tail++
    match[newer.length - tail] = older.length - tail
  }
  if (head + tail === max) return match

  const free = new Map<number, unknown>()
  for (let i = head; i < older.length - tail; i++) free.set(i, view.image(older[i]))
  const open = (): number[] => {
    const indexes: number[] = []
    for (let j = head; j < newer.length - tail; j++) if (match[j] === -1) indexes.push(j)
    return indexes
  }
  const pairBy = (name: (value: unknown) => unknown): void => {
    const named = new Map<unknown, number[]>()
    for (const [i, value] of free) {
      const key = name(value)
      if (key !== undefined) upsert(named, key, () => []).push(i)
    }
    for (const j of open()) {
      const i = named.get(name(newer[j]))?.shift()
      if (i === undefined) continue
      match[j] = i
      free.delete(i)
    }
  }
  pairBy(fingerprint)
  pairBy(identifier)
  if (older.length === newer.length) {
    for (const j of open()) {
      if (!free.has(j) || !alike(free.get(j), newer[j])) continue
      match[j] = j
      free.delete(j)
    }
  }
  return match
}

/** What an object calls itself, with the type, because `1` and `'1'` are different names. */
function identifier(value: unknown): string | undefined {
  if (!isObject(value) || isList(value)) return undefined
  const { id, _id, key } = value as Record<string, unknown>
  const name = id ?? _id ?? key
  return name === undefined || name === null ? undefined : fingerprint(name)
}

/** Can the element at the same place be the same one, edited? Not if both have names, which then differ. */
function alike(older: unknown, newer: unknown): boolean {
  if (!isObject(older) && !isObject(newer)) return true
  return sameKind(older, newer) && identifier(older) === undefined && identifier(newer) === undefined
}

import { hasOwn, type JsonObject } from './json.js'
import type { Patch } from './patch.js'

/**
 * Merge and difference for data that nests deeper than a walk over it can go, which express-session stores all the same: each key of the
 * root is one value. `JSON.stringify`, which compares them, goes as deep as whatever has stored them.
 */
export function mergeTopLevelKeys(base: JsonObject, mine: JsonObject, theirs: JsonObject): JsonObject {
  const merged = { ...theirs }
  for (const key of Object.keys({ ...base, ...mine })) {
    if (same(base, mine, key)) continue
    if (hasOwn(mine, key)) merged[key] = mine[key] as JsonObject
    else delete merged[key]
  }
  return merged
}

/** The patches that make `next` of `base`. */
export function diffTopLevelKeys(base: JsonObject, next: JsonObject): Patch[] {
  const changed = Object.keys({ ...base, ...next }).filter((key) => !same(base, next, key))
  return changed.map((key): Patch => {
    if (!hasOwn(next, key)) return { op: 'remove', path: [key] }
    return { op: hasOwn(base, key) ? 'replace' : 'add', path: [key], value: next[key] }
  })
}

const same = (a: JsonObject, b: JsonObject, key: string): boolean =>
  hasOwn(a, key) === hasOwn(b, key) && (a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]))

import type { SharedSessionError } from '../errors.js'
import { PatchCollector } from './changes.js'
import { DocumentState } from './document-state.js'
import { clone, type Dict, hasOwn, isList, isObject, type JsonObject, keysOf } from './json.js'
import type { Conflict, StrategyTable } from './merge-strategy.js'
import type { Patch } from './patch.js'
import { Rebase } from './rebase.js'
import { reconcile } from './reconcile.js'

export interface Merged {
  data: JsonObject
  /** From `theirs` to the merged data. */
  patches: Patch[]
  conflicts: Conflict[]
  /** Merge functions that failed. */
  problems: SharedSessionError[]
}

/**
 * Three-way merge for writers whose changes were not recorded, such as HTTP requests: what differs between `base` and `mine` is
 * replayed on the base, elements of arrays found again by identity, and `theirs` is merged into that.
 */
export function merge(base: JsonObject, mine: JsonObject, theirs: JsonObject, rules?: StrategyTable): Merged {
  const state = new DocumentState(clone(base), { strategies: rules })
  reconcile(state, state.tree.root, mine)
  const { conflicts, problems } = new Rebase(state, state.diffFromBase(theirs))
  const { patches } = new PatchCollector(state)
  return { data: state.nonJson.dictToJson(state.root), patches, conflicts, problems }
}

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

/**
 * What one session holds, with what only another one holds. Both of two objects are kept, at every depth; of two lists the items of
 * both, `first`'s in front; of two values that cannot both be there, `first`'s.
 */
export function mergeTwoWay(first: JsonObject, second: JsonObject): JsonObject {
  return mergeValues(first, second) as JsonObject
}

function mergeValues(first: unknown, second: unknown): unknown {
  if (!isObject(first) || !isObject(second) || isList(first) !== isList(second)) return first
  if (isList(first)) return [...first, ...clone(second as unknown[])]
  const result: Dict = { ...(first as Dict) }
  for (const key of keysOf(second)) {
    const value = (second as Dict)[key]
    result[key] = hasOwn(first, key) ? mergeValues((first as Dict)[key], value) : clone(value)
  }
  return result
}

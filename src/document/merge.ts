import type { SharedSessionError } from '../errors.js'
import { collectPatches } from './changes.js'
import { DocumentState } from './document-state.js'
import { clone, type Dict, isList, isObject, type JsonObject, keysOf } from './json.js'
import type { Conflict, StrategyTable } from './merge-strategy.js'
import type { Patch } from './patch.js'
import { rebase } from './rebase.js'
import { reconcile } from './reconcile.js'

/** The result of {@link merge}. */
export interface MergeResult {
  data: JsonObject
  /** From `theirs` to the merged data. */
  patches: Patch[]
  conflicts: Conflict[]
  /** Errors of merge functions. */
  problems: SharedSessionError[]
}

/**
 * Three-way merge of plain documents, for writers whose changes were not recorded, such as HTTP requests. The differences between `base` and `mine`
 * are written to a document with this base, which is then rebased on `theirs`. Elements of arrays are matched by {@link matchElements}.
 */
export function merge(base: JsonObject, mine: JsonObject, theirs: JsonObject, strategies?: StrategyTable): MergeResult {
  const state = new DocumentState(clone(base), { strategies })
  reconcile(state, state.tree.root, mine)
  const { conflicts, problems } = rebase(state, state.compareWithBase(theirs))
  const { patches } = collectPatches(state)
  return { data: state.nonJson.dictToJson(state.root), patches, conflicts, problems }
}

/**
 * Three-way merge that takes each top-level key as one value. It is for data that nests too deep for a recursive walk, which express-session can
 * store all the same: `JSON.stringify` compares the values, and it goes as deep as the `JSON.stringify` that stored them.
 */
export function mergeTopLevelKeys(base: JsonObject, mine: JsonObject, theirs: JsonObject): JsonObject {
  const merged = { ...theirs }
  for (const key of Object.keys({ ...base, ...mine })) {
    if (isSameAt(key, base, mine)) continue
    if (Object.hasOwn(mine, key)) merged[key] = mine[key] as JsonObject
    else delete merged[key]
  }
  return merged
}

/** The patches from `base` to `next`, by top-level key. */
export function diffTopLevelKeys(base: JsonObject, next: JsonObject): Patch[] {
  const changed = Object.keys({ ...base, ...next }).filter((key) => !isSameAt(key, base, next))
  return changed.map((key): Patch => {
    if (!Object.hasOwn(next, key)) return { op: 'remove', path: [key] }
    return { op: Object.hasOwn(base, key) ? 'replace' : 'add', path: [key], value: next[key] }
  })
}

const isSameAt = (key: string, a: JsonObject, b: JsonObject): boolean =>
  Object.hasOwn(a, key) === Object.hasOwn(b, key) && (a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]))

/**
 * Two-way merge, without a base: the union of two documents. Objects are merged at every depth. Two arrays are concatenated. Of two other values
 * `preferred`'s is kept.
 */
export function mergeTwoWay(preferred: JsonObject, other: JsonObject): JsonObject {
  return unionOf(preferred, other) as JsonObject
}

function unionOf(preferred: unknown, other: unknown): unknown {
  if (!isObject(preferred) || !isObject(other) || isList(preferred) !== isList(other)) return preferred
  if (isList(preferred)) return [...preferred, ...clone(other as unknown[])]
  const union: Dict = { ...(preferred as Dict) }
  for (const key of keysOf(other)) {
    const value = (other as Dict)[key]
    union[key] = Object.hasOwn(preferred, key) ? unionOf((preferred as Dict)[key], value) : clone(value)
  }
  return union
}

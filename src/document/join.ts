import type { JsonObject } from './json.js'
import { clone, type Dict, hasOwn, isList, isObject, keysOf } from './json.js'

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

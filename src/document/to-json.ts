import { NotJsonError } from './errors.js'
import { ABSENT, type Dict, isList, isObject, keysOf, type List, type Path } from './json.js'

/** Levels of nesting. Deeper than this, `JSON.stringify` and the recursive walks over a session come near the end of the stack. */
export const MAX_NESTING = 1000

export const TOO_DEEP = `nested more than ${MAX_NESTING} levels deep; keep it flatter`
export const CYCLE = 'contains itself, which JSON cannot; store an id instead of the object'
export const BIGINT = 'a BigInt, which JSON cannot hold; store a string or a number'

/**
 * What JSON makes of any value, as `JSON.parse(JSON.stringify(value))` would, but with the path of what cannot be stored.
 *
 * @param path of the value; when it throws, `path` is that of the part that cannot be stored
 * @param ancestors the objects that contain the value, to find cycles
 * @param known a JSON value: what the value shares with it, at the same places, is returned itself and not looked at
 * @returns {@link ABSENT} for what JSON leaves out
 * @throws {NotJsonError} `NOT_STORABLE` for a cycle, a BigInt or too deep nesting; also whatever a `toJSON` or getter throws
 */
export function toJson(value: unknown, path: Path, ancestors: Set<object> = new Set(), known?: unknown): unknown {
  if (value === known && isObject(value)) return value
  let source = value
  if (isObject(source) || typeof source === 'bigint') {
    const { toJSON } = source as { toJSON?: unknown }
    if (typeof toJSON === 'function') source = toJSON.call(source, String(path.at(-1) ?? ''))
  }
  if (!isObject(source)) return scalarToJson(source, path)
  if (source instanceof Number || source instanceof String || source instanceof Boolean || source instanceof BigInt) {
    return scalarToJson(source.valueOf(), path)
  }
  if (ancestors.has(source)) throw new NotJsonError(path, CYCLE)
  if (path.length > MAX_NESTING) throw new NotJsonError(path, TOO_DEEP)
  ancestors.add(source)
  const json = isList(source) ? listToJson(source, path, ancestors, known) : dictToJson(source as Dict, path, ancestors, known)
  ancestors.delete(source)
  return json
}

function listToJson(source: readonly unknown[], path: Path, ancestors: Set<object>, known: unknown): unknown[] {
  const json: unknown[] = []
  for (let index = 0; index < source.length; index++) {
    path.push(index)
    const item = toJson(source[index], path, ancestors, (known as List | undefined)?.[index])
    json.push(item === ABSENT ? null : item)
    path.pop()
  }
  return json
}

function dictToJson(source: Dict, path: Path, ancestors: Set<object>, known: unknown): Dict {
  const json: Dict = {}
  for (const key of keysOf(source)) {
    path.push(key)
    const value = toJson(source[key], path, ancestors, (known as Dict | undefined)?.[key])
    if (value !== ABSENT) json[key] = value
    path.pop()
  }
  return json
}

/** What JSON makes of a value that is not an object. */
export function scalarToJson(value: unknown, path: Path): unknown {
  switch (typeof value) {
    case 'bigint':
      throw new NotJsonError(path, BIGINT)
    case 'number':
      // Adding zero makes 0 of -0.
      return Number.isFinite(value) ? value + 0 : null
    case 'string':
    case 'boolean':
      return value
    case 'object':
      return value
    default:
      return ABSENT
  }
}

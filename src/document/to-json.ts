import { NotJsonError } from './errors.js'
import { ABSENT, type Dict, isList, isObject, keysOf, type Path } from './json.js'

/** Deeper than this, `JSON.stringify` and the walks over a session come near the end of the stack. */
export const MAX_DEPTH = 1000

export const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep; keep it flatter`
export const CYCLE = 'contains itself, which JSON cannot; store an id instead of the object'
export const BIGINT = 'a BigInt, which JSON cannot hold; store a string or a number'

/**
 * What JSON makes of any value, as `JSON.parse(JSON.stringify(value))` would, but with the path of what cannot be stored.
 *
 * @param path where the value is; while it throws, where the offending part is
 * @returns {@link ABSENT} for what JSON leaves out
 * @throws {NotJsonError} for a cycle, a BigInt or endless nesting; whatever a `toJSON` or getter throws
 */
export function toJson(value: unknown, path: Path, above: Set<object> = new Set()): unknown {
  let source = value
  if (isObject(source) || typeof source === 'bigint') {
    const { toJSON } = source as { toJSON?: unknown }
    if (typeof toJSON === 'function') source = toJSON.call(source, String(path.at(-1) ?? ''))
  }
  if (!isObject(source)) return scalar(source, path)
  if (source instanceof Number || source instanceof String || source instanceof Boolean || source instanceof BigInt) {
    return scalar(source.valueOf(), path)
  }
  if (above.has(source)) throw new NotJsonError(path, CYCLE)
  if (path.length > MAX_DEPTH) throw new NotJsonError(path, TOO_DEEP)
  above.add(source)
  const image = isList(source) ? listToJson(source, path, above) : dictToJson(source as Dict, path, above)
  above.delete(source)
  return image
}

function listToJson(source: readonly unknown[], path: Path, above: Set<object>): unknown[] {
  const image: unknown[] = []
  for (let index = 0; index < source.length; index++) {
    path.push(index)
    const item = toJson(source[index], path, above)
    image.push(item === ABSENT ? null : item)
    path.pop()
  }
  return image
}

function dictToJson(source: Dict, path: Path, above: Set<object>): Dict {
  const image: Dict = {}
  for (const key of keysOf(source)) {
    path.push(key)
    const value = toJson(source[key], path, above)
    if (value !== ABSENT) image[key] = value
    path.pop()
  }
  return image
}

/** What JSON makes of a value that is not an object. */
export function scalar(value: unknown, path: Path): unknown {
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

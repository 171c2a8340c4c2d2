import { type Dict, isBox, isList, isObject, type JsonObject } from './json.js'

/** Deeper than this is left to JSON. */
const DEEPEST = 200

/** Stands for what JSON leaves out. */
const LEFT_OUT: unique symbol = Symbol('left out')
/** Something that is not worth doing by hand. */
const UNUSUAL: unique symbol = Symbol('unusual')

/**
 * The same as `JSON.parse(JSON.stringify(object))`, several times as fast, for an object of plain data and things with a `toJSON`.
 * @returns `undefined` for one that has anything else in it: what JSON makes of that, JSON is to say
 */
export function jsonImage(object: object): JsonObject | undefined {
  const image = asksToJson(object) ? UNUSUAL : copyDict(object as Dict, 0)
  return image === UNUSUAL ? undefined : (image as JsonObject)
}

function copy(value: unknown, key: string, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      // Adding zero makes 0 of -0, as JSON does.
      return Number.isFinite(value) ? value + 0 : null
    case 'undefined':
      return LEFT_OUT
    case 'object':
      break
    default:
      return UNUSUAL
  }
  if (!isObject(value)) return null
  if (depth > DEEPEST) return UNUSUAL
  if (!asksToJson(value)) return copyBox(value, depth)
  const made = value.toJSON(key)
  // As it is, without being asked in turn.
  return isObject(made) ? copyBox(made, depth) : copy(made, key, depth)
}

function asksToJson(value: object): value is { toJSON(key: string): unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function'
}

function copyBox(value: object, depth: number): unknown {
  if (isList(value)) return copyList(value, depth)
  return isBox(value) ? copyDict(value as Dict, depth) : UNUSUAL
}

function copyDict(source: Dict, depth: number): unknown {
  const image: Dict = {}
  for (const key of Object.keys(source)) {
    if (key === '__proto__') return UNUSUAL
    const made = copy(source[key], key, depth + 1)
    if (made === UNUSUAL) return UNUSUAL
    if (made !== LEFT_OUT) image[key] = made
  }
  return image
}

function copyList(source: readonly unknown[], depth: number): unknown {
  const image: unknown[] = []
  for (let index = 0; index < source.length; index++) {
    const made = copy(source[index], String(index), depth + 1)
    if (made === UNUSUAL) return UNUSUAL
    image.push(made === LEFT_OUT ? null : made)
  }
  return image
}

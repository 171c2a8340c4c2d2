import { getOrInsert } from '../util/maps.js'
import {
  ABSENT,
  type Container,
  type Dict,
  isContainer,
  isList,
  isObject,
  type JsonObject,
  type JsonValue,
  keysOf,
  type Path,
} from './json.js'
import { proxyInfoOf } from './proxy-registry.js'
import { MAX_NESTING, toJson } from './to-json.js'

/**
 * What the tree holds and JSON does not, until the next save: application objects, Dates, Maps and class instances, `undefined`,
 * functions, NaN, holes.
 */
export class NonJsonValues {
  // Most documents have neither.
  private jsonWhenAssigned: WeakMap<object, unknown> | undefined
  private checked: WeakSet<object> | undefined
  private holders: Map<Container, Set<string>> | undefined

  /** `holder`, a container of the tree, holds such a value. @param key where, if the holder is an object */
  add(holder: Container, key?: string): void {
    this.holders ??= new Map()
    const keys = getOrInsert(this.holders, holder, () => new Set<string>())
    if (key !== undefined) keys.add(key)
  }

  get isEmpty(): boolean {
    return this.holders === undefined
  }

  /** Remembers the JSON of a Date or the like that is assigned, in case it can no longer be stored at the save. */
  setJsonWhenAssigned(value: object, json: unknown): void {
    this.jsonWhenAssigned ??= new WeakMap()
    this.jsonWhenAssigned.set(value, json)
  }

  /** An object was checked when it was assigned: it could be stored then. */
  setChecked(object: object): void {
    this.checked ??= new WeakSet()
    this.checked.add(object)
  }

  wasChecked(object: object): boolean {
    return this.checked?.has(object) ?? false
  }

  /** Returns the containers that hold such values, with the keys if they are objects, and forgets them. */
  takeHolders(): Iterable<[holder: Container, keys: Set<string>]> {
    const taken = this.holders ?? []
    this.holders = undefined
    return taken
  }

  /** A copy of a value of the live tree, as JSON would write it; {@link ABSENT} for what JSON leaves out. */
  toJson(value: unknown): JsonValue | typeof ABSENT {
    if (isContainer(value)) return isList(value) ? Array.from(value, (item) => this.itemToJson(item)) : this.dictToJson(value)
    return this.valueToJson(value, []) as JsonValue | typeof ABSENT
  }

  /** The same for an object, also for the root, whose prototype may be the host's. */
  dictToJson(raw: Dict): JsonObject {
    const copy: JsonObject = {}
    for (const key of keysOf(raw)) {
      const value = this.toJson(raw[key])
      if (value !== ABSENT) copy[key] = value
    }
    return copy
  }

  /** The same for an element of an array, which JSON cannot leave out. */
  itemToJson(value: unknown): JsonValue {
    return orNull(this.toJson(value))
  }

  /**
   * The JSON of a value that is no container. One that can no longer be stored keeps the JSON that it had when it was assigned.
   * @param onFailure called in that case
   */
  valueToJson(value: unknown, path: Path, onFailure?: (error: unknown) => void): unknown {
    try {
      return toJson(value, path)
    } catch (error) {
      if (!isObject(value) || !this.jsonWhenAssigned?.has(value)) throw error
      onFailure?.(error)
      return this.jsonWhenAssigned.get(value)
    }
  }
}

/** A copy of a container of the live tree, as JSON would write it. Can be taken at any time, also before the tree is normalized. */
export function snapshotOf(nonJson: NonJsonValues, raw: Container): JsonObject {
  if (!nonJson.isEmpty) return toJsonOmittingFailures(nonJson, raw) as JsonObject
  return (isList(raw) ? nonJson.toJson(raw) : nonJson.dictToJson(raw)) as JsonObject
}

/**
 * {@link NonJsonValues.toJson} of a tree that may hold application objects: a handler can have put anything into them. What cannot be
 * stored is left out.
 */
function toJsonOmittingFailures(
  nonJson: NonJsonValues,
  value: unknown,
  ancestors = new Set<object>(),
): JsonValue | typeof ABSENT {
  const raw = (isObject(value) && proxyInfoOf(value)?.raw) || value
  try {
    if (!isObject(raw) || (!isContainer(raw) && ancestors.size > 0) || typeof (raw as Dict).toJSON === 'function') {
      return nonJson.valueToJson(raw, []) as JsonValue | typeof ABSENT
    }
    if (ancestors.has(raw) || ancestors.size > MAX_NESTING) return ABSENT
    ancestors.add(raw)
    const childToJson = (child: unknown) => toJsonOmittingFailures(nonJson, child, ancestors)
    const entries = () => keysOf(raw).map((key) => [key, childToJson((raw as Dict)[key])] as const)
    const json = isList(raw)
      ? Array.from(isSparse(raw) ? Object.values(raw) : raw, (item) => orNull(childToJson(item)))
      : Object.fromEntries(entries().filter((entry): entry is [string, JsonValue] => entry[1] !== ABSENT))
    ancestors.delete(raw)
    return json
  } catch {
    return ABSENT
  }
}

/** An array of so many empty places that a copy with all of them would be of no use. */
const isSparse = (list: readonly unknown[]): boolean => list.length > 1_000_000 && Object.keys(list).length < list.length / 2

const orNull = (value: JsonValue | typeof ABSENT): JsonValue => (value === ABSENT ? null : value)

/** Does its class give the object anything that JSON cannot bring back? An instance of a class without methods is as good as its data. */
export function losesClass(value: object): boolean {
  if (isContainer(value)) return false
  const prototypes: object[] = []
  for (let prototype = Object.getPrototypeOf(value); prototype; prototype = Object.getPrototypeOf(prototype))
    prototypes.push(prototype)
  // The last one is Object.prototype, of whichever realm.
  return prototypes.slice(0, -1).some((prototype) => Reflect.ownKeys(prototype).some((key) => key !== 'constructor'))
}

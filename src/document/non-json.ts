import { getOrInsert } from '../util/bounded-map.js'
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
import { proxyInfo } from './proxy-registry.js'
import { MAX_DEPTH, toJson } from './to-json.js'

/**
 * What the tree holds as it was assigned, until settling makes JSON of it: objects of the application, Dates, Maps and class instances,
 * `undefined`, functions, NaN, holes.
 */
export class NonJsonValues {
  /** The images of Dates and the like as they were assigned, for the case that one becomes impossible to store. */
  jsonWhenAssigned = new WeakMap<object, unknown>()
  /** Objects that were looked at when they were assigned, and could be stored. */
  checked = new WeakSet<object>()
  private holders: Map<Container, Set<string>> | undefined

  /** `holder`, a container of the tree, holds a guest. @param key of an object: where */
  add(holder: Container, key?: string): void {
    this.holders ??= new Map()
    const keys = getOrInsert(this.holders, holder, () => new Set<string>())
    if (key !== undefined) keys.add(key)
  }

  get isEmpty(): boolean {
    return this.holders === undefined
  }

  /** Who holds guests, and of objects where; forgets it. */
  takeHolders(): Iterable<[holder: Container, keys: Set<string>]> {
    const taken = this.holders ?? []
    this.holders = undefined
    return taken
  }

  /** A copy of a value of the live tree, as JSON would write it; {@link ABSENT} for what JSON leaves out. */
  toJson(value: unknown): JsonValue | typeof ABSENT {
    if (isContainer(value))
      return isList(value) ? Array.from(value, (itemToJson) => this.item(itemToJson)) : this.dictToJson(value)
    return this.leafToJson(value, []) as JsonValue | typeof ABSENT
  }

  /** The same for an object whose prototype is not a plain one: the root. */
  dictToJson(raw: Dict): JsonObject {
    const copy: JsonObject = {}
    for (const key of keysOf(raw)) {
      const value = this.toJson(raw[key])
      if (value !== ABSENT) copy[key] = value
    }
    return copy
  }

  /** The image of an array's element, which JSON cannot leave out. */
  item(value: unknown): JsonValue {
    const image = this.toJson(value)
    return image === ABSENT ? null : image
  }

  /**
   * What JSON makes of a guest that is no container; one that can no longer be stored keeps the image it had when it was assigned.
   * @param path where it is
   */
  leafToJson(value: unknown, path: Path, failed?: (error: unknown) => void): unknown {
    try {
      return toJson(value, path)
    } catch (error) {
      if (!isObject(value) || !this.jsonWhenAssigned.has(value)) throw error
      failed?.(error)
      return this.jsonWhenAssigned.get(value)
    }
  }
}

/** A copy of a container of the live tree, as JSON would write it, whenever it is asked for. */
export function snapshotOf(guests: NonJsonValues, raw: Container): JsonObject {
  const image = guests.isEmpty ? (isList(raw) ? guests.toJson(raw) : guests.dictToJson(raw)) : toJsonOmittingFailures(guests, raw)
  return image as JsonObject
}

/** {@link NonJsonValues.toJson} of a tree that holds objects of the application: these can have got what cannot be stored, which is left out. */
function toJsonOmittingFailures(guests: NonJsonValues, value: unknown, open = new Set<object>()): JsonValue | typeof ABSENT {
  const raw = (isObject(value) && proxyInfo(value)?.raw) || value
  try {
    if (!isObject(raw) || (!isContainer(raw) && open.size > 0) || typeof (raw as Dict).toJSON === 'function') {
      return guests.leafToJson(raw, []) as JsonValue | typeof ABSENT
    }
    if (open.has(raw) || open.size > MAX_DEPTH) return ABSENT
    open.add(raw)
    const inner = (item: unknown) => toJsonOmittingFailures(guests, item, open)
    const entries = () => keysOf(raw).map((key) => [key, inner((raw as Dict)[key])] as const)
    const image = isList(raw)
      ? Array.from(sparse(raw) ? Object.values(raw) : raw, (item) => orNull(inner(item)))
      : Object.fromEntries(entries().filter((entry): entry is [string, JsonValue] => entry[1] !== ABSENT))
    open.delete(raw)
    return image
  } catch {
    return ABSENT
  }
}

/** An array that nobody wants to see all places of. */
const sparse = (list: readonly unknown[]): boolean => list.length > 1_000_000 && Object.keys(list).length < list.length / 2

const orNull = (value: JsonValue | typeof ABSENT): JsonValue => (value === ABSENT ? null : value)

/** Has its class anything that JSON cannot bring back? One without methods is as good as its data. */
export function losesClass(value: object): boolean {
  if (isContainer(value)) return false
  const classes: object[] = []
  for (let one = Object.getPrototypeOf(value); one; one = Object.getPrototypeOf(one)) classes.push(one)
  // The last one is Object.prototype, of whichever realm.
  return classes.slice(0, -1).some((one) => Reflect.ownKeys(one).some((key) => key !== 'constructor'))
}

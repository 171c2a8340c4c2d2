import type { TreeView } from './comparison.js'
import type { Journal } from './journal.js'
import {
  ABSENT,
  addPair,
  type Container,
  type Dict,
  type DifferingPairs,
  isContainer,
  isList,
  isObject,
  keysOf,
  type List,
} from './json.js'

/** The base, which is the document as of the last `takeChanges` or `rebase`: the live tree seen through the journal's before-images. */
export class BaseView implements TreeView {
  constructor(private readonly journal: Journal) {}

  /** A deep plain copy of a value of the base, which may be {@link ABSENT}. */
  toJson(value: unknown): unknown {
    if (!isObject(value)) return value
    const raw = value as Container
    if (isList(raw)) {
      const items: List = []
      for (const item of this.items(raw)) items.push(this.toJson(item))
      return items
    }
    const copy: Dict = {}
    for (const key of this.keys(raw)) copy[key] = this.toJson(this.get(raw, key))
    return copy
  }

  /** Does a value of the base equal this JSON value? Copies nothing. @param differing is read and added to */
  equals(value: unknown, json: unknown, differing?: DifferingPairs): boolean {
    if (value === json) return true
    if (!isObject(value) || !isObject(json)) return false
    if (!differing) return this.hasEqualContent(value as Container, json)
    if (differing.get(value)?.has(json)) return false
    return this.hasEqualContent(value as Container, json, differing) || addPair(differing, value, json)
  }

  private hasEqualContent(raw: Container, json: object, differing?: DifferingPairs): boolean {
    if (isList(raw)) {
      const items = this.items(raw)
      if (!isList(json) || items.length !== json.length) return false
      for (let index = 0; index < items.length; index++) if (!this.equals(items[index], json[index], differing)) return false
      return true
    }
    if (isList(json)) return false
    const keys = this.keys(raw)
    const jsonKeys = keysOf(json)
    // Most objects were not written to, which is looked up once, and have their keys in the same order.
    const isWritten = this.journal.writtenKeys(raw) !== undefined
    if (keys.length !== jsonKeys.length) return false
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string
      if (jsonKeys[index] !== key && !Object.hasOwn(json, key)) return false
      if (!this.equals(isWritten ? this.get(raw, key) : raw[key], (json as Dict)[key], differing)) return false
    }
    return true
  }

  /** A container and all containers that it had below it in the base. */
  containers(raw: Container): Set<Container> {
    const containers = new Set([raw])
    // The loop also visits what is added to the set meanwhile.
    for (const container of containers) {
      const values = isList(container) ? this.items(container) : this.keys(container).map((key) => this.get(container, key))
      for (const value of values) if (isContainer(value)) containers.add(value)
    }
    return containers
  }

  /** What an object had at a key in the base, or {@link ABSENT}. */
  get(raw: Dict, key: string): unknown {
    const image = this.journal.writtenKeys(raw)?.get(key)
    if (image) return image.before
    return Object.hasOwn(raw, key) ? raw[key] : ABSENT
  }

  /** The elements that an array had in the base. */
  items(raw: List): List {
    return this.journal.itemsBefore(raw) ?? raw
  }

  /** The keys that an object had in the base. */
  keys(raw: Dict): string[] {
    const written = this.journal.writtenKeys(raw)
    const liveKeys = keysOf(raw)
    if (!written) return liveKeys
    const keys = liveKeys.filter((key) => !written.has(key))
    for (const [key, { before }] of written) if (before !== ABSENT) keys.push(key)
    return keys
  }
}

import type { Journal } from './journal.js'
import {
  ABSENT,
  type Container,
  type Dict,
  hasOwn,
  isContainer,
  isList,
  isObject,
  type JsonValue,
  keysOf,
  type List,
} from './json.js'
import type { TreeView } from './tree-diff.js'

/** The base: the live tree as it was at the last collect, seen through the before-images of the journal. */
export class BaseView implements TreeView {
  constructor(private readonly journal: Journal<object>) {}

  /** A copy of a value of the base. */
  toJson(value: unknown): JsonValue {
    if (!isObject(value)) return value as JsonValue
    const raw = value as Container
    if (isList(raw)) {
      const items: JsonValue[] = []
      for (const item of this.items(raw)) items.push(this.toJson(item))
      return items
    }
    const copy: { [key: string]: JsonValue } = {}
    for (const key of this.keys(raw)) copy[key] = this.toJson(this.get(raw, key))
    return copy
  }

  /** Did a value of the base equal this JSON value? Copies nothing. */
  equals(value: unknown, json: unknown): boolean {
    if (value === json) return true
    if (!isObject(value) || !isObject(json)) return false
    const raw = value as Container
    if (isList(raw)) {
      const items = this.items(raw)
      if (!isList(json) || items.length !== json.length) return false
      for (let index = 0; index < items.length; index++) if (!this.equals(items[index], json[index])) return false
      return true
    }
    if (isList(json)) return false
    const keys = this.keys(raw)
    const names = keysOf(json)
    // Most objects were not written to, which is asked once, and have their keys in the same order.
    const written = this.journal.writtenKeys(raw) !== undefined
    if (keys.length !== names.length) return false
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string
      if (names[index] !== key && !hasOwn(json, key)) return false
      if (!this.equals(written ? this.get(raw, key) : raw[key], (json as Dict)[key])) return false
    }
    return true
  }

  /** All containers of the base below this one, and itself. */
  containers(raw: Container): Set<Container> {
    const found = new Set([raw])
    // A set that is walked shows what is put into it meanwhile.
    for (const one of found) {
      const values = isList(one) ? this.items(one) : this.keys(one).map((key) => this.get(one, key))
      for (const value of values) if (isContainer(value)) found.add(value)
    }
    return found
  }

  /** What an object of the base had at a key, or {@link ABSENT}. */
  get(raw: Dict, key: string): unknown {
    const slot = this.journal.writtenKeys(raw)?.get(key)
    if (slot) return slot.before
    return hasOwn(raw, key) ? raw[key] : ABSENT
  }

  /** What an array of the base had in it. */
  items(raw: List): List {
    return this.journal.itemsBefore(raw) ?? raw
  }

  keys(raw: Dict): string[] {
    const slots = this.journal.writtenKeys(raw)
    const live = keysOf(raw)
    if (!slots) return live
    const keys = live.filter((key) => !slots.has(key))
    for (const [key, { before: was }] of slots) if (was !== ABSENT) keys.push(key)
    return keys
  }
}

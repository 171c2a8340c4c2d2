import { getOrInsert } from '../util/maps.js'
import { diffArrays } from './array-diff.js'
import type { DocumentState } from './document-state.js'
import { tooSparse } from './errors.js'
import { ABSENT, type Container, isList, isObject, type Key, type List } from './json.js'
import { mergeArrays } from './merge-arrays.js'
import { proxyInfoOf } from './proxy-registry.js'
import type { Node } from './tree.js'
import { AssignedValues, assign, markRepeatedItems, remove, replaceItems } from './write.js'

/** An application object that a handler may still hold, and the copy of it that the tree holds. */
interface WatchedObject {
  ref: WeakRef<object>
  copy: Container
  /** What the object held at the last scan, by key; see {@link WatchedObjects.contentOf}. */
  lastContent: Map<Key, unknown>
  /** Of an array: what its elements became in the tree, at the last scan; {@link ABSENT} for one that cannot be stored. */
  lastItems: unknown[]
}

/** The objects of one assignment: they are watched together, and dropped together. */
interface WatchGroup {
  author: object | undefined
  objects: WatchedObject[]
}

/** Limits of what one scan can cost, because every event pays for one: groups, and values in all their objects. */
const LIMITS = { groups: 8, values: 1_024 }

const NO_GROUPS: never[] = []

/**
 * Watches the application's own objects after the document has copied them. `const c = (session.cart ??= { items: [] })` yields the object and
 * no proxy, and what the handler does to it after a save is meant for the session as well. A scan compares each object with its content at
 * the last scan, and writes the differences to the copy. Nothing here keeps an object alive.
 */
export class WatchedObjects {
  private groups: WatchGroup[] = NO_GROUPS
  private tokens: WeakMap<object, object> | undefined

  constructor(private readonly state: DocumentState) {}

  get isEmpty(): boolean {
    return this.groups.length === 0
  }

  /** The tree holds copies of these objects from now on. */
  watch(author: object | undefined, copied: readonly (readonly [raw: Container, copy: Container, ...unknown[]])[]): void {
    const { tree } = this.state
    for (const [raw, copy] of copied) tree.setCopy(raw, copy)
    const watched = copied.filter(([raw, copy]) => isWatchable(raw, copy))
    const size = watched.reduce((sum, [, copy]) => sum + 1 + (isList(copy) ? copy : Object.keys(copy)).length, 0)
    if (watched.length === 0 || size > LIMITS.values) return
    const objects = watched.map(([raw, copy]) => {
      return { ref: new WeakRef(raw), copy, lastContent: this.contentOf(raw), lastItems: isList(copy) ? copy.slice() : [] }
    })
    if (this.isEmpty) this.groups = []
    this.groups.push({ author, objects })
  }

  /** Elements of a list of the tree were replaced: Dates by their JSON, application objects and aliases by copies. @param before its elements */
  onReplaced(list: List, before: List): void {
    for (const object of this.groups.flatMap(({ objects }) => objects)) {
      if (object.copy !== list) continue
      const places = new Map<unknown, number[]>()
      for (let index = before.length - 1; index >= 0; index--) getOrInsert(places, before[index], () => []).push(index)
      object.lastItems = object.lastItems.map((item) => {
        const index = places.get(item)?.pop()
        return index === undefined ? item : list[index]
      })
    }
  }

  /**
   * Writes to the tree what was done to the objects since the last scan. What cannot be stored is reported and left out. An object that cannot be
   * read is reported, and no longer watched.
   */
  scan(): void {
    if (this.isEmpty) return
    // Writing to the tree may add and remove groups.
    for (const group of [...this.groups]) {
      for (const object of group.objects) {
        const raw = object.ref.deref()
        if (raw === undefined) continue
        const node = this.state.tree.nodeOf(object.copy)
        try {
          this.scanObject(node, object, raw, group.author)
        } catch (error) {
          this.groups = this.groups.filter((other) => other !== group)
          this.state.reportProblem(error, node, [], group.author)
          break
        }
      }
    }
    this.trim()
  }

  private scanObject(node: Node, object: WatchedObject, raw: object, author: object | undefined): void {
    if (isList(raw) && !this.state.hasRoomForHoles(raw.length - object.lastContent.size)) throw tooSparse([])
    const content = this.contentOf(raw)
    if (isSameContent(object.lastContent, content)) return
    if (isList(node.raw)) this.writeItems(node, object, raw as List, content, author)
    else this.writeProperties(node, object, raw as Record<Key, unknown>, content, author)
    object.lastContent = content
  }

  private writeProperties(
    node: Node,
    { lastContent }: WatchedObject,
    raw: Record<Key, unknown>,
    content: Map<Key, unknown>,
    author: object | undefined,
  ): void {
    const { state } = this
    for (const key of lastContent.keys()) {
      if (!content.has(key) && Object.hasOwn(node.raw, key)) remove(state, node, String(key), author)
    }
    for (const [key, token] of content) {
      if (lastContent.has(key) && Object.is(lastContent.get(key), token)) continue
      try {
        assign(state, node, String(key), raw[key], author)
      } catch (error) {
        state.reportProblem(error, node, [key], author)
      }
    }
  }

  /** The handler's edits of its array are merged with what was done to the copy meanwhile. */
  private writeItems(node: Node, object: WatchedObject, raw: List, content: Map<Key, unknown>, author: object | undefined): void {
    const { state } = this
    const assigned = new AssignedValues(state, node, author)
    const match: number[] = []
    const items: unknown[] = []
    let from = 0
    let to = 0
    for (const { removed, added, kept } of diffArrays([...object.lastContent.values()], [...content.values()])) {
      for (let i = 0; i < added; i++, to++) {
        match.push(-1)
        try {
          items.push(assigned.check(raw[to], to))
        } catch (error) {
          // It has its place among the last items all the same: the indexes of the handler's array count it.
          items.push(ABSENT)
          state.reportProblem(error, node, [to], author)
        }
      }
      from += removed
      for (let i = 0; i < kept; i++, from++, to++) {
        match.push(from)
        items.push(object.lastItems[from])
      }
    }
    const merged = mergeArrays(object.lastItems, node.raw as List, items, match).items
    replaceItems(
      state,
      node,
      merged.filter((item) => item !== ABSENT),
      author,
    )
    assigned.commit()
    // What was removed is not counted.
    this.state.forgetMeasurement()
    markRepeatedItems(state, node)
    object.lastItems = items
  }

  /**
   * Drops objects that were garbage-collected, and the oldest groups beyond the limits. An object that is assigned again and again is watched for
   * its last copy.
   */
  trim(): void {
    if (this.isEmpty) return
    let values = 0
    const kept: WatchGroup[] = []
    for (const group of this.groups.toReversed()) {
      group.objects = group.objects.filter(({ ref, copy }) => {
        const raw = ref.deref()
        return raw !== undefined && this.state.tree.lastCopyOf(raw) === copy
      })
      const size = group.objects.reduce((sum, object) => sum + object.lastContent.size + 1, 0)
      values += size
      const fits = kept.length < LIMITS.groups && (values <= LIMITS.values || kept.length === 0)
      if (fits && size > 0) kept.push(group)
    }
    this.groups = kept.reverse()
  }

  /** What an object holds now, by key: scalars as they are, objects as tokens, which do not keep them alive. */
  private contentOf(raw: object): Map<Key, unknown> {
    const content = new Map<Key, unknown>()
    if (isList(raw)) for (let index = 0; index < raw.length; index++) content.set(index, this.tokenOf(raw[index]))
    else for (const [key, value] of Object.entries(raw)) if (key !== '__proto__') content.set(key, this.tokenOf(value))
    return content
  }

  private tokenOf(value: unknown): unknown {
    if (!isObject(value)) return value
    this.tokens ??= new WeakMap()
    return getOrInsert(this.tokens, proxyInfoOf(value)?.raw ?? value, () => ({}))
  }
}

function isSameContent(before: Map<Key, unknown>, now: Map<Key, unknown>): boolean {
  if (before.size !== now.size) return false
  for (const [key, token] of now) if (!Object.is(before.get(key), token) || !before.has(key)) return false
  return true
}

function isWatchable(raw: Container, copy: Container): boolean {
  if (Object.isFrozen(raw)) return false
  // An element that was left out would shift the others.
  if (isList(raw)) return raw.length === copy.length
  // A getter may return another object each time, which would look like a change each time.
  return Object.keys(raw).every(
    (key) => !(isObject(copy[key as keyof Container]) && Object.getOwnPropertyDescriptor(raw, key)?.get),
  )
}

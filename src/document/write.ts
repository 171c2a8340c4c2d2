import type { DocumentState } from './document-state.js'
import { NotJsonError, noRoom, reservedKey, toNotStorable, tooSparse } from './errors.js'
import {
  type Container,
  type Dict,
  isContainer,
  isList,
  isObject,
  type Key,
  type List,
  type Path,
  replaceContents,
  setOwn,
} from './json.js'
import { proxyInfoOf } from './proxy-registry.js'
import { CYCLE, MAX_NESTING, scalarToJson, TOO_DEEP, toJson } from './to-json.js'
import { ChildKeys, checkNesting, type Node } from './tree.js'

/**
 * Sets a property of a container of the tree.
 *
 * @param isOwnJson the value is plain JSON that was made for the tree, so it needs no check
 * @throws what {@link AssignedValues.check} throws, or `NotJsonError`; then nothing has changed
 */
export function assign(state: DocumentState, node: Node, key: string, value: unknown, author?: object, isOwnJson = false): void {
  const raw = writableContainer(state, node)
  if (isList(raw)) {
    if (key === 'length') {
      resize(state, node, raw, typeof value === 'symbol' ? Number.NaN : Number(value), author)
      return
    }
    if (!isIndex(key)) throw new NotJsonError([key], 'JSON would lose a named property of an array; use an object')
  }
  const keyOrIndex = isList(raw) ? Number(key) : key
  const needsCheck = !isOwnJson && !(isPlainScalar(value) && state.room === Number.POSITIVE_INFINITY)
  const assigned = needsCheck
    ? new AssignedValues(state, node, author, Object.hasOwn(raw, key) ? [(raw as Dict)[key]] : [])
    : undefined
  const checked = assigned ? assigned.check(value, keyOrIndex) : value
  if (Object.hasOwn(raw, key) && Object.is((raw as Dict)[key], checked)) return
  if (isList(raw)) countHoles(state, node, Number(keyOrIndex) - raw.length, Number(keyOrIndex), assigned?.growth)
  state.journal.record(node, key, author)
  setOwn(raw as Dict, key, checked)
  assigned?.commit(key)
  const child = isContainer(checked) ? state.tree.find(checked) : undefined
  if (child) state.link(child, node, key)
  state.reportWrite(author)
}

/** Removes a property of a container of the tree; in an array it leaves a hole. */
export function remove(state: DocumentState, node: Node, key: string, author?: object): void {
  const raw = writableContainer(state, node)
  state.journal.record(node, key, author)
  if (isList(raw)) markHoles(state, node)
  delete (raw as Dict)[key]
  state.reportWrite(author)
}

/** Replaces the content of an array by values that the tree holds already or that are plain JSON made for it. */
export function replaceItems(state: DocumentState, node: Node, items: List, author?: object): void {
  const list = writableContainer(state, node) as List
  if (items.length === list.length && items.every((item, index) => item === list[index])) return
  state.journal.record(node, '', author)
  replaceContents(list, items)
  linkItems(state, node, items)
  state.reportWrite(author)
}

/** Links the elements of an array that came from another container. */
export function linkItems(state: DocumentState, node: Node, items: List): void {
  for (const [index, item] of items.entries()) {
    const child = state.tree.find(item)
    if (child && (child.hasUnlinked || !child.parents.includes(node))) state.link(child, node, String(index))
  }
}

/** One object at several indexes of an array is an alias, which `splitAliases` splits. */
export function markRepeatedItems(state: DocumentState, node: Node): void {
  const seen = new Set<unknown>()
  for (const item of node.raw as List) {
    if (isContainer(item) && seen.has(item)) state.tree.markAliased(state.tree.childNode(item, node, ''))
    seen.add(item)
  }
}

/**
 * The container that a write to this node goes to. An application object may be frozen, but session data never is: a frozen object is replaced by
 * a shallow copy.
 */
export function writableContainer(state: DocumentState, node: Node): Container {
  const { raw } = node
  if (!node.uncopied || Object.isExtensible(raw)) return raw
  const copy = isList(raw) ? raw.slice() : { ...raw }
  for (const parent of node.parents) {
    if (!state.tree.holds(parent, node)) continue
    const keys = new ChildKeys().of(parent, node)
    const holder = writableContainer(state, parent) as Dict
    for (const key of keys) holder[key] = copy
  }
  const { tree, nonJson } = state
  tree.replaceByCopy(node, copy, true)
  const assignment = tree.assignmentOf(raw)
  if (assignment) tree.setAssignment(copy, assignment)
  nonJson.setChecked(copy)
  return copy
}

function resize(state: DocumentState, node: Node, list: List, length: number, author: object | undefined): void {
  if (list.length === length) return
  if (!(length >= 0 && length < 2 ** 32 && Number.isInteger(length))) throw new NotJsonError(['length'], 'no length of an array')
  countHoles(state, node, length - list.length, 'length')
  state.journal.record(node, 'length', author)
  list.length = length
  state.reportWrite(author)
}

/** @param growth of the JSON by the same write @throws NotJsonError `TOO_LARGE` where there would be too many */
function countHoles(state: DocumentState, node: Node, count: number, key: Key, growth = 0): void {
  if (count <= 0) return
  if (!state.hasRoomForHoles(count)) throw tooSparse([key])
  const growthByHoles = count * 'null,'.length
  if (!state.hasRoomFor(growth + growthByHoles)) throw noRoom([key])
  state.room -= growthByHoles
  if (!node.uncopied) state.unsavedHoles += count
  markHoles(state, node)
}

function markHoles(state: DocumentState, node: Node): void {
  // An application object is normalized as a whole.
  if (!node.uncopied) state.nonJson.add(node.raw)
}

/** A value that JSON holds unchanged. Most writes are of these, and need no check. */
function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

/** Of its JSON with the comma. A handler may have put something into an object that it assigned that cannot be stored. */
function lengthOf(value: unknown): number {
  try {
    return JSON.stringify([value]).length - 1
  } catch {
    return 0
  }
}

const isIndex = (key: string): boolean => String(Number(key) >>> 0) === key

/**
 * The values of one write. They are checked before the write, and nothing of the state changes before {@link commit}. Application objects are not
 * copied: they are in the tree themselves until the next save, so that a handler that still holds one sees and changes the same thing.
 */
export class AssignedValues {
  private readonly path: Path = []
  private readonly ancestors = new Set<object>()
  private readonly checked = new Set<object>()
  /** Dates, Maps and the like, with their JSON. */
  private readonly jsonOfOthers: [value: object, json: unknown][] = []
  private readonly applicationObjects: object[] = []
  private hasNonJsonScalar = false
  private holderDepth: number | undefined
  /** By how much longer they make the JSON, where that is limited. */
  growth: number | undefined

  /** @param holder the container that is written to @param replaced what they replace */
  constructor(
    private readonly state: DocumentState,
    private readonly holder: Node,
    private readonly author: object | undefined,
    private readonly replaced: readonly unknown[] = [],
  ) {}

  /**
   * @param times at how many places the tree will hold it
   * @returns the value that the tree will hold at `key`
   * @throws SharedSessionError `NOT_STORABLE`, `RESERVED_KEY` or `TOO_LARGE`, naming the path, for what cannot be stored
   */
  check(value: unknown, key: Key, times = 1): unknown {
    const isLimited = this.state.room !== Number.POSITIVE_INFINITY
    if (!isLimited && (typeof value === 'string' || typeof value === 'boolean' || value === null)) return value
    this.path.length = 0
    this.path.push(key)
    try {
      const checked = isObject(value) ? this.toTreeValue(value) : this.checkScalar(value)
      if (isLimited) this.checkRoom(value, key, times)
      return checked
    } catch (error) {
      throw toNotStorable(error, this.state.tree.pathOf(this.holder), this.path)
    }
  }

  /** Must be called when the tree holds the values. @param key where, if the holder is an object */
  commit(key?: string): void {
    const { tree, nonJson, writeCount } = this.state
    const assignment = { author: this.author, write: writeCount + 1 }
    if (this.growth !== undefined) this.state.useRoom(this.growth)
    for (const object of this.applicationObjects) tree.setAssignment(object, assignment)
    for (const object of this.checked) nonJson.setChecked(object)
    for (const [value, json] of this.jsonOfOthers) nonJson.setJsonWhenAssigned(value, json)
    const hasNonJson = this.hasNonJsonScalar || this.applicationObjects.length > 0
    if (hasNonJson && !this.holder.uncopied) nonJson.add(this.holder.raw, key)
  }

  /** @throws NotJsonError `TOO_LARGE` where what was not saved would become too long */
  private checkRoom(value: unknown, key: Key, times: number): void {
    let growth = this.growth ?? this.replaced.reduce<number>((sum, each) => sum - lengthOf(each), 0)
    growth += lengthOf(value) * times
    // A new key is written with its value.
    if (typeof key === 'string' && this.replaced.length === 0) growth += lengthOf(key)
    if (!this.state.hasRoomFor(growth)) throw noRoom(this.path)
    this.growth = growth
  }

  private checkScalar(value: unknown): unknown {
    const json = scalarToJson(value, this.path)
    if (json === value || value === 0) return json
    // What JSON omits or writes as null stays until the next save: `session.x = undefined` can be read back.
    this.hasNonJsonScalar = true
    return value
  }

  private toTreeValue(value: object): unknown {
    const { tree } = this.state
    const proxy = proxyInfoOf(value)
    if (proxy && proxy.state !== this.state) return toJson(value, this.path, this.ancestors)
    this.checkObject(value)
    if (proxy) {
      // An application object that is written to keeps the proxy: the container behind it is not the application's.
      if (this.holder.uncopied) return value
      if (tree.find(proxy.raw)?.uncopied) this.applicationObjects.push(proxy.raw)
      return proxy.raw
    }
    this.applicationObjects.push(value)
    return value
  }

  private checkObject(value: object): void {
    const { path } = this
    const proxy = proxyInfoOf(value)
    if (proxy?.state === this.state) {
      this.checkContainerOfTree(proxy.raw)
      return
    }
    if (this.ancestors.has(value)) throw new NotJsonError(path, CYCLE)
    if (this.depth() > MAX_NESTING) throw new NotJsonError(path, TOO_DEEP)
    if (this.checked.has(value)) return
    if (proxy || !isContainer(value) || typeof (value as Dict).toJSON === 'function') {
      const json = toJson(value, path, this.ancestors)
      if (!isContainer(value)) this.jsonOfOthers.push([value, json])
      return
    }
    this.ancestors.add(value)
    this.checked.add(value)
    if (isList(value)) {
      if (value.length > this.state.maxItems) throw tooSparse(path)
      for (let index = 0; index < value.length; index++) this.checkProperty(value, index)
    } else {
      for (const key of Object.keys(value)) {
        if (key === '__proto__') throw reservedKey([...path, key])
        this.checkProperty(value, key)
      }
    }
    this.ancestors.delete(value)
  }

  private checkProperty(holder: Container, key: Key): void {
    this.path.push(key)
    const value = (holder as Record<Key, unknown>)[key]
    if (isObject(value)) this.checkObject(value)
    else scalarToJson(value, this.path)
    this.path.pop()
  }

  private checkContainerOfTree(raw: Container): void {
    if (this.ancestors.has(raw)) throw new NotJsonError(this.path, CYCLE)
    checkNesting(raw, this.holder, this.depth(), this.path)
  }

  private depth(): number {
    this.holderDepth ??= this.state.tree.depthOf(this.holder)
    return this.holderDepth + this.path.length
  }
}

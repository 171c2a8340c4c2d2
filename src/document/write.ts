import { type DocumentState, setOwn } from './document-state.js'
import { NotJsonError, reservedKey, toNotStorable, tooSparse } from './errors.js'
import {
  type Container,
  type Dict,
  hasOwn,
  isContainer,
  isList,
  isObject,
  type List,
  type Path,
  replaceContents,
} from './json.js'
import { proxyInfo } from './proxy-registry.js'
import { CYCLE, MAX_DEPTH, scalar, TOO_DEEP, toJson } from './to-json.js'
import { ChildKeys, heightOf, type Node } from './tree.js'

/**
 * Sets a property of a container of the tree.
 *
 * @param made `null`: the value is JSON that was made for the tree
 * @throws for what cannot be stored; then nothing has changed
 */
export function assign<A extends object>(
  state: DocumentState<A>,
  node: Node,
  key: string,
  value: unknown,
  author?: A,
  made?: null,
): void {
  const raw = writableContainer(state, node)
  if (isList(raw)) {
    if (key === 'length') {
      resize(state, node, raw, typeof value === 'symbol' ? Number.NaN : Number(value), author)
      return
    }
    if (!isIndex(key)) throw new NotJsonError([key], 'JSON would lose a named property of an array; use an object')
  }
  const index = isList(raw) ? Number(key) : key
  const admission = made === null || isPlainScalar(value) ? undefined : new AssignedValues(state, node, author)
  const taken = admission ? admission.check(value, index) : value
  if (hasOwn(raw, key) && Object.is((raw as Dict)[key], taken)) return
  if (isList(raw)) countHoles(state, node, Number(index) - raw.length, Number(index))
  state.journal.record(node, key, author)
  setOwn(raw as Dict, key, taken)
  admission?.commit(key)
  const child = isContainer(taken) ? state.tree.find(taken) : undefined
  if (child) state.link(child, node, key)
  state.countWrite(author)
}

/** Removes a property of a container of the tree; of an array, this leaves a hole. */
export function remove<A extends object>(state: DocumentState<A>, node: Node, key: string, author?: A): void {
  const raw = writableContainer(state, node)
  state.journal.record(node, key, author)
  if (isList(raw)) markHoles(state, node)
  delete (raw as Dict)[key]
  state.countWrite(author)
}

/** Replaces the content of an array by values that the tree holds already or that are plain JSON made for it. */
export function replaceItems<A extends object>(state: DocumentState<A>, node: Node, items: List, author?: A): void {
  const list = writableContainer(state, node) as List
  if (items.length === list.length && items.every((item, index) => item === list[index])) return
  state.journal.record(node, '', author)
  replaceContents(list, items)
  linkItems(state, node, items)
  state.countWrite(author)
}

/** Links what came into an array from elsewhere. */
export function linkItems<A extends object>(state: DocumentState<A>, node: Node, items: Iterable<unknown>): void {
  for (const item of items) {
    const child = state.tree.find(item)
    if (child && !child.parents.includes(node)) state.link(child, node, '')
  }
}

/**
 * What a node's content is written to. An object of the application may be frozen, as session data never is: then a copy takes its place.
 */
export function writableContainer<A extends object>(state: DocumentState<A>, node: Node): Container {
  const { raw } = node
  if (!node.uncopied || Object.isExtensible(raw)) return raw
  const copy = isList(raw) ? raw.slice() : { ...raw }
  for (const parent of node.parents) {
    const keys = new ChildKeys().of(parent, node)
    if (keys.length === 0) continue
    const holder = writableContainer(state, parent) as Dict
    for (const key of keys) holder[key] = copy
  }
  const { tree, nonJson: guests } = state
  tree.replaceByCopy(node, copy)
  node.uncopied = true
  const by = tree.assignments.get(raw)
  if (by) tree.assignments.set(copy, by)
  guests.checked.add(copy)
  return copy
}

function resize<A extends object>(state: DocumentState<A>, node: Node, list: List, length: number, author: A | undefined): void {
  if (list.length === length) return
  if (!(length >= 0 && length < 2 ** 32 && Number.isInteger(length))) throw new NotJsonError(['length'], 'no length of an array')
  countHoles(state, node, length - list.length, 'length')
  state.journal.record(node, 'length', author)
  list.length = length
  state.countWrite(author)
}

/** @throws Refusal where there would be too many */
function countHoles<A extends object>(state: DocumentState<A>, node: Node, holes: number, key: string | number): void {
  if (holes <= 0) return
  if (!state.hasRoomForHoles(holes)) throw tooSparse([key])
  if (!node.uncopied) state.unsavedHoles += holes
  markHoles(state, node)
}

function markHoles<A extends object>(state: DocumentState<A>, node: Node): void {
  // An object of the application is looked at as a whole.
  if (!node.uncopied) state.nonJson.add(node.raw)
}

/** What JSON holds as it is: most writes are of these, and nothing is to be taken in. */
function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

const isIndex = (key: string): boolean => String(Number(key) >>> 0) === key

/**
 * Looks at the values of one write before it is made. Objects of the application are not copied: the tree holds them as they are until
 * settling, so that whoever has a reference to one sees and changes the same thing. Nothing of the state changes before {@link commit}.
 */
export class AssignedValues<A extends object> {
  private readonly path: Path = []
  private readonly ancestors = new Set<object>()
  private readonly checked = new Set<object>()
  private readonly jsonOfOthers: [guest: object, image: unknown][] = []
  private readonly assigned: object[] = []
  private hasNonJsonScalar = false
  private holderDepth: number | undefined

  constructor(
    private readonly state: DocumentState<A>,
    private readonly holder: Node,
    private readonly author: A | undefined,
  ) {}

  /**
   * The value as the tree will hold it at `key`.
   *
   * @throws SharedSessionError for what cannot be stored: `NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE`, naming the path
   */
  check(value: unknown, key: string | number): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
    this.path.length = 0
    this.path.push(key)
    try {
      return isObject(value) ? this.toTreeValue(value) : this.checkScalar(value)
    } catch (error) {
      throw toNotStorable(error, this.state.tree.pathOf(this.holder), this.path)
    }
  }

  /** The values are in place. @param key of an object: where they are */
  commit(key?: string): void {
    const { tree, nonJson: guests } = this.state
    const by = { author: this.author, write: this.state.writeCount + 1 }
    for (const raw of this.assigned) tree.assignments.set(raw, by)
    for (const raw of this.checked) guests.checked.add(raw)
    for (const [guest, image] of this.jsonOfOthers) guests.jsonWhenAssigned.set(guest, image)
    if ((this.hasNonJsonScalar || this.assigned.length > 0) && !this.holder.uncopied) guests.add(this.holder.raw, key)
  }

  private checkScalar(value: unknown): unknown {
    const image = scalar(value, this.path)
    if (image === value || value === 0) return image
    // What JSON leaves out or writes as null stays until settling: `session.x = undefined` is readable as such.
    this.hasNonJsonScalar = true
    return value
  }

  private toTreeValue(value: object): unknown {
    const { tree } = this.state
    const origin = proxyInfo(value)
    if (origin && origin.state !== this.state) return toJson(value, this.path, this.ancestors)
    this.checkObject(value)
    if (origin) {
      // An object of the application that holds it keeps the proxy: what is behind it is not the application's.
      if (this.holder.uncopied) return value
      if (tree.find(origin.raw)?.uncopied) this.assigned.push(origin.raw)
      return origin.raw
    }
    this.assigned.push(value)
    return value
  }

  private checkObject(value: object): void {
    const { path } = this
    const origin = proxyInfo(value)
    if (origin?.state === this.state) {
      this.checkOwnContainer(origin.raw)
      return
    }
    if (this.ancestors.has(value)) throw new NotJsonError(path, CYCLE)
    if (this.currentDepth() > MAX_DEPTH) throw new NotJsonError(path, TOO_DEEP)
    if (this.checked.has(value)) return
    if (origin || !isContainer(value) || typeof (value as Dict).toJSON === 'function') {
      const image = toJson(value, path, this.ancestors)
      if (!isContainer(value)) this.jsonOfOthers.push([value, image])
      return
    }
    this.ancestors.add(value)
    this.checked.add(value)
    if (isList(value)) {
      if (value.length > this.state.maxItems) throw tooSparse(path)
      for (let index = 0; index < value.length; index++) this.checkPart(value, index)
    } else {
      for (const key of Object.keys(value)) {
        if (key === '__proto__') throw reservedKey([...path, key])
        this.checkPart(value, key)
      }
    }
    this.ancestors.delete(value)
  }

  private checkPart(holder: Container, key: string | number): void {
    this.path.push(key)
    const value = (holder as Record<string | number, unknown>)[key]
    if (isObject(value)) this.checkObject(value)
    else scalar(value, this.path)
    this.path.pop()
  }

  private checkOwnContainer(raw: Container): void {
    const { path } = this
    if (this.state.tree.isWithin(this.holder, raw) || this.ancestors.has(raw)) throw new NotJsonError(path, CYCLE)
    const room = MAX_DEPTH + 1 - this.currentDepth()
    if (heightOf(raw, room + 1) > room) throw new NotJsonError(path, TOO_DEEP)
  }

  private currentDepth(): number {
    this.holderDepth ??= this.state.tree.depthOf(this.holder)
    return this.holderDepth + this.path.length
  }
}

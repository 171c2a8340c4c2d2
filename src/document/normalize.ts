import { type DocumentState, setOwn } from './document-state.js'
import { NotJsonError, reservedKey, tooSparse } from './errors.js'
import {
  ABSENT,
  type Container,
  clone,
  type Dict,
  hasOwn,
  isContainer,
  isList,
  isObject,
  type Key,
  type List,
  type Path,
} from './json.js'
import { losesClass } from './non-json.js'
import { proxyInfo } from './proxy-registry.js'
import { CYCLE, MAX_DEPTH, scalar, TOO_DEEP, toJson } from './to-json.js'
import { ChildKeys, heightOf, type Node } from './tree.js'

/**
 * Makes JSON of everything that the tree holds as it was assigned: objects of the application are replaced by copies, Dates and the like by
 * their images. What cannot be stored is reported, and left out.
 */
export function normalizeNonJson<A extends object>(state: DocumentState<A>): void {
  const { tree, nonJson: guests } = state
  if (guests.isEmpty && tree.uncopiedNodes.length === 0) return
  const adoption = new ValueImport(state)
  for (const [raw, keys] of guests.takeHolders()) {
    const holder = tree.nodeOf(raw)
    if (!isList(raw)) {
      for (const key of keys) {
        const value = hasOwn(raw, key) ? convertAt(state, adoption, holder, key) : ABSENT
        if (value === ABSENT) delete raw[key]
        else setOwn(raw, key, value)
      }
      continue
    }
    for (let index = 0; index < raw.length; index++) {
      const value = convertAt(state, adoption, holder, index)
      raw[index] = value === ABSENT ? null : value
    }
  }
  // Somebody may have a proxy of what has been taken out again.
  for (const node of tree.uncopiedNodes) {
    try {
      if (node.uncopied) adoption.convert(node.raw, node, '')
    } catch {
      // It is in no document. Where it is put into one it is looked at again.
    }
  }
  tree.uncopiedNodes = []
  state.rawObjects.replaceItemsByCopies(adoption.copies)
  tree.assignments.clear()
}

function convertAt<A extends object>(state: DocumentState<A>, adoption: ValueImport<A>, holder: Node, key: Key): unknown {
  const value = (holder.raw as Dict)[key]
  // What is not the application's is as it has to be.
  if (isContainer(value) && !state.tree.assignments.has(value)) return value
  const by = isObject(value) ? state.tree.assignments.get(value) : undefined
  const author = by?.author as A | undefined
  let taken: unknown = ABSENT
  try {
    taken = adoption.convert(value, holder, key)
    for (const { error, path } of adoption.omissions) state.reportProblem(error, holder, path, author, by?.write)
  } catch (error) {
    state.reportProblem(error, holder, [key], author, by?.write)
  }
  return taken
}

/**
 * JSON has no aliases: of the places of a node in the document one stays it, every other gets its own copy. Where the base has
 * it is the place to stay, or its before-image would be lost with a failed save.
 */
export function splitAliases<A extends object>(state: DocumentState<A>): void {
  const { aliased: shared } = state.tree
  if (!shared) return
  const places = new ChildKeys()
  for (const node of shared) {
    const removed: Node[] = []
    const held: [parent: Node, key: string][] = []
    for (const parent of node.parents) {
      if (!parent.holds(node)) continue
      if (!state.tree.isReachable(parent)) removed.push(parent)
      else for (const key of places.of(parent, node)) held.push([parent, key])
    }
    const stays = held.find(([parent, key]) => wasAt(state, parent, key, node)) ?? held[0]
    for (const [parent, key] of held) {
      if (stays && (parent !== stays[0] || key !== stays[1])) (parent.raw as Dict)[key] = clone(node.raw)
    }
    node.mayBeAliased = false
    node.parents = stays ? [stays[0], ...removed] : removed
    node.lastKey = stays ? stays[1] : ''
  }
  state.tree.aliased = undefined
}

function wasAt<A extends object>(state: DocumentState<A>, parent: Node, key: string, node: Node): boolean {
  if (isList(parent.raw)) return (state.journal.itemsBefore(parent.raw) ?? parent.raw).includes(node.raw)
  return state.base.get(parent.raw, key) === node.raw
}

/** Something that was put into an object of the application after it had been assigned, and cannot be kept. */
interface Omission {
  error: unknown
  path: Path
}

/**
 * Takes objects of the application into the tree: makes copies of them, which take their places. Proxies of this tree become what they
 * stand for, Dates and the like what JSON makes of them. What cannot be stored is left out: of that, whatever was put in as a whole after
 * the object had been assigned, so that no part of it stays.
 */
export class ValueImport<A extends object> {
  /** What could not be kept at the place that was taken in last. */
  omissions: Omission[] = []
  readonly copies = new Map<object, Container>()
  private path: Path = []
  private holderDepth = 0
  private holder!: Node
  private readonly ancestors = new Set<object>()
  private copied: [source: Container, copy: Container, holder: Container][] = []
  private moved: [child: Container, holder: Container, key: string][] = []
  private aliased: Container[] = []

  constructor(private readonly state: DocumentState<A>) {}

  /**
   * What the tree holds from now on in place of `value`; {@link ABSENT} for what JSON leaves out.
   *
   * @param holder the container that holds it at `key`
   * @throws what says why it cannot be stored; then nothing has changed
   */
  convert(convertValue: unknown, holder: Node, key: Key): unknown {
    this.holder = holder
    this.holderDepth = this.state.tree.depthOf(holder)
    this.path = [key]
    this.omissions = []
    this.copied = []
    this.moved = []
    this.aliased = []
    const taken = this.value(convertValue, holder.raw)
    this.commit()
    return taken
  }

  private commit(): void {
    const { state, copied } = this
    const { tree, journal, rawObjects: sources } = state
    for (const [source, copy, holder] of copied) {
      const node = tree.find(source)
      if (node) {
        tree.replaceByCopy(node, copy)
        journal.moveToCopy(source, copy)
      } else tree.setHolder(copy, holder)
    }
    for (const alias of this.aliased) tree.markAliased(tree.nodeOf(alias))
    for (const [child, holder, key] of this.moved) state.link(tree.nodeOf(child), tree.nodeOf(holder), key)
    const author = tree.assignments.get(copied[0]?.[0] as object)?.author as A | undefined
    if (copied.length > 0) sources.watch(author, copied)
  }

  private value(value: unknown, holder: Container): unknown {
    if (!isObject(value)) return scalar(value, this.path)
    const origin = proxyInfo(value)
    if (origin && origin.state !== this.state) return toJson(value, this.path)
    const raw = origin?.raw ?? value
    if (origin && !this.state.tree.find(raw)?.uncopied) return this.moveOwnContainer(raw as Container, holder)
    return isContainer(raw) ? this.copyContainer(raw, holder) : this.convertLeaf(raw)
  }

  private convertLeaf(value: object): unknown {
    const path = [...this.path]
    if (losesClass(value)) this.state.options.onLossy?.([...this.state.tree.pathOf(this.holder), ...path], value)
    return this.state.nonJson.leafToJson(value, this.path, (error) => {
      this.path.length = path.length
      this.omissions.push({ error, path })
    })
  }

  private moveOwnContainer(raw: Container, holder: Container): Container {
    if (this.state.tree.isWithin(this.holder, raw)) throw new NotJsonError(this.path, CYCLE)
    const room = MAX_DEPTH + 1 - this.holderDepth - this.path.length
    if (heightOf(raw, room + 1) > room) throw new NotJsonError(this.path, TOO_DEEP)
    this.moved.push([raw, holder, String(this.path.at(-1))])
    return raw
  }

  private copyContainer(source: Container, holder: Container): unknown {
    const { path, ancestors: open } = this
    if (open.has(source)) throw new NotJsonError(path, CYCLE)
    const known = this.copies.get(source)
    if (known) {
      if (this.state.tree.isWithin(this.holder, known)) throw new NotJsonError(path, CYCLE)
      this.aliased.push(known)
      this.moved.push([known, holder, String(path.at(-1))])
      return known
    }
    if (this.holderDepth + path.length > MAX_DEPTH) throw new NotJsonError(path, TOO_DEEP)
    if (typeof (source as Dict).toJSON === 'function') return toJson(source, path, open)
    const depth = path.length
    const marks = [this.copied.length, this.moved.length, this.aliased.length] as const
    open.add(source)
    try {
      const copy: Container = isList(source) ? [] : {}
      this.copied.push([source, copy, holder])
      if (isList(source)) this.copyItems(source, copy as List)
      else this.copyProperties(source, copy as Dict)
      this.copies.set(source, copy)
      return copy
    } catch (error) {
      for (const [part] of this.copied.splice(marks[0])) this.copies.delete(part)
      this.moved.length = marks[1]
      this.aliased.length = marks[2]
      path.length = depth
      throw error
    } finally {
      open.delete(source)
    }
  }

  private copyItems(source: List, copy: List): void {
    let holes = 0
    let dense = 0
    for (let index = 0; index < source.length; index++) {
      if (!hasOwn(source, index)) {
        if (++holes === 1) dense = copy.length
        if (!this.state.hasRoomForHoles(holes)) {
          this.omissions.push({ error: tooSparse(this.path), path: [...this.path] })
          copy.length = dense
          return
        }
      }
      const value = this.convertPart(source, index, copy)
      if (value !== OMITTED) copy.push(value === ABSENT ? null : value)
    }
    this.state.unsavedHoles += holes
  }

  private copyProperties(source: Dict, copy: Dict): void {
    for (const key of Object.keys(source)) {
      const value = this.convertPart(source, key, copy)
      if (value !== ABSENT && value !== OMITTED) copy[key] = value
    }
  }

  /** @returns {@link LEFT_OUT} for what cannot be stored, where that was put in after `source` had been assigned */
  private convertPart(source: Container, key: Key, copy: Container): unknown {
    const { path } = this
    const depth = path.length
    path.push(key)
    try {
      if (key === '__proto__') throw reservedKey(path)
      const value = this.value((source as Record<Key, unknown>)[key], copy)
      path.length = depth
      return value
    } catch (error) {
      const at = [...path]
      path.length = depth
      if (!this.state.nonJson.checked.has(source)) throw error
      this.omissions.push({ error, path: at })
      return OMITTED
    }
  }
}

const OMITTED = Symbol('left out')

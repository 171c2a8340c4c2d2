import type { DocumentState } from './document-state.js'
import { NotJsonError, reservedKey, tooSparse } from './errors.js'
import {
  ABSENT,
  type Container,
  type Dict,
  isContainer,
  isList,
  isObject,
  type Key,
  type List,
  type Path,
  setOwn,
} from './json.js'
import { losesClass } from './non-json.js'
import { proxyInfoOf } from './proxy-registry.js'
import { CYCLE, MAX_NESTING, scalarToJson, TOO_DEEP, toJson } from './to-json.js'
import { checkNesting, type Node } from './tree.js'
import type { WatchedObjects } from './watched-objects.js'

/**
 * Makes the live tree hold JSON only: copies replace the application objects, and their JSON replaces Dates and the like. What cannot be stored is
 * reported and left out.
 */
export function normalizeNonJson(state: DocumentState, watchedObjects: WatchedObjects): void {
  const { tree, nonJson } = state
  if (nonJson.isEmpty && tree.uncopiedNodes.length === 0) return
  const valueImport = new ValueImport(state, watchedObjects)
  for (const [raw, keys] of nonJson.takeHolders()) {
    const holder = tree.nodeOf(raw)
    if (!isList(raw)) {
      for (const key of keys) {
        const value = Object.hasOwn(raw, key) ? convertAt(state, valueImport, holder, key) : ABSENT
        if (value === ABSENT) delete raw[key]
        else setOwn(raw, key, value)
      }
      continue
    }
    const before = raw.slice()
    for (let index = 0; index < raw.length; index++) {
      const value = convertAt(state, valueImport, holder, index)
      raw[index] = value === ABSENT ? null : value
    }
    watchedObjects.onReplaced(raw, before)
  }
  // A handler may have a proxy of an object that was assigned and taken out again.
  for (const node of tree.uncopiedNodes) {
    try {
      if (node.uncopied) valueImport.convert(node.raw, node, '')
    } catch {
      // It is not part of the document. If it is assigned again, it is checked again.
    }
  }
  tree.uncopiedNodes = []
  watchedObjects.trim()
  tree.forgetAssignments()
}

function convertAt(state: DocumentState, valueImport: ValueImport, holder: Node, key: Key): unknown {
  const value = (holder.raw as Dict)[key]
  // A container that is not the application's is JSON already.
  if (isContainer(value) && !state.tree.assignmentOf(value)) return value
  const assignment = isObject(value) ? state.tree.assignmentOf(value) : undefined
  const author = assignment?.author
  let converted: unknown = ABSENT
  try {
    converted = valueImport.convert(value, holder, key)
    for (const { error, path } of valueImport.omissions) state.reportProblem(error, holder, path, author, assignment?.write)
  } catch (error) {
    state.reportProblem(error, holder, [key], author, assignment?.write)
  }
  return converted
}

/** A part of an application object that was left out, because it cannot be stored. */
interface Omission {
  error: unknown
  path: Path
}

/**
 * Converts application objects into containers of the tree: copies of them, which replace them. A proxy of this document becomes the container behind
 * it, a Date or the like its JSON. The values were checked when they were assigned, but a handler may have put something into an
 * object since: if that cannot be stored, the property or element that was put in is left out as a whole.
 */
class ValueImport {
  /** What the last {@link convert} left out. */
  omissions: Omission[] = []
  private readonly copies = new Map<object, Container>()
  private path: Path = []
  private holderDepth = 0
  private holder!: Node
  private readonly ancestors = new Set<object>()
  private copied: [source: Container, copy: Container, holder: Container, key: string][] = []
  private moved: [child: Container, holder: Container, key: string][] = []
  private aliased: Container[] = []

  constructor(
    private readonly state: DocumentState,
    private readonly watchedObjects: WatchedObjects,
  ) {}

  /**
   * @param holder the container that holds the value at `key`
   * @returns what the tree holds instead of the value from now on; {@link ABSENT} for what JSON leaves out
   * @throws the reason why the value cannot be stored; then nothing has changed
   */
  convert(value: unknown, holder: Node, key: Key): unknown {
    this.holder = holder
    this.holderDepth = this.state.tree.depthOf(holder)
    this.path = [key]
    this.omissions = []
    this.copied = []
    this.moved = []
    this.aliased = []
    const converted = this.convertValue(value, holder.raw)
    this.commit()
    return converted
  }

  private commit(): void {
    const { state, copied } = this
    const { tree, journal } = state
    const moved = [...this.moved]
    for (const [source, copy, holder, key] of copied) {
      const node = tree.find(source)
      if (node) {
        tree.replaceByCopy(node, copy)
        journal.moveToCopy(source, copy)
        // It may have been read at another place, before a handler put it into this object.
        if (node.parents.every((parent) => parent.raw !== holder)) moved.push([copy, holder, key])
        else node.lastKey = key
      } else tree.setHolder(copy, holder)
    }
    for (const container of this.aliased) tree.markAliased(tree.nodeOf(container))
    for (const [child, holder, key] of moved) state.link(tree.nodeOf(child), tree.nodeOf(holder), key)
    const author = tree.assignmentOf(copied[0]?.[0])?.author
    if (copied.length > 0) this.watchedObjects.watch(author, copied)
  }

  private convertValue(value: unknown, holder: Container): unknown {
    if (!isObject(value)) return this.convertScalar(value)
    const proxy = proxyInfoOf(value)
    if (proxy && proxy.state !== this.state) return toJson(value, this.path)
    const raw = proxy?.raw ?? value
    if (proxy && !this.state.tree.find(raw)?.uncopied) return this.moveContainer(raw as Container, holder)
    return isContainer(raw) ? this.copyContainer(raw, holder) : this.convertInstance(raw)
  }

  /** `undefined` is what nothing is, and needs no report. */
  private convertScalar(value: unknown): unknown {
    const json = scalarToJson(value, this.path)
    if ((json === null || json === ABSENT) && value !== null && value !== undefined) this.reportLossy(value)
    return json
  }

  private reportLossy(value: unknown): void {
    this.state.options.onLossy?.([...this.state.tree.pathOf(this.holder), ...this.path], value)
  }

  private convertInstance(value: object): unknown {
    const path = [...this.path]
    if (losesClass(value)) this.reportLossy(value)
    return this.state.nonJson.valueToJson(value, this.path, (error) => {
      this.path.length = path.length
      this.omissions.push({ error, path })
    })
  }

  /** A proxy of a container of the tree was put into an application object. */
  private moveContainer(raw: Container, holder: Container): Container {
    checkNesting(raw, this.holder, this.holderDepth + this.path.length, this.path)
    this.moved.push([raw, holder, String(this.path.at(-1))])
    return raw
  }

  private copyContainer(source: Container, holder: Container): unknown {
    const { path, ancestors } = this
    if (ancestors.has(source)) throw new NotJsonError(path, CYCLE)
    const earlierCopy = this.copies.get(source)
    if (earlierCopy) {
      checkNesting(earlierCopy, this.holder, this.holderDepth + path.length, path)
      this.aliased.push(earlierCopy)
      this.moved.push([earlierCopy, holder, String(path.at(-1))])
      return earlierCopy
    }
    if (this.holderDepth + path.length > MAX_NESTING) throw new NotJsonError(path, TOO_DEEP)
    if (typeof (source as Dict).toJSON === 'function') return toJson(source, path, ancestors)
    const depth = path.length
    const copiedBefore = this.copied.length
    const movedBefore = this.moved.length
    const aliasedBefore = this.aliased.length
    ancestors.add(source)
    try {
      const copy: Container = isList(source) ? [] : {}
      this.copied.push([source, copy, holder, String(path.at(-1))])
      if (isList(source)) this.copyItems(source, copy as List)
      else this.copyProperties(source, copy as Dict)
      this.copies.set(source, copy)
      return copy
    } catch (error) {
      for (const [part] of this.copied.splice(copiedBefore)) this.copies.delete(part)
      this.moved.length = movedBefore
      this.aliased.length = aliasedBefore
      path.length = depth
      throw error
    } finally {
      ancestors.delete(source)
    }
  }

  private copyItems(source: List, copy: List): void {
    let holes = 0
    let lengthBeforeHoles = 0
    for (let index = 0; index < source.length; index++) {
      if (!Object.hasOwn(source, index)) {
        if (++holes === 1) lengthBeforeHoles = copy.length
        if (!this.state.hasRoomForHoles(holes)) {
          this.omissions.push({ error: tooSparse(this.path), path: [...this.path] })
          copy.length = lengthBeforeHoles
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

  /** @returns {@link OMITTED} for what cannot be stored and was put into `source` after its assignment */
  private convertPart(source: Container, key: Key, copy: Container): unknown {
    const { path } = this
    const depth = path.length
    path.push(key)
    try {
      if (key === '__proto__') throw reservedKey(path)
      const value = this.convertValue((source as Record<Key, unknown>)[key], copy)
      path.length = depth
      return value
    } catch (error) {
      const failedAt = [...path]
      path.length = depth
      if (!this.state.nonJson.wasChecked(source)) throw error
      this.omissions.push({ error, path: failedAt })
      return OMITTED
    }
  }
}

const OMITTED = Symbol('omitted')

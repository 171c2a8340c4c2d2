import type { SharedSessionError } from '../errors.js'
import { BaseView } from './base-view.js'
import { toNotStorable, writeRefused } from './errors.js'
import { Journal } from './journal.js'
import { type Container, type Dict, type JsonObject, keysOf, type Path, setOwn } from './json.js'
import type { StrategyTable } from './merge-strategy.js'
import { NonJsonValues, snapshotOf } from './non-json.js'
import { type Node, Tree } from './tree.js'
import { TreeDiff } from './tree-diff.js'

export const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Names of the root that the host answers, such as `id`, `req` and `save`. */
export interface HostMembers<A> {
  has(name: string): boolean
  get(name: string, author: A): unknown
  /**
   * Decides about a write to a name. `ignored`: nothing happens. `refused`: the write is not made, and is reported. `readonly`: it fails as
   * a write to any read-only property does.
   * @default refused
   */
  set?(name: string, value: unknown): 'ignored' | 'refused' | 'readonly'
}

/** How the host of a {@link TrackedDocument} wants it. `A` is the type of an author: one object for each view. */
export interface TrackedDocumentOptions<A extends object> {
  /** Prototype of the root, which decides what the root is an `instanceof`. @default Object.prototype */
  prototype?: object | null
  /**
   * Own enumerable properties of the root that are shown (`JSON.stringify`, `Object.keys`, spread) but never tracked, merged,
   * patched or part of a snapshot: the session's `cookie`.
   */
  fixed?: Record<string, unknown>
  /**
   * Names that the host answers for each author. Together with the names of `fixed` they are reserved at the root: a write to one is refused
   * with `RESERVED_KEY`, and data under such a name is ignored.
   */
  members?: HostMembers<A>
  /** Merge strategies by path. Without a strategy the later change of a value wins. */
  strategies?: StrategyTable | undefined
  /** Called synchronously after each effective write, also after each that {@link TrackedDocument.scanWatchedObjects} found. */
  onWrite?(author: A): void
  /** Called for a write that changes nothing: the document has what was written already. */
  onUnchanged?(author: A): void
  /** Called when a value is copied whose JSON is another one: a Date, a Map, an instance with methods, NaN, a function. */
  onLossy?(path: Path, value: unknown): void
  /** The most bytes of JSON that can be stored: an array with more empty places is refused before it is made. @default no limit */
  maxBytes?: number
  /**
   * Called when a write was not made, or when something was put into an assigned object, cannot be stored and was left out. It is called
   * during a write or a save, so it must not write to the document.
   * @param write for an assigned object: the {@link TrackedDocument.writeCount} of its assignment
   */
  onProblem?(error: SharedSessionError, author: A | undefined, write?: number): void
}

/** Everything that one {@link TrackedDocument} holds; the other files are the operations on it. */
export class DocumentState {
  readonly tree: Tree
  readonly journal = new Journal()
  readonly base = new BaseView(this.journal)
  readonly nonJson = new NonJsonValues()
  /** Containers that another writer removed, with their former paths: the application may still hold references to them. */
  removedByOthers: WeakMap<Container, Path> | undefined
  /** Removed containers whose unsaved writes are part of a conflict that was reported since the last `takeChanges`. */
  reportedOrphans: WeakSet<Container> | undefined
  /** How many empty places arrays got that may not be stored yet: JSON writes `null` for each. */
  unsavedHoles = 0
  /** How many writes were made so far. */
  writeCount = 0
  /** How much longer writes may make the JSON of the live document, as far as known. */
  room = Number.POSITIVE_INFINITY
  private maxLength = Number.POSITIVE_INFINITY
  /** After so many writes `room` is known: to measure would give the same. */
  private measuredAt: number | undefined

  constructor(
    data: JsonObject,
    readonly options: TrackedDocumentOptions<object>,
  ) {
    const { prototype = Object.prototype, fixed } = options
    const root: Dict = Object.create(prototype)
    for (const key of keysOf(data)) if (!this.isReserved(key)) setOwn(root, key, data[key])
    if (fixed) {
      // util.inspect looks at a proxy's target, which has no fixed properties.
      const withFixed = () => Object.assign(Object.create(prototype), fixed, root)
      Object.defineProperty(root, INSPECT, { value: withFixed, configurable: true })
    }
    this.tree = new Tree(root)
  }

  /** The root as an object: the only container that may have a prototype of its own. */
  get root(): Dict {
    return this.tree.root.raw as Dict
  }

  /** The most elements that an array can have within `maxBytes`: each takes two characters at least. */
  get maxItems(): number {
    return (this.options.maxBytes ?? Number.POSITIVE_INFINITY) / 2
  }

  /** Do so many more empty places of arrays fit into `maxBytes`? */
  hasRoomForHoles(count: number): boolean {
    return count <= 0 || (this.unsavedHoles + count) * 'null,'.length <= (this.options.maxBytes ?? Number.POSITIVE_INFINITY)
  }

  /** See {@link TrackedDocument.limitLength}. */
  limitLength(maxLength: number): void {
    this.maxLength = maxLength
    this.room = maxLength
    if (maxLength !== Number.POSITIVE_INFINITY) this.measureRoom()
  }

  /** May writes make the JSON so much longer? What was removed, or changed by others, is counted only when the room seems too small. */
  hasRoomFor(growth: number): boolean {
    if (growth <= Math.max(0, this.room)) return true
    if (this.measuredAt !== this.writeCount) this.measureRoom()
    return growth <= this.room
  }

  /** Must be called before {@link reportWrite}, if at all. @param growth of the JSON by the write that is made now, all of it */
  useRoom(growth: number): void {
    this.room -= growth
    if (this.measuredAt === this.writeCount) this.measuredAt++
  }

  /** The live document was changed otherwise than by writes. */
  forgetMeasurement(): void {
    this.measuredAt = undefined
  }

  private measureRoom(): void {
    this.measuredAt = this.writeCount
    this.room = Math.max(0, this.maxLength - this.jsonLength())
  }

  private jsonLength(): number {
    try {
      return JSON.stringify(snapshotOf(this.nonJson, this.root)).length
    } catch (error) {
      // It is longer than a string can be.
      if (!(error instanceof RangeError)) throw error
      return Number.POSITIVE_INFINITY
    }
  }

  /** Is this name of the root the host's, or `__proto__`? */
  isReserved(name: string): boolean {
    const { fixed, members } = this.options
    return name === '__proto__' || (fixed !== undefined && Object.hasOwn(fixed, name)) || (members?.has(name) ?? false)
  }

  /** Records that `parent` holds `child` at `key`. What was written inside the child is then found from there. */
  link(child: Node, parent: Node, key: string): void {
    this.tree.link(child, parent, key)
    this.journal.addParent(child, parent)
    this.removedByOthers?.delete(child.raw)
    if (child.hasUnlinked) this.relinkChildren(child)
  }

  /** A container that was taken out is put back: what it holds has a parent again, and may be at two places now. */
  private relinkChildren(node: Node): void {
    node.hasUnlinked = false
    for (const [key, item] of Object.entries(node.raw)) {
      const child = this.tree.find(item)
      if (!child) continue
      if (!child.parents.includes(node)) this.link(child, node, key)
      else if (child.hasUnlinked) this.relinkChildren(child)
    }
  }

  /** @param author `undefined` where the document itself wrote: the host is not notified then */
  reportWrite(author: object | undefined): void {
    this.writeCount++
    if (author !== undefined) this.options.onWrite?.(author)
  }

  /** Reports a value of the tree that cannot be stored. @param write the count of writes at the assignment of the object that holds it */
  reportProblem(error: unknown, holder: Node, at: Path, author: object | undefined, write?: number): void {
    this.options.onProblem?.(toNotStorable(error, this.tree.pathOf(holder), at), author, write)
  }

  /** Reports a write that was not made. */
  reportRefusal(error: unknown, holder: Node, at: Path, author: object | undefined): void {
    this.options.onProblem?.(writeRefused(toNotStorable(error, this.tree.pathOf(holder), at)), author)
  }

  /** Compares the base with what others made of it. @param theirs has no reserved names at the root */
  compareWithBase(theirs: Dict): TreeDiff {
    return new TreeDiff(this.root, theirs, this.base)
  }

  /** A deep plain copy of the base. */
  baseToJson(): JsonObject {
    return this.base.toJson(this.root) as JsonObject
  }
}

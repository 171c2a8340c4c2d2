import type { SharedSessionError } from '../errors.js'
import { BaseView } from './base-view.js'
import { toNotStorable, writeRefused } from './errors.js'
import { Journal } from './journal.js'
import { type Container, type Dict, hasOwn, type JsonObject, type JsonValue, keysOf, type Path } from './json.js'
import type { StrategyTable } from './merge-strategy.js'
import { NonJsonValues } from './non-json.js'
import { RawObjects } from './raw-objects.js'
import { type Node, Tree } from './tree.js'
import { TreeDiff } from './tree-diff.js'

/** Names of the root that the host answers for, such as `id`, `req`, `cookie` and `save`. */
export interface HostMembers<A> {
  has(name: string): boolean
  get(name: string, author: A): unknown
  /**
   * What becomes of a write to a name: it is `ignored`, it is `refused` and reported, or the name is `readonly`, as for any such property.
   * @default refused
   */
  set?(name: string, value: unknown, author: A): 'ignored' | 'refused' | 'readonly'
}

/** How a {@link TrackedDocument} sits in its host. `A` is what stands for an author: one object per face. */
export interface TrackedDocumentOptions<A extends object> {
  /** Prototype of the root, which decides what it is an `instanceof`. @default Object.prototype */
  prototype?: object | null
  /**
   * Own enumerable properties of the root that are shown (`JSON.stringify`, `Object.keys`, spread) but never tracked, merged,
   * patched or part of a snapshot: the session's `cookie`.
   */
  fixed?: Record<string, unknown>
  /**
   * Names answered per face. Together with those of `fixed` they are reserved at the root: writing them is refused with `RESERVED_KEY`, and
   * data that contains them is ignored.
   */
  members?: HostMembers<A>
  /** What becomes of a place that others have changed as well; without it the later change wins. */
  strategies?: StrategyTable | undefined
  /** Called synchronously after each effective write, also after each that {@link TrackedDocument.scanRawObjects} folded in. */
  onWrite?(author: A | undefined): void
  /** What JSON makes of a value, at its settling, lacks what the value's class gives it: a Date, a Map, a class with methods. */
  onLossy?(path: Path, value: object): void
  /** More JSON than that is never stored: an array that has more empty places is refused before it is made. @default no limit */
  maxBytes?: number
  /**
   * A write was not made, or something that was put into an assigned object cannot be stored and was left out. Called in the middle of
   * things: the ledger must not be written to meanwhile.
   * @param write where that was an assigned object: the count of {@link TrackedDocument.writes} that it was assigned by
   */
  onProblem?(error: SharedSessionError, author: A | undefined, write?: number): void
}

export const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** All that one ledger knows; the other files are what is done with it. */
export class DocumentState<A extends object> {
  readonly tree: Tree
  readonly journal = new Journal<A>()
  readonly base = new BaseView(this.journal as Journal<object>)
  readonly nonJson = new NonJsonValues()
  readonly rawObjects = new RawObjects<A>()
  /** What another writer removed while references to it may be held, and where it was. */
  removedByOthers: WeakMap<Container, Path> | undefined
  /** Orphans whose unsaved writes were reported as a conflict already; forgotten at every collect. */
  reportedOrphans: WeakSet<Container> | undefined
  /** How many empty places of arrays were made that may not be in the store yet: each will be a `null` in it. */
  unsavedHoles = 0
  /** How many writes there were. */
  writeCount = 0

  constructor(
    data: JsonObject,
    readonly options: TrackedDocumentOptions<A>,
  ) {
    const { prototype = Object.prototype, fixed } = options
    const root: Dict = Object.create(prototype)
    for (const key of keysOf(data)) if (!this.isReserved(key)) setOwn(root, key, data[key])
    if (fixed) {
      // util.inspect looks at a proxy's target, which has no fixed properties.
      const inspected = () => Object.assign(Object.create(prototype), fixed, root)
      Object.defineProperty(root, INSPECT, { value: inspected, configurable: true })
    }
    this.tree = new Tree(root)
  }

  /** The root as an object: the only container that may have a prototype of its own. */
  get root(): Dict {
    return this.tree.root.raw as Dict
  }

  /** More elements than that do not fit into the JSON of a session: each takes two characters. */
  get maxItems(): number {
    return (this.options.maxBytes ?? Number.POSITIVE_INFINITY) / 2
  }

  /** May an array get so many empty places more? */
  hasRoomForHoles(holes: number): boolean {
    return holes <= 0 || (this.unsavedHoles + holes) * 'null,'.length <= (this.options.maxBytes ?? Number.POSITIVE_INFINITY)
  }

  isReserved(name: string): boolean {
    const { fixed, members } = this.options
    return name === '__proto__' || (fixed !== undefined && hasOwn(fixed, name)) || (members?.has(name) ?? false)
  }

  /** `parent` holds `child` now: what was written in it must be found there. */
  link(child: Node, parent: Node, key: string): void {
    this.tree.link(child, parent, key)
    this.journal.addParent(child, parent)
    this.removedByOthers?.delete(child.raw)
  }

  /** Something was written; without an author it was the ledger itself, which nobody needs to hear of. */
  countWrite(author: A | undefined): void {
    this.writeCount++
    if (author !== undefined) this.options.onWrite?.(author)
  }

  /** Something that is in the tree cannot be stored. @param write of the object that holds it */
  reportProblem(error: unknown, holder: Node, at: Path, author: A | undefined, write?: number): void {
    this.options.onProblem?.(toNotStorable(error, this.tree.pathOf(holder), at), author, write)
  }

  /** A write was not made. */
  reportRefusal(error: unknown, holder: Node, at: Path, author: A | undefined): void {
    this.options.onProblem?.(writeRefused(toNotStorable(error, this.tree.pathOf(holder), at)), author)
  }

  /** @param theirs what others made of the base, without reserved names at the root */
  diffFromBase(theirs: Dict): TreeDiff {
    return new TreeDiff(this.root, theirs, this.base)
  }

  /** The base as JSON. */
  baseToJson(): JsonObject {
    return this.base.toJson(this.root) as { [key: string]: JsonValue }
  }
}

/** Sets a property of a JSON object, even where the prototype has a read-only one of that name. */
export function setOwn(target: Dict, key: string, value: unknown): void {
  if (hasOwn(target, key) || !(key in target)) target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}

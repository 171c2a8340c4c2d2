import { getOrInsert } from '../util/bounded-map.js'
import { ABSENT, type Container, type Dict, hasOwn, isList, keysOf, type List } from './json.js'
import type { Node } from './tree.js'

/** A place that was written to: a key of an object, or an array as a whole. */
export interface BeforeImage<A> {
  /** What was there before, or {@link ABSENT}; of an array its elements. */
  before: unknown
  /** Who wrote. */
  authors: ReadonlySet<A>
}

/** What was written to one container. */
interface NodeChanges<A> {
  keys: Map<string, BeforeImage<A>> | undefined
  list: BeforeImage<A> | undefined
  /** Children in which something was written; some may have moved away since. */
  children: Node[] | undefined
  /** The parents that have this container among theirs. */
  markedParents: readonly Node[]
}

/** The record of what was written between two collects. */
export type ChangeSet<A> = Map<Container, NodeChanges<A>>

const NOBODY: ReadonlySet<never> = new Set()
const NO_NODES: readonly Node[] = []

/**
 * The undo journal: before-images, who wrote, and a trail from the root down to what was written. Dropped at every
 * collect, so that where nothing was written there is nothing to look at.
 *
 * The base, the state as of the last collect, is the live tree seen through the before-images: no second copy is kept.
 */
export class Journal<A> {
  private changes: ChangeSet<A> | undefined
  /** The last author as a set: most places have one author, and mostly the one who wrote before. */
  private lastAuthors: ReadonlySet<A> = NOBODY

  get isEmpty(): boolean {
    return this.changes === undefined
  }

  /** Containers that were written to. */
  *writtenContainers(): Iterable<Container> {
    for (const [raw, { keys, list }] of this.changes ?? []) if (keys ?? list) yield raw
  }

  /** The keys of an object that were written to. */
  writtenKeys(raw: Dict): Map<string, BeforeImage<A>> | undefined {
    return this.changes?.get(raw)?.keys
  }

  /** An array as it was, if it was written to. */
  itemsBefore(raw: List): List | undefined {
    return this.changes?.get(raw)?.list?.before as List | undefined
  }

  /** Children below which something was written; some may have moved away since. */
  changedChildren(raw: Container): readonly Node[] | undefined {
    return this.changes?.get(raw)?.children
  }

  /** Was this container, or something in it, written to? */
  isChangedWithin(raw: Container): boolean {
    return this.changes?.has(raw) ?? false
  }

  authorsOf(raw: Container, key: string): ReadonlySet<A> {
    const trace = this.changes?.get(raw)
    return (isList(raw) ? trace?.list : trace?.keys?.get(key))?.authors ?? NOBODY
  }

  *allAuthorsOf(raw: Container): Iterable<A> {
    const trace = this.changes?.get(raw)
    if (trace?.list) yield* trace.list.authors
    for (const { authors: by } of trace?.keys?.values() ?? []) yield* by
  }

  /** To be called before every write: keeps what was there and marks the way to the root. */
  record(node: Node, key: string, author: A | undefined): void {
    const { raw } = node
    const trace = this.trace(raw)
    let slot = isList(raw) ? trace.list : trace.keys?.get(key)
    if (!slot) {
      // What the application has just assigned is in no base, and may be an array of four billion empty places.
      if (isList(raw)) trace.list = slot = { before: node.uncopied ? [] : raw.slice(), authors: NOBODY }
      else {
        slot = { before: hasOwn(raw, key) ? raw[key] : ABSENT, authors: NOBODY }
        trace.keys ??= new Map()
        trace.keys.set(key, slot)
      }
      this.markAncestors(node, trace)
    }
    if (author !== undefined && !slot.authors.has(author)) slot.authors = this.withAuthor(slot.authors, author)
  }

  /** `node` got another parent: what was written below it must be found from there too. */
  addParent(node: Node, parent: Node): void {
    const trace = this.changes?.get(node.raw)
    if (trace) this.markParent(node, trace, parent)
  }

  /** A copy took the place of a container that is not in the base: who wrote in it is kept, what was there before is not. */
  moveToCopy(raw: Container, copy: Container): void {
    const trace = this.changes?.get(raw)
    if (!trace) return
    this.changes?.delete(raw)
    if (trace.list) trace.list.before = (copy as List).slice()
    for (const [key, slot] of trace.keys ?? []) slot.before = hasOwn(copy, key) ? (copy as Dict)[key] : ABSENT
    const known = this.changes?.get(copy)
    if (known) this.combine(trace, known)
    this.changes?.set(copy, trace)
  }

  /** An array's base is another one from now on: what others made of it. */
  setItemsBefore(raw: List, base: List): void {
    const { list } = this.trace(raw)
    if (list) list.before = base
  }

  /**
   * The base has this container from now on, empty: all that is in it was written.
   * @param by who is to be named for all of it, besides who wrote
   */
  restartFromEmpty(node: Node, by: ReadonlySet<A>): void {
    const { raw } = node
    const trace = this.trace(raw)
    if (isList(raw)) trace.list = { before: [], authors: union(by, trace.list?.authors ?? NOBODY) }
    else {
      const keys = new Map<string, BeforeImage<A>>()
      for (const key of keysOf(raw))
        keys.set(key, { before: ABSENT, authors: union(by, trace.keys?.get(key)?.authors ?? NOBODY) })
      trace.keys = keys
    }
    this.markAncestors(node, trace)
  }

  /** Ends the window and gives what it recorded, if anything. */
  take(): ChangeSet<A> | undefined {
    const taken = this.changes
    this.changes = undefined
    return taken
  }

  /** Puts a window that was taken under the present one: its before-images are older and win. */
  restore(taken: ChangeSet<A>): void {
    for (const [raw, newer] of this.changes ?? []) {
      const older = taken.get(raw)
      if (older) this.combine(older, newer)
      else taken.set(raw, newer)
    }
    this.changes = taken
  }

  private combine(older: NodeChanges<A>, newer: NodeChanges<A>): void {
    if (older.list) older.list.authors = union(older.list.authors, newer.list?.authors ?? NOBODY)
    else older.list = newer.list
    for (const [key, slot] of newer.keys ?? []) {
      older.keys ??= new Map()
      const known = getOrInsert(older.keys, key, () => slot)
      known.authors = union(known.authors, slot.authors)
    }
    if (newer.children) older.children = [...union(older.children ?? [], newer.children)]
    older.markedParents = [...union(older.markedParents, newer.markedParents)]
  }

  private withAuthor(by: ReadonlySet<A>, author: A): ReadonlySet<A> {
    if (by.size > 0) return union(by, [author])
    if (!this.lastAuthors.has(author)) this.lastAuthors = new Set([author])
    return this.lastAuthors
  }

  private markAncestors(node: Node, changesOf: NodeChanges<A>): void {
    for (const parent of node.parents) this.markParent(node, changesOf, parent)
  }

  private markParent(node: Node, trace: NodeChanges<A>, parent: Node): void {
    if (trace.markedParents.includes(parent)) return
    trace.markedParents = trace.markedParents.length > 0 ? [...trace.markedParents, parent] : parent.asParents
    const holder = this.trace(parent.raw)
    if (holder.children) holder.children.push(node)
    else holder.children = [node]
    this.markAncestors(parent, holder)
  }

  private trace(raw: Container): NodeChanges<A> {
    this.changes ??= new Map()
    return getOrInsert(this.changes, raw, newNodeChanges<A>)
  }
}

const newNodeChanges = <A>(): NodeChanges<A> => ({
  keys: undefined,
  list: undefined,
  children: undefined,
  markedParents: NO_NODES,
})

const union = <T>(some: Iterable<T>, more: Iterable<T>): ReadonlySet<T> => new Set([...some, ...more])

import { getOrInsert } from '../util/bounded-map.js'
import { ABSENT, type Container, type Dict, hasOwn, isList, keysOf, type List } from './json.js'
import type { Node } from './node.js'

/** A place that was written to: a key of an object, or an array as a whole. */
export interface BeforeImage<A> {
  /** What was there before, or {@link ABSENT}; of an array its elements. */
  was: unknown
  /** Who wrote. */
  by: ReadonlySet<A>
}

/** What was written to one container. */
interface NodeChanges<A> {
  keys: Map<string, BeforeImage<A>> | undefined
  list: BeforeImage<A> | undefined
  /** Children in which something was written; some may have moved away since. */
  below: Node[] | undefined
  /** The parents that have this container among theirs. */
  above: readonly Node[]
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
  private window: ChangeSet<A> | undefined
  /** The last author as a set: most places have one author, and mostly the one who wrote before. */
  private alone: ReadonlySet<A> = NOBODY

  get isEmpty(): boolean {
    return this.window === undefined
  }

  /** Containers that were written to. */
  *written(): Iterable<Container> {
    for (const [raw, { keys, list }] of this.window ?? []) if (keys ?? list) yield raw
  }

  /** The keys of an object that were written to. */
  slots(raw: Dict): Map<string, BeforeImage<A>> | undefined {
    return this.window?.get(raw)?.keys
  }

  /** An array as it was, if it was written to. */
  listBefore(raw: List): List | undefined {
    return this.window?.get(raw)?.list?.was as List | undefined
  }

  /** Children below which something was written; some may have moved away since. */
  changedBelow(raw: Container): readonly Node[] | undefined {
    return this.window?.get(raw)?.below
  }

  /** Was this container, or something in it, written to? */
  touched(raw: Container): boolean {
    return this.window?.has(raw) ?? false
  }

  authorsOf(raw: Container, key: string): ReadonlySet<A> {
    const trace = this.window?.get(raw)
    return (isList(raw) ? trace?.list : trace?.keys?.get(key))?.by ?? NOBODY
  }

  *allAuthorsOf(raw: Container): Iterable<A> {
    const trace = this.window?.get(raw)
    if (trace?.list) yield* trace.list.by
    for (const { by } of trace?.keys?.values() ?? []) yield* by
  }

  /** To be called before every write: keeps what was there and marks the way to the root. */
  record(node: Node, key: string, author: A | undefined): void {
    const { raw } = node
    const trace = this.trace(raw)
    let slot = isList(raw) ? trace.list : trace.keys?.get(key)
    if (!slot) {
      // What the application has just assigned is in no base, and may be an array of four billion empty places.
      if (isList(raw)) trace.list = slot = { was: node.assigned ? [] : raw.slice(), by: NOBODY }
      else {
        slot = { was: hasOwn(raw, key) ? raw[key] : ABSENT, by: NOBODY }
        trace.keys ??= new Map()
        trace.keys.set(key, slot)
      }
      this.markUp(node, trace)
    }
    if (author !== undefined && !slot.by.has(author)) slot.by = this.signed(slot.by, author)
  }

  /** `node` got another parent: what was written below it must be found from there too. */
  follow(node: Node, parent: Node): void {
    const trace = this.window?.get(node.raw)
    if (trace) this.mark(node, trace, parent)
  }

  /** A copy took the place of a container that is not in the base: who wrote in it is kept, what was there before is not. */
  replace(raw: Container, copy: Container): void {
    const trace = this.window?.get(raw)
    if (!trace) return
    this.window?.delete(raw)
    if (trace.list) trace.list.was = (copy as List).slice()
    for (const [key, slot] of trace.keys ?? []) slot.was = hasOwn(copy, key) ? (copy as Dict)[key] : ABSENT
    const known = this.window?.get(copy)
    if (known) this.join(trace, known)
    this.window?.set(copy, trace)
  }

  /** An array's base is another one from now on: what others made of it. */
  rebase(raw: List, base: List): void {
    const { list } = this.trace(raw)
    if (list) list.was = base
  }

  /**
   * The base has this container from now on, empty: all that is in it was written.
   * @param by who is to be named for all of it, besides who wrote
   */
  restart(node: Node, by: ReadonlySet<A>): void {
    const { raw } = node
    const trace = this.trace(raw)
    if (isList(raw)) trace.list = { was: [], by: union(by, trace.list?.by ?? NOBODY) }
    else {
      const keys = new Map<string, BeforeImage<A>>()
      for (const key of keysOf(raw)) keys.set(key, { was: ABSENT, by: union(by, trace.keys?.get(key)?.by ?? NOBODY) })
      trace.keys = keys
    }
    this.markUp(node, trace)
  }

  /** Ends the window and gives what it recorded, if anything. */
  take(): ChangeSet<A> | undefined {
    const taken = this.window
    this.window = undefined
    return taken
  }

  /** Puts a window that was taken under the present one: its before-images are older and win. */
  restore(taken: ChangeSet<A>): void {
    for (const [raw, newer] of this.window ?? []) {
      const older = taken.get(raw)
      if (older) this.join(older, newer)
      else taken.set(raw, newer)
    }
    this.window = taken
  }

  private join(older: NodeChanges<A>, newer: NodeChanges<A>): void {
    if (older.list) older.list.by = union(older.list.by, newer.list?.by ?? NOBODY)
    else older.list = newer.list
    for (const [key, slot] of newer.keys ?? []) {
      older.keys ??= new Map()
      const known = getOrInsert(older.keys, key, () => slot)
      known.by = union(known.by, slot.by)
    }
    if (newer.below) older.below = [...union(older.below ?? [], newer.below)]
    older.above = [...union(older.above, newer.above)]
  }

  private signed(by: ReadonlySet<A>, author: A): ReadonlySet<A> {
    if (by.size > 0) return union(by, [author])
    if (!this.alone.has(author)) this.alone = new Set([author])
    return this.alone
  }

  private markUp(node: Node, trace: NodeChanges<A>): void {
    for (const parent of node.parents) this.mark(node, trace, parent)
  }

  private mark(node: Node, trace: NodeChanges<A>, parent: Node): void {
    if (trace.above.includes(parent)) return
    trace.above = trace.above.length > 0 ? [...trace.above, parent] : parent.asParents
    const holder = this.trace(parent.raw)
    if (holder.below) holder.below.push(node)
    else holder.below = [node]
    this.markUp(parent, holder)
  }

  private trace(raw: Container): NodeChanges<A> {
    this.window ??= new Map()
    return getOrInsert(this.window, raw, newTrace<A>)
  }
}

const newTrace = <A>(): NodeChanges<A> => ({ keys: undefined, list: undefined, below: undefined, above: NO_NODES })

const union = <T>(some: Iterable<T>, more: Iterable<T>): ReadonlySet<T> => new Set([...some, ...more])

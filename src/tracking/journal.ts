import { ABSENT, type Box, type Dict, isList, type List, own } from './json.js'
import type { Node } from './node.js'
import { upsert } from './upsert.js'

/** What a container held before it was written to: an array as it was, of an object the keys that were written. */
export type Before = Map<string, unknown> | List

type Authors<A> = Map<Box, Map<string, Set<A>>>

/** The record of what was written between two collects. */
export interface Window<A> {
  before: Map<Box, Before>
  below: Map<Box, Set<Node>>
  authors: Authors<A>
}

/** The one author entry of an array, whose before-image is of the whole as well. */
const WHOLE = ''

/**
 * The undo journal: before-images, who wrote, and a trail from the root down to what was written. Dropped at every
 * collect, so that where nothing was written there is nothing to look at.
 *
 * The base, the state as of the last collect, is the live tree seen through the before-images: no second copy is kept.
 */
export class Journal<A> {
  private window = emptyWindow<A>()

  get isEmpty(): boolean {
    return this.window.before.size === 0
  }

  /** Containers that were written to. */
  written(): Iterable<Box> {
    return this.window.before.keys()
  }

  dictBefore(raw: Box): Map<string, unknown> | undefined {
    return this.window.before.get(raw) as Map<string, unknown> | undefined
  }

  listBefore(raw: Box): List | undefined {
    return this.window.before.get(raw) as List | undefined
  }

  /** Children below which something was written; some may have moved away since. */
  changedBelow(raw: Box): ReadonlySet<Node> | undefined {
    return this.window.below.get(raw)
  }

  /** Was this container, or something in it, written to? */
  touched(raw: Box): boolean {
    return this.window.before.has(raw) || this.window.below.has(raw)
  }

  authorsOf(raw: Box, key: string): ReadonlySet<A> | undefined {
    return this.window.authors.get(raw)?.get(isList(raw) ? WHOLE : key)
  }

  allAuthorsOf(raw: Box): Iterable<ReadonlySet<A>> {
    return this.window.authors.get(raw)?.values() ?? []
  }

  /** To be called before every write: keeps what was there and marks the way to the root. */
  record(node: Node, key: string, author: A | undefined): void {
    const { before } = this.window
    const { raw } = node
    if (isList(raw)) {
      if (!before.has(raw)) before.set(raw, raw.slice())
    } else {
      const keys = upsert<Box, Before>(before, raw, () => new Map()) as Map<string, unknown>
      if (!keys.has(key)) keys.set(key, own(raw, key) ? (raw as Dict)[key] : ABSENT)
    }
    if (author !== undefined) this.sign(raw, isList(raw) ? WHOLE : key, author)
    this.markUp(node)
  }

  /** `node` got another parent: what was written below it must be found from there too. */
  follow(node: Node, parent: Node): void {
    if (this.touched(node.raw)) this.mark(node, parent)
  }

  /** An array's base is another one from now on: what others made of it. */
  rebase(raw: List, base: List): void {
    this.window.before.set(raw, base)
  }

  /** Ends the window and gives what it recorded. */
  take(): Window<A> {
    const taken = this.window
    this.window = emptyWindow()
    return taken
  }

  /** Puts a window that was taken under the present one: its before-images are older and win. */
  restore(taken: Window<A>): void {
    const { before, below, authors } = this.window
    for (const [raw, newer] of before) {
      const older = taken.before.get(raw)
      if (older === undefined) taken.before.set(raw, newer)
      else if (older instanceof Map) {
        for (const [key, value] of newer as Map<string, unknown>) if (!older.has(key)) older.set(key, value)
      }
    }
    for (const [raw, children] of below) {
      const all = taken.below.get(raw)
      if (all) for (const child of children) all.add(child)
      else taken.below.set(raw, children)
    }
    this.window = taken
    for (const [raw, keys] of authors) {
      for (const [key, signed] of keys) for (const author of signed) this.sign(raw, key, author)
    }
  }

  private sign(raw: Box, key: string, author: A): void {
    const keys = upsert(this.window.authors, raw, () => new Map<string, Set<A>>())
    upsert(keys, key, () => new Set<A>()).add(author)
  }

  private markUp(node: Node): void {
    for (const parent of node.parents) this.mark(node, parent)
  }

  private mark(node: Node, parent: Node): void {
    const marked = upsert(this.window.below, parent.raw, () => new Set<Node>())
    if (marked.has(node)) return
    marked.add(node)
    this.markUp(parent)
  }
}

const emptyWindow = <A>(): Window<A> => ({ before: new Map(), below: new Map(), authors: new Map() })

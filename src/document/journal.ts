import { getOrInsert } from '../util/maps.js'
import { ABSENT, type Container, type Dict, isContainer, isList, keysOf, type List } from './json.js'
import type { Node } from './tree.js'

/** What a key of an object, or an array as a whole, held before it was written to. */
export interface BeforeImage {
  /** The value, or {@link ABSENT}; of an array its elements. */
  before: unknown
  /** Who wrote. */
  authors: ReadonlySet<object>
}

/** What was written to one container. */
interface NodeChanges {
  /** Of an object: the keys that were written to. */
  keys: Map<string, BeforeImage> | undefined
  /** Of an array. */
  list: BeforeImage | undefined
  /** Children in which something was written; some may have moved away since. */
  children: Node[] | undefined
  /** The parents that have this container among their `children`. */
  markedParents: readonly Node[]
}

/** What was written between two calls of `takeChanges`. */
export type ChangeSet = Map<Container, NodeChanges>

const NO_AUTHORS: ReadonlySet<never> = new Set()
const NO_NODES: readonly Node[] = []

/**
 * The undo journal: before-images, who wrote, and a trail of changed children from the root down to each written container. `takeChanges`
 * empties it, so where nothing was written there is nothing to walk.
 *
 * The base, which is the document as of the last `takeChanges`, is the live tree seen through the before-images ({@link BaseView}): no second
 * copy is kept.
 */
export class Journal {
  private changes: ChangeSet | undefined
  /** The last single author as a set: most values have one author, and mostly the one who wrote before. */
  private lastAuthor: ReadonlySet<object> = NO_AUTHORS

  get isEmpty(): boolean {
    return this.changes === undefined
  }

  /** Is there a container where the base has nothing? */
  get hasAddedContainers(): boolean {
    for (const [raw, { keys }] of this.changes ?? []) {
      for (const [key, { before }] of keys ?? []) if (before === ABSENT && isContainer((raw as Dict)[key])) return true
    }
    return false
  }

  /** Containers that were written to. */
  *writtenContainers(): Iterable<Container> {
    for (const [raw, { keys, list }] of this.changes ?? []) if (keys ?? list) yield raw
  }

  /** The keys of an object that were written to. */
  writtenKeys(raw: Dict): Map<string, BeforeImage> | undefined {
    return this.changes?.get(raw)?.keys
  }

  /** The elements that an array had in the base, if it was written to. */
  itemsBefore(raw: List): List | undefined {
    return this.changes?.get(raw)?.list?.before as List | undefined
  }

  /** Children in which something was written; some may have moved away since. */
  changedChildren(raw: Container): readonly Node[] | undefined {
    return this.changes?.get(raw)?.children
  }

  /** Was this container, or something in it, written to? */
  isChangedWithin(raw: Container): boolean {
    return this.changes?.has(raw) ?? false
  }

  /** Who wrote to a key of an object, or to an array (`key` is then ignored). */
  authorsOf(raw: Container, key: string): ReadonlySet<object> {
    const changes = this.changes?.get(raw)
    return (isList(raw) ? changes?.list : changes?.keys?.get(key))?.authors ?? NO_AUTHORS
  }

  /** Who wrote to a container; some may occur several times. */
  *allAuthorsOf(raw: Container): Iterable<object> {
    const changes = this.changes?.get(raw)
    if (changes?.list) yield* changes.list.authors
    for (const { authors } of changes?.keys?.values() ?? []) yield* authors
  }

  /** Keeps what was there before, and marks the trail from the root. Must be called before every write. */
  record(node: Node, key: string, author: object | undefined): void {
    const { raw } = node
    const changes = this.changesOf(raw)
    let image = isList(raw) ? changes.list : changes.keys?.get(key)
    if (!image) {
      // An application object that was just assigned is in no base, and may be an array of four billion empty places.
      if (isList(raw)) changes.list = image = { before: node.uncopied ? [] : raw.slice(), authors: NO_AUTHORS }
      else {
        image = { before: Object.hasOwn(raw, key) ? raw[key] : ABSENT, authors: NO_AUTHORS }
        changes.keys ??= new Map()
        changes.keys.set(key, image)
      }
      this.markAncestors(node, changes)
    }
    if (author !== undefined && !image.authors.has(author)) image.authors = this.withAuthor(image.authors, author)
  }

  /** `node` got another parent: what was written inside must be found from there too. */
  addParent(node: Node, parent: Node): void {
    const changes = this.changes?.get(node.raw)
    if (changes) this.markParent(node, changes, parent)
  }

  /** A copy replaced a container that is not in the base: its authors are kept, its before-images are not. */
  moveToCopy(raw: Container, copy: Container): void {
    const changes = this.changes?.get(raw)
    if (!changes) return
    this.changes?.delete(raw)
    if (changes.list) changes.list.before = (copy as List).slice()
    for (const [key, image] of changes.keys ?? []) image.before = Object.hasOwn(copy, key) ? (copy as Dict)[key] : ABSENT
    const ofCopy = this.changes?.get(copy)
    if (ofCopy) this.combine(changes, ofCopy)
    this.changes?.set(copy, changes)
  }

  /** Sets the elements that a written array has in the base: others changed them. */
  setItemsBefore(raw: List, items: List): void {
    const { list } = this.changesOf(raw)
    if (list) list.before = items
  }

  /**
   * The base holds this container from now on, and it is empty there: everything in it counts as written.
   * @param authors who is named for all of it, besides those who wrote
   */
  restartFromEmpty(node: Node, authors: ReadonlySet<object>): void {
    const { raw } = node
    const changes = this.changesOf(raw)
    if (isList(raw)) changes.list = { before: [], authors: union(authors, changes.list?.authors ?? NO_AUTHORS) }
    else {
      const keys = new Map<string, BeforeImage>()
      for (const key of keysOf(raw)) {
        keys.set(key, { before: ABSENT, authors: union(authors, changes.keys?.get(key)?.authors ?? NO_AUTHORS) })
      }
      changes.keys = keys
    }
    this.markAncestors(node, changes)
  }

  /** Empties the journal and returns what it held, if anything. */
  take(): ChangeSet | undefined {
    const taken = this.changes
    this.changes = undefined
    return taken
  }

  /** Adds a change set that was taken before the present changes: its before-images are older and win. */
  restore(taken: ChangeSet): void {
    for (const [raw, newer] of this.changes ?? []) {
      const older = taken.get(raw)
      if (older) this.combine(older, newer)
      else taken.set(raw, newer)
    }
    this.changes = taken
  }

  private combine(older: NodeChanges, newer: NodeChanges): void {
    if (older.list) older.list.authors = union(older.list.authors, newer.list?.authors ?? NO_AUTHORS)
    else older.list = newer.list
    for (const [key, image] of newer.keys ?? []) {
      older.keys ??= new Map()
      const kept = getOrInsert(older.keys, key, () => image)
      kept.authors = union(kept.authors, image.authors)
    }
    if (newer.children) older.children = [...union(older.children ?? [], newer.children)]
    older.markedParents = [...union(older.markedParents, newer.markedParents)]
  }

  private withAuthor(authors: ReadonlySet<object>, author: object): ReadonlySet<object> {
    if (authors.size > 0) return union(authors, [author])
    if (!this.lastAuthor.has(author)) this.lastAuthor = new Set([author])
    return this.lastAuthor
  }

  private markAncestors(node: Node, changes: NodeChanges): void {
    for (const parent of node.parents) this.markParent(node, changes, parent)
  }

  private markParent(node: Node, changes: NodeChanges, parent: Node): void {
    if (changes.markedParents.includes(parent)) return
    changes.markedParents = changes.markedParents.length > 0 ? [...changes.markedParents, parent] : parent.asParents
    const ofParent = this.changesOf(parent.raw)
    if (ofParent.children) ofParent.children.push(node)
    else ofParent.children = [node]
    this.markAncestors(parent, ofParent)
  }

  private changesOf(raw: Container): NodeChanges {
    this.changes ??= new Map()
    return getOrInsert(this.changes, raw, noChanges)
  }
}

const noChanges = (): NodeChanges => ({
  keys: undefined,
  list: undefined,
  children: undefined,
  markedParents: NO_NODES,
})

const union = <T>(some: Iterable<T>, more: Iterable<T>): ReadonlySet<T> => new Set([...some, ...more])

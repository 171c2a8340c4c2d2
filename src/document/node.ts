import { getOrInsert } from '../util/bounded-map.js'
import { type Container, type Dict, hasOwn, isList } from './json.js'

const NONE: readonly Node[] = []

/** What the ledger knows of one container of the live tree. Made when it is first read or moved, found by identity. */
export class Node {
  /** The containers that hold this one, and perhaps some that once did: {@link holds} tells. */
  parents: readonly Node[] = NONE
  /** It may sit at several places, until the next settling gives each place its own copy. */
  shared = false
  /** The key at which it was last seen, so that its place need not be searched. */
  hint = ''
  /** Who has a proxy of it, while it is {@link assigned}: is told of the copy that takes its place. */
  shownBy: { replaced(raw: Container, copy: Container): void }[] | undefined
  private alone: readonly Node[] | undefined

  /** @param assigned `raw` is the application's own object, until settling puts a copy into its place */
  constructor(
    public raw: Container,
    public assigned: boolean,
  ) {}

  /** This node as the only parent, which it mostly is: all its children share the array. */
  get asParents(): readonly Node[] {
    this.alone ??= [this]
    return this.alone
  }

  holds(child: Node): boolean {
    const { raw } = this
    if (hasOwn(raw, child.hint) && (raw as Dict)[child.hint] === child.raw) return true
    return (isList(raw) ? raw : Object.values(raw)).includes(child.raw)
  }
}

/**
 * Finds the keys at which a container holds another. Remembers what it learned of an array, so that looking for many of
 * its elements costs one walk over it: use one instance only as long as the tree does not change.
 */
export class ChildKeys {
  private indexes: Map<Container, Map<unknown, string[]>> | undefined

  of(parent: Node, child: Node): string[] {
    const { raw } = parent
    const { hint } = child
    if (!child.shared && hasOwn(raw, hint) && (raw as Dict)[hint] === child.raw) return [hint]
    if (!isList(raw)) return Object.keys(raw).filter((key) => raw[key] === child.raw)
    return this.index(raw).get(child.raw) ?? []
  }

  private index(list: readonly unknown[] & Container): Map<unknown, string[]> {
    this.indexes ??= new Map()
    return getOrInsert(this.indexes, list, () => {
      const index = new Map<unknown, string[]>()
      for (const [i, item] of list.entries()) getOrInsert(index, item, () => []).push(String(i))
      return index
    })
  }
}

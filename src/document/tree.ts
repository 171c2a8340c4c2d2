import { getOrInsert } from '../util/bounded-map.js'
import { type Container, type Dict, hasOwn, isList, isObject, type Path } from './json.js'
import { proxyInfo } from './proxy-registry.js'

const NONE: readonly Node[] = []

/** What the ledger knows of one container of the live tree. Made when it is first read or moved, found by identity. */
export class Node {
  /** The containers that hold this one, and perhaps some that once did: {@link holds} tells. */
  parents: readonly Node[] = NONE
  /** It may sit at several places, until the next settling gives each place its own copy. */
  mayBeAliased = false
  /** The key at which it was last seen, so that its place need not be searched. */
  lastKey = ''
  /** Who has a proxy of it, while it is {@link uncopied}: is told of the copy that takes its place. */
  views: { moveProxy(raw: Container, copy: Container): void }[] | undefined
  private selfAsParents: readonly Node[] | undefined

  /** @param uncopied `raw` is the application's own object, until settling puts a copy into its place */
  constructor(
    public raw: Container,
    public uncopied: boolean,
  ) {}

  /** This node as the only parent, which it mostly is: all its children share the array. */
  get asParents(): readonly Node[] {
    this.selfAsParents ??= [this]
    return this.selfAsParents
  }

  holds(child: Node): boolean {
    const { raw } = this
    if (hasOwn(raw, child.lastKey) && (raw as Dict)[child.lastKey] === child.raw) return true
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
    const { lastKey: hint } = child
    if (!child.mayBeAliased && hasOwn(raw, hint) && (raw as Dict)[hint] === child.raw) return [hint]
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

/** The live tree: which containers are known, and which container sits in which. */
export class Tree {
  readonly root: Node
  /** Nodes that may sit at several places; settling splits them. */
  aliased: Set<Node> | undefined
  /** The application's own objects that were put into a container of the tree since the last settling, by whom, and by which write. */
  readonly assignments = new Map<object, { author: object | undefined; write: number }>()
  /** The nodes that are {@link Node.uncopied}. */
  uncopiedNodes: Node[] = []
  private readonly nodes = new WeakMap<Container, Node>()
  private holders: WeakMap<Container, Container> | undefined

  constructor(root: Container) {
    this.root = new Node(root, false)
    this.nodes.set(root, this.root)
  }

  find(raw: unknown): Node | undefined {
    return this.nodes.get(raw as Container)
  }

  /** The node of a container that is read through `parent`. */
  childNode(raw: Container, parent: Node, key: string): Node {
    return this.nodes.get(raw) ?? this.create(raw, parent, key)
  }

  /** The node of a container that was copied in and perhaps never read: its holder is remembered. */
  nodeOf(raw: Container): Node {
    const known = this.nodes.get(raw)
    if (known) return known
    const holder = this.holders?.get(raw)
    return this.create(raw, holder && this.nodeOf(holder), '')
  }

  /** Remembers who holds a container that has no node yet. */
  setHolder(raw: Container, holder: Container): void {
    this.holders ??= new WeakMap()
    this.holders.set(raw, holder)
  }

  /** The copy of an object of the application takes its place, for all who have a proxy of it. */
  replaceByCopy(node: Node, copy: Container): void {
    const { raw } = node
    this.nodes.delete(raw)
    this.nodes.set(copy, node)
    for (const face of node.views ?? []) face.moveProxy(raw, copy)
    node.raw = copy
    node.uncopied = false
    node.views = undefined
  }

  markAliased(node: Node): void {
    node.mayBeAliased = true
    this.aliased ??= new Set()
    this.aliased.add(node)
  }

  /** `parent` holds `child` now, at `key`. Former parents that no longer do are forgotten. */
  link(child: Node, parent: Node, key: string): void {
    if (child.parents.length > 0) this.markAliased(child)
    child.lastKey = key
    if (child.parents.includes(parent)) return
    const others = child.parents.filter((former) => former.holds(child))
    child.parents = others.length > 0 ? [...others, parent] : parent.asParents
  }

  /** Would `holder` contain itself if it got `raw`? */
  isWithin(holder: Node, raw: Container): boolean {
    if (holder.raw === raw) return true
    return holder.parents.some((parent) => parent.holds(holder) && this.isWithin(parent, raw))
  }

  isReachable(node: Node): boolean {
    if (node === this.root) return true
    return node.parents.some((parent) => parent.holds(node) && this.isReachable(parent))
  }

  /** Where a node is; for one that was taken out, where it is in what was taken out with it. */
  pathOf(node: Node): Path {
    const parent = node.parents.find((candidate) => candidate.holds(node))
    if (!parent) return []
    const key = new ChildKeys().of(parent, node)[0] as string
    return [...this.pathOf(parent), Array.isArray(parent.raw) ? Number(key) : key]
  }

  /** How many containers are above this one. */
  depthOf(node: Node): number {
    const parent = node.parents.find((candidate) => candidate.holds(node))
    return parent ? this.depthOf(parent) + 1 : 0
  }

  private create(raw: Container, parent: Node | undefined, key: string): Node {
    const node = new Node(raw, parent?.uncopied === true || this.assignments.has(raw))
    if (node.uncopied) this.uncopiedNodes.push(node)
    if (parent) node.parents = parent.asParents
    node.lastKey = key
    this.nodes.set(raw, node)
    return node
  }
}

/** The height of a tree, counted no further than `limit`; through proxies, too. */
export function heightOf(value: unknown, limit: number): number {
  if (!isObject(value) || limit <= 0) return 0
  let height = 0
  for (const item of Object.values(proxyInfo(value)?.raw ?? value)) {
    if (isObject(item)) height = Math.max(height, heightOf(item, limit - 1))
  }
  return height + 1
}

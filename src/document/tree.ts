import { getOrInsert } from '../util/bounded-map.js'
import { type Container, type Dict, hasOwn, isList, isObject, type Path } from './json.js'
import { proxyInfoOf } from './proxy-registry.js'

const NO_NODES: readonly Node[] = []

/** What the document knows of one container of the live tree. Made when the container is first read or moved, found by identity. */
export class Node {
  /** The containers that hold this one, and perhaps some that held it once: ask {@link holds}. */
  parents: readonly Node[] = NO_NODES
  /** It may sit at several places, until `splitAliases` gives each place its own copy. */
  mayBeAliased = false
  /** The key at which it was last found: it is looked for there first. */
  lastKey = ''
  /** While it is {@link uncopied}: the views that have a proxy of it. They must move the proxy to the copy. */
  views: { moveProxy(raw: Container, copy: Container): void }[] | undefined
  private selfAsParents: readonly Node[] | undefined

  /** @param uncopied `raw` is the application's own object, which a handler assigned and the next save replaces by a copy */
  constructor(
    public raw: Container,
    public uncopied: boolean,
  ) {}

  /** This node as an only parent, which most nodes have: all children share the array. */
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
 * Finds the keys at which a container holds another one. It keeps an index of each array, so that looking for many elements of an array
 * walks the array once. Use an instance only as long as the tree does not change.
 */
export class ChildKeys {
  private indexes: Map<Container, Map<unknown, string[]>> | undefined

  of(parent: Node, child: Node): string[] {
    const { raw } = parent
    const { lastKey } = child
    if (!child.mayBeAliased && hasOwn(raw, lastKey) && (raw as Dict)[lastKey] === child.raw) return [lastKey]
    if (!isList(raw)) return Object.keys(raw).filter((key) => raw[key] === child.raw)
    return this.indexOf(raw).get(child.raw) ?? []
  }

  private indexOf(list: readonly unknown[] & Container): Map<unknown, string[]> {
    this.indexes ??= new Map()
    return getOrInsert(this.indexes, list, () => {
      const index = new Map<unknown, string[]>()
      for (const [i, item] of list.entries()) getOrInsert(index, item, () => []).push(String(i))
      return index
    })
  }
}

/** Who assigned an object, and by which write. */
interface Assignment {
  author: object | undefined
  write: number
}

/** The live tree: the node of each container, and which container holds which. */
export class Tree {
  readonly root: Node
  /** Nodes that may sit at several places, until `splitAliases`. */
  aliased: Set<Node> | undefined
  /** The nodes that became {@link Node.uncopied} since the last `normalize`. */
  uncopiedNodes: Node[] = []
  /** Application objects that were put into a container of the tree since the last `normalize`. */
  private assignments: Map<unknown, Assignment> | undefined
  private readonly nodes = new WeakMap<Container, Node>()
  private holders: WeakMap<Container, Container> | undefined
  private copies: WeakMap<object, Container> | undefined

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

  /** The node of any container of the tree; one that was copied in and never read gets its node, and those above it, now. */
  nodeOf(raw: Container): Node {
    const node = this.nodes.get(raw)
    if (node) return node
    const holder = this.holders?.get(raw)
    return this.create(raw, holder && this.nodeOf(holder), '')
  }

  /** Remembers who holds a container that has no node yet. */
  setHolder(raw: Container, holder: Container): void {
    this.holders ??= new WeakMap()
    this.holders.set(raw, holder)
  }

  /** Puts a copy behind the node of an application object, and behind all proxies of it. */
  replaceByCopy(node: Node, copy: Container): void {
    const { raw } = node
    this.nodes.delete(raw)
    this.nodes.set(copy, node)
    for (const view of node.views ?? []) view.moveProxy(raw, copy)
    node.raw = copy
    node.uncopied = false
    node.views = undefined
  }

  /** Remembers the copy that replaced an application object. */
  setCopy(object: object, copy: Container): void {
    this.copies ??= new WeakMap()
    this.copies.set(object, copy)
  }

  /** The last copy that replaced an application object, however long ago. */
  lastCopyOf(object: object): Container | undefined {
    return this.copies?.get(object)
  }

  /** The assignment of an application object since the last `normalize`. */
  assignmentOf(object: unknown): Assignment | undefined {
    return this.assignments?.get(object)
  }

  setAssignment(object: object, assignment: Assignment): void {
    this.assignments ??= new Map()
    this.assignments.set(object, assignment)
  }

  forgetAssignments(): void {
    this.assignments = undefined
  }

  markAliased(node: Node): void {
    node.mayBeAliased = true
    this.aliased ??= new Set()
    this.aliased.add(node)
  }

  /** Records that `parent` holds `child` at `key`, and forgets former parents that no longer hold it. */
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

  /** Is it part of the document, so not taken out of it? */
  isReachable(node: Node): boolean {
    if (node === this.root) return true
    return node.parents.some((parent) => parent.holds(node) && this.isReachable(parent))
  }

  /** The path of a node; of one that was taken out, the path within the part that was taken out with it. */
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
    const node = new Node(raw, parent?.uncopied === true || this.assignmentOf(raw) !== undefined)
    if (node.uncopied) this.uncopiedNodes.push(node)
    if (parent) node.parents = parent.asParents
    node.lastKey = key
    this.nodes.set(raw, node)
    return node
  }
}

/** The height of a tree, counted up to `limit`; looks through proxies. */
export function heightOf(value: unknown, limit: number): number {
  if (!isObject(value) || limit <= 0) return 0
  let height = 0
  for (const item of Object.values(proxyInfoOf(value)?.raw ?? value)) {
    if (isObject(item)) height = Math.max(height, heightOf(item, limit - 1))
  }
  return height + 1
}

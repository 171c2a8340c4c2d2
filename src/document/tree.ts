import { getOrInsert } from '../util/maps.js'
import { NotJsonError } from './errors.js'
import { type Container, type Dict, isList, isObject, type Path } from './json.js'
import { proxyInfoOf } from './proxy-registry.js'
import { CYCLE, MAX_NESTING, TOO_DEEP } from './to-json.js'

const NO_NODES: readonly Node[] = []

/** What the document knows of one container of the live tree. Made when the container is first read or moved, found by identity. */
export class Node {
  /**
   * The containers that hold this one, and perhaps some that held it once: ask {@link Tree.holds}. After a save there is one at most, even if
   * containers that were taken out of the document hold it as well.
   */
  parents: readonly Node[] = NO_NODES
  /** It was taken out of the document, and something in it does not have its holder among its `parents`. */
  hasUnlinked = false
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

  /** Is this node at that key of a container? */
  isAt(raw: Container, key: string): boolean {
    return Object.hasOwn(raw, key) && (raw as Dict)[key] === this.raw
  }

  /** Can this container hold the node nowhere but at `lastKey`? An index may shift, and what a handler assigned may be anywhere until the save. */
  isOnlyAtLastKey(parent: Node): boolean {
    if (isList(parent.raw) || parent.uncopied) return false
    return !this.uncopied && !this.mayBeAliased && this.lastKey !== ''
  }
}

/**
 * Finds the keys at which a container holds another one. It keeps an index of each container that it has walked, so that looking for many children
 * walks it once. Use an instance only as long as the tree does not change.
 */
export class ChildKeys {
  private indexes: Map<Container, Map<unknown, string[]>> | undefined
  private reachable: Map<Node, boolean> | undefined

  of(parent: Node, child: Node): string[] {
    const { raw } = parent
    if (!child.mayBeAliased && child.isAt(raw, child.lastKey)) return [child.lastKey]
    if (child.isOnlyAtLastKey(parent)) return []
    this.indexes ??= new Map()
    return getOrInsert(this.indexes, raw, () => indexOf(raw)).get(child.raw) ?? []
  }

  /** Is it part of the document, so not taken out of it? */
  isReachable(node: Node, root: Node): boolean {
    if (node === root) return true
    this.reachable ??= new Map()
    return getOrInsert(this.reachable, node, () => {
      return node.parents.some((parent) => this.of(parent, node).length > 0 && this.isReachable(parent, root))
    })
  }
}

function indexOf(raw: Container): Map<unknown, string[]> {
  const index = new Map<unknown, string[]>()
  for (const key of Object.keys(raw)) {
    const item = (raw as Dict)[key]
    if (isObject(item)) getOrInsert(index, item, () => []).push(key)
  }
  return index
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
  /** How many elements of arrays were passed in the searches since keys were learnt. */
  private searched = 0

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

  /**
   * Puts a copy behind the node of an application object, and behind all proxies of it.
   * @param uncopied the copy is to be replaced by the next save in its turn
   */
  replaceByCopy(node: Node, copy: Container, uncopied = false): void {
    const { raw } = node
    this.nodes.delete(raw)
    this.nodes.set(copy, node)
    for (const view of node.views ?? []) view.moveProxy(raw, copy)
    node.raw = copy
    node.uncopied = uncopied
    if (!uncopied) node.views = undefined
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

  /** Records that `parent` holds `child` at `key`. */
  link(child: Node, parent: Node, key: string): void {
    const { parents } = child
    if (parents.length > 0) this.markAliased(child)
    child.lastKey = key
    if (parents.length === 0) child.parents = parent.asParents
    else if (!parents.includes(parent)) child.parents = [...parents, parent]
  }

  /** Does `parent` hold `child`? Its `lastKey` is right then. */
  holds(parent: Node, child: Node): boolean {
    const { raw } = parent
    if (child.isAt(raw, child.lastKey)) return true
    if (child.isOnlyAtLastKey(parent)) return false
    if (!isList(raw)) {
      const key = Object.keys(raw).find((other) => raw[other] === child.raw)
      if (key !== undefined) child.lastKey = key
      return key !== undefined
    }
    const index = raw.indexOf(child.raw)
    if (index < 0) return false
    child.lastKey = String(index)
    // The elements of a queue are found at its start. Where the searches get longer, all keys are learnt, as the next elements are mostly asked for too.
    this.searched += index
    if (this.searched > raw.length) {
      this.searched -= raw.length
      for (const [key, item] of Object.entries(raw)) {
        const node = this.find(item)
        if (node) node.lastKey = key
      }
    }
    return true
  }

  /** The path of a node; of one that was taken out, the path within the part that was taken out with it. */
  pathOf(node: Node): Path {
    const parent = this.parentOf(node)
    if (!parent) return []
    return [...this.pathOf(parent), isList(parent.raw) ? Number(node.lastKey) : node.lastKey]
  }

  /** How many containers are above this one. */
  depthOf(node: Node): number {
    const parent = this.parentOf(node)
    return parent ? this.depthOf(parent) + 1 : 0
  }

  /** The container that holds it: the last one that got it, if there are several. */
  private parentOf(node: Node): Node | undefined {
    return node.parents.findLast((parent) => this.holds(parent, node))
  }

  private create(raw: Container, parent: Node | undefined, key: string): Node {
    const node = new Node(raw, parent?.uncopied === true || this.assignmentOf(raw) !== undefined)
    if (node.uncopied) this.uncopiedNodes.push(node)
    if (parent) node.parents = parent.asParents
    node.lastKey = key
    this.nodes.set(raw, node)
    // A holder of former times would otherwise live as long as the container.
    this.holders?.delete(raw)
    return node
  }
}

/**
 * Checks that a container of the tree can be put into `holder`, at this depth.
 *
 * @throws NotJsonError `holder` would contain itself, or what is in it would nest too deep
 */
export function checkNesting(raw: Container, holder: Node, depth: number, path: Path): void {
  const levelsLeft = MAX_NESTING + 1 - depth
  const height = heightOf(raw, levelsLeft + 1, holder.raw)
  if (height === Number.POSITIVE_INFINITY) throw new NotJsonError(path, CYCLE)
  if (height > levelsLeft) throw new NotJsonError(path, TOO_DEEP)
}

/** The height of a tree, counted up to `limit`; infinite where `sought` is part of it. Looks through proxies. */
function heightOf(value: object, limit: number, sought: Container): number {
  const raw = proxyInfoOf(value)?.raw ?? value
  if (raw === sought) return Number.POSITIVE_INFINITY
  let height = 0
  for (const item of Object.values(raw)) {
    // A cycle of application objects reaches the limit at once; its other branches would double the walk at each level.
    if (height >= limit - 1) break
    if (isObject(item)) height = Math.max(height, heightOf(item, limit - 1, sought))
  }
  return height + 1
}

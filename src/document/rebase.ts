import type { SharedSessionError } from '../errors.js'
import { ConflictResolver, MERGE_AUTHOR } from './conflict-resolver.js'
import { DocumentState } from './document-state.js'
import type { BeforeImage } from './journal.js'
import {
  ABSENT,
  type Container,
  clone,
  type Dict,
  equal,
  isContainer,
  isList,
  isObject,
  type JsonObject,
  keysOf,
  type List,
  type Path,
  replaceContents,
  sameKind,
  setOwn,
} from './json.js'
import { mergeArrays } from './merge-arrays.js'
import type { Conflict } from './merge-strategy.js'
import { noteRemoval } from './orphaned-writes.js'
import { reconcile } from './reconcile.js'
import { ChildKeys, type Node } from './tree.js'
import { matchElements, type TreeDiff } from './tree-diff.js'
import { replaceItems } from './write.js'

/**
 * Merges what others made of the base into the live tree, like a git rebase: afterwards the base is theirs, and the unsaved writes of this side
 * are on top. Containers stay the same objects, so references that the application holds stay valid. Where both changed the same
 * value mine wins, but what they removed is gone.
 *
 * @param treeDiff of the base and theirs; theirs has no reserved names at the root and stays the caller's
 */
export function rebase(state: DocumentState, treeDiff: TreeDiff): Pick<Rebase, 'conflicts' | 'problems'> {
  const run = new Rebase(state, treeDiff)
  run.mergeDict(state.root, treeDiff.newer, [])
  return run
}

/** For each value there are three versions: `live` is mine, `was` is the base's, `their` is theirs. */
class Rebase {
  readonly conflicts: Conflict[] = []
  /** Errors of merge functions. */
  readonly problems: SharedSessionError[] = []
  private readonly resolver: ConflictResolver | undefined
  /** All containers of the base, if mine has any where the base has nothing. Collected at the start: a merge changes what the base has. */
  private readonly baseContainers: Set<Container>

  constructor(
    private readonly state: DocumentState,
    private readonly treeDiff: TreeDiff,
  ) {
    const { strategies } = state.options
    if (strategies) this.resolver = new ConflictResolver(state, strategies, this.conflicts, this.problems)
    this.baseContainers = state.journal.hasAddedContainers ? state.base.containers(state.root) : new Set()
  }

  private mergeContainer(raw: Container, theirs: Container, path: Path): void {
    if (isList(raw)) this.mergeList(raw, theirs as List, path)
    else this.mergeDict(raw, theirs as Dict, path)
  }

  mergeDict(raw: Dict, theirs: Dict, path: Path): void {
    const { base, journal } = this.state
    const written = journal.writtenKeys(raw)
    for (const key of new Set([...keysOf(raw), ...keysOf(theirs), ...(written?.keys() ?? [])])) {
      const live = Object.hasOwn(raw, key) ? raw[key] : ABSENT
      const was = base.get(raw, key)
      const their = Object.hasOwn(theirs, key) ? theirs[key] : ABSENT
      // The value was put back: its before-image would hide what they made of it.
      if (was === live) written?.delete(key)
      if (was === live && !this.needsMerge(live, their)) continue
      const keyPath = [...path, key]
      const resolution = this.resolver?.resolve(live, was, their, keyPath)
      const conflictsBefore = this.conflicts.length
      if (was === live) this.mergeUnreplaced(raw, key, live, their, keyPath)
      else if (was === ABSENT && this.isAddedByBoth(raw, key, their)) {
        const authors = journal.authorsOf(raw, key)
        written?.delete(key)
        this.mergeAddedByBoth(raw, key, their as Container, authors, keyPath)
      } else if (this.differs(was, their)) this.mergeReplaced(raw, key, live, was, their, keyPath)
      if (resolution) {
        this.resolver?.replaceConflicts(resolution, conflictsBefore)
        this.resolver?.apply(raw, key, resolution.value)
      }
    }
  }

  /** I did not replace this value, though I may have written inside it. */
  private mergeUnreplaced(raw: Dict, key: string, live: unknown, their: unknown, path: Path): void {
    if (sameKind(live, their)) this.mergeContainer(live as Container, their as Container, path)
    else this.takeTheirs(raw, key, live, their, path)
  }

  /** I replaced or removed this value; they replaced it, removed it or changed it inside. */
  private mergeReplaced(raw: Dict, key: string, live: unknown, was: unknown, their: unknown, path: Path): void {
    const { base, nonJson, journal, tree } = this.state
    const image = journal.writtenKeys(raw)?.get(key) as BeforeImage
    const liveToJson = () => nonJson.toJson(live)
    const old = base.toJson(was)
    // A copy: the base's former object may have been moved or changed since.
    image.before = clone(their)
    if (equal(liveToJson(), old)) {
      // I put an equal value there, which is no change: the object that is there now becomes theirs.
      if (sameKind(live, their)) {
        reconcile(this.state, tree.childNode(live as Container, tree.nodeOf(raw), key), their as Container)
      } else this.takeTheirs(raw, key, live, their, path)
      return
    }
    if (sameKind(live, old) && sameKind(live, their)) {
      // What a strategy makes of both is news to my authors too.
      if (this.state.options.strategies?.hasBelow(path)) journal.record(tree.nodeOf(raw), key, MERGE_AUTHOR)
      this.mergeReplacement(tree.childNode(live as Container, tree.nodeOf(raw), key), old, liveToJson(), their, path)
      return
    }
    const resolved = this.resolver ? this.resolver.resolveInside(live, old, their, path) : their
    const mine = liveToJson()
    if (equal(mine, resolved)) return
    const isRemovedByMe = live === ABSENT && isObject(their)
    this.conflicts.push({
      path,
      kind: isRemovedByMe ? 'deleted-under-edit' : 'both-set',
      base: orUndefined(old),
      mine: orUndefined(mine),
      theirs: orUndefined(their),
      won: 'mine',
    })
  }

  /**
   * I put another object or array in place of one, as `session.cart = { ...session.cart, total }` does: what differs is what I wrote. It is merged
   * as what an HTTP request has written.
   */
  private mergeReplacement(node: Node, old: unknown, mine: unknown, theirs: unknown, path: Path): void {
    const { strategies } = this.state.options
    const under = (value: unknown) => path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as JsonObject
    const state = new DocumentState(under(clone(old)), { strategies })
    reconcile(state, state.tree.root, under(mine))
    const { conflicts, problems } = rebase(state, state.compareWithBase(under(theirs)))
    for (const each of conflicts) this.conflicts.push({ ...each, path: [...path, ...each.path.slice(path.length)] })
    this.problems.push(...problems)
    const merged = path.reduce<unknown>((value, key) => (value as Dict)[key], state.nonJson.dictToJson(state.root))
    reconcile(this.state, node, merged as Container)
  }

  private takeTheirs(raw: Dict, key: string, live: unknown, their: unknown, path: Path): void {
    if (their === ABSENT) delete raw[key]
    else setOwn(raw, key, clone(their))
    if (isContainer(live)) this.noteRemoved(live, path, their)
  }

  /**
   * Did both put a container of one kind where the base has nothing? A container that I moved there does not count: it has its base at its former
   * place.
   */
  private isAddedByBoth(holder: Container, key: string, their: unknown): boolean {
    const live = Object.hasOwn(holder, key) ? (holder as Dict)[key] : ABSENT
    return sameKind(live, their) && !this.baseContainers.has(live as Container)
  }

  /** Merges as if the base had an empty container there: all of mine is an unsaved write on top of theirs. */
  private mergeAddedByBoth(holder: Container, key: string, theirs: Container, authors: ReadonlySet<object>, path: Path): void {
    const { journal, tree } = this.state
    const live = (holder as Dict)[key] as Container
    const node = tree.childNode(live, tree.nodeOf(holder), key)
    // The patches of this rebase put theirs there, for my authors too. So the next patches must bring mine to them as well.
    journal.restartFromEmpty(node, new Set([...authors, MERGE_AUTHOR]))
    this.baseContainers.add(live)
    if (isList(live)) this.mergeListAddedByBoth(node, live, theirs as List, path)
    else this.mergeDict(live, theirs as Dict, path)
  }

  private mergeListAddedByBoth(node: Node, live: List, theirs: List, path: Path): void {
    const { nonJson, journal } = this.state
    const emptyBase = theirs.map(() => ABSENT)
    const resolved = this.resolver?.resolveItems(emptyBase, live, theirs, path)
    if (resolved) {
      journal.setItemsBefore(live, theirs.slice())
      replaceItems(this.state, node, resolved)
    } else if (equal(nonJson.toJson(live), theirs)) {
      const authors = journal.authorsOf(live, '')
      // Both assigned the same default, or the same write was made twice: it is one array, whose elements correspond by their index.
      const base = theirs.map((their, index) => {
        if (!isContainer(their) || !this.isAddedByBoth(live, String(index), their)) return clone(their)
        this.mergeAddedByBoth(live, String(index), their, authors, [...path, index])
        return live[index]
      })
      journal.setItemsBefore(live, base)
    } else this.mergeList(live, theirs, path)
  }

  private mergeList(live: List, theirs: List, path: Path): void {
    const { base: baseView, nonJson, journal, tree } = this.state
    const itemsBefore = journal.itemsBefore(live)
    const base = itemsBefore ?? live.slice()
    const resolved = itemsBefore && this.resolver?.resolveItems(base, live, theirs, path)
    if (resolved) {
      journal.setItemsBefore(live, theirs.slice())
      replaceItems(this.state, tree.nodeOf(live), resolved)
      return
    }
    const elements = this.treeDiff.matchOf(live)
    const match = elements?.match ?? theirs.map((_, to) => (to < base.length ? to : -1))
    /** Elements that they changed. */
    const edited: [from: number, was: unknown, to: number][] = []
    /** What strategies made of elements that both changed. */
    const resolutions = new Map<unknown, unknown>()
    const liveItems = this.resolver && new Set(live)
    /** Their elements, where those that were found again are the same objects as in the base. */
    const theirItems = theirs.map((their, to) => {
      const from = match[to] as number
      const item = base[from]
      if (from === -1) return clone(their)
      if (!isContainer(item)) {
        if (item !== their) edited.push([from, item, to])
        return their
      }
      if (this.needsMerge(item, their)) {
        if (itemsBefore && elements?.edited.has(to)) edited.push([from, baseView.toJson(item), to])
        const itemPath = [...path, to]
        const resolution = liveItems?.has(item) ? this.resolver?.resolve(item, item, their, itemPath) : undefined
        const conflictsBefore = this.conflicts.length
        this.mergeContainer(item, their as Container, itemPath)
        if (resolution) {
          this.resolver?.replaceConflicts(resolution, conflictsBefore)
          resolutions.set(item, resolution.value)
        }
      }
      return item
    })
    // If the length is unchanged, what I put in place of an element has its index.
    const mineByIndex = edited.length > 0 && base.length === live.length ? live.slice() : base
    const { items, kept } = itemsBefore ? mergeArrays(base, live, theirItems, match) : { items: theirItems, kept: undefined }
    if (itemsBefore) journal.setItemsBefore(live, theirItems)
    replaceContents(live, items)

    const matched = new Set(match)
    const childKeys = new ChildKeys()
    base.forEach((item, from) => {
      if (isContainer(item) && !matched.has(from)) this.noteRemoved(item, [...path, from], undefined, childKeys)
    })
    const baseItems = new Set(base)
    const mergedItems = new Set(items)
    const removedByMe = edited.filter(([from, , to]) => {
      const item = theirItems[to]
      if (!kept || kept.has(from) || (isContainer(item) && mergedItems.has(item))) return false
      const node = tree.find(item)
      return !(node && childKeys.isReachable(node, tree.root))
    })
    for (const [from, was, to] of removedByMe) {
      const mine = mineByIndex[from] === base[from] ? undefined : nonJson.itemToJson(mineByIndex[from])
      if (equal(mine, theirs[to])) continue
      const copy = mineByIndex[from]
      if (
        isContainer(copy) &&
        !baseItems.has(copy) &&
        sameKind(was, theirs[to]) &&
        matchElements([was], [mine])?.match[0] === 0
      ) {
        this.mergeReplacement(tree.childNode(copy, tree.nodeOf(live), ''), was, mine, theirs[to], [...path, to])
        continue
      }
      const kind = isObject(was) ? 'deleted-under-edit' : 'both-set'
      this.conflicts.push({ path: [...path, to], kind, base: was, mine, theirs: theirs[to], won: 'mine' })
    }
    if (resolutions.size > 0) this.resolver?.applyToItems(live, resolutions)
  }

  private noteRemoved(raw: Container, path: Path, theirs: unknown, childKeys?: ChildKeys): void {
    const conflict = noteRemoval(this.state, raw, path, orUndefined(theirs), childKeys)
    if (conflict) this.conflicts.push(conflict)
  }

  /** Also if they changed nothing, before-images inside may have to go. */
  private needsMerge(live: unknown, their: unknown): boolean {
    return this.differs(live, their) || (isContainer(live) && this.state.journal.isChangedWithin(live))
  }

  private differs(was: unknown, their: unknown): boolean {
    return was !== their && !(sameKind(was, their) && !this.treeDiff.differs(was as Container))
  }
}

const orUndefined = (value: unknown): unknown => (value === ABSENT ? undefined : value)

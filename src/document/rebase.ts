import type { SharedSessionError } from '../errors.js'
import { ConflictResolver, MERGE_AUTHOR } from './conflict-resolver.js'
import { type DocumentState, setOwn } from './document-state.js'
import type { BeforeImage } from './journal.js'
import {
  ABSENT,
  type Container,
  clone,
  type Dict,
  equal,
  hasOwn,
  isContainer,
  isList,
  isObject,
  keysOf,
  type List,
  type Path,
  replaceContents,
  sameKind,
} from './json.js'
import { mergeArrays } from './merge-arrays.js'
import type { Conflict } from './merge-strategy.js'
import { isSameJson } from './merge-strategy.js'
import { noteRemoval } from './orphaned-writes.js'
import { reconcile } from './reconcile.js'
import type { Node } from './tree.js'
import type { TreeDiff } from './tree-diff.js'
import { replaceItems } from './write.js'

/**
 * Merges what others made of the base into the live tree, in place: afterwards the base is theirs, and what was written here and not
 * saved lies on top of it. Containers are found again by identity, so that references held by the application stay valid. On the
 * same place mine wins, except that what they removed is gone.
 */
export class Rebase<A extends object> {
  readonly conflicts: Conflict[] = []
  /** Merge functions that failed. */
  readonly problems: SharedSessionError[] = []
  private readonly resolver: ConflictResolver<A> | undefined
  /** What the base consists of. */
  private baseContainers: Set<Container> | undefined

  /** @param diff of the base with theirs, which has no reserved names at the root and stays the caller's */
  constructor(
    private readonly state: DocumentState<A>,
    private readonly diff: TreeDiff,
  ) {
    const { strategies: rules } = state.options
    if (rules) this.resolver = new ConflictResolver(state, rules, this.conflicts, this.problems)
    this.mergeDict(state.root, diff.newer, [])
  }

  private mergeContainer(raw: Container, theirs: Container, path: Path): void {
    if (isList(raw)) this.mergeList(raw, theirs as List, path)
    else this.mergeDict(raw, theirs as Dict, path)
  }

  private mergeDict(raw: Dict, theirs: Dict, path: Path): void {
    const { base, journal } = this.state
    const slots = journal.writtenKeys(raw)
    for (const key of new Set([...keysOf(raw), ...keysOf(theirs), ...(slots?.keys() ?? [])])) {
      const live = hasOwn(raw, key) ? raw[key] : ABSENT
      const was = base.get(raw, key)
      const their = hasOwn(theirs, key) ? theirs[key] : ABSENT
      // Where it was put back, the before-image would go on hiding what they made of it.
      if (was === live) slots?.delete(key)
      if (was === live && !this.needsMerge(live, their)) continue
      const place = [...path, key]
      const verdict = this.resolver?.resolve(live, was, their, place)
      const mark = this.conflicts.length
      if (was === live) this.mergeUnreplaced(raw, key, live, their, place)
      else if (was === ABSENT && this.isAddedByBoth(raw, key, their)) {
        const by = journal.authorsOf(raw, key)
        slots?.delete(key)
        this.mergeAddedByBoth(raw, key, their as Container, by, place)
      } else if (this.differs(was, their)) this.mergeReplaced(raw, key, live, was, their, place)
      if (verdict) {
        this.resolver?.replaceConflicts(verdict, mark)
        this.resolver?.apply(raw, key, verdict.value)
      }
    }
  }

  /** I did not replace this value, though I may have written inside. */
  private mergeUnreplaced(raw: Dict, key: string, live: unknown, their: unknown, path: Path): void {
    if (sameKind(live, their)) this.mergeContainer(live as Container, their as Container, path)
    else {
      setOrDelete(raw, key, their)
      if (isContainer(live)) this.noteRemoved(live, path, their)
    }
  }

  /** I replaced or removed this value, they replaced, removed or changed it. */
  private mergeReplaced(raw: Dict, key: string, live: unknown, was: unknown, their: unknown, path: Path): void {
    const { base, nonJson: guests, journal, tree } = this.state
    const slot = journal.writtenKeys(raw)?.get(key) as BeforeImage<A>
    const image = () => (live === ABSENT ? ABSENT : guests.toJson(live))
    const old = was === ABSENT ? ABSENT : base.toJson(was)
    // The base no longer is the object it was: that one may have been moved or changed since.
    slot.before = clone(their)
    if (isSameJson(image(), old)) {
      // Replaced by its equal, which is no change: theirs goes into the object that is there now.
      if (sameKind(live, their))
        reconcile(this.state, tree.childNode(live as Container, tree.nodeOf(raw), key), their as Container)
      else {
        setOrDelete(raw, key, their)
        if (isContainer(live)) this.noteRemoved(live, path, their)
      }
      return
    }
    const agreed = this.resolver ? this.resolver.resolveInside(live, old, their, path) : their
    const mine = image()
    if (isSameJson(mine, agreed)) return
    const removedByMe = live === ABSENT && isObject(their)
    this.conflicts.push({
      path,
      kind: removedByMe ? 'deleted-under-edit' : 'both-set',
      base: orUndefined(old),
      mine: orUndefined(mine),
      theirs: orUndefined(their),
      won: 'mine',
    })
  }

  /** Have both put a container of one kind where there was nothing? One that I moved has its base where it was, and cannot have another. */
  private isAddedByBoth(holder: Container, key: string, their: unknown): boolean {
    const raw = holder as Dict
    if (!isContainer(their) || !hasOwn(raw, key)) return false
    const { base, nonJson: guests, root } = this.state
    let live = raw[key]
    if (isObject(live) && !isContainer(live)) {
      // Nothing can be put into a class instance: it has to be what JSON makes of it.
      live = guests.toJson(live)
      if (sameKind(live, their)) setOwn(raw, key, live)
    }
    if (!sameKind(live, their)) return false
    this.baseContainers ??= base.containers(root)
    return !this.baseContainers.has(live as Container)
  }

  /** Both begin with an empty container: what I put into mine is written on top of what they put into theirs. */
  private mergeAddedByBoth(holder: Container, key: string, theirs: Container, by: ReadonlySet<A>, path: Path): void {
    const { journal, tree } = this.state
    const live = (holder as Dict)[key] as Container
    const node = tree.childNode(live, tree.nodeOf(holder), key)
    // Whoever follows what is told has just been told to put theirs there: what I put into mine has to be told to him again.
    journal.restartFromEmpty(node, new Set([...by, MERGE_AUTHOR as A]))
    this.baseContainers?.add(live)
    if (isList(live)) this.mergeListAddedByBoth(node, live, theirs as List, path)
    else this.mergeDict(live, theirs as Dict, path)
  }

  private mergeListAddedByBoth(node: Node, live: List, theirs: List, path: Path): void {
    const { nonJson: guests, journal } = this.state
    const absent = theirs.map(() => ABSENT)
    const slots = this.resolver?.resolveItems(absent, live, theirs, path)
    if (slots) {
      journal.setItemsBefore(live, theirs.slice())
      replaceItems(this.state, node, slots)
    } else if (equal(guests.toJson(live), theirs)) {
      const by = journal.authorsOf(live, '')
      // The same default, or the same write done twice: one list, whose elements are found again by their place.
      const base = theirs.map((their, index) => {
        if (!isContainer(their) || !this.isAddedByBoth(live, String(index), their)) return clone(their)
        this.mergeAddedByBoth(live, String(index), their, by, [...path, index])
        return live[index]
      })
      journal.setItemsBefore(live, base)
    } else this.mergeList(live, theirs, path)
  }

  private mergeList(live: List, theirs: List, path: Path): void {
    const { base: view, nonJson: guests, journal, tree } = this.state
    const changedByMe = journal.itemsBefore(live)
    const base = changedByMe ?? live.slice()
    const slots = changedByMe && this.resolver?.resolveItems(base, live, theirs, path)
    if (slots) {
      journal.setItemsBefore(live, theirs.slice())
      replaceItems(this.state, tree.nodeOf(live), slots)
      return
    }
    const alignment = this.diff.matchOf(live)
    const match = alignment?.match ?? theirs.map((_, to) => (to < base.length ? to : -1))
    const edited: [from: number, was: unknown, to: number][] = []
    const decided: [item: Container, value: unknown][] = []
    const items = theirs.map((their, to) => {
      const from = match[to] as number
      const item = base[from]
      if (from === -1) return clone(their)
      if (!isContainer(item)) {
        if (item !== their) edited.push([from, item, to])
        return their
      }
      if (this.needsMerge(item, their)) {
        if (alignment?.edited.has(to)) edited.push([from, view.toJson(item), to])
        const place = [...path, to]
        const verdict = live.includes(item) ? this.resolver?.resolve(item, item, their, place) : undefined
        const mark = this.conflicts.length
        this.mergeContainer(item, their as Container, place)
        if (verdict) {
          this.resolver?.replaceConflicts(verdict, mark)
          decided.push([item, verdict.value])
        }
      }
      return item
    })
    // Where the length is the same, what I put in an element's place is at its place.
    const before = edited.length > 0 && base.length === live.length ? live.slice() : base
    const { items: merged, kept } = changedByMe ? mergeArrays(base, live, items, match) : { items, kept: undefined }
    if (changedByMe) journal.setItemsBefore(live, items)
    replaceContents(live, merged)

    const found = new Set(match)
    base.forEach((item, from) => {
      if (isContainer(item) && !found.has(from)) this.noteRemoved(item, [...path, from], undefined)
    })
    for (const [from, was, to] of edited) {
      const node = tree.find(items[to])
      if (kept === undefined || kept.has(from) || (node && tree.isReachable(node))) continue
      const mine = before[from] === base[from] ? undefined : guests.item(before[from])
      if (equal(mine, theirs[to])) continue
      const kind = isObject(was) ? 'deleted-under-edit' : 'both-set'
      this.conflicts.push({ path: [...path, to], kind, base: was, mine, theirs: theirs[to], won: 'mine' })
    }
    for (const [item, value] of decided) this.resolver?.applyToItem(live, item, value)
  }

  private noteRemoved(raw: Container, path: Path, theirs: unknown): void {
    const conflict = noteRemoval(this.state, raw, path, theirs === ABSENT ? undefined : theirs)
    if (conflict) this.conflicts.push(conflict)
  }

  /** Is there anything to do? Also where they changed nothing, before-images inside may have to go. */
  private needsMerge(live: unknown, their: unknown): boolean {
    return this.differs(live, their) || (isContainer(live) && this.state.journal.isChangedWithin(live))
  }

  private differs(was: unknown, their: unknown): boolean {
    return was !== their && !(sameKind(was, their) && !this.diff.differs(was as Container))
  }
}

function setOrDelete(raw: Dict, key: string, value: unknown): void {
  if (value === ABSENT) delete raw[key]
  else setOwn(raw, key, clone(value))
}

const orUndefined = (value: unknown): unknown => (value === ABSENT ? undefined : value)

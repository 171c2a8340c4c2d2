import type { SharedSessionError } from '../errors.js'
import type { Conflict } from './conflict.js'
import { ConflictResolver, MERGE } from './conflict-resolver.js'
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
import { isSameJson } from './merge-strategy.js'
import type { Node } from './node.js'
import { orphan } from './orphaned-writes.js'
import { reconcile } from './reconcile.js'
import { define, type State } from './state.js'
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
  private readonly ruling: ConflictResolver<A> | undefined
  /** What the base consists of. */
  private based: Set<Container> | undefined

  /** @param comparison of the base with theirs, which has no reserved names at the root and stays the caller's */
  constructor(
    private readonly state: State<A>,
    private readonly comparison: TreeDiff,
  ) {
    const { rules } = state.options
    if (rules) this.ruling = new ConflictResolver(state, rules, this.conflicts, this.problems)
    this.dict(state.root, comparison.newer, [])
  }

  private container(raw: Container, theirs: Container, path: Path): void {
    if (isList(raw)) this.list(raw, theirs as List, path)
    else this.dict(raw, theirs as Dict, path)
  }

  private dict(raw: Dict, theirs: Dict, path: Path): void {
    const { base, journal } = this.state
    const slots = journal.slots(raw)
    for (const key of new Set([...keysOf(raw), ...keysOf(theirs), ...(slots?.keys() ?? [])])) {
      const live = hasOwn(raw, key) ? raw[key] : ABSENT
      const was = base.get(raw, key)
      const their = hasOwn(theirs, key) ? theirs[key] : ABSENT
      // Where it was put back, the before-image would go on hiding what they made of it.
      if (was === live) slots?.delete(key)
      if (was === live && !this.concerns(live, their)) continue
      const place = [...path, key]
      const verdict = this.ruling?.resolve(live, was, their, place)
      const mark = this.conflicts.length
      if (was === live) this.unchanged(raw, key, live, their, place)
      else if (was === ABSENT && this.isAddedByBoth(raw, key, their)) {
        const by = journal.authorsOf(raw, key)
        slots?.delete(key)
        this.added(raw, key, their as Container, by, place)
      } else if (this.differs(was, their)) this.changed(raw, key, live, was, their, place)
      if (verdict) {
        this.ruling?.report(verdict, mark)
        this.ruling?.apply(raw, key, verdict.value)
      }
    }
  }

  /** I did not replace this value, though I may have written inside. */
  private unchanged(raw: Dict, key: string, live: unknown, their: unknown, path: Path): void {
    if (sameKind(live, their)) this.container(live as Container, their as Container, path)
    else {
      set(raw, key, their)
      if (isContainer(live)) this.removed(live, path, their)
    }
  }

  /** I replaced or removed this value, they replaced, removed or changed it. */
  private changed(raw: Dict, key: string, live: unknown, was: unknown, their: unknown, path: Path): void {
    const { base, guests, journal, tree } = this.state
    const slot = journal.slots(raw)?.get(key) as BeforeImage<A>
    const image = () => (live === ABSENT ? ABSENT : guests.image(live))
    const old = was === ABSENT ? ABSENT : base.image(was)
    // The base no longer is the object it was: that one may have been moved or changed since.
    slot.was = clone(their)
    if (isSameJson(image(), old)) {
      // Replaced by its equal, which is no change: theirs goes into the object that is there now.
      if (sameKind(live, their)) reconcile(this.state, tree.child(live as Container, tree.node(raw), key), their as Container)
      else {
        set(raw, key, their)
        if (isContainer(live)) this.removed(live, path, their)
      }
      return
    }
    const agreed = this.ruling ? this.ruling.resolveInside(live, old, their, path) : their
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
    const { base, guests, root } = this.state
    let live = raw[key]
    if (isObject(live) && !isContainer(live)) {
      // Nothing can be put into a class instance: it has to be what JSON makes of it.
      live = guests.image(live)
      if (sameKind(live, their)) define(raw, key, live)
    }
    if (!sameKind(live, their)) return false
    this.based ??= base.containers(root)
    return !this.based.has(live as Container)
  }

  /** Both begin with an empty container: what I put into mine is written on top of what they put into theirs. */
  private added(holder: Container, key: string, theirs: Container, by: ReadonlySet<A>, path: Path): void {
    const { journal, tree } = this.state
    const live = (holder as Dict)[key] as Container
    const node = tree.child(live, tree.node(holder), key)
    // Whoever follows what is told has just been told to put theirs there: what I put into mine has to be told to him again.
    journal.restart(node, new Set([...by, MERGE as A]))
    this.based?.add(live)
    if (isList(live)) this.addedList(node, live, theirs as List, path)
    else this.dict(live, theirs as Dict, path)
  }

  private addedList(node: Node, live: List, theirs: List, path: Path): void {
    const { guests, journal } = this.state
    const absent = theirs.map(() => ABSENT)
    const slots = this.ruling?.slots(absent, live, theirs, path)
    if (slots) {
      journal.rebase(live, theirs.slice())
      replaceItems(this.state, node, slots)
    } else if (equal(guests.image(live), theirs)) {
      const by = journal.authorsOf(live, '')
      // The same default, or the same write done twice: one list, whose elements are found again by their place.
      const base = theirs.map((their, index) => {
        if (!isContainer(their) || !this.isAddedByBoth(live, String(index), their)) return clone(their)
        this.added(live, String(index), their, by, [...path, index])
        return live[index]
      })
      journal.rebase(live, base)
    } else this.list(live, theirs, path)
  }

  private list(live: List, theirs: List, path: Path): void {
    const { base: view, guests, journal, tree } = this.state
    const changedByMe = journal.listBefore(live)
    const base = changedByMe ?? live.slice()
    const slots = changedByMe && this.ruling?.slots(base, live, theirs, path)
    if (slots) {
      journal.rebase(live, theirs.slice())
      replaceItems(this.state, tree.node(live), slots)
      return
    }
    const alignment = this.comparison.alignment(live)
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
      if (this.concerns(item, their)) {
        if (alignment?.edited.has(to)) edited.push([from, view.image(item), to])
        const place = [...path, to]
        const verdict = live.includes(item) ? this.ruling?.resolve(item, item, their, place) : undefined
        const mark = this.conflicts.length
        this.container(item, their as Container, place)
        if (verdict) {
          this.ruling?.report(verdict, mark)
          decided.push([item, verdict.value])
        }
      }
      return item
    })
    // Where the length is the same, what I put in an element's place is at its place.
    const before = edited.length > 0 && base.length === live.length ? live.slice() : base
    const { items: merged, kept } = changedByMe ? mergeArrays(base, live, items, match) : { items, kept: undefined }
    if (changedByMe) journal.rebase(live, items)
    replaceContents(live, merged)

    const found = new Set(match)
    base.forEach((item, from) => {
      if (isContainer(item) && !found.has(from)) this.removed(item, [...path, from], undefined)
    })
    for (const [from, was, to] of edited) {
      const node = tree.find(items[to])
      if (kept === undefined || kept.has(from) || (node && tree.isReachable(node))) continue
      const mine = before[from] === base[from] ? undefined : guests.item(before[from])
      if (equal(mine, theirs[to])) continue
      const kind = isObject(was) ? 'deleted-under-edit' : 'both-set'
      this.conflicts.push({ path: [...path, to], kind, base: was, mine, theirs: theirs[to], won: 'mine' })
    }
    for (const [item, value] of decided) this.ruling?.concludeItem(live, item, value)
  }

  private removed(raw: Container, path: Path, theirs: unknown): void {
    const conflict = orphan(this.state, raw, path, theirs === ABSENT ? undefined : theirs)
    if (conflict) this.conflicts.push(conflict)
  }

  /** Is there anything to do? Also where they changed nothing, before-images inside may have to go. */
  private concerns(live: unknown, their: unknown): boolean {
    return this.differs(live, their) || (isContainer(live) && this.state.journal.touched(live))
  }

  private differs(was: unknown, their: unknown): boolean {
    return was !== their && !(sameKind(was, their) && !this.comparison.differs(was as Container))
  }
}

function set(raw: Dict, key: string, value: unknown): void {
  if (value === ABSENT) delete raw[key]
  else define(raw, key, clone(value))
}

const orUndefined = (value: unknown): unknown => (value === ABSENT ? undefined : value)

import type { SharedSessionError } from '../errors.js'
import type { DocumentState } from './document-state.js'
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
  sameKind,
} from './json.js'
import type { Conflict, StrategyTable } from './merge-strategy.js'
import { type ConflictSite, isSameJson, type Resolution, resolveConflict } from './merge-strategy.js'
import { reconcile } from './reconcile.js'
import type { Node } from './tree.js'
import { assign, remove, replaceItems } from './write.js'

/**
 * Strategies at work in an absorption. The place is merged first as any other, so that the base becomes theirs and references stay valid;
 * then it is made what the strategy wants, as a write of this side.
 */
export class ConflictResolver<A extends object> {
  constructor(
    private readonly state: DocumentState<A>,
    private readonly strategies: StrategyTable,
    private readonly conflicts: Conflict[],
    private readonly problems: SharedSessionError[],
  ) {}

  /** What becomes of a place; to be asked before it is merged. `undefined`: the merge decides. */
  resolve(live: unknown, was: unknown, theirs: unknown, path: Path): Resolution | undefined {
    const strategy = this.strategies.for(path)
    if (!strategy || strategy === 'last') return undefined
    const { base, nonJson: guests, journal } = this.state
    if (live === was && !(isContainer(live) && journal.isChangedWithin(live))) return undefined
    const old = was === ABSENT ? ABSENT : base.toJson(was)
    if (isSameJson(old, theirs)) return undefined
    return this.callStrategy({ path, base: old, mine: live === ABSENT ? ABSENT : guests.toJson(live), theirs })
  }

  /** @param mark how many conflicts there were before the place was merged: what that found is void */
  replaceConflicts({ conflict }: Resolution, mark: number): void {
    this.conflicts.length = mark
    if (conflict) this.conflicts.push(conflict)
  }

  /** The place has been merged. */
  apply(raw: Dict, key: string, value: unknown): void {
    this.write(this.state.tree.nodeOf(raw), key, value)
  }

  /** The same for an element of an array. */
  applyToItem(list: List, item: unknown, value: unknown): void {
    const { state } = this
    const node = state.tree.nodeOf(list)
    if (sameKind(item, value)) reconcile(state, state.tree.childNode(item as Container, node, ''), value as Container)
    else {
      const instead = value === ABSENT ? [] : [clone(value)]
      const items = list.flatMap((other) => (other === item ? instead : [other]))
      replaceItems(state, node, items)
    }
  }

  /**
   * I replaced a whole object, as `session.stats = { ...session.stats, count }` does: strategies hold inside all the same.
   * @returns theirs, with what was decided: whatever differs from mine now is in conflict
   */
  resolveInside(live: unknown, old: unknown, theirs: unknown, path: Path): unknown {
    if (!this.strategies.hasBelow(path) || !isContainer(live) || isList(live) || !sameKind(live, theirs)) return theirs
    const { nonJson: guests, tree } = this.state
    const agreed = { ...(theirs as Dict) }
    for (const key of new Set([...keysOf(live), ...keysOf(agreed)])) {
      const place = [...path, key]
      const [base, their] = [valueAt(old, key), valueAt(agreed, key)]
      const mine = hasOwn(live, key) ? guests.toJson(live[key]) : ABSENT
      const strategy = this.strategies.for(place)
      if (!strategy || strategy === 'last') {
        if (mine !== ABSENT && their !== ABSENT) agreed[key] = this.resolveInside(live[key], base, their, place)
        continue
      }
      const verdict = isSameJson(base, their) ? { value: mine } : this.callStrategy({ path: place, base, mine, theirs: their })
      if (!verdict) continue
      if (verdict.conflict) this.conflicts.push(verdict.conflict)
      if (verdict.value === ABSENT) delete agreed[key]
      else agreed[key] = verdict.value
      this.write(tree.nodeOf(live), key, verdict.value)
    }
    return agreed
  }

  /**
   * Arrays of numbers and the like whose elements have strategies, `'counters.*'`: elements that have no identity are what is at their
   * place, as long as nobody changed the length.
   * @param base {@link ABSENT} for each element, where both have added the array
   * @returns the elements; `undefined` where the array is merged as any other
   */
  resolveItems(base: List, live: List, theirs: List, path: Path): List | undefined {
    if (base.length !== live.length || base.length !== theirs.length || !this.strategies.hasBelow(path)) return undefined
    if ([...base, ...live, ...theirs].some(isObject)) return undefined
    if (!theirs.some((_, index) => this.strategies.for([...path, index]))) return undefined
    const { nonJson: guests, journal, tree } = this.state
    return theirs.map((their, index) => {
      const [was, mine] = [base[index], guests.item(live[index])]
      if (was === their) return mine
      if (was === mine) return their
      const place = { path: [...path, index], base: was, mine, theirs: their }
      const verdict = this.callStrategy(place)
      if (verdict) {
        journal.record(tree.nodeOf(live), '', MERGE_AUTHOR as A)
        return verdict.value === ABSENT ? null : clone(verdict.value)
      }
      if (mine !== their) this.conflicts.push({ ...place, base: was === ABSENT ? undefined : was, kind: 'both-set', won: 'mine' })
      return mine
    })
  }

  private callStrategy(place: ConflictSite): Resolution | undefined {
    return resolveConflict(this.strategies.for(place.path) ?? 'last', place, (error) => this.problems.push(error))
  }

  private write(node: Node, key: string, value: unknown): void {
    const { state } = this
    const raw = node.raw as Dict
    const live = hasOwn(raw, key) ? raw[key] : ABSENT
    if (live === ABSENT ? value === ABSENT : value !== ABSENT && equal(state.nonJson.item(live), value)) return
    if (sameKind(live, value)) {
      reconcile(state, state.tree.childNode(live as Container, node, key), value as Container)
      return
    }
    state.journal.record(node, key, MERGE_AUTHOR as A)
    if (value === ABSENT) remove(state, node, key)
    else assign(state, node, key, clone(value), undefined, null)
  }
}

/** Who writes a merged value: not the one who wrote before, who is to hear what became of it. */
export const MERGE_AUTHOR: object = {}

const valueAt = (value: unknown, key: string): unknown =>
  isContainer(value) && !isList(value) && hasOwn(value, key) ? value[key] : ABSENT

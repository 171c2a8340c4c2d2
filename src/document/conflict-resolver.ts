import type { SharedSessionError } from '../errors.js'
import type { DocumentState } from './document-state.js'
import {
  ABSENT,
  type Container,
  clone,
  type Dict,
  equal,
  isContainer,
  isList,
  isObject,
  keysOf,
  type List,
  type Path,
  sameKind,
} from './json.js'
import { type Conflict, type ConflictSite, type Resolution, resolveConflict, type StrategyTable } from './merge-strategy.js'
import { reconcile } from './reconcile.js'
import { assign, remove, replaceItems } from './write.js'

/** The author of merged values. It is not the author of the write before, who must be notified of the merged value too. */
export const MERGE_AUTHOR: object = {}

/**
 * Applies merge strategies during a rebase, in two steps. {@link resolve} asks the strategy before the value is merged. The value is then merged without
 * it, so that the base becomes theirs and references stay valid. At last {@link apply} writes the strategy's value over it, as a write of this side.
 */
export class ConflictResolver {
  /** @param conflicts and `problems` are those of the rebase: what is found is added to them */
  constructor(
    private readonly state: DocumentState,
    private readonly strategies: StrategyTable,
    private readonly conflicts: Conflict[],
    private readonly problems: SharedSessionError[],
  ) {}

  /** @returns what a strategy makes of a value that both changed; `undefined` if it is merged without one */
  resolve(live: unknown, was: unknown, theirs: unknown, path: Path): Resolution | undefined {
    const strategy = this.strategies.for(path)
    if (!strategy || strategy === 'last') return undefined
    const { base, nonJson, journal } = this.state
    if (live === was && !(isContainer(live) && journal.isChangedWithin(live))) return undefined
    const old = base.toJson(was)
    if (equal(old, theirs)) return undefined
    return this.callStrategy({ path, base: old, mine: nonJson.toJson(live), theirs })
  }

  /** @param countBefore the number of conflicts before the value was merged: later ones are void, because the strategy decides */
  replaceConflicts({ conflict }: Resolution, countBefore: number): void {
    this.conflicts.length = countBefore
    if (conflict) this.conflicts.push(conflict)
  }

  /** Writes a strategy's value to a property that has been merged. */
  apply(raw: Dict, key: string, value: unknown): void {
    const { state } = this
    const node = state.tree.nodeOf(raw)
    const live = Object.hasOwn(raw, key) ? raw[key] : ABSENT
    if (equal(state.nonJson.toJson(live), value)) return
    if (sameKind(live, value)) {
      reconcile(state, state.tree.childNode(live as Container, node, key), value as Container)
      return
    }
    state.journal.record(node, key, MERGE_AUTHOR)
    if (value === ABSENT) remove(state, node, key)
    else assign(state, node, key, clone(value), undefined, true)
  }

  /** Writes the strategies' values to elements of an array that has been merged. @param values by element */
  applyToItems(list: List, values: ReadonlyMap<unknown, unknown>): void {
    const { state } = this
    const node = state.tree.nodeOf(list)
    const items = list.flatMap((item) => {
      const value = values.has(item) ? values.get(item) : item
      if (value === item) return [item]
      if (!sameKind(item, value)) return value === ABSENT ? [] : [clone(value)]
      reconcile(state, state.tree.childNode(item as Container, node, ''), value as Container)
      return [item]
    })
    replaceItems(state, node, items)
  }

  /**
   * Applies the strategies inside an object that I replaced as a whole, as `session.stats = { ...session.stats, count }` does.
   * @returns theirs with the resolved values: where mine still differs from it, there is a conflict
   */
  resolveInside(live: unknown, old: unknown, theirs: unknown, path: Path): unknown {
    if (!this.strategies.hasBelow(path) || !isContainer(live) || isList(live) || !sameKind(live, theirs)) return theirs
    const { nonJson } = this.state
    const resolved = { ...(theirs as Dict) }
    for (const key of new Set([...keysOf(live), ...keysOf(resolved)])) {
      const keyPath = [...path, key]
      const base = valueAt(old, key)
      const their = valueAt(resolved, key)
      const mine = nonJson.toJson(valueAt(live, key))
      const strategy = this.strategies.for(keyPath)
      if (!strategy || strategy === 'last') {
        if (mine !== ABSENT && their !== ABSENT) resolved[key] = this.resolveInside(live[key], base, their, keyPath)
        continue
      }
      const resolution: Resolution | undefined = equal(base, their)
        ? { value: mine }
        : this.callStrategy({ path: keyPath, base, mine, theirs: their })
      if (!resolution) continue
      if (resolution.conflict) this.conflicts.push(resolution.conflict)
      if (resolution.value === ABSENT) delete resolved[key]
      else resolved[key] = resolution.value
      this.apply(live, key, resolution.value)
    }
    return resolved
  }

  /**
   * Merges an array of scalars whose elements have strategies, such as `'counters.*'`. Scalars have no identity, so they correspond by index, if
   * nobody changed the length.
   * @param base {@link ABSENT} for each element if both added the array
   * @returns the elements; `undefined` if the array is merged like any other
   */
  resolveItems(base: List, live: List, theirs: List, path: Path): List | undefined {
    if (base.length !== live.length || base.length !== theirs.length || !this.strategies.hasBelow(path)) return undefined
    if ([...base, ...live, ...theirs].some(isObject)) return undefined
    if (!theirs.some((_, index) => this.strategies.for([...path, index]))) return undefined
    const { nonJson, journal, tree } = this.state
    return theirs.map((their, index) => {
      const was = base[index]
      const mine = nonJson.itemToJson(live[index])
      if (was === their) return mine
      if (was === mine) return their
      const site = { path: [...path, index], base: was, mine, theirs: their }
      const resolution = this.callStrategy(site)
      if (resolution) {
        journal.record(tree.nodeOf(live), '', MERGE_AUTHOR)
        return resolution.value === ABSENT ? null : clone(resolution.value)
      }
      if (mine !== their) this.conflicts.push({ ...site, base: was === ABSENT ? undefined : was, kind: 'both-set', won: 'mine' })
      return mine
    })
  }

  private callStrategy(site: ConflictSite): Resolution | undefined {
    return resolveConflict(this.strategies.for(site.path) ?? 'last', site, (error) => this.problems.push(error))
  }
}

const valueAt = (value: unknown, key: string): unknown =>
  isContainer(value) && !isList(value) && Object.hasOwn(value, key) ? value[key] : ABSENT

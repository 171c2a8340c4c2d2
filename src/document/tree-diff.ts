import { getOrInsert } from '../util/maps.js'
import { Comparison, type Fingerprints, PLAIN_TREE, type TreeView } from './comparison.js'
import { ABSENT, type Container, type Dict, isList, isObject, keysOf, type List, sameKind } from './json.js'

/** What differs between two trees, found in one walk. It is valid as long as the older tree's view does not change. */
export class TreeDiff {
  private readonly differing = new Set<Container>()
  private readonly matches = new Map<List, ElementMatch>()
  private readonly comparison: Comparison

  constructor(
    readonly older: Dict,
    readonly newer: Dict,
    readonly view: TreeView = PLAIN_TREE,
  ) {
    this.comparison = new Comparison(view)
    this.compareDicts(older, newer)
  }

  /** Does a container of the older tree differ from the container of its kind that is in its place? */
  differs(older: Container): boolean {
    return this.differing.has(older)
  }

  /** How the elements of an array that differs correspond. */
  matchOf(older: List): ElementMatch | undefined {
    return this.matches.get(older)
  }

  private compareDicts(older: Dict, newer: Dict): void {
    const olderKeys = this.view.keys(older)
    const newerKeys = keysOf(newer)
    let isDifferent = olderKeys.length !== newerKeys.length
    for (const [index, key] of olderKeys.entries()) {
      const was = this.view.get(older, key)
      // Mostly both have their keys in the same order, which saves a look-up.
      const now = newerKeys[index] === key || Object.hasOwn(newer, key) ? newer[key] : ABSENT
      if (this.isChanged(was, now)) isDifferent = true
    }
    if (isDifferent) this.differing.add(older)
  }

  private compareLists(older: List, newer: List): void {
    const items = this.view.items(older)
    const elements = matchElements(items, newer, this.comparison)
    if (!elements) return
    this.differing.add(older)
    this.matches.set(older, elements)
    for (const to of elements.edited) this.isChanged(items[elements.match[to] as number], newer[to])
  }

  private isChanged(was: unknown, now: unknown): boolean {
    if (was === now) return false
    if (!sameKind(was, now)) return true
    const older = was as Container
    if (isList(older)) this.compareLists(older, now as List)
    else this.compareDicts(older, now as Dict)
    return this.differing.has(older)
  }
}

/** How the elements of two versions of an array correspond. */
export interface ElementMatch {
  /** For each index of the newer array the index in the older one, or -1. No index occurs twice. */
  match: number[]
  /** Indexes of the newer array whose elements were matched, and have changed. */
  edited: Set<number>
}

/**
 * Matches the elements of two versions of an array. In this order: equal elements at the start and at the end; equal elements at the same index,
 * if the length is the same; equal elements anywhere, by their content; objects with the same `id`, `_id` or `key`; if the length is the same,
 * elements of one kind without such a name, by index.
 *
 * @returns `undefined` if the arrays are equal
 */
export function matchElements(
  older: readonly unknown[],
  newer: readonly unknown[],
  comparison = new Comparison(),
): ElementMatch | undefined {
  const max = Math.min(older.length, newer.length)
  let head = 0
  while (head < max && comparison.equals(older[head], newer[head])) head++
  if (head === older.length && head === newer.length) return undefined
  let tail = 0
  while (tail < max - head && comparison.equals(older[older.length - 1 - tail], newer[newer.length - 1 - tail])) tail++
  const match = Array.from(newer, (_, to) => {
    if (to < head) return to
    return to < newer.length - tail ? -1 : to + older.length - newer.length
  })
  const edited = new Set<number>()
  if (head + tail === max) return { match, edited }

  const unmatched = new Set<number>()
  for (let i = head; i < older.length - tail; i++) unmatched.add(i)
  const unmatchedNewer = (): number[] => {
    const indexes: number[] = []
    for (let j = head; j < newer.length - tail; j++) if (match[j] === -1) indexes.push(j)
    return indexes
  }
  const pair = (i: number, j: number): void => {
    match[j] = i
    unmatched.delete(i)
  }
  const pairBy = (textOf: (side: Fingerprints, value: unknown) => string | undefined, onPair = pair): void => {
    const byText = new Map<string | undefined, number[]>()
    for (const i of [...unmatched].reverse()) getOrInsert(byText, textOf(comparison.older, older[i]), () => []).push(i)
    byText.delete(undefined)
    for (const j of unmatchedNewer()) {
      const i = byText.get(textOf(comparison.newer, newer[j]))?.pop()
      if (i !== undefined) onPair(i, j)
    }
  }
  // Equal elements were paired before, so these have changed.
  const pairEdited = (i: number, j: number): void => {
    pair(i, j)
    edited.add(j)
  }
  // Of elements that are equal to each other each stays in its place.
  if (older.length === newer.length) for (const j of unmatchedNewer()) if (comparison.equals(older[j], newer[j])) pair(j, j)
  // If a single element is left on each side, the two were compared above, and differ.
  if (unmatched.size > 1 || unmatchedNewer().length > 1) pairBy((side, value) => side.of(value))
  pairBy((side, value) => side.ofIdentifier(value), pairEdited)
  if (older.length !== newer.length) return { match, edited }
  // Not if one has an identifier: those with equal ones are paired.
  const canBeEdited = (was: unknown, now: unknown): boolean =>
    sameKind(was, now) && [comparison.older.ofIdentifier(was), comparison.newer.ofIdentifier(now)].every((id) => id === undefined)
  for (const j of unmatchedNewer()) {
    if (!unmatched.has(j)) continue
    if ((!isObject(older[j]) && !isObject(newer[j])) || canBeEdited(older[j], newer[j])) pairEdited(j, j)
  }
  return { match, edited }
}

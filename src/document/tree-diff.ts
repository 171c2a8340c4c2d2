import { getOrInsert } from '../util/maps.js'
import { ABSENT, type Container, type Dict, equal, fingerprint, isList, isObject, keysOf, type List, sameKind } from './json.js'

/** How to read a tree whose containers may have changed since: the base is read in this way through the journal. */
export interface TreeView {
  /** Does a value of the tree equal this JSON value? */
  equals(value: unknown, json: unknown): boolean
  /** A value of the tree as a JSON value. */
  toJson(value: unknown): unknown
  keys(dict: Dict): string[]
  /** What an object of the tree has at a key, or {@link ABSENT}. */
  get(dict: Dict, key: string): unknown
  items(list: List): List
}

/** Reads a plain JSON tree. */
const PLAIN_TREE: TreeView = {
  equals: equal,
  toJson: (value) => value,
  keys: keysOf,
  get: (dict, key) => (Object.hasOwn(dict, key) ? dict[key] : ABSENT),
  items: (list) => list,
}

/** What differs between two trees, found in one walk. It is valid as long as the older tree's view does not change. */
export class TreeDiff {
  private readonly differing = new Set<Container>()
  private readonly matches = new Map<List, ElementMatch>()

  constructor(
    readonly older: Dict,
    readonly newer: Dict,
    readonly view: TreeView = PLAIN_TREE,
  ) {
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
    const elements = matchElements(items, newer, this.view)
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
 * Matches the elements of two versions of an array. In this order: equal elements at the start and at the end; equal elements anywhere, by
 * {@link fingerprint}; objects with the same `id`, `_id` or `key`; if the length is the same, elements of one kind without such a name, by index.
 *
 * @returns `undefined` if the arrays are equal
 */
export function matchElements(
  older: readonly unknown[],
  newer: readonly unknown[],
  view: TreeView = PLAIN_TREE,
): ElementMatch | undefined {
  const max = Math.min(older.length, newer.length)
  let head = 0
  while (head < max && view.equals(older[head], newer[head])) head++
  if (head === older.length && head === newer.length) return undefined
  let tail = 0
  while (tail < max - head && view.equals(older[older.length - 1 - tail], newer[newer.length - 1 - tail])) tail++
  const match = Array.from(newer, (_, to) => {
    if (to < head) return to
    return to < newer.length - tail ? -1 : to + older.length - newer.length
  })
  const edited = new Set<number>()
  if (head + tail === max) return { match, edited }

  // One pair of differing arrays is left. Copying it, and each level below in its turn, would cost the square of the depth.
  if (older.length === newer.length && head + tail === max - 1 && isList(older[head]) && isList(newer[head])) {
    match[head] = head
    return { match, edited: edited.add(head) }
  }

  const unmatched = new Map<number, unknown>()
  for (let i = head; i < older.length - tail; i++) unmatched.set(i, view.toJson(older[i]))
  const unmatchedNewer = (): number[] => {
    const indexes: number[] = []
    for (let j = head; j < newer.length - tail; j++) if (match[j] === -1) indexes.push(j)
    return indexes
  }
  const pair = (i: number, j: number): void => {
    match[j] = i
    unmatched.delete(i)
  }
  const pairBy = (nameOf: (value: unknown) => unknown, onPair = pair): void => {
    const byName = new Map<unknown, number[]>()
    for (const [i, value] of [...unmatched].reverse()) {
      const name = nameOf(value)
      if (name !== undefined) getOrInsert(byName, name, () => []).push(i)
    }
    for (const j of unmatchedNewer()) {
      const i = byName.get(nameOf(newer[j]))?.pop()
      if (i !== undefined) onPair(i, j)
    }
  }
  // Equal elements were paired before, so these have changed.
  const pairEdited = (i: number, j: number): void => {
    pair(i, j)
    edited.add(j)
  }
  // If a single element is left on each side, the two were compared above, and differ.
  if (unmatched.size > 1 || unmatchedNewer().length > 1) pairBy(fingerprint)
  pairBy(identifierOf, pairEdited)
  if (older.length === newer.length) {
    for (const j of unmatchedNewer()) if (unmatched.has(j) && canBeEdited(unmatched.get(j), newer[j])) pairEdited(j, j)
  }
  return { match, edited }
}

/** The `id`, `_id` or `key` of an object, with its type: `1` and `'1'` are different. */
function identifierOf(value: unknown): string | undefined {
  if (!isObject(value) || isList(value)) return undefined
  const { id, _id, key } = value as Record<string, unknown>
  const identifier = id ?? _id ?? key
  return identifier === undefined || identifier === null ? undefined : fingerprint(identifier)
}

/** Can two elements with the same index be one element that was edited? Not if one has an identifier: those with equal ones were paired before. */
function canBeEdited(older: unknown, newer: unknown): boolean {
  if (!isObject(older) && !isObject(newer)) return true
  return sameKind(older, newer) && identifierOf(older) === undefined && identifierOf(newer) === undefined
}

import { getOrInsert } from '../util/bounded-map.js'
import {
  ABSENT,
  type Container,
  type Dict,
  equal,
  fingerprint,
  hasOwn,
  isList,
  isObject,
  keysOf,
  type List,
  sameKind,
} from './json.js'

/** How to look at an older tree, which may have changed since the moment that counts. */
export interface TreeView {
  /** Does a value of it equal this JSON value? */
  equals(value: unknown, json: unknown): boolean
  /** A value of it as a JSON value. */
  toJson(value: unknown): unknown
  keys(dict: Dict): string[]
  /** What an object of it has at a key, or {@link ABSENT}. */
  get(dict: Dict, key: string): unknown
  items(list: List): List
}

export const PLAIN_TREE: TreeView = {
  equals: equal,
  toJson: (value) => value,
  keys: keysOf,
  get: (dict, key) => (hasOwn(dict, key) ? dict[key] : ABSENT),
  items: (list) => list,
}

/** Where the elements of an array went. */
export interface ElementMatch {
  /** For each index of the newer array the index in the older one, or -1; no index occurs twice. */
  match: number[]
  /** Indexes of the newer array whose element was found again, and changed. */
  edited: Set<number>
}

/**
 * Finds the elements of `older` again in `newer`: by content, then objects by their `id`, `_id` or `key`, then, where the
 * length is the same, by position.
 *
 * @returns `undefined` where the arrays are equal
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

  // Two lists are left, and differ: a copy of each level of what is nested deep would cost the square of its depth.
  if (older.length === newer.length && head + tail === max - 1 && isList(older[head]) && isList(newer[head])) {
    match[head] = head
    return { match, edited: edited.add(head) }
  }

  const free = new Map<number, unknown>()
  for (let i = head; i < older.length - tail; i++) free.set(i, view.toJson(older[i]))
  const open = (): number[] => {
    const indexes: number[] = []
    for (let j = head; j < newer.length - tail; j++) if (match[j] === -1) indexes.push(j)
    return indexes
  }
  const pair = (i: number, j: number): void => {
    match[j] = i
    free.delete(i)
  }
  const pairBy = (name: (value: unknown) => unknown, paired = pair): void => {
    const named = new Map<unknown, number[]>()
    for (const [i, value] of free) {
      const key = name(value)
      if (key !== undefined) getOrInsert(named, key, () => []).push(i)
    }
    for (const j of open()) {
      const i = named.get(name(newer[j]))?.shift()
      if (i !== undefined) paired(i, j)
    }
  }
  // What is found again in spite of its content has changed: its equal, if there was one, had been found by then.
  const pairEdited = (i: number, j: number): void => {
    pair(i, j)
    edited.add(j)
  }
  // A single one that is left on both sides has been compared, and differs.
  if (free.size > 1 || open().length > 1) pairBy(fingerprint)
  pairBy(identifier, pairEdited)
  if (older.length === newer.length) {
    for (const j of open()) if (free.has(j) && alike(free.get(j), newer[j])) pairEdited(j, j)
  }
  return { match, edited }
}

/** What an object calls itself, with the type, because `1` and `'1'` are different names. */
function identifier(value: unknown): string | undefined {
  if (!isObject(value) || isList(value)) return undefined
  const { id, _id, key } = value as Record<string, unknown>
  const name = id ?? _id ?? key
  return name === undefined || name === null ? undefined : fingerprint(name)
}

/** Can the element at the same place be the same one, edited? Not if both have names, which then differ. */
function alike(older: unknown, newer: unknown): boolean {
  if (!isObject(older) && !isObject(newer)) return true
  return sameKind(older, newer) && identifier(older) === undefined && identifier(newer) === undefined
}

/**
 * What differs between two trees, found in one walk: whoever needs it, to tell it or to take it in, then looks only at what differs.
 * Holds as long as the view of the older tree does not change.
 */
export class TreeDiff {
  private readonly different = new Set<Container>()
  private readonly matches = new Map<List, ElementMatch>()

  constructor(
    readonly older: Dict,
    readonly newer: Dict,
    readonly view: TreeView = PLAIN_TREE,
  ) {
    this.compareDicts(older, newer)
  }

  /** Does a container of the older tree differ from what is in its place? Compared are those whose place has a container of their kind. */
  differs(older: Container): boolean {
    return this.different.has(older)
  }

  /** Where the elements of an array that differs went. */
  matchOf(older: List): ElementMatch | undefined {
    return this.matches.get(older)
  }

  private compareDicts(older: Dict, newer: Dict): void {
    const keys = this.view.keys(older)
    const names = keysOf(newer)
    let different = keys.length !== names.length
    for (const [index, key] of keys.entries()) {
      // Mostly both have the same order.
      const was = this.view.get(older, key)
      const is = names[index] === key || hasOwn(newer, key) ? newer[key] : ABSENT
      if (this.isChanged(was, is)) different = true
    }
    if (different) this.different.add(older)
  }

  private compareLists(older: List, newer: List): void {
    const items = this.view.items(older)
    const alignment = matchElements(items, newer, this.view)
    if (!alignment) return
    this.different.add(older)
    this.matches.set(older, alignment)
    for (const to of alignment.edited) this.isChanged(items[alignment.match[to] as number], newer[to])
  }

  private isChanged(was: unknown, is: unknown): boolean {
    if (was === is) return false
    if (!sameKind(was, is)) return true
    const older = was as Container
    if (isList(older)) this.compareLists(older, is as List)
    else this.compareDicts(older, is as Dict)
    return this.different.has(older)
  }
}

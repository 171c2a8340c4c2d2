import { diffArrays } from './array-diff.js'
import { formatPath } from './errors.js'
import {
  ABSENT,
  clone,
  type Dict,
  isList,
  isObject,
  type JsonObject,
  type Key,
  keysOf,
  type List,
  type Path,
  sameKind,
} from './json.js'
import { type ElementMatch, TreeDiff } from './tree-diff.js'

/**
 * One change of a JSON document, in the form of immer's patches:
 *
 * ```js
 * { op: 'replace', path: ['cart', 'items', 0, 'count'], value: 2 }
 * ```
 *
 * In an array `add` inserts and `remove` closes the gap.
 */
export interface Patch {
  op: 'add' | 'remove' | 'replace'
  path: (string | number)[]
  value?: unknown
}

/**
 * Applies patches in place and returns the document. A path is followed through own properties only, so a patch cannot reach a
 * prototype. The values are copied.
 *
 * @throws {TypeError} a path does not resolve, is empty, contains `__proto__` or ends beyond an array
 */
export function apply<T extends object>(doc: T, patches: readonly Patch[]): T {
  for (const patch of patches) applyOne(doc, patch)
  return doc
}

function applyOne(doc: object, { op, path, value }: Patch): void {
  const key = path.at(-1)
  if (key === undefined) throw new TypeError('a patch needs a path')
  if (path.includes('__proto__')) throw new TypeError(`a patch must not name __proto__: ${formatPath(path)}`)
  const target = resolve(doc, path)
  if (isList(target)) {
    const index = indexIn(target, op, path)
    if (op === 'add') target.splice(index, 0, clone(value))
    else if (op === 'remove') target.splice(index, 1)
    else target[index] = clone(value)
  } else if (op === 'remove') delete target[key]
  else target[key] = clone(value)
}

/** @throws {TypeError} beyond the end, where a patch could otherwise make an array with any number of holes */
function indexIn(list: unknown[], op: Patch['op'], path: Path): number {
  const index = path.at(-1)
  const last = op === 'add' ? list.length : list.length - 1
  if (typeof index === 'number' && Number.isInteger(index) && index >= 0 && index <= last) return index
  throw new TypeError(`not an index of that array: ${formatPath(path)}`)
}

function resolve(doc: object, path: Path): Record<Key, unknown> {
  let target: unknown = doc
  for (const key of path.slice(0, -1)) {
    target = isObject(target) && Object.hasOwn(target, key) ? (target as Record<Key, unknown>)[key] : undefined
  }
  if (!isObject(target)) throw new TypeError(`the path of a patch does not resolve: ${formatPath(path)}`)
  return target as Record<Key, unknown>
}

/**
 * The structural difference of two plain JSON trees. Elements of arrays are matched by content, then by `id`, `_id` or
 * `key`, then by index ({@link matchElements}). One that moved is removed and added.
 *
 * @returns patches with which {@link apply} (and immer's `applyPatches`) makes `next` out of `base`
 */
export function diff(base: JsonObject, next: JsonObject): Patch[] {
  return toPatches(new TreeDiff(base, next))
}

/** The same for trees that were compared already. */
export function toPatches(treeDiff: TreeDiff): Patch[] {
  const patches: Patch[] = []
  diffDict(treeDiff, treeDiff.older, treeDiff.newer, [], patches)
  return patches
}

function diffDict(treeDiff: TreeDiff, base: Dict, next: Dict, path: Path, patches: Patch[]): void {
  const { view } = treeDiff
  for (const key of view.keys(base)) if (!Object.hasOwn(next, key)) patches.push({ op: 'remove', path: [...path, key] })
  for (const key of keysOf(next)) {
    const was = view.get(base, key)
    if (was === ABSENT) patches.push({ op: 'add', path: [...path, key], value: clone(next[key]) })
    else diffValue(treeDiff, was, next[key], path, key, patches)
  }
}

function diffValue(treeDiff: TreeDiff, was: unknown, next: unknown, parentPath: Path, key: Key, patches: Patch[]): void {
  if (was === next) return
  if (!sameKind(was, next)) {
    patches.push({ op: 'replace', path: [...parentPath, key], value: clone(next) })
    return
  }
  const base = was as Dict | List
  if (!treeDiff.differs(base)) return
  if (isList(base)) diffList(treeDiff, base, next as List, [...parentPath, key], patches)
  else diffDict(treeDiff, base, next as Dict, [...parentPath, key], patches)
}

function diffList(treeDiff: TreeDiff, list: List, next: List, path: Path, patches: Patch[]): void {
  const { view } = treeDiff
  const base = view.items(list)
  const { match, edited } = treeDiff.matchOf(list) as ElementMatch
  // Matched elements are compared by their base index. A new element is an object of its own, which equals nothing of the base.
  const tokens = match.map((index) => (index === -1 ? {} : index))
  let from = 0
  let index = 0
  for (const { removed, added, kept } of diffArrays([...base.keys()], tokens)) {
    const replaced = Math.min(removed, added)
    for (let i = 0; i < replaced; i++, index++) {
      if (!view.equals(base[from + i], next[index])) {
        patches.push({ op: 'replace', path: [...path, index], value: clone(next[index]) })
      }
    }
    for (let i = replaced; i < removed; i++) patches.push({ op: 'remove', path: [...path, index] })
    for (let i = replaced; i < added; i++, index++) {
      patches.push({ op: 'add', path: [...path, index], value: clone(next[index]) })
    }
    from += removed
    for (let i = 0; i < kept; i++, from++, index++) {
      if (edited.has(index)) diffValue(treeDiff, base[from], next[index], path, index, patches)
    }
  }
}

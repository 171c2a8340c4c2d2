import { diffArrays } from './array-diff.js'
import { formatPath } from './errors.js'
import {
  ABSENT,
  clone,
  type Dict,
  hasOwn,
  isList,
  isObject,
  type JsonObject,
  keysOf,
  type List,
  type Path,
  sameKind,
} from './json.js'
import { type ElementMatch, TreeDiff } from './tree-diff.js'

/** One change of a JSON document, in the vocabulary of immer's patches. */
export interface Patch {
  op: 'add' | 'remove' | 'replace'
  path: (string | number)[]
  value?: unknown
}

/**
 * Applies patches in place and returns the document. Only own properties are followed, so a patch cannot reach a
 * prototype; its values are copied.
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

/** Beyond the end an array would get holes, as many as somebody likes. */
function indexIn(list: unknown[], op: Patch['op'], path: Path): number {
  const index = path.at(-1)
  const last = op === 'add' ? list.length : list.length - 1
  if (typeof index === 'number' && Number.isInteger(index) && index >= 0 && index <= last) return index
  throw new TypeError(`not an index of that array: ${formatPath(path)}`)
}

function resolve(doc: object, path: Path): Record<Path[number], unknown> {
  let target: unknown = doc
  for (const key of path.slice(0, -1)) {
    target = isObject(target) && hasOwn(target, key) ? (target as Record<Path[number], unknown>)[key] : undefined
  }
  if (!isObject(target)) throw new TypeError(`the path of a patch does not resolve: ${formatPath(path)}`)
  return target as Record<Path[number], unknown>
}

/**
 * The structural difference of two plain JSON trees. Array elements are found again by content, then by `id`, `_id` or
 * `key`, then by position ({@link matchElements}); one that moved is removed and added.
 *
 * @returns patches with which {@link apply} (and immer's `applyPatches`) makes `next` out of `base`
 */
export function diff(base: JsonObject, next: JsonObject): Patch[] {
  return toPatches(new TreeDiff(base, next))
}

/** The same for trees that were compared already. */
export function toPatches(comparison: TreeDiff): Patch[] {
  const patches: Patch[] = []
  diffDict(comparison, comparison.older, comparison.newer, [], patches)
  return patches
}

function diffDict(comparison: TreeDiff, base: Dict, next: Dict, path: Path, out: Patch[]): void {
  const { view } = comparison
  for (const key of view.keys(base)) if (!hasOwn(next, key)) out.push({ op: 'remove', path: [...path, key] })
  for (const key of keysOf(next)) {
    const was = view.get(base, key)
    if (was === ABSENT) out.push({ op: 'add', path: [...path, key], value: clone(next[key]) })
    else diffValue(comparison, was, next[key], path, key, out)
  }
}

function diffValue(comparison: TreeDiff, was: unknown, next: unknown, above: Path, key: string | number, out: Patch[]): void {
  if (was === next) return
  if (!sameKind(was, next)) {
    out.push({ op: 'replace', path: [...above, key], value: clone(next) })
    return
  }
  const base = was as Dict | List
  if (!comparison.differs(base)) return
  if (isList(base)) diffList(comparison, base, next as List, [...above, key], out)
  else diffDict(comparison, base, next as Dict, [...above, key], out)
}

function diffList(comparison: TreeDiff, list: List, next: List, path: Path, out: Patch[]): void {
  const { view } = comparison
  const base = view.items(list)
  const { match, edited } = comparison.matchOf(list) as ElementMatch
  // A new element is a token of its own, found nowhere in the base.
  const tokens = match.map((index) => (index === -1 ? {} : index))
  let from = 0
  let index = 0
  for (const { removed, added, kept } of diffArrays([...base.keys()], tokens)) {
    const replaced = Math.min(removed, added)
    for (let i = 0; i < replaced; i++, index++) {
      if (!view.equals(base[from + i], next[index]))
        out.push({ op: 'replace', path: [...path, index], value: clone(next[index]) })
    }
    for (let i = replaced; i < removed; i++) out.push({ op: 'remove', path: [...path, index] })
    for (let i = replaced; i < added; i++, index++) out.push({ op: 'add', path: [...path, index], value: clone(next[index]) })
    from += removed
    for (let i = 0; i < kept; i++, from++, index++) {
      if (edited.has(index)) diffValue(comparison, base[from], next[index], path, index, out)
    }
  }
}

import { align } from './align.js'
import { clone, type Dict, equal, isList, type JsonObject, keysOf, type List, own, type Path, sameKind } from './json.js'
import type { Patch } from './patch.js'
import { script } from './script.js'

/**
 * The structural difference of two plain JSON trees. Array elements are found again by content, then by `id`, `_id` or
 * `key`, then by position ({@link align}); one that moved is removed and added.
 *
 * @returns patches with which {@link apply} (and immer's `applyPatches`) makes `next` out of `base`
 */
export function diff(base: JsonObject, next: JsonObject): Patch[] {
  const patches: Patch[] = []
  diffDict(base, next, [], patches)
  return patches
}

function diffDict(base: Dict, next: Dict, path: Path, out: Patch[]): void {
  for (const key of keysOf(base)) if (!own(next, key)) out.push({ op: 'remove', path: [...path, key] })
  for (const key of keysOf(next)) {
    if (!own(base, key)) out.push({ op: 'add', path: [...path, key], value: clone(next[key]) })
    else if (base[key] !== next[key]) diffValue(base[key], next[key], [...path, key], out)
  }
}

function diffValue(base: unknown, next: unknown, path: Path, out: Patch[]): void {
  if (base === next) return
  if (!sameKind(base, next)) out.push({ op: 'replace', path, value: clone(next) })
  else if (isList(base)) diffList(base, next as List, path, out)
  else diffDict(base as Dict, next as Dict, path, out)
}

function diffList(base: List, next: List, path: Path, out: Patch[]): void {
  const match = align(base, next)
  // A new element is a token of its own, found nowhere in the base.
  const tokens = match.map((index) => (index === -1 ? {} : index))
  let from = 0
  let index = 0
  for (const { removed, added, kept } of script([...base.keys()], tokens)) {
    const replaced = Math.min(removed, added)
    for (let i = 0; i < replaced; i++, index++) {
      if (!equal(base[from + i], next[index])) out.push({ op: 'replace', path: [...path, index], value: clone(next[index]) })
    }
    for (let i = replaced; i < removed; i++) out.push({ op: 'remove', path: [...path, index] })
    for (let i = replaced; i < added; i++, index++) out.push({ op: 'add', path: [...path, index], value: clone(next[index]) })
    from += removed
    for (let i = 0; i < kept; i++, from++, index++) {
      // Most are: a path is made only for those that are not.
      if (!equal(base[from], next[index])) diffValue(base[from], next[index], [...path, index], out)
    }
  }
}

import { getOrInsert } from '../util/maps.js'
import { diffArrays } from './array-diff.js'
import { isContainer, type List } from './json.js'

/** The result of {@link mergeArrays}. */
export interface MergedArray {
  items: List
  /** Indexes of the base whose elements are in the result, or what they put in place of them. */
  kept: Set<number>
}

/**
 * Three-way merge of an array by the identity of its elements. Theirs is the starting point; my edit script from the base ({@link diffArrays}) is
 * applied to it:
 *
 * - what I removed goes;
 * - what I inserted follows the element that it followed on my side, or the nearest one before that which they kept;
 * - what I appended stays at the end;
 * - a scalar that they put in place of one that I removed stays, as nothing tells that it is the same one; unless I put another one at its index, and
 *   neither of us changed the length;
 * - a container that they removed is gone, even if I moved it within the array.
 *
 * So it aligns mine and theirs by the base, as diff3 does (Khanna, Kunal and Pierce, "A Formal Investigation of Diff3", 2007), but it has no
 * conflicting regions: insertions of both at one place are both kept, theirs behind mine.
 *
 * @param base the elements that both started from
 * @param mine elements of the base are the same objects
 * @param theirs elements that were matched are the same objects as in the base
 * @param match for each element of theirs its index in the base, or -1
 */
export function mergeArrays(base: List, mine: List, theirs: List, match: readonly number[]): MergedArray {
  const keptByThem = new Set(match)
  const baseIndexes = new Map<unknown, number>()
  base.forEach((item, index) => {
    if (isContainer(item)) baseIndexes.set(item, index)
  })
  const isRemovedByThem = (item: unknown): boolean => {
    const index = baseIndexes.get(item)
    return index !== undefined && !keptByThem.has(index)
  }

  const kept = new Set<number>()
  /** Indexes of mine that my edit script fills. */
  const filled = new Set<number>()
  /** What I inserted, by the base index of the kept element before it; -1 is the start. */
  const inserted = new Map<number, unknown[]>()
  let neighbour = -1
  let from = 0
  let to = 0
  let endsWithInsertion = false
  for (const edit of diffArrays(base, mine)) {
    from += edit.removed
    for (let i = 0; i < edit.added; i++, to++) {
      filled.add(to)
      if (isRemovedByThem(mine[to])) continue
      getOrInsert(inserted, neighbour, () => []).push(mine[to])
    }
    for (let i = 0; i < edit.kept; i++, from++, to++) {
      kept.add(from)
      if (keptByThem.has(from)) neighbour = from
    }
    endsWithInsertion = edit.kept === 0
  }

  const appended = (endsWithInsertion && inserted.get(neighbour)) || []
  if (endsWithInsertion) inserted.delete(neighbour)
  const items = inserted.get(-1) ?? []
  theirs.forEach((item, index) => {
    const baseIndex = match[index] as number
    if (baseIndex !== -1 && !kept.has(baseIndex)) {
      const isReplaced = base.length === mine.length && filled.has(baseIndex)
      if (isContainer(item) || Object.is(item, base[baseIndex]) || isReplaced) return
      kept.add(baseIndex)
    }
    items.push(item)
    if (baseIndex !== -1) for (const own of inserted.get(baseIndex) ?? []) items.push(own)
  })
  return { items: items.concat(appended), kept }
}

import { getOrInsert } from '../util/bounded-map.js'
import { diffArrays } from './array-diff.js'
import { isContainer, type List } from './json.js'

/** An array of two writers in one. */
export interface MergedArray {
  items: List
  /** Indexes of the base that are still where they were on my side. */
  kept: Set<number>
}

/**
 * Three-way merge of an array, element by element: their order, without what I removed, with what I inserted behind its left neighbour.
 * What I appended stays at the end. What they removed is gone, wherever I moved it within the array.
 *
 * @param base the elements both started from
 * @param mine my elements; those of the base are the same objects
 * @param theirs their elements; those found again are the same objects as in the base
 * @param match for each of theirs the index in the base, or -1
 */
export function mergeArrays(base: List, mine: List, theirs: List, match: readonly number[]): MergedArray {
  const survivors = new Set(match)
  const places = new Map<unknown, number>()
  base.forEach((item, index) => {
    if (isContainer(item)) places.set(item, index)
  })
  const removedByThem = (item: unknown): boolean => {
    const index = places.get(item)
    return index !== undefined && !survivors.has(index)
  }

  const kept = new Set<number>()
  /** What I inserted, by the kept element before it; -1 is the start. */
  const inserted = new Map<number, unknown[]>()
  let neighbour = -1
  let from = 0
  let to = 0
  let appends = false
  for (const run of diffArrays(base, mine)) {
    from += run.removed
    for (let i = 0; i < run.added; i++, to++) {
      if (removedByThem(mine[to])) continue
      getOrInsert(inserted, neighbour, () => []).push(mine[to])
    }
    for (let i = 0; i < run.kept; i++, from++, to++) {
      kept.add(from)
      if (survivors.has(from)) neighbour = from
    }
    appends = run.kept === 0
  }

  const tail = (appends && inserted.get(neighbour)) || []
  if (appends) inserted.delete(neighbour)
  const items = [...(inserted.get(-1) ?? [])]
  theirs.forEach((item, index) => {
    const origin = match[index] as number
    if (origin !== -1 && !kept.has(origin)) return
    items.push(item)
    if (origin !== -1) items.push(...(inserted.get(origin) ?? []))
  })
  items.push(...tail)
  return { items, kept }
}

import { getOrInsert } from '../util/maps.js'

/** One step of an edit script: `removed` items go, `added` items come, then `kept` items stay. */
export interface Edit {
  removed: number
  added: number
  kept: number
}

/** An item that both arrays have, by its index in each. */
type Pair = [before: number, after: number]

/** Consecutive items that both arrays have. */
type Block = [before: number, after: number, length: number]

/**
 * The edit script from one array to another; items are compared by identity, and NaN is the same as NaN.
 *
 * It is a shortest one, by the greedy algorithm of E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (Algorithmica 1, 1986), which takes
 * O(ND) time and O(D²) memory for D differences. Beyond a bound the script is correct but perhaps not the shortest: items are paired by
 * occurrence, and a longest increasing subsequence of the pairs is kept, in O(N log N). Of scripts that keep as many items, it is the one that
 * leaves them in their places, if there is one: `[0, 1, 0]` sets the second item of `[0, 0, 0]`.
 */
export function diffArrays(before: readonly unknown[], after: readonly unknown[]): Edit[] {
  const max = Math.min(before.length, after.length)
  let head = 0
  while (head < max && isSame(before[head], after[head])) head++
  let tail = 0
  while (tail < max - head && isSame(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail++
  const a = before.slice(head, before.length - tail)
  const b = after.slice(head, after.length - tail)
  const pairs = a.length > 0 && b.length > 0 ? pairsOf(a, b) : []
  const blocks: Block[] = [[0, 0, head]]
  for (const [x, y] of pairs) blocks.push([x + head, y + head, 1])
  blocks.push([before.length - tail, after.length - tail, tail])
  return toEdits(blocks, before.length, after.length)
}

/** The items that are kept: those that are in their place in both, where no other script keeps more. */
function pairsOf(a: readonly unknown[], b: readonly unknown[]): Pair[] {
  const pairs = shortestScriptPairs(a, b) ?? longestIncreasingPairs(a, b)
  if (a.length !== b.length) return pairs
  const inPlace = a.flatMap((item, index): Pair[] => (isSame(item, b[index]) ? [[index, index]] : []))
  return inPlace.length < pairs.length ? pairs : inPlace
}

/** As the keys of a `Map`. */
function isSame(a: unknown, b: unknown): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b))
}

/** With more differences than this, a shortest script would need too much memory. */
const MAX_DIFFERENCES = 256

/**
 * Myers' greedy algorithm. `furthest` has, for each diagonal k = x - y, the furthest x that d differences reach.
 *
 * @returns the pairs of a shortest script; `undefined` beyond {@link MAX_DIFFERENCES}
 */
function shortestScriptPairs(a: readonly unknown[], b: readonly unknown[]): Pair[] | undefined {
  const bound = Math.min(a.length + b.length, MAX_DIFFERENCES)
  const center = bound + 1
  const furthest = new Int32Array(2 * bound + 3)
  /** `furthest` before each d, from diagonal -d - 1 to d + 1. */
  const history: Int32Array[] = []
  for (let d = 0; d <= bound; d++) {
    history.push(furthest.slice(center - d - 1, center + d + 2))
    for (let k = -d; k <= d; k += 2) {
      const down = goesDown(furthest, center, k, d)
      let x = down ? at(furthest, center + k + 1) : at(furthest, center + k - 1) + 1
      while (x < a.length && x - k < b.length && isSame(a[x], b[x - k])) x++
      furthest[center + k] = x
      if (x >= a.length && x - k >= b.length) return backtrack(history, a.length, b.length)
    }
  }
  return undefined
}

function backtrack(history: readonly Int32Array[], n: number, m: number): Pair[] {
  const pairs: Pair[] = []
  let x = n
  let y = m
  for (let d = history.length - 1; d >= 0; d--) {
    const furthest = history[d] as Int32Array
    const center = d + 1
    const k = x - y
    const previousK = goesDown(furthest, center, k, d) ? k + 1 : k - 1
    const previousX = d === 0 ? 0 : at(furthest, center + previousK)
    const previousY = d === 0 ? 0 : previousX - previousK
    while (x > previousX && y > previousY) pairs.push([--x, --y])
    x = previousX
    y = previousY
  }
  return pairs.reverse()
}

const at = (array: Int32Array, index: number): number => array[index] as number

/** Does the path to diagonal k come from k + 1, by an insertion, or from k - 1, by a removal? */
const goesDown = (furthest: Int32Array, center: number, k: number, d: number): boolean =>
  k === -d || (k !== d && at(furthest, center + k - 1) < at(furthest, center + k + 1))

/**
 * Pairs the items by occurrence, the first with the first, and returns a longest subsequence of pairs that increases in both indexes, by patience sorting:
 * each pair goes onto the leftmost pile whose top is not smaller, found by binary search, and links to the top of the pile to its left.
 */
function longestIncreasingPairs(a: readonly unknown[], b: readonly unknown[]): Pair[] {
  const indexes = new Map<unknown, number[]>()
  for (let i = b.length - 1; i >= 0; i--) getOrInsert(indexes, b[i], () => []).push(i)
  interface Link {
    pair: Pair
    previous: Link | undefined
  }
  /** The top of each pile. */
  const tops: Link[] = []
  a.forEach((item, x) => {
    const y = indexes.get(item)?.pop()
    if (y === undefined) return
    let low = 0
    let high = tops.length
    while (low < high) {
      const mid = (low + high) >> 1
      if ((tops[mid] as Link).pair[1] < y) low = mid + 1
      else high = mid
    }
    tops[low] = { pair: [x, y], previous: tops[low - 1] }
  })
  const pairs: Pair[] = []
  for (let link = tops.at(-1); link; link = link.previous) pairs.push(link.pair)
  return pairs.reverse()
}

function toEdits(blocks: readonly Block[], n: number, m: number): Edit[] {
  const edits: Edit[] = []
  let from = 0
  let to = 0
  for (const [x, y, length] of blocks) {
    if (length === 0) continue
    const last = edits.at(-1)
    if (last && x === from && y === to) last.kept += length
    else edits.push({ removed: x - from, added: y - to, kept: length })
    from = x + length
    to = y + length
  }
  if (from < n || to < m) edits.push({ removed: n - from, added: m - to, kept: 0 })
  return edits
}

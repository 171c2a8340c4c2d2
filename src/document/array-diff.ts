import { getOrInsert } from '../util/bounded-map.js'

/** `removed` items go, `added` items come, then `kept` items stay. */
export interface Edit {
  removed: number
  added: number
  kept: number
}

type Pair = [before: number, after: number]

/** Items that stay beside each other. */
type Block = [before: number, after: number, length: number]

/**
 * How to get from one array to another, items compared by identity (`===`).
 *
 * The shortest script by E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). Its cost grows with
 * the number of differences, so beyond a bound a script that is right but perhaps not the shortest is given instead:
 * items are paired by occurrence and the longest increasing run of pairs is kept, in O(n log n).
 */
export function diffArrays(before: readonly unknown[], after: readonly unknown[]): Edit[] {
  const max = Math.min(before.length, after.length)
  let head = 0
  while (head < max && before[head] === after[head]) head++
  let tail = 0
  while (tail < max - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++
  const a = before.slice(head, before.length - tail)
  const b = after.slice(head, after.length - tail)
  const middle = a.length > 0 && b.length > 0 ? (shortestEditScript(a, b) ?? longestIncreasingPairs(a, b)) : []
  const blocks: Block[] = [[0, 0, head]]
  for (const [x, y] of middle) blocks.push([x + head, y + head, 1])
  blocks.push([before.length - tail, after.length - tail, tail])
  return toEdits(blocks, before.length, after.length)
}

/** Above this many differences, the quadratic memory of the shortest script is not worth it. */
const MAX_DIFFERENCES = 256

function shortestEditScript(a: readonly unknown[], b: readonly unknown[]): Pair[] | undefined {
  const bound = Math.min(a.length + b.length, MAX_DIFFERENCES)
  const center = bound + 1
  const furthest = new Int32Array(2 * bound + 3)
  const rounds: Int32Array[] = []
  for (let d = 0; d <= bound; d++) {
    rounds.push(furthest.slice(center - d - 1, center + d + 2))
    for (let k = -d; k <= d; k += 2) {
      const down = goesDown(furthest, center, k, d)
      let x = down ? at(furthest, center + k + 1) : at(furthest, center + k - 1) + 1
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++
      furthest[center + k] = x
      if (x >= a.length && x - k >= b.length) return backtrack(rounds, a.length, b.length)
    }
  }
  return undefined
}

function backtrack(rounds: readonly Int32Array[], n: number, m: number): Pair[] {
  const pairs: Pair[] = []
  let x = n
  let y = m
  for (let d = rounds.length - 1; d >= 0; d--) {
    const furthest = rounds[d] as Int32Array
    const center = d + 1
    const k = x - y
    const from = goesDown(furthest, center, k, d) ? k + 1 : k - 1
    const startX = d === 0 ? 0 : at(furthest, center + from)
    const startY = d === 0 ? 0 : startX - from
    while (x > startX && y > startY) pairs.push([--x, --y])
    x = startX
    y = startY
  }
  return pairs.reverse()
}

const at = (array: Int32Array, index: number): number => array[index] as number

const goesDown = (furthest: Int32Array, center: number, k: number, d: number): boolean =>
  k === -d || (k !== d && at(furthest, center + k - 1) < at(furthest, center + k + 1))

/** Longest increasing subsequence of the pairs (patience sorting). */
function longestIncreasingPairs(a: readonly unknown[], b: readonly unknown[]): Pair[] {
  const places = new Map<unknown, number[]>()
  for (let i = b.length - 1; i >= 0; i--) getOrInsert(places, b[i], () => []).push(i)
  interface Link {
    pair: Pair
    previous: Link | undefined
  }
  const tops: Link[] = []
  a.forEach((item, x) => {
    const y = places.get(item)?.pop()
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
  const out: Edit[] = []
  let i = 0
  let j = 0
  for (const [x, y, length] of blocks) {
    if (length === 0) continue
    const last = out.at(-1)
    if (last && x === i && y === j) last.kept += length
    else out.push({ removed: x - i, added: y - j, kept: length })
    i = x + length
    j = y + length
  }
  if (i < n || j < m) out.push({ removed: n - i, added: m - j, kept: 0 })
  return out
}

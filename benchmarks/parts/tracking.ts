import { fileOf } from '../compile.js'
import { timesOf } from '../contest.js'
import type { Figure, Findings, Part } from '../part.js'
import type { DocumentOffers } from '../processes/document.js'
import { SIZES, type Size } from '../session.js'
import { over, showSpread } from '../statistics.js'
import { Worker } from '../worker.js'

const ROW = 'Tracked reads and writes, flush, merge, inside the process'

type Costs = Awaited<ReturnType<DocumentOffers['costs']>>

/**
 * What is compared, and how. The targets are those of the prototype that the document was made after, measured by these very loops on one
 * machine; ratios carry to others.
 */
const RATIOS: { measure: string; of(costs: Costs): number; most?: number[]; least?: number[] }[] = [
  { measure: 'a read at depth 2 / the same on plain objects', of: ({ read, plainRead }) => read / plainRead, most: [17, 17, 17] },
  {
    measure: 'a read at depth 4 / the same on plain objects',
    of: ({ deepRead, plainDeepRead }) => deepRead / plainDeepRead,
    most: [29, 29, 29],
  },
  {
    measure: 'a nested write / the same on plain objects',
    of: ({ write, plainWrite }) => write / plainWrite,
    most: [15.5, 15.5, 15.5],
  },
  {
    measure: 'the JSON before and after an event / an event that changes nothing',
    of: ({ stringify, nothing }) => (2 * stringify) / nothing,
    least: [89, 7_500, 75_000],
  },
  {
    measure: 'one JSON.stringify / one write and its flush',
    of: ({ stringify, flush }) => stringify / flush,
    least: [6.6, 650, 4_500],
  },
  {
    measure: "one write, merged with another's, and flushed / one JSON.parse",
    of: ({ merge, parse }) => merge / parse,
    most: [2.2, 1.7, 2.8],
  },
]

export const tracking: Part = {
  name: 'tracking',
  title: 'Change tracking',
  about:
    'The document by itself, in a process without a server. Targets are what the prototype that it was made after came to, by the same loops and with the same sessions.',
  async run(bench) {
    const sizes: Size[] = bench.quick ? ['1 kB'] : ['1 kB', '100 kB', '1 MB']
    const times = timesOf(bench, 5)
    const results: { costs: Costs[]; memory: Awaited<ReturnType<DocumentOffers['memory']>> }[] = []
    for (let time = 0; time < times; time++) {
      bench.progress(`round ${time + 1} of ${times}`)
      const costs: Costs[] = []
      // Each size in a process of its own: what is compiled for one is not what is best for another.
      for (const size of sizes)
        costs.push(await inProcess((document) => document.call('costs', SIZES[size], bench.quick ? 2 : 15)))
      results.push({ costs, memory: await inProcess((document) => document.call('memory')) })
    }
    const findings: Findings = { figures: [], tables: [], charts: [] }
    const figures: Figure[] = RATIOS.flatMap(({ measure, of, most, least }) =>
      sizes.map((size, index) => ({
        row: ROW,
        where: size,
        measure,
        value: over(results, ({ costs }) => of(costs[index]!)),
        ...(most?.[index] !== undefined && { target: { most: most[index] } }),
        ...(least?.[index] !== undefined && { target: { least: least[index] } }),
      })),
    )
    const kept = [
      ['a session', 'session', 1300],
      ['a node that was looked at', 'node', 155],
      ['a socket', 'face', 156],
    ] as const
    for (const [where, key, most] of kept) {
      const value = over(results, ({ memory }) => memory[key])
      figures.push({ row: ROW, where, measure: 'bytes that tracking keeps', value, unit: 'bytes', target: { most } })
    }
    findings.figures = figures
    const names = Object.keys(results[0]!.costs[0]!) as (keyof Costs)[]
    findings.tables.push({
      caption: 'µs per call',
      head: ['', ...sizes],
      rows: names.map((name) => [
        WORDS[name],
        ...sizes.map((_, index) => showSpread(over(results, ({ costs }) => costs[index]![name]))),
      ]),
    })
    return findings
  },
}

const WORDS: Record<keyof Costs, string> = {
  plainRead: 'plain objects: a read at depth 2',
  read: 'a read at depth 2',
  plainDeepRead: 'plain objects: a read at depth 4',
  deepRead: 'a read at depth 4',
  plainWrite: 'plain objects: a nested write',
  write: 'a nested write',
  nothing: 'an event that changes nothing',
  flush: 'one write and its flush',
  stringify: 'JSON.stringify of the session',
  merge: "one write, merged with another's, and flushed",
  parse: 'JSON.parse of the session',
}

async function inProcess<T>(measure: (document: Worker<DocumentOffers>) => Promise<T>): Promise<T> {
  const document = await Worker.start<DocumentOffers>(fileOf('document'))
  return measure(document).finally(() => document.stop())
}

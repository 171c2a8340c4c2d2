import { fileOf } from '../compile.js'
import { cpuPer, Round, timesOf } from '../contest.js'
import type { Line, LineChart } from '../drawing/chart.js'
import type { Bench, Findings, Part, Table } from '../part.js'
import type { DocumentOffers } from '../processes/document.js'
import type { LoadOffers } from '../processes/load.js'
import { sidsOf } from '../session.js'
import { over, type Spread, showSpread, spread } from '../statistics.js'
import { Worker } from '../worker.js'

const ROW = 'Growth'
const NAMES = ['bare', 'sharedsession'] as const
const SOCKETS = 8

export const growth: Part = {
  name: 'growth',
  title: 'Growth',
  about:
    'What one event costs with ever more live sessions (1 kB, MemoryStore, 8 of the sockets send), and what reads and writes cost inside the process with ever deeper documents and longer arrays. By size of the session: the charts of events that read, and of a change in a large session.',
  async run(bench) {
    const sessions = await liveSessions(bench)
    const inside = await insideTheProcess(bench)
    return {
      figures: [...sessions.figures, ...inside.figures],
      tables: [...sessions.tables, ...inside.tables],
      charts: [...sessions.charts, ...inside.charts],
    }
  },
}

async function liveSessions(bench: Bench): Promise<Findings> {
  const counts = bench.quick ? [10, 100] : [10, 100, 1_000, 10_000]
  const kinds = ['read', 'write'] as const
  const results: Record<string, number>[] = []
  for (let time = 0; time < timesOf(bench, 3); time++) {
    bench.progress(`live sessions, round ${time + 1}`)
    const round = await Round.start(bench, 'memory', time % 2 ? [...NAMES].reverse() : NAMES)
    // A process must not have more sockets open than the server has.
    const idle = { bare: await startLoad(), sharedsession: await startLoad() }
    try {
      const found: Record<string, number> = {}
      let live = 0
      for (const count of counts) {
        for (const name of NAMES) {
          const { server, port } = round.of(name)
          const sids = sidsOf(`live-${live}`, count - live)
          await server.call('fill', sids, 1000)
          const first = live === 0 ? sids.slice(0, SOCKETS) : []
          if (live === 0) await round.load.call('connect', name, port, first, SOCKETS)
          await idle[name].call('connect', 'idle', port, sids.slice(first.length), 100)
        }
        live = count
        for (const event of kinds) {
          for (const name of NAMES) await round.load.call('events', name, { event, window: 2, ms: bench.quick ? 20 : 150 })
          const turns = bench.quick ? 1 : 4
          const totals = await round.measure({ bare: turns, sharedsession: turns }, ({ name }) =>
            round.load.call('events', name, { event, window: 2, ms: bench.quick ? 30 : 200 }),
          )
          for (const name of NAMES) found[`${name} ${event} ${count}`] = cpuPer(totals[name])
        }
      }
      results.push(found)
    } finally {
      await Promise.all([round.stop(), idle.bare.stop(), idle.sharedsession.stop()])
    }
  }
  const spreadOf = (name: string, event: string, count: number): Spread =>
    over(results, (found) => found[`${name} ${event} ${count}`]!)
  const lines: Line[] = NAMES.flatMap((name) =>
    kinds.map((event) => ({
      name: `${name}, ${event}s`,
      dashed: event === 'write',
      points: counts.map((count) => ({ x: count, y: spreadOf(name, event, count) })),
    })),
  )
  const most = counts.at(-1)!
  const ratio = (event: string) =>
    over(results, (found) => found[`sharedsession ${event} ${most}`]! / found[`sharedsession ${event} ${counts[0]}`]!)
  return {
    figures: kinds.map((event) => ({
      row: ROW,
      where: `${most.toLocaleString('en-US')} live sessions against ${counts[0]}`,
      measure: `processor time of an event that ${event}s`,
      value: ratio(event),
    })),
    tables: [tableOf('µs of processor per event', 'live sessions', lines)],
    charts: [
      chartOf('growth-sessions', 'Processor time per event, by live sessions (1 kB, MemoryStore)', 'live sessions', lines),
    ],
  }
}

async function insideTheProcess(bench: Bench): Promise<Findings> {
  const ms = bench.quick ? 2 : 15
  const depths = bench.quick ? [1, 8] : [1, 4, 16, 64]
  const lengths = bench.quick ? [10, 100] : [10, 100, 1_000, 10_000, 100_000]
  const deep: Line[] = [
    { name: 'read', points: [] },
    { name: 'write and flush, by a held reference', points: [] },
  ]
  const long: Line[] = [
    { name: 'write to an element and flush', points: [] },
    { name: 'push or pop, and flush', points: [] },
  ]
  const times = timesOf(bench, 3)
  for (const depth of depths) {
    bench.progress(`depth ${depth}`)
    const found = await fresh(times, (document) => document.call('depth', depth, ms))
    deep[0]!.points.push({ x: depth, y: over(found, ({ read }) => read) })
    deep[1]!.points.push({ x: depth, y: over(found, ({ flush }) => flush) })
  }
  for (const length of lengths) {
    bench.progress(`array of ${length}`)
    const found = await fresh(times, (document) => document.call('list', length, ms))
    long[0]!.points.push({ x: length, y: over(found, ({ write }) => write) })
    long[1]!.points.push({ x: length, y: over(found, ({ push }) => push) })
  }
  const last = (line: Line) => line.points.at(-1)!.y.median / line.points[0]!.y.median
  const figure = (where: string, line: Line) => ({ row: ROW, where, measure: line.name, value: spread([last(line)]) })
  return {
    figures: [
      ...deep.map((line) => figure(`depth ${depths.at(-1)} against ${depths[0]}`, line)),
      ...long.map((line) => figure(`array of ${lengths.at(-1)!.toLocaleString('en-US')} against ${lengths[0]}`, line)),
    ],
    tables: [tableOf('µs inside the process', 'depth', deep), tableOf('µs inside the process', 'array length', long)],
    charts: [
      chartOf('growth-depth', 'Inside the process: by depth of the document', 'depth', deep, 'µs'),
      chartOf('growth-array', 'Inside the process: by length of an array', 'elements', long, 'µs'),
    ],
  }
}

const startLoad = () => Worker.start<LoadOffers>(fileOf('load'))

/** In fresh processes, one after the other. */
async function fresh<T>(times: number, measure: (document: Worker<DocumentOffers>) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let time = 0; time < times; time++) {
    const document = await Worker.start<DocumentOffers>(fileOf('document'))
    results.push(await measure(document).finally(() => document.stop()))
  }
  return results
}

function tableOf(caption: string, what: string, lines: Line[]): Table {
  const rows = lines[0]!.points.map(({ x }, index) => [
    x.toLocaleString('en-US'),
    ...lines.map(({ points }) => showSpread(points[index]!.y)),
  ])
  return { caption, head: [what, ...lines.map(({ name }) => name)], rows }
}

function chartOf(file: string, title: string, what: string, lines: Line[], label = 'µs per event'): LineChart {
  const ticks = lines[0]!.points.map(({ x }) => ({ at: x, label: x.toLocaleString('en-US') }))
  return { kind: 'lines', file, title, x: { label: what, log: true, ticks }, y: { label, log: true }, lines }
}

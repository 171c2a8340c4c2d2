import { CONTENDERS, inStores, type Round, rounds, TITLES } from '../contest.js'
import type { BarChart, LineChart } from '../drawing/chart.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { sidsOf } from '../session.js'
import { MOST_SOCKETS, socketsOf } from '../sockets.js'
import { over, type Spread, showSpread, spread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'

const ROW = 'All clients return after a restart'
/** ms in which all clients return. */
const WITHIN = 1500
/** s between two points of a line in the chart. Every fourth is named. */
const STEPS = [0.05, 0.25, 0.5, 1, 2.5, 5]
const MOST_POINTS = 24

export const storm: Part = {
  name: 'storm',
  title: 'After a restart',
  about:
    `A process that has just started, and ${MOST_SOCKETS.toLocaleString('en-US')} clients with a session of 1 kB each that return evenly within ${WITHIN / 1000} seconds, by WebSocket. ` +
    'A socket is served when its namespace has let it in. The peak of the heap includes what is not collected yet. Where a process may open fewer files, there are fewer ' +
    'sockets: the tables say how many.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

interface Storm {
  /** ms until each socket was served, in order. */
  served: number[]
  /** Of processor time. */
  ms: number
  /** MB. */
  heap: number
  reads: number
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const sockets = socketsOf(bench)
  const results = await rounds(bench, { count: 3, store, names: CONTENDERS }, (round) => oneRound(bench, round, sockets))
  const [title, count] = [STORE_TITLES[store], sockets.toLocaleString('en-US')]
  const all = (name: PeerName, of: (storm: Storm) => number): Spread => over(results, (round) => of(round[name]))
  const ratio = (name: PeerName, of: (storm: Storm) => number): Spread =>
    over(results, (round) => of(round[name]) / of(round.bare))
  const until = ({ served }: Storm) => served.at(-1)! / 1000
  const half = ({ served }: Storm) => served[Math.floor(served.length / 2)]! / 1000
  const cpu = ({ ms }: Storm) => ms / 1000
  const rows = CONTENDERS.map((name) => [
    TITLES[name],
    ...[all(name, half), all(name, until), ratio(name, until), all(name, cpu), ratio(name, cpu)].map(showSpread),
    showSpread(all(name, ({ heap }) => heap)),
    showSpread(all(name, ({ reads }) => reads / sockets)),
  ])
  const where = `${count} sockets, ${title}`
  const figures: Figure[] = [
    { row: ROW, where, measure: 'time until all are served, against bare', value: ratio('sharedsession', until) },
    { row: ROW, where, measure: 'processor time, against bare', value: ratio('sharedsession', cpu) },
    { row: ROW, where, measure: 'peak of the heap', value: all('sharedsession', ({ heap }) => heap), unit: 'MB' },
    { row: ROW, where, measure: 'store reads per socket', value: all('sharedsession', ({ reads }) => reads / sockets) },
  ]
  const bars = (file: string, chart: string, label: string, of: (storm: Storm) => number): BarChart => ({
    kind: 'bars',
    file: `storm-${file}-${store}`,
    title: `${chart} (${title})`,
    value: { label },
    groups: [{ label: `${count} sockets`, bars: CONTENDERS.map((name) => ({ name: TITLES[name], value: all(name, of) })) }],
  })
  return {
    figures,
    tables: [
      {
        caption: `${title}, ${count} sockets`,
        head: [
          '',
          's until half are served',
          's until all are served',
          'against bare',
          's of processor time',
          'against bare',
          'peak of the heap, MB',
          'store reads per socket',
        ],
        rows,
      },
    ],
    charts: [
      lines(results, store, sockets),
      bars('processor', 'Processor time until all clients are back', 's, less is better', cpu),
      bars('heap', 'Peak of the heap while all clients return', 'MB, less is better', ({ heap }) => heap),
    ],
  }
}

/** Sockets that are served, over time. */
function lines(results: Record<PeerName, Storm>[], store: 'memory' | 'redis', sockets: number): LineChart {
  const last = Math.max(...results.flatMap((round) => CONTENDERS.map((name) => round[name].served.at(-1)!))) / 1000
  const step = STEPS.find((step) => last / step <= MOST_POINTS) ?? STEPS.at(-1)!
  const named = Math.ceil(last / step / 4)
  const at = (time: number, name: PeerName): Spread =>
    over(results, (round) => round[name].served.filter((ms) => ms <= time * 1000).length)
  const line = (name: PeerName) => {
    const points = [{ x: 0, y: spread([0]) }]
    for (let index = 1; index <= named * 4 && points.at(-1)!.y.median < sockets; index++) {
      points.push({ x: index * step, y: at(index * step, name) })
    }
    return { name: TITLES[name], points }
  }
  const ticks = Array.from({ length: named + 1 }, (_, index) => index * 4 * step)
  return {
    kind: 'lines',
    file: `storm-${store}`,
    title: `Sockets that are served after a restart (${STORE_TITLES[store]})`,
    x: { label: 's since the first client came back', ticks: ticks.map((at) => ({ at, label: String(Number(at.toFixed(2))) })) },
    y: { label: 'sockets served' },
    lines: CONTENDERS.map(line),
  }
}

async function oneRound(bench: Bench, round: Round, sockets: number): Promise<Record<PeerName, Storm>> {
  const sids = sidsOf('storm', sockets)
  const found = {} as Record<PeerName, Storm>
  for (const name of round.names) {
    const contender = round.of(name)
    const { server, port } = contender
    await server.call('fill', sids, 1000)
    await server.call('heap')
    await server.call('watchHeap')
    const before = { cpu: await server.call('cpu'), reads: (await server.call('calls')).reads }
    const served = await round.load.call('storm', name, port, sids, bench.quick ? 100 : WITHIN)
    found[name] = {
      served,
      ms: ((await server.call('cpu')) - before.cpu) / 1000,
      heap: (await server.call('peakHeap')) / 1e6,
      reads: (await server.call('calls')).reads - before.reads,
    }
    await round.close(contender)
  }
  return found
}

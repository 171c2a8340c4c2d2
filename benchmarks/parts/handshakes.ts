import { type Compared, compare, comparedCells, comparedFigures, comparedHead } from '../comparison.js'
import { CONTENDERS, inStores, type Round, rounds, TITLES } from '../contest.js'
import type { Bench, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { sidsOf } from '../session.js'
import { over, show } from '../statistics.js'
import { STORE_TITLES, type StoreName } from '../stores.js'

const ROW = 'Handshakes'

/** How sockets share sessions. */
export const SHAPES = {
  distinct: { title: 'a session each', tabs: 1, least: 0.85, most: 1.25 },
  tabs: { title: '10 tabs of each session', tabs: 10, least: 0.95, most: 1.1 },
} as const
export type Shape = keyof typeof SHAPES
export const SHAPE_NAMES = Object.keys(SHAPES) as Shape[]

export const handshakes: Part = {
  name: 'handshakes',
  title: 'Handshakes',
  about:
    '2,000 sockets connect by WebSocket, 50 at once, with sessions of 1 kB; the tabs of a session connect one right after the other.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: StoreName): Promise<Findings> {
  const findings: Findings = { figures: [], tables: [], charts: [] }
  const title = STORE_TITLES[store]
  const groups = []
  const rows: string[][] = []
  for (const shape of bench.quick ? (['tabs'] as const) : SHAPE_NAMES) {
    const { tabs, least, most, title: shapeTitle } = SHAPES[shape]
    const results = await rounds(bench, { count: 5, store, names: CONTENDERS }, (round) => connectAll(bench, round, tabs))
    const compared = compare(
      results.map(({ totals }) => totals),
      CONTENDERS,
      'bare',
    )
    const reads = (name: PeerName) => over(results, (round) => (round.reads[name] / round.totals[name].count) * tabs)
    const where = `${title}, ${shapeTitle}`
    findings.figures.push(...comparedFigures(compared.sharedsession, { row: ROW, where, what: 'handshakes', least, most }))
    if (tabs > 1) {
      const measure = 'store reads per ten tabs that connect at once'
      findings.figures.push({ row: ROW, where, measure, value: reads('sharedsession'), target: { most: 1 } })
    }
    for (const name of CONTENDERS) rows.push([shapeTitle, ...comparedCells(compared[name]), show(reads(name).median)])
    groups.push({ label: shapeTitle, target: least, bars: barsOf(compared) })
  }
  findings.tables.push({
    caption: title,
    head: ['sockets', ...comparedHead('handshakes', 'bare'), 'store reads per session'],
    rows,
  })
  findings.charts.push({
    kind: 'bars',
    file: `handshakes-${store}`,
    title: `Handshakes per second (${title})`,
    value: { label: 'bare Socket.IO = 1' },
    groups,
  })
  return findings
}

const barsOf = (compared: Record<PeerName, Compared>) =>
  CONTENDERS.map((name) => ({ name: TITLES[name], value: compared[name].rateRatio }))

async function connectAll(bench: Bench, round: Round, tabs: number) {
  const sockets = bench.quick ? 100 : 2000
  const turns = bench.quick ? 1 : 2
  const sids = sidsOf('hand', sockets / turns / tabs)
  const reads = {} as Record<PeerName, number>
  for (const name of CONTENDERS) {
    const { server, port } = round.of(name)
    await server.call('fill', sids, 1000)
    // To warm up.
    await server.call('fill', sidsOf('warm', 50), 1000)
    for (let time = 0; time < (bench.quick ? 1 : 12); time++)
      await round.load.call('connect', 'warm', port, sidsOf('warm', 50), 50)
    reads[name] = -(await server.call('calls')).reads
  }
  const each = sids.flatMap((sid) => Array<string>(tabs).fill(sid))
  const totals = await round.measure(
    { bare: turns, sharedsession: turns, esis: turns, recipe: turns },
    async ({ name, port }) => {
      const ms = await round.load.call('connect', name, port, each, 50)
      return { count: each.length, ms, delay: 0 }
    },
  )
  for (const name of CONTENDERS) {
    reads[name] += (await round.of(name).server.call('calls')).reads
    await round.load.call('close', name)
  }
  await round.load.call('close', 'warm')
  return { totals, reads }
}

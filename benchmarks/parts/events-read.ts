import { type Compared, compare, comparedCells, comparedFigures, comparedHead } from '../comparison.js'
import { CONTENDERS, inStores, type Round, rounds, storeCalls, TITLES, WARM } from '../contest.js'
import type { Line, LineChart } from '../drawing/chart.js'
import type { Bench, Findings, Part } from '../part.js'
import { SIZES, type Size, sidsOf } from '../session.js'
import { over, show } from '../statistics.js'
import { STORE_TITLES, type StoreName } from '../stores.js'

const ROW = 'Events that read the session and change nothing'
const SOCKETS = 8

export const eventsRead: Part = {
  name: 'events-read',
  title: 'Events that read',
  about:
    '8 sockets with a session each, two events of each on their way at once. The handler reads one name of the session and acknowledges.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: StoreName): Promise<Findings> {
  const sizes = (bench.quick ? ['1 kB'] : Object.keys(SIZES)) as Size[]
  const results = await rounds(bench, { count: 5, store, names: CONTENDERS }, async (round) => {
    const measured: Awaited<ReturnType<typeof measure>>[] = []
    for (const [index, size] of sizes.entries()) measured.push(await measure(bench, round, size, index === 0 ? WARM : 200))
    return measured
  })
  const findings: Findings = { figures: [], tables: [], charts: [] }
  const rows: string[][] = []
  const bySize = sizes.map((size, index) => {
    const at = results.map((round) => round[index]!)
    const compared = compare(
      at.map(({ totals }) => totals),
      CONTENDERS,
      'bare',
    )
    for (const name of CONTENDERS) {
      const calls = over(at, ({ totals, calls }) => (calls[name] / totals[name].count) * 1000)
      rows.push([size, ...comparedCells(compared[name]), show(calls.median)])
      if (name !== 'sharedsession') continue
      const where = `${size}, ${STORE_TITLES[store]}`
      findings.figures.push(...comparedFigures(compared[name], { row: ROW, where, what: 'events', least: 0.97, most: 1.05 }), {
        row: ROW,
        where,
        measure: 'store calls per 1,000 events',
        value: calls,
        target: { most: 0 },
      })
    }
    return { x: SIZES[size], compared }
  })
  findings.tables.push({
    caption: STORE_TITLES[store],
    head: ['session', ...comparedHead('events', 'bare'), 'store calls per 1,000 events'],
    rows,
  })
  const chart = (file: string, title: string, label: string, key: 'rateRatio' | 'cpu'): LineChart => ({
    kind: 'lines',
    file: `${file}-${store}`,
    title: `${title} (${STORE_TITLES[store]})`,
    x: { label: 'size of the session', log: true, ticks: sizes.map((size) => ({ at: SIZES[size], label: size })) },
    y: { label, log: true },
    lines: CONTENDERS.map(
      (name): Line => ({
        name: TITLES[name],
        points: bySize.map(({ x, compared }) => ({ x, y: (compared[name] as Compared)[key] })),
      }),
    ),
  })
  findings.charts.push(
    chart(
      'events-read',
      'Events per second that only read, against Socket.IO without sessions',
      'bare Socket.IO = 1',
      'rateRatio',
    ),
    chart('events-read-processor', "The server's processor time for an event that only reads", 'µs per event', 'cpu'),
  )
  return findings
}

async function measure(bench: Bench, round: Round, size: Size, warm: number) {
  const sids = sidsOf(`read-${SIZES[size]}`, SOCKETS)
  for (const name of CONTENDERS) {
    const { server, port } = round.of(name)
    await server.call('fill', sids, SIZES[size])
    await round.load.call('connect', name, port, sids, SOCKETS)
    await round.load.call('events', name, { event: 'read', window: 1, ms: bench.quick ? 20 : warm })
  }
  const before = await storeCalls(round)
  const [most, few] = bench.quick ? [1, 1] : [12, 3]
  const totals = await round.measure({ bare: most, sharedsession: most, esis: few, recipe: few }, ({ name }) =>
    round.load.call('events', name, { event: 'read', window: 2, ms: bench.quick ? 30 : 100 }),
  )
  const calls = await storeCalls(round, before)
  for (const name of CONTENDERS) await round.load.call('close', name)
  return { totals, calls }
}

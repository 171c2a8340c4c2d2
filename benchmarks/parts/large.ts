import { compare } from '../comparison.js'
import { CONTENDERS, cpuPer, inStores, type Round, rounds, TITLES, WARM } from '../contest.js'
import type { Line } from '../drawing/chart.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import { SIZES, type Size } from '../session.js'
import { over, showSpread } from '../statistics.js'
import { STORE_TITLES, type StoreName } from '../stores.js'

const ROW = 'A change of one key in a large session'
const ALONE = 'the store alone'

export const large: Part = {
  name: 'large',
  title: 'A change in a large session',
  about:
    "One socket, one event at a time, which changes one key; the server's processor time for it, until everything is saved. Beside it the store alone: its `set` of a session of that size, called directly.",
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: StoreName): Promise<Findings> {
  const sizes: Size[] = bench.quick ? ['1 kB'] : ['1 kB', '10 kB', '100 kB', '1 MB']
  const results = await rounds(bench, { count: 3, store, names: CONTENDERS }, async (round) => {
    const measured = []
    for (const [index, size] of sizes.entries()) measured.push(await measure(bench, round, SIZES[size], index === 0 ? WARM : 200))
    return measured
  })
  const title = STORE_TITLES[store]
  const lines: Line[] = [...CONTENDERS.map((name) => TITLES[name]), ALONE].map((name) => ({ name, points: [] }))
  const figures: Figure[] = []
  const rows: string[][] = []
  for (const [index, size] of sizes.entries()) {
    const at = results.map((round) => round[index]!)
    const compared = compare(
      at.map(({ totals }) => totals),
      CONTENDERS,
      'bare',
    )
    const alone = over(at, ({ alone }) => alone)
    for (const [line, name] of CONTENDERS.entries()) lines[line]!.points.push({ x: SIZES[size], y: compared[name].cpu })
    lines[CONTENDERS.length]!.points.push({ x: SIZES[size], y: alone })
    const sets = CONTENDERS.map((name) => over(at, ({ totals, alone }) => (cpuPer(totals[name]) - cpuPer(totals.bare)) / alone))
    rows.push([
      size,
      showSpread(alone),
      ...CONTENDERS.flatMap((name, index) => [showSpread(compared[name].cpu), ...(index ? [showSpread(sets[index]!)] : [])]),
    ])
    if (SIZES[size] < 100_000) continue
    figures.push({
      row: ROW,
      where: `${size}, ${title}`,
      measure: "processor time above bare, in calls of the store's own set",
      value: sets[CONTENDERS.indexOf('sharedsession')]!,
      target: { most: 1 },
    })
  }
  const head = [
    'session',
    ALONE,
    ...CONTENDERS.flatMap((name, index) => [TITLES[name], ...(index ? ['above bare, in `set`s'] : [])]),
  ]
  return {
    figures,
    tables: [{ caption: `${title}: µs of processor per event`, head, rows }],
    charts: [
      {
        kind: 'lines',
        file: `large-${store}`,
        title: `The server's processor time for a change of one key (${title})`,
        x: { label: 'size of the session', log: true, ticks: sizes.map((size) => ({ at: SIZES[size], label: size })) },
        y: { label: 'µs per event', log: true },
        lines,
      },
    ],
  }
}

async function measure(bench: Bench, round: Round, bytes: number, warm: number) {
  const sid = `large-${bytes}`
  const write = { event: 'write', window: 1 } as const
  for (const name of CONTENDERS) {
    const { server, port } = round.of(name)
    await server.call('fill', [sid], bytes)
    await round.load.call('connect', name, port, [sid], 1)
    await round.load.call('events', name, { ...write, ms: bench.quick ? 20 : warm })
    await server.call('settled')
  }
  const turns = bench.quick ? 1 : 2
  const totals = await round.measure(
    { bare: turns, sharedsession: turns, esis: turns, recipe: turns },
    async ({ name, server }) => {
      const load = await round.load.call('events', name, { ...write, ms: bench.quick ? 30 : 250 })
      // Whoever acknowledges before it saves has not done its work yet.
      if (name === 'esis') await server.call('settled')
      return load
    },
  )
  const { calls, cpu } = await round.of('bare').server.call('alone', bytes, bench.quick ? 20 : 300)
  for (const name of CONTENDERS) await round.load.call('close', name)
  return { totals, alone: cpu / calls }
}

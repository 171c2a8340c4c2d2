import { compare, comparedCells, comparedFigures, comparedHead } from '../comparison.js'
import { CONTENDERS, inStores, type Round, rounds, TITLES, WARM } from '../contest.js'
import type { Bench, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { SIZES, sidsOf } from '../session.js'
import { median, over, show, showSpread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'

const MANY = 'Events that change one key, 50 sockets of one session'
const ONE = 'Events that change one key, one socket, one event at a time'
const SOCKETS = 50
const LARGER = ['1 kB', '10 kB'] as const
const TARGETS = { memory: { least: 0.7, most: 1.6 }, redis: { least: 0.6, most: 3.5 } }

export const eventsWrite: Part = {
  name: 'events-write',
  title: 'Events that write',
  about:
    'Each socket sets a key of its own and is acknowledged: by this package when the save has reached the store, by the recipe from the ' +
    'callback of `save()`, by express-socket.io-session before it saves, as it tells nobody when it has.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const sizes = bench.quick ? LARGER.slice(0, 1) : LARGER
  const results = await rounds(bench, { count: 5, store, names: CONTENDERS }, async (round) => {
    const many = []
    for (const [index, size] of sizes.entries()) many.push(await manySockets(bench, round, SIZES[size], index === 0 ? WARM : 200))
    return { many, one: await oneSocket(bench, round) }
  })
  const title = STORE_TITLES[store]
  const findings: Findings = { figures: [], tables: [], charts: [] }
  const rows: string[][] = []
  for (const [index, size] of sizes.entries()) {
    const at = results.map(({ many }) => many[index]!)
    const compared = compare(
      at.map(({ totals }) => totals),
      CONTENDERS,
      'bare',
    )
    for (const name of CONTENDERS) {
      const writes = over(at, (round) => (round.writes[name] / round.totals[name].count) * 1000)
      rows.push([size, ...comparedCells(compared[name]), name === 'bare' ? '-' : show(writes.median)])
      if (name !== 'sharedsession') continue
      const [row, where] = [MANY, `${size}, ${title}`]
      findings.figures.push(...comparedFigures(compared[name], { row, where, what: 'events', least: TARGETS[store].least }), {
        row,
        where,
        measure: 'store writes per 1,000 events',
        value: writes,
        target: { most: 100 },
      })
    }
  }
  findings.tables.push({
    caption: `${title}, 50 sockets of one session`,
    head: ['session', ...comparedHead('events', 'bare'), 'store writes per 1,000 events'],
    rows,
  })

  const one = results.map((round) => round.one)
  const compared = compare(
    one.map(({ totals }) => totals),
    CONTENDERS,
    'bare',
  )
  const ours = compared.sharedsession
  const roundTrip = over(one, ({ alone }) => (alone.ms / alone.calls) * 1000)
  const above = over(one, ({ totals }) => totals.sharedsession.delay - totals.bare.delay)
  const trips = over(
    one,
    ({ totals, alone }) => (totals.sharedsession.delay - totals.bare.delay) / ((alone.ms / alone.calls) * 1000),
  )
  const where = `1 kB, ${title}`
  findings.figures.push(
    {
      row: ONE,
      where,
      measure: 'processor time per event against bare',
      value: ours.cpuRatio,
      target: { most: TARGETS[store].most },
    },
    { row: ONE, where, measure: 'delay above bare', value: above, unit: 'µs' },
    { row: ONE, where, measure: 'delay above bare, in round trips of the store', value: trips, target: { most: 1 } },
  )
  findings.tables.push({
    caption: `${title}, one socket, one event at a time, 1 kB. The store's own \`set\` takes ${showSpread(roundTrip)} µs`,
    head: ['', 'µs until the ack', 'µs of processor per event', 'against bare', 'the ack waits for the save'],
    rows: CONTENDERS.map((name) => {
      const { delay, cpu, cpuRatio } = compared[name]
      return [TITLES[name], ...[delay, cpu, cpuRatio].map(showSpread), name === 'bare' || name === 'esis' ? 'no' : 'yes']
    }),
  })
  findings.charts.push({
    kind: 'bars',
    file: `events-write-${store}`,
    title: `Events per second that change one key, 50 sockets of one session (${title})`,
    value: { label: 'bare Socket.IO = 1' },
    groups: sizes.map((size, index) => {
      const compared = compare(
        results.map(({ many }) => many[index]!.totals),
        CONTENDERS,
        'bare',
      )
      const bars = CONTENDERS.map((name) => ({ name: TITLES[name], value: compared[name].rateRatio }))
      return { label: size, bars }
    }),
  })
  return findings
}

async function manySockets(bench: Bench, round: Round, bytes: number, warm: number) {
  const sid = `many-${bytes}`
  const writes = {} as Record<PeerName, number>
  const write = { event: 'write', window: 1 } as const
  for (const name of CONTENDERS) {
    const { server, port } = round.of(name)
    await server.call('fill', [sid], bytes)
    await round.load.call('connect', name, port, Array(SOCKETS).fill(sid), 10)
    await round.load.call('events', name, { ...write, ms: bench.quick ? 20 : warm })
    await server.call('settled')
    writes[name] = -(await server.call('calls')).writes
  }
  const [most, few] = bench.quick ? [1, 1] : [9, 3]
  const totals = await round.measure({ bare: most, sharedsession: most, esis: few, recipe: few }, ({ name }) =>
    round.load.call('events', name, { ...write, ms: bench.quick ? 30 : 100 }),
  )
  for (const name of CONTENDERS) {
    const { server } = round.of(name)
    await server.call('settled')
    writes[name] += (await server.call('calls')).writes
    await round.load.call('close', name)
  }
  return { totals, writes }
}

async function oneSocket(bench: Bench, round: Round) {
  const sids = sidsOf('one', 1)
  const write = { event: 'write', window: 1 } as const
  for (const name of CONTENDERS) {
    const { server, port } = round.of(name)
    await server.call('fill', sids, 1000)
    await round.load.call('connect', name, port, sids, 1)
    await round.load.call('events', name, { ...write, ms: bench.quick ? 20 : WARM })
  }
  const most = bench.quick ? 1 : 8
  const totals = await round.measure({ bare: most, sharedsession: most, esis: most, recipe: most }, ({ name }) =>
    round.load.call('events', name, { ...write, ms: bench.quick ? 30 : 75 }),
  )
  const { server } = round.of('bare')
  const times = []
  for (let time = 0; time < 3; time++) times.push(await server.call('alone', 1000, bench.quick ? 20 : 100))
  const calls = median(times.map(({ calls, ms }) => calls / ms))
  for (const name of CONTENDERS) await round.load.call('close', name)
  return { totals, alone: { calls, ms: 1 } }
}

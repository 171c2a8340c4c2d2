import { compare, comparedCells, comparedFigures, comparedHead } from '../comparison.js'
import { inStores, type Round, rounds } from '../contest.js'
import type { Bench, Findings, Part } from '../part.js'
import { SIZES, type Size, sidsOf } from '../session.js'
import { STORE_TITLES, type StoreName } from '../stores.js'

const ROW = 'Overhead on an HTTP request'
const NAMES = ['bare', 'sharedsession'] as const
const TITLES = { bare: 'express-session alone', sharedsession: 'with sharedsession' }
const CONNECTIONS = 8
/**
 * Requests of each kind until V8 has compiled what they run through. Not a time, as elsewhere: on a slow or busy machine the contender that
 * runs through more code would not be compiled by then, and its compilation would be measured.
 */
const WARM_REQUESTS = 10_000
/** Of processor time against express-session alone. */
const WITH_DRIVER = { read: 1.08, write: 1.25 }
const TARGETS: Record<StoreName, typeof WITH_DRIVER> = {
  memory: WITH_DRIVER,
  generic: { read: 1.15, write: 1.4 },
  redis: WITH_DRIVER,
  postgres: WITH_DRIVER,
}

export const httpOverhead: Part = {
  name: 'http-overhead',
  title: 'HTTP requests',
  about:
    'Express and express-session on 8 connections with a session each, with and without `sharedsession(session)` on the same store. One route reads a name of the session, the other changes one key.',
  run: (bench) => inStores(bench, ['memory', 'generic', 'redis', 'postgres'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: StoreName): Promise<Findings> {
  const sizes: Size[] = bench.quick ? ['1 kB'] : ['1 kB', '10 kB', '100 kB']
  const cases = sizes.flatMap((size) => (['read', 'write'] as const).map((kind) => ({ size, kind })))
  const results = await rounds(bench, { count: 4, store, names: NAMES }, async (round) => {
    await warm(bench, round)
    const measured = []
    for (const { size, kind } of cases) measured.push(await measure(bench, round, SIZES[size], kind))
    return measured
  })
  const findings: Findings = { figures: [], tables: [], charts: [] }
  const rows: string[][] = []
  const groups = cases.map(({ size, kind }, index) => {
    const compared = compare(
      results.map((round) => round[index]!),
      NAMES,
      'bare',
    )
    for (const name of NAMES) rows.push([size, kind, ...comparedCells(compared[name], TITLES)])
    const most = TARGETS[store][kind]
    const where = `${kind}, ${size}, ${STORE_TITLES[store]}`
    findings.figures.push(
      ...comparedFigures(compared.sharedsession, { row: ROW, where, what: 'requests', limit: 'express-session alone', most }),
    )
    return {
      label: `${kind}, ${size}`,
      bars: [{ name: TITLES.sharedsession, value: compared.sharedsession.cpuRatio }],
    }
  })
  findings.tables.push({
    caption: STORE_TITLES[store],
    head: ['session', 'request', ...comparedHead('requests', 'alone')],
    rows,
  })
  findings.charts.push({
    kind: 'bars',
    file: `http-${store}`,
    title: `The server's processor time per HTTP request (${STORE_TITLES[store]})`,
    value: { label: 'express-session alone = 1, less is better' },
    groups,
  })
  return findings
}

async function warm(bench: Bench, round: Round<(typeof NAMES)[number]>): Promise<void> {
  const sids = sidsOf('http-warm', CONNECTIONS)
  for (const name of NAMES) {
    const { server, port } = round.of(name)
    await server.call('fill', sids, SIZES['1 kB'])
    for (const kind of ['read', 'write']) {
      let count = 0
      do count += (await round.load.call('requests', port, `/${kind}`, sids, bench.quick ? 30 : 500)).count
      while (!bench.quick && count < WARM_REQUESTS)
    }
  }
}

async function measure(bench: Bench, round: Round<(typeof NAMES)[number]>, bytes: number, kind: 'read' | 'write') {
  const sids = sidsOf(`http-${bytes}`, CONNECTIONS)
  for (const name of NAMES) {
    const { server, port } = round.of(name)
    await server.call('fill', sids, bytes)
    await round.load.call('requests', port, `/${kind}`, sids, bench.quick ? 20 : 150)
  }
  // Short beside what disturbs a machine: whatever comes then is in the way of both.
  const turns = bench.quick ? 1 : 20
  return round.measure({ bare: turns, sharedsession: turns }, ({ port }) =>
    round.load.call('requests', port, `/${kind}`, sids, bench.quick ? 30 : 80),
  )
}

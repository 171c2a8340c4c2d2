import { CONTENDERS, inStores, type Round, rounds, TITLES } from '../contest.js'
import type { Bench, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { sidsOf } from '../session.js'
import { over, showSpread } from '../statistics.js'
import { STORE_TITLES, type StoreName } from '../stores.js'
import { SHAPE_NAMES, SHAPES, type Shape } from './handshakes.js'

const ROW = 'Heap per idle connected socket above bare'
const MOST: Record<Shape, number> = { distinct: 3, tabs: 0.8 }

export const heap: Part = {
  name: 'heap',
  title: 'Memory',
  about:
    'What is live in the heap of a server with 2,000 idle sockets, after collection, less what was live before they came (the sessions of 1 kB were in the store by then), for each socket.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: StoreName): Promise<Findings> {
  const findings: Findings = { figures: [], tables: [], charts: [] }
  const title = STORE_TITLES[store]
  const groups = []
  const rows: string[][] = []
  for (const shape of bench.quick ? (['tabs'] as const) : SHAPE_NAMES) {
    const { tabs, title: shapeTitle } = SHAPES[shape]
    const results = await rounds(bench, { count: 2, store, names: CONTENDERS }, (round) => idle(bench, round, tabs))
    const above = (name: PeerName) => over(results, (round) => round[name] - round.bare)
    for (const name of CONTENDERS) {
      const own = showSpread(over(results, (round) => round[name]))
      rows.push([shapeTitle, TITLES[name], own, name === 'bare' ? '-' : showSpread(above(name))])
    }
    findings.figures.push({
      row: ROW,
      where: `${title}, ${shapeTitle}`,
      measure: 'kB per socket',
      value: above('sharedsession'),
      unit: 'kB',
      target: { most: MOST[shape] },
    })
    const bars = CONTENDERS.slice(1).map((name) => ({ name: TITLES[name], value: above(name) }))
    groups.push({ label: shapeTitle, target: MOST[shape], bars })
  }
  findings.tables.push({ caption: title, head: ['sockets', '', 'kB per socket', 'above bare'], rows })
  findings.charts.push({
    kind: 'bars',
    file: `heap-${store}`,
    title: `Heap per idle socket above Socket.IO without sessions (${title})`,
    value: { label: 'kB per socket' },
    groups,
  })
  return findings
}

/** kB per socket. */
async function idle(bench: Bench, round: Round, tabs: number): Promise<Record<PeerName, number>> {
  const sids = sidsOf('idle', (bench.quick ? 100 : 2000) / tabs)
  const each = sids.flatMap((sid) => Array<string>(tabs).fill(sid))
  const perSocket = CONTENDERS.map(async (name) => {
    const { server, port } = round.of(name)
    await server.call('fill', sids, 1000)
    await server.call('fill', sidsOf('warm', 100), 1000)
    await round.load.call('connect', `warm-${name}`, port, sidsOf('warm', 100), 20)
    await round.load.call('close', `warm-${name}`)
    while ((await server.call('connected')) > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    const before = await server.call('heap')
    await round.load.call('connect', name, port, each, 50)
    const bytes = (await server.call('heap')) - before
    await round.load.call('close', name)
    return [name, bytes / each.length / 1000]
  })
  return Object.fromEntries(await Promise.all(perSocket))
}

import { CONTENDERS, inStores, type Round, rounds, TITLES } from '../contest.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { sidsOf } from '../session.js'
import { over, showSpread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'

const ROW = 'Heap per idle connected socket above bare'
const SOCKETS = 2000
const SESSIONS_WITH_TABS = 200
const FURTHER_TABS = 9

/** Of what the heap is told, and the most that it is to be, in kB. */
const KINDS = {
  first: { title: 'a session each', most: { memory: 3, redis: 4 } },
  further: { title: 'each further tab', most: { memory: 1, redis: 1 } },
} as const
type Kind = keyof typeof KINDS

export const heap: Part = {
  name: 'heap',
  title: 'Memory',
  about:
    `What is live in the heap of a server after collection, for each idle socket. A session each: with ${SOCKETS.toLocaleString('en-US')} sockets, less what was live before they came (the ` +
    `sessions of 1 kB were in the store by then). Each further tab: what is added when ${SESSIONS_WITH_TABS} of these sessions get ${FURTHER_TABS} sockets more.`,
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const title = STORE_TITLES[store]
  const results = await rounds(bench, { count: 3, store, names: CONTENDERS }, (round) => oneRound(bench, round))
  const figures: Figure[] = []
  const rows: string[][] = []
  const groups = (Object.keys(KINDS) as Kind[]).map((kind) => {
    const above = (name: PeerName) => over(results, (round) => round[name][kind] - round.bare[kind])
    for (const name of CONTENDERS) {
      const own = showSpread(over(results, (round) => round[name][kind]))
      rows.push([KINDS[kind].title, TITLES[name], own, name === 'bare' ? '-' : showSpread(above(name))])
    }
    const most = KINDS[kind].most[store]
    const where = `${title}, ${KINDS[kind].title}`
    figures.push({ row: ROW, where, measure: 'kB per socket', value: above('sharedsession'), unit: 'kB', target: { most } })
    const bars = CONTENDERS.slice(1).map((name) => ({ name: TITLES[name], value: above(name) }))
    return { label: KINDS[kind].title, bars }
  })
  return {
    figures,
    tables: [{ caption: title, head: ['sockets', '', 'kB per socket', 'above bare'], rows }],
    charts: [
      {
        kind: 'bars',
        file: `heap-${store}`,
        title: `Heap per idle socket above Socket.IO without sessions (${title})`,
        value: { label: 'kB per socket, less is better' },
        groups,
      },
    ],
  }
}

/** kB per socket. */
async function oneRound(bench: Bench, round: Round): Promise<Record<PeerName, Record<Kind, number>>> {
  const sids = sidsOf('idle', bench.quick ? 100 : SOCKETS)
  const further = sids.slice(0, bench.quick ? 10 : SESSIONS_WITH_TABS).flatMap((sid) => Array<string>(FURTHER_TABS).fill(sid))
  const found = {} as Record<PeerName, Record<Kind, number>>
  for (const name of CONTENDERS) {
    const contender = round.of(name)
    const { server, port } = contender
    await server.call('fill', sids, 1000)
    const warm = sidsOf('warm', 100)
    await server.call('fill', warm, 1000)
    await round.load.call('connect', name, port, [...warm, ...warm], 20)
    await round.close(contender)
    const added = async (each: string[]): Promise<number> => {
      const before = await server.call('heap')
      await round.load.call('connect', name, port, each, 50)
      return ((await server.call('heap')) - before) / each.length / 1000
    }
    found[name] = { first: await added(sids), further: await added(further) }
    await round.close(contender)
  }
  return found
}

import { CONTENDERS, cpuPer, inStores, type Round, rounds, TITLES, WARM } from '../contest.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { SIZES, type Size, sidsOf } from '../session.js'
import { alternate, median, over, showSpread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'

const SOCKETS = 8
/** Events of a slice, of this package and bare: about 30 ms. Peers parse the whole session for each event, and have fewer. */
const EVENTS = 4000
const SLICES = 8
/** Slices before any is counted: V8 has compiled what they run through. */
const WARM_SLICES = 4

export const eventsInside: Part = {
  name: 'events-inside',
  title: 'Events that read, without a network',
  about:
    'What a network costs is most of an event, and most of what differs from slice to slice. Here one socket is given its events, one at a time, in the process: what its connection would ' +
    'have read is emitted there, and what it writes ends there. All else runs as usual. The last column is what is added to bare Socket.IO without a network, against what an event takes ' +
    'in bare Socket.IO with one, in the same round.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

interface Measured {
  /** µs of bare Socket.IO for an event that comes by a network. */
  network: number
  /** µs for one that does not, by the size of the session. */
  inside: Record<PeerName, number>[]
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const sizes = (bench.quick ? ['1 kB'] : Object.keys(SIZES)) as Size[]
  const results = await rounds(bench, { count: 5, store, names: CONTENDERS }, (round) => oneRound(bench, round, sizes))
  const title = STORE_TITLES[store]
  const figures: Figure[] = []
  const rows = sizes.flatMap((size, index) => {
    const micros = (name: PeerName) => over(results, ({ inside }) => inside[index]![name])
    const ratio = (name: PeerName) => over(results, ({ inside }) => inside[index]![name] / inside[index]!.bare)
    const whole = (name: PeerName) =>
      over(results, ({ inside, network }) => 1 + (inside[index]![name] - inside[index]!.bare) / network)
    const row = 'Events that read the session and change nothing'
    const where = `${size}, ${title}, what is added without a network`
    figures.push(
      { row, where, measure: 'processor time per event against bare', value: whole('sharedsession'), target: { most: 1.05 } },
      { row, where, measure: 'the same without the network of bare', value: ratio('sharedsession') },
    )
    return CONTENDERS.map((name) => [size, TITLES[name], ...[micros(name), ratio(name), whole(name)].map(showSpread)])
  })
  return {
    figures,
    tables: [
      {
        caption: `${title}. In bare Socket.IO an event by a network takes ${showSpread(over(results, ({ network }) => network))} µs of processor`,
        head: ['session', '', 'µs of processor per event, without a network', 'against bare', 'against bare with its network'],
        rows,
      },
    ],
    charts: [],
  }
}

async function oneRound(bench: Bench, round: Round, sizes: Size[]): Promise<Measured> {
  const [slices, warm] = bench.quick ? [1, 0] : [SLICES, WARM_SLICES]
  const inside: Record<PeerName, number>[] = []
  const network = await byNetwork(bench, round)
  for (const size of sizes) {
    for (const name of CONTENDERS) {
      const { server, port } = round.of(name)
      const sids = sidsOf(`inside-${SIZES[size]}`, 1)
      await server.call('fill', sids, SIZES[size])
      await round.load.call('connect', name, port, sids, 1)
    }
    const found: Record<PeerName, number[]> = { bare: [], sharedsession: [], esis: [], recipe: [] }
    await alternate(
      { bare: warm + slices, sharedsession: warm + slices, esis: warm + slices, recipe: warm + slices },
      async (name, time) => {
        const parses = name === 'esis' || name === 'recipe'
        const events = Math.ceil((bench.quick ? 100 : EVENTS) / (parses ? 4 * (SIZES[size] / 1000) : 1))
        const micros = (await round.of(name).server.call('feed', events)) / events
        if (time >= warm) found[name].push(micros)
      },
    )
    inside.push(Object.fromEntries(CONTENDERS.map((name) => [name, median(found[name])])) as Record<PeerName, number>)
    for (const name of CONTENDERS) await round.close(round.of(name))
  }
  return { network, inside }
}

/** µs of bare Socket.IO for an event, as in the part `events-read`. */
async function byNetwork(bench: Bench, round: Round): Promise<number> {
  const bare = round.of('bare')
  const sids = sidsOf('network', SOCKETS)
  await bare.server.call('fill', sids, 1000)
  await round.load.call('connect', 'bare', bare.port, sids, SOCKETS)
  await round.load.call('events', 'bare', { event: 'read', window: 2, ms: bench.quick ? 20 : WARM })
  const turns = bench.quick ? 1 : 4
  const { bare: total } = await round.measure({ bare: turns } as Record<PeerName, number>, ({ name }) =>
    round.load.call('events', name, { event: 'read', window: 2, ms: bench.quick ? 30 : 300 }),
  )
  await round.close(bare)
  return cpuPer(total)
}

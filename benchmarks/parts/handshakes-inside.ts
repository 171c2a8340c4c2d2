import { CONTENDERS, cpuPer, eachContender, inStores, type Round, rounds, TITLES } from '../contest.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { sidsOf } from '../session.js'
import { alternate, median, over, showSpread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'
import { AT_ONCE, againstPeers, filled, KEPT, KINDS, type Kind } from './handshakes.js'

const SLICES = 8
const PER_SLICE = 500
/** Slices before any is counted, of the first kind and of each further one: V8 has compiled what they run through. */
const WARM_SLICES = [20, 6] as const
/** Handshakes by a network before any is counted. */
const WARM_NETWORK = 6

export const handshakesInside: Part = {
  name: 'handshakes-inside',
  title: 'Handshakes, without a network',
  about:
    'Most of what a handshake takes is the network: with each packet the system wakes the process, or the client. What that costs differs from run to run. Here the same handshakes come ' +
    'without a network: the server is given the request of each upgrade, and what it writes ends in the process. All else runs as usual, the store too. The last column is what ' +
    'is added to bare Socket.IO without a network, against what a handshake takes in bare Socket.IO with one, in the same round.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

interface Measured {
  /** µs of bare Socket.IO for a handshake that comes by a network. */
  network: number
  /** µs for one that does not, by kind. */
  inside: Record<string, Record<PeerName, number>>
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const results = await rounds(bench, { count: 5, store, names: CONTENDERS }, (round) => oneRound(bench, round))
  const title = STORE_TITLES[store]
  const figures: Figure[] = []
  const rows = Object.entries(KINDS).flatMap(([key, kind]) => {
    const at = results.map(({ inside, network }) => ({ network, micros: inside[key]! }))
    const micros = (name: PeerName) => over(at, ({ micros }) => micros[name])
    const ratio = (name: PeerName) => over(at, ({ micros }) => micros[name] / micros.bare)
    const whole = (name: PeerName) => over(at, ({ micros, network }) => 1 + (micros[name] - micros.bare) / network)
    const where = `${title}, ${kind.title}, without a network`
    const value = whole('sharedsession')
    figures.push(
      { row: 'Handshakes', where, measure: 'what is added, against bare with its network', value },
      againstPeers(
        at.map(({ micros }) => micros),
        where,
        kind.cheapest,
      ),
    )
    return CONTENDERS.map((name) => [kind.title, TITLES[name], ...[micros(name), ratio(name), whole(name)].map(showSpread)])
  })
  const network = showSpread(over(results, ({ network }) => network))
  return {
    figures,
    tables: [
      {
        caption: `${title}. In bare Socket.IO a handshake by a network takes ${network} µs of processor`,
        head: [
          'sockets',
          '',
          'µs of processor per handshake, without a network',
          'against bare',
          'against bare with its network',
        ],
        rows,
      },
    ],
    charts: [],
  }
}

async function oneRound(bench: Bench, round: Round): Promise<Measured> {
  for (const name of CONTENDERS) await round.of(name).server.call('connectInside', await kept(round, name), KEPT)
  const network = await byNetwork(bench, round)
  const [slices, perSlice] = bench.quick ? [1, 50] : [SLICES, PER_SLICE]
  const inside: Measured['inside'] = {}
  for (const [index, [key, kind]] of Object.entries(KINDS).entries()) {
    const warm = bench.quick ? 0 : WARM_SLICES[index === 0 ? 0 : 1]
    const found: Record<PeerName, number[]> = eachContender(() => [])
    await alternate(
      eachContender(() => warm + slices),
      async (name, time) => {
        const micros = await slice(round, name, `${key}-${time}`, perSlice, kind)
        if (time >= warm) found[name].push(micros)
      },
    )
    inside[key] = eachContender((name) => median(found[name]))
  }
  return { network, inside }
}

async function slice(round: Round, name: PeerName, prefix: string, count: number, kind: Kind): Promise<number> {
  const contender = round.of(name)
  const { server } = contender
  const sids = await filled(contender, prefix, count, kind)
  await server.call('readAtOnce', kind.reads === true)
  const micros = await server.call('connectInside', sids, AT_ONCE, kind.writes)
  await server.call('closeInside', KEPT)
  return micros / count
}

async function kept(round: Round, name: PeerName): Promise<string[]> {
  await round.of(name).server.call('fill', sidsOf('kept', KEPT), 1000)
  return sidsOf('kept', KEPT)
}

/** µs of bare Socket.IO for a handshake, as in the part `handshakes`. */
async function byNetwork(bench: Bench, round: Round): Promise<number> {
  const bare = round.of('bare')
  const perTurn = bench.quick ? 20 : PER_SLICE
  const turn = (time: number) => round.load.call('connect', 'bare', bare.port, sidsOf(`network-${time}`, perTurn), AT_ONCE)
  if (!bench.quick) {
    for (let time = 0; time < WARM_NETWORK; time++) {
      await turn(time)
      await round.close(bare, KEPT)
    }
  }
  const { bare: total } = await round.measure(
    { bare: bench.quick ? 1 : 4 } as Record<PeerName, number>,
    async (_contender, time) => ({ count: perTurn, ms: await turn(time), delay: 0 }),
    (contender) => round.close(contender, KEPT),
  )
  return cpuPer(total)
}

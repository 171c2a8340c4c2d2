import { compare, comparedCells, comparedFigures, comparedHead } from '../comparison.js'
import {
  CONTENDERS,
  type Contender,
  cpuPer,
  eachContender,
  inStores,
  type Round,
  rounds,
  TITLES,
  type Total,
} from '../contest.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { sidsOf } from '../session.js'
import { over, show } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'

const ROW = 'Handshakes'
export const AT_ONCE = 50
const TURNS = 30
const PER_TURN = 100
/** Of each contender, all the time: where no object of a kind is left, V8 forgets what it has compiled for it. */
export const KEPT = 20

/**
 * Handshakes before any is counted: of the first kind, and of each other one. V8 has compiled what runs through them by then. With fewer, the
 * ratios depend on how many there were, most for the contender that runs through more functions.
 */
const WARM_HANDSHAKES = { first: 8000, other: 5000 }

export interface Kind {
  title: string
  tabs: number
  /** The session is read in `connection`. */
  reads?: boolean
  /** The client writes as soon as it is let in, and waits for the ack. */
  writes?: boolean
  /** Of processor time against bare. */
  most?: { memory: number; redis: number }
  /** Whether it is to cost no more than with the cheaper of the peers. */
  cheapest?: boolean
}

export const KINDS: Record<string, Kind> = {
  distinct: { title: 'a session each', tabs: 1, most: { memory: 1.25, redis: 1.4 }, cheapest: true },
  tabs: { title: '10 tabs of each session', tabs: 10, most: { memory: 1.2, redis: 1.3 } },
  read: { title: 'a session each, and a first read', tabs: 1, reads: true, cheapest: true },
  write: { title: 'a session each, and a first write', tabs: 1, writes: true },
}

export const handshakes: Part = {
  name: 'handshakes',
  title: 'Handshakes',
  about:
    `${(TURNS * PER_TURN).toLocaleString('en-US')} sockets of each kind connect by WebSocket, ${AT_ONCE} at once, with sessions of 1 kB; the tabs of a session connect one right ` +
    'after the other. The first read is `session.user` in the `connection` handler. The first write is an event, sent as soon as the socket is let in; its processor time ' +
    `counts until it is saved. ${(WARM_HANDSHAKES.first + 3 * WARM_HANDSHAKES.other).toLocaleString('en-US')} handshakes come before, as V8 compiles what they run through only after thousands. ` +
    'The sockets of one turn are closed, and gone from the server, before the next begins.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const results = await rounds(bench, { count: 5, store, names: CONTENDERS }, (round) => oneRound(bench, round))
  const title = STORE_TITLES[store]
  const figures: Figure[] = []
  const rows: string[][] = []
  const groups = Object.entries(KINDS).map(([key, kind]) => {
    const at = results.map((round) => round[key]!)
    const totals = at.map(({ totals }) => totals)
    const compared = compare(totals, CONTENDERS, 'bare')
    const reads = (name: PeerName) => over(at, (round) => (round.reads[name] / round.totals[name].count) * kind.tabs)
    const [row, where] = [ROW, `${title}, ${kind.title}`]
    const most = kind.most?.[store]
    figures.push(...comparedFigures(compared.sharedsession, { row, where, what: 'handshakes', ...(most && { most }) }))
    const micros = totals.map((round) => eachContender((name) => cpuPer(round[name])))
    figures.push(againstPeers(micros, where, kind.cheapest))
    if (kind.tabs > 1) {
      const measure = 'store reads per ten tabs that connect at once'
      figures.push({ row, where, measure, value: reads('sharedsession'), target: { most: 1 } })
    }
    for (const name of CONTENDERS) rows.push([kind.title, ...comparedCells(compared[name]), show(reads(name).median)])
    const bars = CONTENDERS.map((name) => ({ name: TITLES[name], value: compared[name].cpuRatio }))
    return { label: kind.title, bars }
  })
  return {
    figures,
    tables: [{ caption: title, head: ['sockets', ...comparedHead('handshakes', 'bare'), 'store reads per session'], rows }],
    charts: [
      {
        kind: 'bars',
        file: `handshakes-${store}`,
        title: `The server's processor time for a handshake (${title})`,
        value: { label: 'bare Socket.IO = 1, less is better' },
        groups,
      },
    ],
  }
}

/**
 * Against whichever of the two peers takes less in this run.
 * @param rounds µs per handshake
 */
export function againstPeers(rounds: Record<PeerName, number>[], where: string, target = false): Figure {
  const against = (name: PeerName) => over(rounds, (round) => round.sharedsession / round[name])
  const cheaper = against('esis').median > against('recipe').median ? 'esis' : 'recipe'
  return {
    row: ROW,
    where,
    measure: `processor time per handshake against ${TITLES[cheaper]}, the cheaper of the two peers`,
    value: against(cheaper),
    ...(target && { target: { most: 1 } }),
  }
}

interface Measured {
  totals: Record<PeerName, Total>
  reads: Record<PeerName, number>
}

async function oneRound(bench: Bench, round: Round): Promise<Record<string, Measured>> {
  const [perTurn, turns] = bench.quick ? [50, 1] : [PER_TURN, TURNS]
  const { first, other } = bench.quick ? { first: 50, other: 50 } : WARM_HANDSHAKES
  for (const name of CONTENDERS) {
    const contender = round.of(name)
    const kept = await filled(contender, 'kept', KEPT, KINDS.distinct!)
    await round.load.call('connect', `${name}-kept`, contender.port, kept, AT_ONCE)
  }
  for (const kind of Object.values(KINDS)) {
    const warm = kind === KINDS.distinct ? first : other
    await inTurns(round, kind, { prefix: 'warm', perTurn, turns: Math.ceil(warm / perTurn) })
  }
  const found: Record<string, Measured> = {}
  for (const [key, kind] of Object.entries(KINDS)) found[key] = await inTurns(round, kind, { prefix: key, perTurn, turns })
  return found
}

interface Turns {
  prefix: string
  perTurn: number
  turns: number
}

/** All contenders take turns that are short beside what disturbs a machine: whatever comes then is in the way of each of them. */
async function inTurns(round: Round, kind: Kind, { prefix, perTurn, turns }: Turns): Promise<Measured> {
  const reads = {} as Record<PeerName, number>
  const sids = {} as Record<PeerName, string[][]>
  for (const name of CONTENDERS) {
    sids[name] = []
    for (let turn = 0; turn < turns; turn++) sids[name].push(await filled(round.of(name), `${prefix}-${turn}`, perTurn, kind))
    reads[name] = -(await round.of(name).server.call('calls')).reads
  }
  const totals = await round.measure(
    { bare: turns, sharedsession: turns, esis: turns, recipe: turns },
    async (contender, turn) => {
      const each = sids[contender.name][turn]!
      return { count: each.length, ms: await connectAll(round, contender, each, kind), delay: 0 }
    },
    (contender) => round.close(contender, KEPT),
  )
  for (const name of CONTENDERS) reads[name] += (await round.of(name).server.call('calls')).reads
  return { totals, reads }
}

/** Sessions for so many sockets. @returns the id for each socket */
export async function filled({ server }: Contender, prefix: string, sockets: number, { tabs }: Kind): Promise<string[]> {
  const sids = sidsOf(prefix, Math.ceil(sockets / tabs))
  await server.call('fill', sids, 1000)
  return sids.flatMap((sid) => Array<string>(tabs).fill(sid))
}

async function connectAll(round: Round, { name, server, port }: Contender, sids: string[], { reads, writes }: Kind) {
  await server.call('readAtOnce', reads === true)
  const ms = await round.load.call('connect', name, port, sids, AT_ONCE, writes)
  // Whoever acknowledges before it saves has not done its work yet.
  if (writes) await server.call('settled')
  return ms
}

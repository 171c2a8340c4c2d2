import { CONTENDERS, inStores, type Round, rounds, TITLES } from '../contest.js'
import type { Bench, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import { median, over, show } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'

const SOCKETS = 50
/** Without bare: it stores nothing. */
const NAMES: PeerName[] = CONTENDERS.filter((name) => name !== 'bare')

export const lost: Part = {
  name: 'lost',
  title: 'Lost writes',
  about:
    `${SOCKETS} sockets of one session of 1 kB. In the same moment each of them writes a key of its own and is acknowledged. Then everything ` +
    'is saved, and what the store holds is looked at. Ten times in each round.',
  run: (bench) => inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store)),
}

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const results = await rounds(bench, { count: 3, store, names: NAMES }, (round) => oneRound(bench, round))
  const title = STORE_TITLES[store]
  const all = (name: PeerName) => ({
    missing: over(results, (round) => round[name]!.missing),
    writes: over(results, (round) => round[name]!.writes),
  })
  return {
    figures: [
      {
        row: 'Events that change one key, 50 sockets of one session',
        where: `1 kB, ${title}`,
        measure: `lost of ${SOCKETS} concurrent writes`,
        value: all('sharedsession').missing,
        target: { most: 0 },
      },
    ],
    tables: [
      {
        caption: title,
        head: ['', `lost of ${SOCKETS} writes`, `store writes for ${SOCKETS} events`],
        rows: NAMES.map((name) => [TITLES[name], show(all(name).missing.median), show(all(name).writes.median)]),
      },
    ],
    charts: [
      {
        kind: 'bars',
        file: `lost-${store}`,
        title: `Writes that are lost when ${SOCKETS} sockets of one session write at once (${title})`,
        value: { label: `of ${SOCKETS}, less is better` },
        groups: [{ label: `${SOCKETS} sockets`, bars: NAMES.map((name) => ({ name: TITLES[name], value: all(name).missing })) }],
      },
    ],
  }
}

async function oneRound(bench: Bench, round: Round) {
  const found: Partial<Record<PeerName, { missing: number; writes: number }>> = {}
  for (const name of NAMES) {
    const contender = round.of(name)
    const { server, port } = contender
    const sid = 'lost'
    await server.call('fill', [sid], 1000)
    await round.load.call('connect', name, port, Array(SOCKETS).fill(sid), 10)
    const missing: number[] = []
    const writes: number[] = []
    for (let time = 0; time < (bench.quick ? 2 : 10); time++) {
      await server.call('settled')
      const before = (await server.call('calls')).writes
      const values = await round.load.call('burst', name)
      await server.call('settled')
      writes.push((await server.call('calls')).writes - before)
      const held = await server.call('stored', sid)
      missing.push(values.filter((value, index) => held[`k${index}`] !== value).length)
    }
    found[name] = { missing: median(missing), writes: median(writes) }
    await round.close(contender)
  }
  return found
}

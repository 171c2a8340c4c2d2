import { CountedProcess, canCount } from '../callgrind.js'
import { fileOf } from '../compile.js'
import { CONTENDERS, inStores, TITLES, timesOf } from '../contest.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PeerName } from '../peers/peer.js'
import type { LoadOffers } from '../processes/load.js'
import type { ServerConfig, ServerOffers } from '../processes/server.js'
import { SIZES, type Size } from '../session.js'
import { over, type Spread, showSpread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'
import { Worker } from '../worker.js'

const ROW = 'Events that read the session and change nothing'
const WARM_EVENTS = Number(process.env.WARM_EVENTS ?? 5000)

export const instructions: Part = {
  name: 'instructions',
  title: 'Events that read, in instructions',
  about:
    'One socket, one event that reads a name of the session at a time, and the instructions of the server for it, counted by `valgrind --tool=callgrind`: ' +
    'no other load of the machine is in them, and neither is the kernel, which has the most part of an event. A machine without valgrind leaves this out.',
  async run(bench) {
    if (!canCount()) {
      bench.progress('left out: there is no valgrind')
      return { figures: [], tables: [], charts: [] }
    }
    return inStores(bench, ['memory', 'redis'] as const, (store) => inStore(bench, store))
  },
}

type Counts = Record<PeerName, number[]>

async function inStore(bench: Bench, store: 'memory' | 'redis'): Promise<Findings> {
  const sizes = (bench.quick ? ['1 kB'] : Object.keys(SIZES)) as Size[]
  const rounds: Counts[] = []
  const times = timesOf(bench, 3)
  for (let time = 0; time < times; time++) {
    bench.progress(`${store}, round ${time + 1} of ${times}`)
    const counts = {} as Counts
    for (const name of time % 2 ? [...CONTENDERS].reverse() : CONTENDERS) {
      counts[name] = await countOne(bench, { peer: name, store, urls: bench.urls }, sizes)
    }
    rounds.push(counts)
  }
  const title = STORE_TITLES[store]
  const ratio = (name: PeerName, index: number): Spread => over(rounds, (round) => round[name][index]! / round.bare[index]!)
  return {
    figures: sizes.map(
      (size, index): Figure => ({
        row: ROW,
        where: `${size}, ${title}`,
        measure: 'instructions per event against bare',
        value: ratio('sharedsession', index),
        target: { most: 1.05 },
      }),
    ),
    tables: [
      {
        caption: title,
        head: ['session', '', 'instructions per event', 'against bare'],
        rows: sizes.flatMap((size, index) =>
          CONTENDERS.map((name) => [
            size,
            TITLES[name],
            showSpread(over(rounds, (round) => round[name][index]!)),
            showSpread(ratio(name, index)),
          ]),
        ),
      },
    ],
    charts: [],
  }
}

/** Instructions per event for each size, in a process of its own. */
async function countOne(bench: Bench, config: ServerConfig, sizes: Size[]): Promise<number[]> {
  const load = await Worker.start<LoadOffers>(fileOf('load'))
  const counted = await CountedProcess.start<ServerOffers>(fileOf('server'), config).catch(async (error) => {
    await load.stop()
    throw error
  })
  try {
    const port = await counted.worker.call('port')
    const found: number[] = []
    for (const size of sizes) {
      const sid = `counted-${SIZES[size]}`
      await counted.worker.call('fill', [sid], SIZES[size])
      await load.call('connect', size, port, [sid], 1)
      // Peers parse the whole session for each event.
      const far = config.peer === 'esis' || config.peer === 'recipe' ? Math.max(1, SIZES[size] / 1000) ** 0.75 : 1
      const events = Math.ceil((bench.quick ? 50 : 1000) / far)
      await load.call('count', size, Math.ceil((bench.quick ? 50 : WARM_EVENTS) / far))
      await counted.worker.call('heap')
      found.push((await counted.count(() => load.call('count', size, events))) / events)
      await load.call('close', size)
    }
    return found
  } finally {
    await Promise.all([load.stop(), counted.stop()])
  }
}

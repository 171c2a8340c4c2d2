import { fileOf } from '../compile.js'
import { timesOf } from '../contest.js'
import { type Bench, type Findings, join, type Part } from '../part.js'
import type { ListenerOffers, Moments } from '../processes/listener.js'
import { alternate, median, over, type Spread, showSpread } from '../statistics.js'
import { STORE_TITLES } from '../stores.js'
import { Worker } from '../worker.js'

const SAME = 'HTTP write to session:changed, same process'
const OTHER = 'HTTP write to session:changed, another node over Redis'
const SID = 'propagation'

export const propagation: Part = {
  name: 'propagation',
  title: 'From a write to session:changed',
  about:
    'A session of 1 kB, one change at a time, all else idle; delays are medians of 100 changes in each round. On another node: two processes and one Redis, against a bare publish and subscribe of a payload as long.',
  run: async (bench) => join([await sameProcess(bench), await otherNode(bench)]),
}

async function sameProcess(bench: Bench): Promise<Findings> {
  const findings: Findings = { figures: [], tables: [], charts: [] }
  const rows: string[][] = []
  for (const store of bench.quick ? (['memory'] as const) : (['memory', 'redis'] as const)) {
    bench.progress(`same process, ${store}`)
    const results = []
    for (let time = 0; time < timesOf(bench, 5); time++) {
      const node = await Worker.start<ListenerOffers>(fileOf('listener'), store === 'redis' ? { redis: bench.urls.redis } : {})
      try {
        await node.call('fill', SID, 1000)
        await node.call('join', SID)
        const changes: { turn: number; fromWrite: number; fromStored: number }[] = []
        for (let change = 0; change < (bench.quick ? 10 : 150); change++) {
          await node.call('expect')
          const moments = await node.call('request', SID)
          const heard = await node.call('heard')
          const turn = heard.sameTurn ? 1 : 0
          changes.push({ turn, fromWrite: heard.at - moments.wrote, fromStored: heard.at - moments.stored })
        }
        // The first ones warm up.
        const counted = changes.slice(changes.length / 3)
        results.push({
          turn: (counted.reduce((sum, { turn }) => sum + turn, 0) / counted.length) * 100,
          fromWrite: median(counted.map(({ fromWrite }) => fromWrite)),
          fromStored: median(counted.map(({ fromStored }) => fromStored)),
        })
      } finally {
        await node.stop()
      }
    }
    const where = `1 kB, ${STORE_TITLES[store]}`
    const turn = over(results, ({ turn }) => turn)
    const fromStored = over(results, ({ fromStored }) => fromStored)
    const fromWrite = over(results, ({ fromWrite }) => fromWrite)
    findings.figures.push(
      { row: SAME, where, measure: "heard in the turn of the store's callback", value: turn, unit: '%', target: { least: 100 } },
      { row: SAME, where, measure: "delay from the store's callback", value: fromStored, unit: 'µs' },
      { row: SAME, where, measure: "delay from the handler's write", value: fromWrite, unit: 'µs' },
    )
    rows.push([STORE_TITLES[store], ...[turn, fromStored, fromWrite].map(showSpread)])
  }
  findings.tables.push({
    caption: 'Same process, an HTTP request that writes',
    head: ['', "in the same turn as the store's callback, %", "µs from the store's callback", "µs from the handler's write"],
    rows,
  })
  return findings
}

type Way = 'bare' | 'byHand' | 'request' | 'update'

interface Delays {
  /** From the start of the way's own call: publish(), set(), the request's save, update(). */
  asked: number
  /** From when its writer was told that it is written. */
  stored: number
}

async function otherNode(bench: Bench): Promise<Findings> {
  bench.progress('another node')
  const config = { redis: bench.urls.redis }
  const rounds: Record<Way, Delays>[] = []
  let length = 0
  for (let time = 0; time < timesOf(bench, 7); time++) {
    const writer = await Worker.start<ListenerOffers>(fileOf('listener'), config)
    const listener = await Worker.start<ListenerOffers>(fileOf('listener'), config)
    try {
      await writer.call('fill', SID, 1000)
      await listener.call('join', SID)
      await listener.call('subscribe')
      length = await writer.call('lengthOfMessage', SID)
      rounds.push(await oneRound(bench, writer, listener, length))
    } finally {
      await Promise.all([writer.stop(), listener.stop()])
    }
  }
  const delay = (way: Way, from: keyof Delays = 'asked'): Spread => over(rounds, (round) => round[way][from])
  const ratio = (way: Way, from: keyof Delays = 'asked'): Spread => over(rounds, (round) => round[way][from] / round.bare.asked)
  const where = '1 kB, Redis'
  const lines: [string, Way, keyof Delays][] = [
    ['bare: publish() called → subscriber ran', 'bare', 'asked'],
    ['by hand: set() called, then publish() → subscriber ran', 'byHand', 'asked'],
    ["HTTP: the request's save called → session:changed", 'request', 'asked'],
    ['HTTP: the save was answered → session:changed', 'request', 'stored'],
    ['update() called → session:changed', 'update', 'asked'],
    ['update() returned → session:changed', 'update', 'stored'],
  ]
  return {
    figures: [
      {
        row: OTHER,
        where,
        measure: "from the store's answer to the writer, against a bare publish",
        value: ratio('request', 'stored'),
        target: { most: 1.5 },
      },
      {
        row: OTHER,
        where,
        measure: "from the request's save, so with the write itself, against a bare publish",
        value: ratio('request'),
      },
      {
        row: OTHER,
        where,
        measure: "from the request's save, against set() and then publish() by hand",
        value: over(rounds, (round) => round.request.asked / round.byHand.asked),
        target: { most: 1.05 },
      },
    ],
    tables: [
      {
        caption: `Another node over Redis, a message of ${length} bytes`,
        head: ['', 'µs', 'against a bare publish'],
        rows: lines.map(([name, way, from]) => [name, showSpread(delay(way, from)), showSpread(ratio(way, from))]),
      },
    ],
    charts: [
      {
        kind: 'bars',
        file: 'propagation',
        title: 'From a write on one node to a listener on another, over Redis',
        value: { label: 'µs, less is better' },
        groups: [
          { label: 'publish', bars: [{ name: 'bare, without a write', value: delay('bare') }] },
          { label: 'set, then publish', bars: [{ name: 'by hand', value: delay('byHand') }] },
          { label: 'HTTP request that writes', bars: [{ name: 'sharedsession', value: delay('request') }] },
          { label: 'update()', bars: [{ name: 'sharedsession', value: delay('update') }] },
        ],
      },
    ],
  }
}

async function oneRound(bench: Bench, writer: Worker<ListenerOffers>, listener: Worker<ListenerOffers>, length: number) {
  const asked: Record<Way, number[]> = { bare: [], byHand: [], request: [], update: [] }
  const stored: Record<Way, number[]> = { bare: [], byHand: [], request: [], update: [] }
  const calls: Record<Way, () => Promise<Pick<Moments, 'asked' | 'stored'>>> = {
    bare: async () => published(await writer.call('publish', length, undefined)),
    byHand: async () => published(await writer.call('publish', length, 1000)),
    request: () => writer.call('request', SID),
    update: async () => {
      const { wrote, stored } = await writer.call('update', SID)
      return { asked: wrote, stored }
    },
  }
  const turn = bench.quick ? 5 : 25
  const turns = bench.quick ? 1 : 5
  let warm = false
  const measure = async (way: Way): Promise<void> => {
    for (let change = 0; change < turn; change++) {
      await listener.call('expect')
      const moments = await calls[way]()
      const heard = await listener.call('heard')
      if (!warm) continue
      asked[way].push(heard.at - moments.asked)
      stored[way].push(heard.at - moments.stored)
    }
  }
  await alternate({ bare: 1, byHand: 1, request: 1, update: 1 }, measure)
  warm = true
  await alternate({ bare: turns, byHand: turns, request: turns, update: turns }, measure)
  const ways = Object.keys(asked) as Way[]
  return Object.fromEntries(ways.map((way) => [way, { asked: median(asked[way]), stored: median(stored[way]) }])) as Record<
    Way,
    Delays
  >
}

const published = (at: number) => ({ asked: at, stored: at })

import { fileOf } from '../compile.js'
import { inStores, timesOf } from '../contest.js'
import type { Bench, Figure, Findings, Part } from '../part.js'
import type { PageOffers } from '../processes/pages.js'
import type { PagesConfig, PagesOffers, Way } from '../processes/pages-server.js'
import { sidsOf } from '../session.js'
import { MOST_SOCKETS, socketsOf } from '../sockets.js'
import { over, type Spread, showSpread } from '../statistics.js'
import { STORE_TITLES, type StoreName } from '../stores.js'
import { Worker } from '../worker.js'

const ROW = 'The session in the page'
const TABS = 50
const WRITES = 300
const COMMITS = 500
/** While a page does not read. */
const UNREAD = 10_000
const BYTES = { small: 1000, large: 10_000 }
const WAYS: Way[] = ['mirror', 'hand']
const TITLES: Record<Way, string> = { mirror: 'the mirror', hand: 'the whole state by hand' }

export const mirror: Part = {
  name: 'mirror',
  title: 'The mirror',
  about:
    `The mirror beside the way by hand, which sends the whole of what the page shows after each change, both with this package on the server. The page shows a part of a session of 1 kB, most of it; "10 kB" ` +
    `is the same with a session of 10 kB. A change sets one number. Times are medians of ${WRITES} changes by an event, one after the other, until the other tab's listener runs. ` +
    `With ${TABS} tabs: the server's processor time for a commit by \`update()\`. A slow page: it does not read while there are ${UNREAD.toLocaleString('en-US')} commits to a session of 10 kB. An idle mirror: ` +
    `what ${MOST_SOCKETS.toLocaleString('en-US')} sockets with a session of 1 kB each take that ask for a mirror, less what as many take that do not.`,
  run: (bench) => inStores(bench, ['redis'] as const, (store) => inStore(bench, store)),
}

/** What one way has taken in one round. */
interface Result {
  /** µs from the event to the other tab. */
  fromEvent: number
  /** µs from the ack to the other tab. */
  fromAck: number
  /** Bytes per change and page, by the size of the session. */
  change: Record<keyof typeof BYTES, number>
  /** Bytes per reconnect. */
  reconnect: Record<keyof typeof BYTES, number>
  /** µs of processor time per commit with all tabs. */
  tabs: number
  /** kB that the server held for a page that did not read, and the frames that it then got. */
  slow: number
  slowFrames: number
}

type Round = Record<Way, Result> & { idle: number }

async function inStore(bench: Bench, store: StoreName): Promise<Findings> {
  const results: Round[] = []
  const times = timesOf(bench, 3)
  const sockets = socketsOf(bench)
  for (let time = 0; time < times; time++) {
    bench.progress(`${store}, round ${time + 1} of ${times}`)
    const round = {} as Round
    for (const way of time % 2 ? [...WAYS].reverse() : WAYS)
      round[way] = await withProcesses(bench, store, way, (run) => oneWay(bench, run))
    round.idle = await withProcesses(bench, store, 'mirror', (run) => idle(run, sockets))
    results.push(round)
  }
  const all = (way: Way, of: (result: Result) => number): Spread => over(results, (round) => of(round[way]))
  const rows: [title: string, of: (result: Result) => number][] = [
    ['µs from the event to the other tab', ({ fromEvent }) => fromEvent],
    ["µs from the writer's ack to the other tab", ({ fromAck }) => fromAck],
    ['bytes per change, 1 kB', ({ change }) => change.small],
    ['bytes per change, 10 kB', ({ change }) => change.large],
    ['bytes per reconnect without a change, 1 kB', ({ reconnect }) => reconnect.small],
    ['bytes per reconnect without a change, 10 kB', ({ reconnect }) => reconnect.large],
    [`µs of processor per commit, ${TABS} tabs`, ({ tabs }) => tabs],
    ['kB that a slow page takes on the server', ({ slow }) => slow],
    ['frames that a slow page gets when it reads again', ({ slowFrames }) => slowFrames],
  ]
  const title = STORE_TITLES[store]
  const ratio = (measure: string, of: (result: Result) => number): Figure => ({
    row: ROW,
    where: title,
    measure: `${measure}, against the whole state by hand`,
    value: over(results, (round) => of(round.mirror) / of(round.hand)),
  })
  return {
    figures: [
      ratio('time from the event to the other tab', ({ fromEvent }) => fromEvent),
      ratio('bytes per change, 10 kB', ({ change }) => change.large),
      ratio(`processor time per commit, ${TABS} tabs`, ({ tabs }) => tabs),
      {
        row: ROW,
        where: title,
        measure: 'heap of an idle mirror',
        value: over(results, ({ idle }) => idle),
        unit: 'kB per socket',
      },
    ],
    tables: [
      {
        caption: title,
        head: ['', ...WAYS.map((way) => TITLES[way])],
        rows: [
          ...rows.map(([name, of]) => [name, ...WAYS.map((way) => showSpread(all(way, of)))]),
          [
            `kB per socket of an idle mirror, ${sockets.toLocaleString('en-US')} sockets`,
            showSpread(over(results, ({ idle }) => idle)),
            '-',
          ],
        ],
      },
    ],
    charts: [
      {
        kind: 'bars',
        file: `mirror-bytes-${store}`,
        title: 'Bytes that a page gets, by the mirror and by hand',
        value: { label: 'bytes, less is better', log: true },
        groups: [
          {
            label: 'a change, 10 kB',
            bars: WAYS.map((way) => ({ name: TITLES[way], value: all(way, ({ change }) => change.large) })),
          },
          {
            label: 'a reconnect, 10 kB',
            bars: WAYS.map((way) => ({ name: TITLES[way], value: all(way, ({ reconnect }) => reconnect.large) })),
          },
        ],
      },
    ],
  }
}

interface Processes {
  server: Worker<PagesOffers>
  pages: Worker<PageOffers>
  port: number
  way: Way
}

async function withProcesses<T>(bench: Bench, store: StoreName, way: Way, run: (processes: Processes) => Promise<T>): Promise<T> {
  const config: PagesConfig = { way, store, urls: bench.urls }
  const server = await Worker.start<PagesOffers>(fileOf('pages-server'), config)
  try {
    const pages = await Worker.start<PageOffers>(fileOf('pages'))
    try {
      return await run({ server, pages, port: await server.call('port'), way })
    } finally {
      await pages.stop()
    }
  } finally {
    await server.stop()
  }
}

async function oneWay(bench: Bench, run: Processes): Promise<Result> {
  const { server, pages, port, way } = run
  const fewer = bench.quick ? 0.02 : 1
  const change = {} as Result['change']
  const reconnect = {} as Result['reconnect']
  const times = { fromEvent: 0, fromAck: 0 }
  for (const size of ['large', 'small'] as const) {
    await server.call('fill', [size], BYTES[size])
    await pages.call('open', port, [size, size], way)
    // The first ones are not measured: V8 compiles.
    await pages.call('writes', WRITES * fewer)
    await pages.call('received')
    Object.assign(times, await pages.call('writes', WRITES * fewer))
    change[size] = (await pages.call('received')).bytes / 2 / (WRITES * fewer)
    await pages.call('reconnect')
    reconnect[size] = (await pages.call('received')).bytes / 2
    await closeAll(run)
  }
  await server.call('fill', ['tabs'], BYTES.small)
  await pages.call('open', port, Array<string>(TABS).fill('tabs'), way)
  await server.call('commits', 'tabs', COMMITS * fewer)
  const tabs = (await server.call('commits', 'tabs', COMMITS * fewer)) / (COMMITS * fewer)
  await closeAll(run)
  return { ...times, change, reconnect, tabs, ...(await slowPage(run, UNREAD * fewer)) }
}

async function slowPage({ server, pages, port, way }: Processes, commits: number): Promise<Pick<Result, 'slow' | 'slowFrames'>> {
  await server.call('fill', ['slow'], BYTES.large)
  await pages.call('open', port, ['slow'], way)
  await server.call('commits', 'slow', 20)
  await pages.call('shows', 20)
  await pages.call('received')
  const before = await server.call('memory')
  await pages.call('pause')
  await server.call('commits', 'slow', commits)
  const slow = ((await server.call('memory')) - before) / 1000
  await pages.call('resume')
  await pages.call('shows', 20 + commits)
  const { frames } = await pages.call('received')
  await closeAll({ server, pages })
  return { slow, slowFrames: frames }
}

/** kB per socket that asks for a mirror, less those of one that does not. */
async function idle({ server, pages, port }: Processes, sockets: number): Promise<number> {
  const found: number[] = []
  for (const asks of [true, false]) {
    const sids = sidsOf(`idle-${asks}`, sockets)
    await server.call('fill', sids, BYTES.small)
    await pages.call('idle', port, sids.slice(0, 100), asks)
    await closeAll({ server, pages })
    const before = await server.call('memory')
    await pages.call('idle', port, sids, asks)
    found.push(((await server.call('memory')) - before) / sockets / 1000)
    await closeAll({ server, pages })
  }
  return found[0]! - found[1]!
}

async function closeAll({ server, pages }: Pick<Processes, 'server' | 'pages'>): Promise<void> {
  await pages.call('close')
  while ((await server.call('connected')) > 0) await new Promise((resolve) => setTimeout(resolve, 10))
}

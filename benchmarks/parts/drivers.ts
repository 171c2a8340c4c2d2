import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDynalite } from '../../test/support/dynalite.js'
import { startMariaDb } from '../../test/support/mariadb.js'
import { MongoWireServer } from '../../test/support/mongo-wire.js'
import { fileOf } from '../compile.js'
import { timesOf } from '../contest.js'
import { AT_ONCE, DRIVER_STORES, type DriverUrls } from '../driver-stores.js'
import type { Bench, Findings, Part } from '../part.js'
import type { Committer, DriversOffers } from '../processes/drivers.js'
import { alternate, over, showSpread } from '../statistics.js'
import { Worker } from '../worker.js'

/** How many sessions sixteen writers write to, and whether those by hand take turns. */
const LOADS = {
  [`${AT_ONCE} sessions`]: { sessions: AT_ONCE, inTurn: false },
  [`${AT_ONCE} writers of one session, against writers who take turns`]: { sessions: 1, inTurn: true },
  'against writers who do not, and lose': { sessions: 1, inTurn: false },
}

/** ms of one commit against those of the store's own get and set, by load. */
type Ratios = Record<string, number>

export const drivers: Part = {
  name: 'drivers',
  title: 'Commits on each store',
  about: `${AT_ONCE} writers, 1 kB: each changes one number by \`shared.update()\`, again and again. Beside them the same number of writers does so by the store's own \`get\` and \`set\`. Those of one session take turns, as they lose most of what they write otherwise; the last column is against such writers. The figures are how much longer a commit takes.`,
  async run(bench) {
    const { urls, stop } = await startAll(bench)
    const folder = mkdtempSync(join(tmpdir(), 'sharedsession-benchmark-'))
    const rows: string[][] = []
    const figures: Findings['figures'] = []
    try {
      for (const [name, { needs }] of Object.entries(DRIVER_STORES)) {
        if (needs && !urls[needs]) continue
        const rounds: Ratios[] = []
        for (let time = 0; time < timesOf(bench, 3); time++) {
          bench.progress(`${name}, round ${time + 1}`)
          rounds.push(await round(name, { urls, folder, time, quick: bench.quick }))
        }
        const spreads = Object.keys(LOADS).map((load) => [load, over(rounds, (ratios) => ratios[load]!)] as const)
        rows.push([name, ...spreads.map(([, value]) => showSpread(value))])
        for (const [load, value] of spreads) {
          const measure = "time of a commit against the store's own get and set"
          const target = load.endsWith('lose') ? {} : { target: { most: 1.5 } }
          figures.push({ row: 'Commits on each store', where: `${name}, ${load}`, measure, value, ...target })
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
      await stop()
    }
    const head = ['', ...Object.keys(LOADS)]
    return { figures, tables: [{ caption: "A commit, against the store's own get and set", head, rows }], charts: [] }
  },
}

type At = { urls: Partial<DriverUrls>; folder: string; time: number; quick: boolean }

async function round(store: string, { urls, folder, time, quick }: At): Promise<Ratios> {
  const committers: Committer[] = time % 2 ? ['by hand', 'sharedsession'] : ['sharedsession', 'by hand']
  const workers = {} as Record<Committer, Worker<DriversOffers>>
  const ratios: Ratios = {}
  try {
    for (const [index, committer] of committers.entries()) {
      const owner = `${store.toLowerCase().replace(/\W/g, '')}_${time}_${index}`
      const file = join(folder, owner)
      workers[committer] = await Worker.start<DriversOffers>(fileOf('drivers'), { store, committer, urls, owner, file })
      // Until it is compiled.
      for (const [index, { sessions, inTurn }] of Object.values(LOADS).entries()) {
        await workers[committer].call('commits', sessions, quick ? 20 : index === 0 ? 1500 : 300, inTurn)
      }
    }
    if ((await workers.sharedsession.call('driver')) === 'generic') throw new Error(`${store} is written without its driver`)
    for (const [load, { sessions, inTurn }] of Object.entries(LOADS)) {
      const totals: Record<Committer, { count: number; ms: number }> = {
        sharedsession: { count: 0, ms: 0 },
        'by hand': { count: 0, ms: 0 },
      }
      const turns = quick ? 1 : 4
      await alternate({ sharedsession: turns, 'by hand': turns }, async (name) => {
        const { count, ms } = await workers[name].call('commits', sessions, quick ? 30 : 250, inTurn)
        totals[name].count += count
        totals[name].ms += ms
      })
      const per = ({ count, ms }: { count: number; ms: number }): number => ms / count
      ratios[load] = per(totals.sharedsession) / per(totals['by hand'])
    }
    return ratios
  } finally {
    await Promise.all(Object.values(workers).map((worker) => worker.stop()))
  }
}

/** The servers that only this part needs. One that cannot be had here is left out. */
async function startAll({ urls: { redis, postgres }, progress }: Bench) {
  const urls: Partial<DriverUrls> = { redis, postgres }
  const started: { stop(): Promise<void> }[] = []
  const start = async <T extends { stop(): Promise<void> }>(
    name: keyof DriverUrls,
    open: () => Promise<T>,
    urlOf: (server: T) => string,
  ) => {
    try {
      const server = await open()
      started.push(server)
      urls[name] = urlOf(server)
    } catch (error) {
      progress(`no ${name}: ${(error as Error).message}`)
    }
  }
  await start('mariadb', startMariaDb, ({ url }) => url)
  await start(
    'mongo',
    () => MongoWireServer.start(),
    ({ port }) => `mongodb://127.0.0.1:${port}/test?directConnection=true`,
  )
  await start('dynamodb', startDynalite, ({ port }) => `http://127.0.0.1:${port}`)
  return {
    urls,
    async stop() {
      await Promise.all(started.map((server) => server.stop()))
    },
  }
}

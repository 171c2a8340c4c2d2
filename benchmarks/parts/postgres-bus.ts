import { fileOf } from '../compile.js'
import { perSecond, type Total, timesOf } from '../contest.js'
import type { Part } from '../part.js'
import type { CommitsOffers } from '../processes/commits.js'
import { alternate, over, showSpread } from '../statistics.js'
import { Worker } from '../worker.js'

const NAMES = ['no bus', 'NOTIFY with the write'] as const
type Name = (typeof NAMES)[number]

export const postgresBus: Part = {
  name: 'postgres-bus',
  title: 'NOTIFY on Postgres',
  about: '16 sessions of 1 kB, one commit of each at a time.',
  async run(bench) {
    const results: Record<Name, Total>[] = []
    for (let time = 0; time < timesOf(bench, 5); time++) {
      bench.progress(`round ${time + 1}`)
      results.push(await round(bench.urls.postgres, bench.quick))
    }
    const ratio = over(results, (round) => perSecond(round['NOTIFY with the write']) / perSecond(round['no bus']))
    const rows = NAMES.map((name) => [name, showSpread(over(results, (round) => perSecond(round[name])))])
    const row = 'NOTIFY with every write'
    return {
      figures: [{ row, where: '1 kB, Postgres', measure: 'commits/s against those without a bus', value: ratio }],
      tables: [{ caption: 'Postgres', head: ['', 'commits/s'], rows }],
      charts: [],
    }
  },
}

async function round(url: string, quick: boolean): Promise<Record<Name, Total>> {
  const workers = {} as Record<Name, Worker<CommitsOffers>>
  const totals = {} as Record<Name, Total>
  try {
    for (const name of NAMES) {
      workers[name] = await Worker.start<CommitsOffers>(fileOf('commits'), { url, bus: name !== 'no bus' })
      totals[name] = { count: 0, ms: 0, cpu: 0, delay: 0 }
      await workers[name].call('commits', quick ? 20 : 300)
    }
    const turns = quick ? 1 : 4
    await alternate({ 'no bus': turns, 'NOTIFY with the write': turns }, async (name) => {
      const { count, ms } = await workers[name].call('commits', quick ? 30 : 300)
      totals[name].count += count
      totals[name].ms += ms
    })
    return totals
  } finally {
    await Promise.all(Object.values(workers).map((worker) => worker.stop()))
  }
}

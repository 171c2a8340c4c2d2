import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fileOf } from '../compile.js'
import { timesOf } from '../contest.js'
import type { Figure, Part } from '../part.js'
import type { StartOffers } from '../processes/start.js'
import { alternate, over, showSpread, spread } from '../statistics.js'
import { Worker } from '../worker.js'

const ROW = 'Installed size, start-up time of the import, size of the client'

interface Weight {
  packed: number
  unpacked: number
  installed: number
  code: number
  gzipped: number
}

interface Weights {
  LIMITS: Record<string, number>
  weigh(): Promise<Weight>
  installedWeight(folder: string): number
}

const IMPORTS = {
  sharedsession: pathToFileURL(resolve('dist/index.js')).href,
  'express-socket.io-session': pathToFileURL(resolve('node_modules/express-socket.io-session/index.js')).href,
  'socket.io': pathToFileURL(resolve('node_modules/socket.io/wrapper.mjs')).href,
  'express-session': pathToFileURL(resolve('node_modules/express-session/index.js')).href,
}
type Imported = keyof typeof IMPORTS

export const size: Part = {
  name: 'size',
  title: 'Size and start',
  about:
    'Installed: the package and what it depends on, without peers. The import is timed in a fresh process that has imported nothing else. The limits are those of `npm run check:size`.',
  async run(bench) {
    // A script, without types.
    const { LIMITS, weigh, installedWeight }: Weights = await import(pathToFileURL(resolve('scripts/weight.mjs')).href)
    const weight = await weigh()
    const times: Record<Imported, { ms: number[]; kB: number[] }> = {
      sharedsession: { ms: [], kB: [] },
      'express-socket.io-session': { ms: [], kB: [] },
      'socket.io': { ms: [], kB: [] },
      'express-session': { ms: [], kB: [] },
    }
    const turns = timesOf(bench, 11)
    bench.progress('imports')
    await alternate(
      { sharedsession: turns, 'express-socket.io-session': turns, 'socket.io': turns, 'express-session': turns },
      async (name) => {
        const start = await Worker.start<StartOffers>(fileOf('start'))
        const { ms, bytes } = await start.call('import', IMPORTS[name]).finally(() => start.stop())
        times[name].ms.push(ms)
        times[name].kB.push(bytes / 1000)
      },
    )
    const kB = (bytes: number) => spread([bytes / 1000])
    const esis = installedWeight(resolve('node_modules/express-socket.io-session'))
    const figure = (where: string, measure: string, value: number, limit?: number): Figure => ({
      row: ROW,
      where,
      measure,
      value: kB(value),
      unit: 'kB',
      ...(limit !== undefined && { target: { most: limit / 1000 } }),
    })
    return {
      figures: [
        figure('installed', 'with dependencies', weight.installed, LIMITS.installed),
        figure('the package', 'packed', weight.packed, LIMITS.packed),
        figure('the package', 'unpacked', weight.unpacked, LIMITS.unpacked),
        figure('the code that is loaded', 'not minified', weight.code, LIMITS.code),
        figure('the code that is loaded', 'gzipped', weight.gzipped),
        { row: ROW, where: 'import', measure: 'start-up time', value: spread(times.sharedsession.ms), unit: 'ms' },
        { row: ROW, where: 'client', measure: 'no client part', value: spread([0]), unit: 'kB' },
      ],
      tables: [
        {
          caption: 'Installed with dependencies, kB',
          head: ['sharedsession', 'express-socket.io-session'],
          rows: [[weight.installed, esis].map((bytes) => Math.round(bytes / 1000).toLocaleString('en-US'))],
        },
        {
          caption: 'Import in a fresh process',
          head: ['', 'ms', 'kB of heap'],
          rows: (Object.keys(times) as Imported[]).map((name) => [
            name,
            ...[times[name].ms, times[name].kB].map((all) => showSpread(over(all, (each) => each))),
          ]),
        },
      ],
      charts: [],
    }
  },
}

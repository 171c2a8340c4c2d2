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
type Imports = Awaited<ReturnType<StartOffers['import']>>

export const size: Part = {
  name: 'size',
  title: 'Size and start',
  about:
    'Installed: the package and what it depends on, without peers. The import is measured in a fresh process that has imported nothing else. The limits are those of `npm run check:size`.',
  async run(bench) {
    // A script, without types.
    const { LIMITS, weigh, installedWeight }: Weights = await import(pathToFileURL(resolve('scripts/weight.mjs')).href)
    const weight = await weigh()
    const times: Record<Imported, Imports[]> = {
      sharedsession: [],
      'express-socket.io-session': [],
      'socket.io': [],
      'express-session': [],
    }
    const turns = timesOf(bench, 11)
    bench.progress('imports')
    await alternate(
      { sharedsession: turns, 'express-socket.io-session': turns, 'socket.io': turns, 'express-session': turns },
      async (name) => {
        const start = await Worker.start<StartOffers>(fileOf('start'))
        times[name].push(await start.call('import', IMPORTS[name]).finally(() => start.stop()))
      },
    )
    const ofImport = (name: Imported, key: keyof Imports) => over(times[name], (each) => each[key])
    // Imports of one turn are compared.
    const against = (name: Imported, key: keyof Imports) =>
      spread(times[name].map((each, turn) => each[key] / times['socket.io'][turn]![key]))
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
        { row: ROW, where: 'import', measure: 'start-up time', value: ofImport('sharedsession', 'ms'), unit: 'ms' },
        {
          row: ROW,
          where: 'import',
          measure: 'processor time against an import of socket.io',
          value: against('sharedsession', 'cpu'),
          target: { most: 0.4 },
        },
        { row: ROW, where: 'client', measure: 'no client part', value: spread([0]), unit: 'kB' },
      ],
      tables: [
        {
          caption: 'Installed with dependencies, kB',
          head: [
            'sharedsession',
            'express-socket.io-session',
            'of sharedsession: downloaded',
            'of sharedsession: loaded, gzipped',
          ],
          rows: [
            [weight.installed, esis, weight.packed, weight.gzipped].map((bytes) =>
              Math.round(bytes / 1000).toLocaleString('en-US'),
            ),
          ],
        },
        {
          caption: 'Import in a fresh process',
          head: ['', 'ms', 'ms of processor', 'processor time against socket.io', 'kB of heap'],
          rows: (Object.keys(times) as Imported[]).map((name) => [
            name,
            ...[ofImport(name, 'ms'), ofImport(name, 'cpu'), against(name, 'cpu'), ofImport(name, 'kB')].map(showSpread),
          ]),
        },
      ],
      charts: [
        {
          kind: 'bars',
          file: 'import',
          title: 'Import in a fresh process',
          value: { label: 'ms of processor time, less is better' },
          groups: (Object.keys(times) as Imported[]).map((name) => ({
            label: name,
            bars: [{ name, value: ofImport(name, 'cpu') }],
          })),
        },
      ],
    }
  },
}

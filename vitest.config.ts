import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig, type Plugin } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import type { Reporter } from 'vitest/reporters'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** `npm run test:built`: the suite on what is published. Only the entry is replaced; tests of inner parts still test those. */
const built = process.env.TEST_BUILT === '1'

/** On another Node, Express or peer, or on what is built: `npm test` runs these, and once is enough. */
const again = process.env.TEST_AGAIN === '1'
const once = [
  ...['test/types/**', 'test/package/**', 'test/history/**', 'test/simulation/**', 'test/**/*.browser.test.ts'],
  // Their servers and bindings take minutes to be made, and the bindings are compiled for one Node.
  ...['test/store/drivers/{sql,mongo,dynamodb}/**', 'test/store/{knex,express-mysql-session,sequelize,mongo,dynamodb}.test.ts'],
  ...['test/store/overridden-stores.test.ts', 'test/cluster/buses/knex.test.ts', 'test/driver-testing/**'],
  // They have drivers of the sources, where the package is what is built.
  ...['test/docs/drivers.test.ts', 'test/examples/drivers.test.ts'],
]

const entry: Plugin = {
  name: 'entry',
  enforce: 'pre',
  async resolveId(id, importer) {
    if (id === 'sharedsession/driver' && !built) return at('src/driver.ts')
    const own = id === 'sharedsession' || (id.endsWith('/src/index.js') && importer?.includes('/test/'))
    if (!own) return null
    return built ? { id: at('dist/index.js'), external: true } : at('src/index.ts')
  },
}

/** Says in one plain line, the last one, how many tests ran. A file that could not be loaded counts as a failed test. */
const lastLine: Reporter = {
  onTestRunEnd(modules, unhandled) {
    const count = { passed: 0, failed: unhandled.length, skipped: 0 }
    for (const module of modules) {
      count.failed += module.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state !== 'pending') count[state]++
      }
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : ''
    process.on('exit', () => console.log(`tests: ${count.passed} passed, ${count.failed} failed${skipped}`))
  },
}

/**
 * The longest begin first, so that no process is idle at the end: Vitest knows how long a file takes only where it has run before.
 * SQLite's bindings are compiled for the first file that needs them. The others that do have other tests before them.
 */
const long = [
  ...['test/simulation/simulation.', 'test/store/overridden-stores.', 'test/history/mongo.', 'test/store/drivers/mongo/'],
  ...['test/simulation/traces.', '.browser.test.', 'test/nodes/', 'test/store/drivers/dynamodb/', 'test/history/'],
  ...['test/store/drivers/sql/', 'test/one-session/lost-session.', 'test/one-session/failing-store.'],
]
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number =>
      long.findIndex((part) => moduleId.includes(part)) + 1 || long.length + 1
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other))
  }
}

export default defineConfig({
  plugins: [entry],
  test: {
    pool: 'forks',
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    sequence: { sequencer: LongestFirst },
    // Tests wait more than they work.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    // Of what never happens. Nothing is measured by it: a busy machine makes a test slower, and not wrong.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(again ? once : [])],
    reporters: ['default', lastLine],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      // The hooks run in Chromium, which is not counted.
      exclude: ['src/entry/**', 'src/client/{react,vue}.ts'],
      thresholds: { statements: 95, branches: 95 },
    },
  },
})

// Runs the test suite on Express 4 and on Express 5; test/support decides by EXPRESS which one a test gets.
import { report, run } from './support.mjs'

await report(
  'express',
  ['4', '5'].map((version) => [
    `Express ${version}`,
    async () => {
      const suite = [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--exclude',
        'test/types/**',
        '--exclude',
        '**/*.browser.test.ts',
        '--exclude',
        'test/history/**',
      ]
      const { code } = await run(process.execPath, [...suite, ...process.argv.slice(2)], { env: { EXPRESS: version } })
      if (code !== 0) throw new Error(`The suite fails with Express ${version}`)
    },
  ]),
)

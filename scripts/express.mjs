// Runs the test suite on Express 4 and on Express 5; test/support decides by EXPRESS which one a test gets.
import { report, suite } from './support.mjs'

await report(
  'express',
  ['4', '5'].map((version) => [
    `Express ${version}`,
    async () => {
      const { code } = await suite(process.argv.slice(2), { env: { EXPRESS: version } })
      if (code !== 0) throw new Error(`The suite fails with Express ${version}`)
    },
  ]),
)

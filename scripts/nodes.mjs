// Runs the test suite on several versions of Node: those given as arguments, or all that are supported.
import { report, run } from './support.mjs'

const given = process.argv.slice(2).filter((argument) => /^\d+$/.test(argument))
const versions = given.length > 0 ? given : ['20', '22', '24', '26']
// One browser run is enough: it is `npm test`'s. The types do not depend on Node's version.
const files = process.argv.slice(2).filter((argument) => !/^\d+$/.test(argument))
const suite = "node node_modules/vitest/vitest.mjs run --exclude 'test/types/**' --exclude '**/*.browser.test.ts'"

await report(
  'nodes',
  versions.map((version) => [
    `Node ${version}`,
    async () => {
      const { code } = await run('npx', ['-y', '-p', `node@${version}`, '-c', `node --version && ${suite} ${files.join(' ')}`])
      if (code !== 0) throw new Error(`The suite fails on Node ${version}`)
    },
  ]),
)

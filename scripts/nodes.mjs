// Runs the test suite on several versions of Node: those given as arguments, or all that are supported.
import { report, run } from './support.mjs'

const given = process.argv.slice(2).filter((argument) => /^\d+$/.test(argument))
const versions = given.length > 0 ? given : ['20', '22', '24', '26']
const args = process.argv.slice(2).filter((argument) => !/^\d+$/.test(argument))
const command = 'node --version && node node_modules/vitest/vitest.mjs run "$@"'

await report(
  'nodes',
  versions.map((version) => [
    `Node ${version}`,
    async () => {
      const env = { TEST_AGAIN: '1' }
      const { code } = await run('npx', ['-y', '-p', `node@${version}`, '--', 'sh', '-c', command, 'sh', ...args], { env })
      if (code !== 0) throw new Error(`The suite fails on Node ${version}`)
    },
  ]),
)

// Runs the tests of the drivers for MongoDB on a real one: `npm run test:mongo -- mongodb://localhost:27017`. `npm test` runs them on a stand-in.
// The server has to be on this machine, as a proxy before it loses connections, and without TLS. It may be a member of a replica set. The tests
// use a database of their own, and drop it.
import { suite } from './support.mjs'

const [url, ...args] = process.argv.slice(2)
if (!url?.startsWith('mongodb://')) {
  console.error('Which MongoDB? npm run test:mongo -- mongodb://localhost:27017')
  process.exit(1)
}
const files = [
  'test/store/mongo.test.ts',
  'test/store/drivers/mongo/conformance.test.ts',
  'test/store/drivers/mongo/cases.test.ts',
]
const { code } = await suite([...files, ...args], { env: { MONGODB_URL: url } })
process.exitCode = code

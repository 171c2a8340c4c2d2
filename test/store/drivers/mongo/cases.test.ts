import { afterAll, beforeAll, describe } from 'vitest'
import type { DriverFixture } from '../../../../src/driver-testing/index.js'
import { mongoStore } from '../../../../src/store/drivers/mongo/index.js'
import { networkOf } from '../../../support/driver-network.js'
import { isStandIn, startMongo } from '../../../support/mongo.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'
import {
  connectMongo4OnClient4,
  connectMongo6,
  connectMongo6OnClient7,
  isWrite,
  mongoDbSession,
  type Open,
  type Options,
} from './fixture.js'

interface Kind {
  open: Open
  options?: Options
  server?: { takesPipelines?: boolean; isReplicaSet?: boolean }
}

const KINDS: [string, Kind][] = [
  ['connect-mongo 6, text', { open: connectMongo6 }],
  ['connect-mongo 6, text, without pipelines', { open: connectMongo6, server: { takesPipelines: false } }],
  ['connect-mongo 6 on mongodb 7, text, in a replica set', { open: connectMongo6OnClient7, server: { isReplicaSet: true } }],
  ['connect-mongo 6, documents', { open: connectMongo6, options: { stringify: false } }],
  ['connect-mongo 4, text', { open: connectMongo4OnClient4 }],
  ['connect-mongodb-session 5', { open: mongoDbSession }],
]

// A real server is what it is.
describe.each(isStandIn ? KINDS : KINDS.filter(([, { server }]) => server === undefined))(
  '%s',
  (_title, { open, options = {}, server: kind = {} }) => {
    let fixture: DriverFixture
    const ends: (() => Promise<unknown>)[] = []

    beforeAll(async () => {
      const server = await startMongo(kind)
      ends.unshift(() => server.stop())
      const proxy = await TcpProxy.start(server.port)
      ends.unshift(() => proxy.stop())
      const { store, close } = await open(proxy.port, options)
      ends.unshift(close)
      const direct = await open(server.port, options)
      ends.unshift(direct.close)
      const left = async (sid: string): Promise<number> => (await server.document(sid))!.expires.getTime() - Date.now()
      const [driver, second] = [mongoStore(store)!.driver(), mongoStore(direct.store)!.driver()]
      fixture = { driver, second, store: store as never, left, network: networkOf(proxy, isWrite) }
    })

    afterAll(async () => {
      for (const end of ends.splice(0)) await end()
    })

    publicCases(() => fixture, WITH_SERVER)
  },
)

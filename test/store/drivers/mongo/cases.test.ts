import { afterAll, beforeAll, describe, it } from 'vitest'
import { cases, type DriverCase } from '../../../../src/driver-testing/index.js'
import { mongoDriver } from '../../../../src/store/drivers/mongo/index.js'
import { MongoWireServer } from '../../../support/mongo-wire.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
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

describe.each<[string, Kind]>([
  ['connect-mongo 6, text', { open: connectMongo6 }],
  ['connect-mongo 6, text, without pipelines', { open: connectMongo6, server: { takesPipelines: false } }],
  ['connect-mongo 6 on mongodb 7, text, in a replica set', { open: connectMongo6OnClient7, server: { isReplicaSet: true } }],
  ['connect-mongo 6, documents', { open: connectMongo6, options: { stringify: false } }],
  ['connect-mongo 4, text', { open: connectMongo4OnClient4 }],
  ['connect-mongodb-session 5', { open: mongoDbSession }],
])('%s', (_title, { open, options = {}, server: kind = {} }) => {
  let all: DriverCase[] = []
  const ends: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    const server = await MongoWireServer.start(kind)
    ends.unshift(() => server.stop())
    const proxy = await TcpProxy.start(server.port)
    ends.unshift(() => proxy.stop())
    const { store, close } = await open(proxy.port, options)
    ends.unshift(close)
    all = cases({
      driver: mongoDriver(store)!,
      store,
      left: async (sid) => {
        const document = [...server.data.documents('sessions').values()].find(({ _id }) => _id === sid)
        return document!.expires.getTime() - Date.now()
      },
      network: {
        loseRequest: () => proxy.cut('request', isWrite),
        loseAnswer: () => proxy.cut('answer', isWrite),
        down: () => proxy.down(),
        up: () => proxy.up(),
      },
    })
  })

  afterAll(async () => {
    for (const end of ends.splice(0)) await end()
  })

  it.each(names())('%s', (name) => all.find((each) => each.name === name)!.run())
})

/** The cases are made when the server is there. */
function names(): string[] {
  const network = { loseRequest: nothing, loseAnswer: nothing, down: nothing, up: nothing }
  return cases({ driver: {} as never, store: {} as never, left: async () => 0, network: network as never }).map(
    ({ name }) => name,
  )
}

async function nothing(): Promise<void> {}

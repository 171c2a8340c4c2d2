import { afterAll, beforeAll, describe, vi } from 'vitest'
import { ContractDriver } from '../../../../src/store/drivers/contract-driver.js'
import { dynamodbDriver } from '../../../../src/store/drivers/dynamodb/driver.js'
import { networkOf } from '../../../support/driver-network.js'
import { startDynalite } from '../../../support/dynalite.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'
import { isWrite, left, type Opened, open } from './fixture.js'

// dynalite hands out nothing with a refusal: each costs a read more, and many writers of one session are refused often.
vi.setConfig({ testTimeout: 60_000 })

describe.each([
  ['as it is', {}],
  ['with names of its own', { table: 'own', hashKey: 'sid', prefix: '' }],
])('connect-dynamodb, %s', (_title, options) => {
  const ends: (() => unknown)[] = []
  let store: Opened
  let direct: Opened
  let proxy: TcpProxy

  beforeAll(async () => {
    const server = await startDynalite()
    ends.unshift(() => server.stop())
    proxy = await TcpProxy.start(server.port)
    ends.unshift(() => proxy.stop())
    store = await open(proxy.port, options)
    direct = await open(server.port, options)
    ends.unshift(() => [store, direct].map(({ client }) => client.destroy()))
  })

  afterAll(async () => {
    for (const end of ends.splice(0)) await end()
  })

  conformance(() => ({
    driver: new ContractDriver(dynamodbDriver(store)),
    store,
    left: (sid) => left(direct, sid),
    // An item has 400 kB at most.
    largest: 300_000,
  }))

  publicCases(
    () => ({
      driver: dynamodbDriver(store),
      second: dynamodbDriver(direct),
      store: store as never,
      left: (sid) => left(direct, sid),
      maxBytes: 300_000,
      network: networkOf(proxy, isWrite),
    }),
    WITH_SERVER,
  )
})

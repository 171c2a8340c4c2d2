import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { dynamodbDriver } from '../../src/store/drivers/dynamodb/driver.js'
import { startDynalite } from '../support/dynalite.js'
import { isWrite, itemOf, type Opened, open } from './drivers/dynamodb/fixture.js'
import { describeProcesses } from './several-processes.js'

describe('connect-dynamodb', () => {
  let server: { port: number; stop(): Promise<void> }
  let direct: Opened
  const stores: Opened[] = []

  beforeAll(async () => {
    server = await startDynalite()
    direct = await open(server.port)
  })
  afterAll(async () => {
    direct.client.destroy()
    await server.stop()
  })
  afterEach(() => {
    for (const { client } of stores.splice(0)) client.destroy()
  })

  describeProcesses({
    driver: 'connect-dynamodb',
    port: () => server.port,
    async open(port) {
      const store = await open(port)
      stores.push(store)
      return { store, shared: { driver: dynamodbDriver(store) } }
    },
    async stored(sid) {
      const text = (await itemOf(direct, sid))?.sess?.S
      return text && JSON.parse(text)
    },
    isWrite,
  })
})

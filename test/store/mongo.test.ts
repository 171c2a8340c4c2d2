import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { MongoWireServer } from '../support/mongo-wire.js'
import {
  connectMongo4OnClient4,
  connectMongo5OnClient6,
  connectMongo6OnClient7,
  isWrite,
  mongoDbSession,
  type Open,
  type Options,
} from './drivers/mongo/fixture.js'
import { describeProcesses } from './several-processes.js'

describe.each<[string, Open, Options]>([
  ['connect-mongo 6', connectMongo6OnClient7, {}],
  ['connect-mongo 5, documents', connectMongo5OnClient6, { stringify: false }],
  ['connect-mongo 4, touched once an hour', connectMongo4OnClient4, { touchAfter: 3600 }],
  ['connect-mongodb-session', mongoDbSession, {}],
])('%s', (_title, open, options) => {
  let server: MongoWireServer
  const ends: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    server = await MongoWireServer.start()
  })
  afterAll(() => server.stop())
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
  })

  describeProcesses({
    driver: open === mongoDbSession ? 'connect-mongodb-session' : 'connect-mongo',
    port: () => server.port,
    async open(port) {
      const { store, close } = await open(port, options)
      ends.push(close)
      return { store }
    },
    cannotTouch: open === mongoDbSession,
    async stored(sid) {
      const documents = [...server.data.documents('sessions').values()]
      const session = documents.find(({ _id }) => _id === sid)?.session
      return typeof session === 'string' ? JSON.parse(session) : session
    },
    isWrite,
  })
})

import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { type MongoServer, startMongo } from '../support/mongo.js'
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

/** In a replica set clients send a write again by themselves, and no outcome is unknown. The first connection may take a while. */
const SETTINGS = { retryWrites: 'false', serverSelectionTimeoutMS: '5000' }

describe.each<[string, Open, Options]>([
  ['connect-mongo 6', connectMongo6OnClient7, {}],
  ['connect-mongo 5, documents', connectMongo5OnClient6, { stringify: false }],
  ['connect-mongo 4, touched once an hour', connectMongo4OnClient4, { touchAfter: 3600 }],
  ['connect-mongodb-session', mongoDbSession, {}],
])('%s', (_title, open, options) => {
  let server: MongoServer
  const ends: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    server = await startMongo()
  })
  afterAll(() => server.stop())
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
  })

  describeProcesses({
    driver: open === mongoDbSession ? 'connect-mongodb-session' : 'connect-mongo',
    port: () => server.port,
    async open(port) {
      const { store, close } = await open(port, options, SETTINGS)
      ends.push(close)
      return { store }
    },
    cannotTouch: open === mongoDbSession,
    async stored(sid) {
      const session = (await server.document(sid))?.session
      return typeof session === 'string' ? JSON.parse(session) : session
    },
    isWrite,
  })
})

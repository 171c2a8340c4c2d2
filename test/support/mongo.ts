import { MongoClient } from 'mongodb'
import { type Doc, MongoWireServer } from './mongo-wire.js'

/** A MongoDB of this machine, where the tests have one: `npm run test:mongo -- mongodb://localhost:27017`. */
const REAL = process.env.MONGODB_URL

/** Nothing waits for a server for long that is not there, and a server that is there again is soon found. */
const SETTINGS = { directConnection: 'true', serverSelectionTimeoutMS: '3000', minHeartbeatFrequencyMS: '20' }

export const isStandIn = REAL === undefined

/** A server, as the tests of the drivers need it. */
export interface MongoServer {
  port: number
  url: string
  /** How many commands it has been sent. Absent where that is not known. */
  roundTrips?(): number
  /** A document of the collection `sessions`. */
  document(id: string): Promise<Doc | undefined>
  stop(): Promise<void>
}

/** The MongoDB that the tests are given, or a stand-in. @param options of the stand-in */
export async function startMongo(options: Parameters<typeof MongoWireServer.start>[0] = {}): Promise<MongoServer> {
  if (REAL !== undefined) return realServer(Number(new URL(REAL).port || 27_017))
  const server = await MongoWireServer.start(options)
  return {
    port: server.port,
    url: patientUrl(server.port),
    roundTrips: () => server.commands.length,
    document: async (id) => [...server.data.documents('sessions').values()].find(({ _id }) => _id === id),
    stop: () => server.stop(),
  }
}

async function realServer(port: number): Promise<MongoServer> {
  const client = await MongoClient.connect(mongoUrl(port))
  const sessions = client.db().collection<{ _id: string }>('sessions')
  return {
    port,
    url: patientUrl(port),
    document: async (_id) => (await sessions.findOne({ _id })) ?? undefined,
    async stop() {
      await client.db().dropDatabase()
      await client.close()
    },
  }
}

/** For clients that have time to find the server. */
function patientUrl(port: number): string {
  return mongoUrl(port, { serverSelectionTimeoutMS: '5000' })
}

/** By this port of this machine. @param settings of the client */
export function mongoUrl(port: number, settings: Record<string, string> = {}): string {
  const url = new URL(REAL ?? 'mongodb://127.0.0.1')
  url.host = `127.0.0.1:${port}`
  url.pathname = REAL === undefined ? '/test' : `/sharedsession_test_${process.pid}`
  if (url.username && !url.searchParams.has('authSource')) url.searchParams.set('authSource', 'admin')
  for (const [name, value] of Object.entries({ ...SETTINGS, ...settings })) url.searchParams.set(name, value)
  return url.href
}

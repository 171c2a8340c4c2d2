import { createWebCryptoAdapter } from 'connect-mongo'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isStandIn, type MongoServer, startMongo } from '../../../support/mongo.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture } from '../fixture.js'
import {
  connectMongo4OnClient4,
  connectMongo5OnClient6,
  connectMongo6,
  connectMongo6OnClient7,
  mongoDbSession,
  type Open,
  type Opened,
  type Options,
} from './fixture.js'

const SECRET = { crypto: { secret: 'A Secret of 12 words, or 13!' } }
const MODERN = {}
/** A server whose updates take no pipelines. */
const OLD = { takesPipelines: false }

interface Kind {
  open: Open
  options?: Options
  server?: typeof OLD
}

const KINDS: [string, Kind][] = [
  ['connect-mongo 6, text', { open: connectMongo6, options: { timestamps: true } }],
  ['connect-mongo 6, text, without pipelines', { open: connectMongo6, options: { timestamps: true }, server: OLD }],
  [
    'connect-mongo 6 on mongodb 7, text',
    { open: connectMongo6OnClient7, options: { transformId: (sid: string) => `its-${sid}` } },
  ],
  ['connect-mongo 6, documents', { open: connectMongo6, options: { stringify: false, timestamps: true } }],
  ['connect-mongo 6, documents, without pipelines', { open: connectMongo6, options: { stringify: false }, server: OLD }],
  [
    'connect-mongo 6, encrypted',
    { open: connectMongo6, options: { cryptoAdapter: createWebCryptoAdapter({ secret: 'secret' }) } },
  ],
  ['connect-mongo 6, encrypted documents', { open: connectMongo6, options: { ...SECRET, stringify: false } }],
  ['connect-mongo 5, text', { open: connectMongo5OnClient6 }],
  ['connect-mongo 5, documents', { open: connectMongo5OnClient6, options: { stringify: false } }],
  ['connect-mongo 5, encrypted', { open: connectMongo5OnClient6, options: SECRET }],
  ['connect-mongo 4, text', { open: connectMongo4OnClient4 }],
  ['connect-mongo 4, text, without pipelines', { open: connectMongo4OnClient4, server: OLD }],
  ['connect-mongo 4, encrypted documents', { open: connectMongo4OnClient4, options: { ...SECRET, stringify: false } }],
  ['connect-mongodb-session 5', { open: mongoDbSession }],
]

// A real server is what it is.
describe.each(isStandIn ? KINDS : KINDS.filter(([, { server }]) => server === undefined))(
  '%s',
  (_title, { open, options = {}, server: kind = MODERN }) => {
    let server: MongoServer
    let proxy: TcpProxy
    let opened: Opened
    let fixture: Fixture

    beforeAll(async () => {
      server = await startMongo(kind)
      proxy = await TcpProxy.start(server.port)
      opened = await open(proxy.port, options)
      const { store } = opened
      fixture = {
        driver: comparing(store),
        store,
        ...(kind === MODERN && server.roundTrips && { roundTrips: server.roundTrips }),
        async left(sid) {
          const id = typeof options.transformId === 'function' ? options.transformId(sid) : sid
          return (await server.document(id))!.expires.getTime() - Date.now()
        },
      }
    })

    afterAll(async () => {
      await opened?.close()
      await proxy?.stop()
      await server?.stop()
    })

    it('is driven by its name', () => {
      expect(fixture.driver).toMatchObject({
        name: open === mongoDbSession ? 'connect-mongodb-session' : 'connect-mongo',
        compares: true,
      })
    })

    conformance(() => fixture)
  },
)

import { EventEmitter } from 'node:events'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import { ConnectSessionKnexStore } from 'connect-session-knex'
import expressSession from 'express-session'
import knex from 'knex'
import pg from 'pg'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { postgresBus, type SharedSession } from '../../src/index.js'
import { describeBus } from '../cluster/buses/conformance.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { next } from '../support/wait.js'
import { cleanup, client, cookieOf, listen, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

it('the load balancer: a query parameter of the client is in all requests of its connection, the upgrade too', async () => {
  const around = surroundings()
  const url = await listen(around)
  const seen: string[] = []
  const note = ({ url: path = '' }: { url?: string }) => void seen.push(path)
  around.server.on('request', note).on('upgrade', note)
  const socket = client(url, undefined, { transports: ['polling', 'websocket'], query: { node: 7 } })
  await next(socket.io, 'open')
  await next(socket.io.engine as never, 'upgrade')
  expect(seen.length).toBeGreaterThan(2)
  expect(seen.filter((path) => !path.includes('node=7'))).toEqual([])
})

/** The client library of a message broker, and the broker, which is all clients of a set. */
function brokerClient(clients: Set<{ deliver(topic: string, text: string): void }>) {
  const topics = new Set<string>()
  const events = new EventEmitter()
  let isCut = false
  const client = {
    deliver: (topic: string, text: string) => void (!isCut && topics.has(topic) && events.emit('message', topic, text)),
    onMessage: (listener: (topic: string, text: string) => void) => void events.on('message', listener),
    onReconnect: (listener: () => void) => void events.on('reconnect', listener),
    subscribe: async (topic: string) => void topics.add(topic),
    unsubscribe: (topic: string) => void topics.delete(topic),
    publish: async (topic: string, text: string) => {
      for (const each of clients) if (each !== client) each.deliver(topic, text)
    },
    close: async () => void clients.delete(client),
    cut: () => (isCut = true),
    restore() {
      isCut = false
      events.emit('reconnect')
    },
  }
  clients.add(client)
  return client
}

describeBus('of the page', async () => {
  const clients = new Set<ReturnType<typeof brokerClient>>()
  const brokers = [brokerClient(clients), brokerClient(clients)] as const
  const { brokerBus } = await run('own-bus', {}, 'brokerBus')
  const [, { cut, restore }] = brokers
  return { buses: [brokerBus(brokers[0]), brokerBus(brokers[1])], cut, restore }
})

/** A lost connection is logged. Without a listener the emit throws, and in a process of its own nobody catches that. */
function logsLostConnections(client: EventEmitter, lines: string[]): void {
  client.emit('error', new Error('the connection is lost'))
  expect(lines).toContain('the connection is lost')
}

/** Two nodes, each of which runs a block of the page. @param start runs it, and puts what it made on the node */
async function seesWriteOfOtherNode(start: () => Promise<{ session: any; shared: SharedSession }>): Promise<void> {
  const node = async () => {
    const around = surroundings()
    const { session, shared } = await start()
    around.app.use(session)
    around.app.get('/visit', (req, res) => {
      req.session.visits = (req.session.visits ?? 0) + 1
      res.json({})
    })
    shared.attach(around.io)
    return { ...around, url: await listen(around, shared) }
  }
  const [one, two] = [await node(), await node()]
  const cookie = cookieOf(await fetch(`${one.url}/visit`))!
  const connected = next(two.io, 'connection')
  await next(client(two.url, cookie), 'connect')
  const changed = next(await connected, 'session:changed')
  await fetch(`${one.url}/visit`, { headers: { cookie } })
  expect(await changed).toMatchObject({ keys: ['visits'], origin: 'remote' })
}

await withService('Postgres', startPostgres, (postgres) => {
  describe('clusters', () => {
    it('Postgres: a write by HTTP on one node reaches a socket on the other', async () => {
      const pool = new pg.Pool({ connectionString: postgres().url })
      await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
      await pool.end()
      await seesWriteOfOtherNode(async () => {
        const process = { env: { DATABASE_URL: postgres().url } }
        const lines: string[] = []
        const console = { error: (line: string) => lines.push(line) }
        const given = { connectPgSimple, expressSession, pg, postgresBus, sharedsession, process, console }
        const { pool, session, shared, store } = await run('postgres', given, 'pool', 'session', 'shared', 'store')
        cleanup(() => pool.end())
        logsLostConnections(pool, lines)
        // It would clean up its table on a pool that has ended, and report that in the test which runs then.
        cleanup(() => store.close())
        return { session, shared }
      })
    })
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  describe('clusters', () => {
    it('connect-session-knex on Postgres: a write by HTTP on one node reaches a socket on the other, without an option', () =>
      seesWriteOfOtherNode(async () => {
        const process = { env: { DATABASE_URL: postgres().url } }
        const given = { ConnectSessionKnexStore, expressSession, knex, sharedsession, process }
        const { database, session, shared, store } = await run('knex', given, 'database', 'session', 'shared', 'store')
        // It would clean up its table every minute, on a pool that has ended, and report that in the test which runs then.
        store.options.cleanupInterval = 0
        await store.ready
        cleanup(() => database.destroy())
        return { session, shared }
      }))
  })
})

await withService('Redis', startRedis, (redis) => {
  describe('clusters', () => {
    it('Redis: a write by HTTP on one node reaches a socket on the other, without an option', () =>
      seesWriteOfOtherNode(async () => {
        const process = { env: { REDIS_URL: redis().url } }
        const lines: string[] = []
        const console = { error: (line: string) => lines.push(line) }
        const given = { RedisStore, createClient, expressSession, sharedsession, process, console }
        const { client, session, shared } = await run('redis', given, 'client', 'session', 'shared')
        cleanup(() => client.destroy())
        logsLostConnections(client, lines)
        return { session, shared }
      }))
  })
})

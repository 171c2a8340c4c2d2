import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdapter as postgresAdapter } from '@socket.io/postgres-adapter'
import { createShardedAdapter, createAdapter as redisAdapter } from '@socket.io/redis-adapter'
import { createAdapter as streamsAdapter } from '@socket.io/redis-streams-adapter'
import expressSession from 'express-session'
import { Pool } from 'pg'
import fileStore from 'session-file-store'
import { Server } from 'socket.io'
import { Adapter as InMemoryAdapter } from 'socket.io-adapter'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AdapterBus, isClusterAdapter } from '../../../src/cluster/buses/socketio-adapter.js'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { collect, tab } from '../../support/live.js'
import { startPostgres } from '../../support/postgres.js'
import { startRedis } from '../../support/redis.js'
import { nodeRedis } from '../../support/redis-clients.js'
import { withService } from '../../support/service.js'
import { sidOf } from '../../support/sid.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { next, until } from '../../support/wait.js'
import { describeBus } from './conformance.js'

/** They do not tell when they were cut off. */
const UNCUT = { isCut: false }

const ends: (() => unknown)[] = []

afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0).reverse()) await end()
})

/** Servers of an earlier test must not be taken for those of this one. */
let groups = 0

/** Two servers that know of each other. */
async function joined(adapters: unknown[]): Promise<Server[]> {
  const servers = adapters.map((adapter) => new Server(createServer(), { adapter: adapter as never }))
  ends.push(...servers.map((io) => () => io.close()))
  await until(async () =>
    (await Promise.all(servers.map((io) => io.of('/').adapter.serverCount()))).every((count) => count === 2),
  )
  // Redis counts a subscription before its client has heard so, and a client that is closed in between rejects it unhandled. What is
  // answered here has come over each subscription.
  await Promise.all(servers.map((io) => io.fetchSockets()))
  return servers
}

await withService('Redis', startRedis, (redis) => {
  async function clients(count: number, port = redis().port): Promise<any[]> {
    const opened = await Promise.all(Array.from({ length: count }, () => nodeRedis(port)))
    // What the adapters have just asked for is answered first: they look at no answer, so that one that fails is unhandled.
    ends.push(
      ...opened.map(
        ({ client }) =>
          () =>
            client.isOpen && client.close(),
      ),
    )
    return opened.map(({ client }) => client)
  }

  async function redisAdapters(port = redis().port) {
    const [a, b, c, d] = [...(await clients(2)), ...(await clients(2, port))]
    const key = `group${++groups}`
    return Object.assign([redisAdapter(a, b, { key }), redisAdapter(c, d, { key })], {
      /** Resolves when what the second one has sent is answered: its adapter looks at no answer, so that one that fails is unhandled. */
      answered: () => c.ping(),
    })
  }

  describeBus("socket.io's Redis adapter", async () => {
    const proxy = await TcpProxy.start(redis().port)
    ends.push(() => proxy.stop())
    const adapters = await redisAdapters(proxy.port)
    const [one, two] = await joined(adapters)
    return {
      buses: [new AdapterBus(one!), new AdapterBus(two!)],
      cut: async () => {
        await adapters.answered()
        await proxy.down()
      },
      restore: () => proxy.up(),
    }
  })

  describeBus(
    "socket.io's sharded Redis adapter",
    async () => {
      const [a, b, c, d] = await clients(4)
      const [one, two] = await joined([
        createShardedAdapter(a, b, { channelPrefix: `group${++groups}` }),
        createShardedAdapter(c, d, { channelPrefix: `group${groups}` }),
      ])
      return { buses: [new AdapterBus(one!), new AdapterBus(two!)] }
    },
    UNCUT,
  )

  describeBus(
    "socket.io's Redis Streams adapter",
    async () => {
      const [a, b] = await clients(2)
      const own = { heartbeatInterval: 100, blockTimeInMs: 50, streamName: `group${++groups}`, channelPrefix: `group${groups}` }
      const [one, two] = await joined([streamsAdapter(a, own), streamsAdapter(b, own)])
      return { buses: [new AdapterBus(one!), new AdapterBus(two!)] }
    },
    UNCUT,
  )

  it('a publish that Redis refuses rejects, and is no unhandled rejection', async () => {
    const [pub, sub] = await clients(2)
    const io = new Server(createServer(), { adapter: redisAdapter(pub, sub) })
    ends.push(() => io.close())
    const bus = new AdapterBus(io)
    bus.start({ heard: () => undefined, gap: () => undefined })
    pub.destroy()
    // Vitest fails a run with an unhandled rejection.
    await expect(bus.publish('topic', 'text')).rejects.toThrow()
    bus.close()
  })

  describe('files as the store, the Redis adapter as the bus', () => {
    async function nodes(attached: boolean) {
      const folder = mkdtempSync(join(tmpdir(), 'sharedsession-'))
      ends.push(() => rmSync(folder, { recursive: true, force: true }))
      const apps: App[] = []
      for (const adapter of await redisAdapters()) {
        const store = new (fileStore(expressSession))({ path: folder, logFn: () => undefined, reapInterval: -1 } as never)
        apps.push(
          await startApp({
            store,
            shared: { revalidate: false, touch: false },
            io: { adapter: adapter as never },
            ...(attached && { wire: (io, shared) => void shared.attach(io) }),
          }),
        )
      }
      await until(async () => (await apps[0]!.io.of('/').adapter.serverCount()) === 2)
      return apps as [App, App]
    }

    it('a write on one process is notified on the other, and a logout ends its sockets', async () => {
      const [one, two] = await nodes(false)
      const browser = one.browser()
      await browser.get('/set?user=ada')
      const first = await tab(one, browser)
      const second = await tab(two, Object.assign(two.browser(), { cookie: browser.cookie }) as Browser)
      const heard = next(second.socket, 'session:changed')
      first.session.theme = 'dark'
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
      expect(second.session.theme).toBe('dark')
      const ended = next(second.socket, 'session:destroyed')
      await browser.get('/destroy')
      expect(await ended).toEqual({ reason: 'destroyed' })
    })

    it('a process without a socket publishes once its server is attached', async () => {
      const [one, two] = await nodes(true)
      const browser = one.browser()
      await browser.get('/set?user=ada')
      const second = await tab(two, Object.assign(two.browser(), { cookie: browser.cookie }) as Browser)
      const heard = next(second.socket, 'session:changed')
      await browser.get('/set?theme=dark')
      expect(await heard).toMatchObject({ keys: ['theme'] })
    })

    it('an adapter that is set after attach() is used from the first socket on', async () => {
      const [adapter] = await redisAdapters()
      const app = await startApp({
        store: new (fileStore(expressSession))({ path: tmpdir(), logFn: () => undefined, reapInterval: -1 } as never),
        wire(io, shared) {
          shared.attach(io)
          io.adapter(adapter as never)
        },
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      expect(app.shared.stats().published).toBe(0)
      await browser.connect()
      await browser.get('/set?theme=dark')
      expect(app.shared.stats().published).toBe(1)
      await browser.get('/destroy')
    })

    it('io.to(shared.room(target)) reaches the sockets of the session on all nodes, and no others', async () => {
      const [one, two] = await nodes(false)
      const browser = one.browser()
      await browser.get('/set?user=ada')
      const other = two.browser()
      await other.get('/set?user=eve')
      const there = Object.assign(two.browser(), { cookie: browser.cookie }) as Browser
      const tabs = [await tab(one, browser), await tab(two, there)]
      const stranger = (await tab(two, other)).client
      const misled = collect(stranger, 'hello')
      const heard = tabs.map(({ client }) => next(client, 'hello'))
      one.io.to(one.shared.room(sidOf(browser))).emit('hello', 'you')
      expect(await Promise.all(heard)).toEqual(['you', 'you'])
      // What was sent to it before has come then.
      await stranger.emitWithAck('get')
      expect(misled).toEqual([])
    })
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  it('a restart of Redis does not end the process, and messages are received again', async () => {
    const pools = [new Pool({ connectionString: postgres().url }), new Pool({ connectionString: postgres().url })]
    for (const pool of pools) pool.on('error', () => undefined)
    await pools[0]!.query(
      'CREATE TABLE IF NOT EXISTS socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)',
    )
    // A pool whose connections were lost does not end while the adapter waits to come back.
    ends.push(...pools.map((pool) => () => void pool.end()))
    const own = { heartbeatInterval: 100, errorHandler: () => undefined, channelPrefix: `group${++groups}` }
    const servers = await joined(pools.map((pool) => postgresAdapter(pool as never, own)))
    const [one, two] = servers.map((io) => new AdapterBus(io))
    let heard = 0
    one!.start({ heard: () => undefined, gap: () => undefined })
    two!.start({ heard: () => heard++, gap: () => undefined })
    await two!.subscribe('topic')
    // Vitest fails a run with an uncaught error.
    await postgres().restart()
    await until(async () => {
      await one!.publish('topic', 'text').catch(() => undefined)
      return heard > 0
    })
    one!.close()
    two!.close()
  })

  describeBus(
    "socket.io's Postgres adapter",
    async () => {
      const pools = [new Pool({ connectionString: postgres().url }), new Pool({ connectionString: postgres().url })]
      await pools[0]!.query(
        'CREATE TABLE IF NOT EXISTS socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)',
      )
      ends.push(...pools.map((pool) => () => pool.end()))
      const own = { heartbeatInterval: 100, channelPrefix: `group${++groups}` }
      const [one, two] = await joined(pools.map((pool) => postgresAdapter(pool as never, own)))
      return { buses: [new AdapterBus(one!), new AdapterBus(two!)], keepsOrder: false }
    },
    UNCUT,
  )
})

describe('the in-memory adapter', () => {
  it('is recognised and not called', async () => {
    const warn = vi.spyOn(console, 'warn')
    const io = new Server(createServer())
    ends.push(() => io.close())
    expect(isClusterAdapter(io)).toBe(false)
    await new AdapterBus(io).publish('topic', 'text')
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })

  it('is recognised where it recovers connections, and where an application derives from it', () => {
    class Own extends InMemoryAdapter {}
    class Reaching extends InMemoryAdapter {
      override serverSideEmit(): void {}
    }
    const servers = [{ connectionStateRecovery: {} }, { adapter: Own }, { adapter: Reaching }].map(
      (options) => new Server(createServer(), options),
    )
    ends.push(...servers.map((io) => () => io.close()))
    expect(servers.map(isClusterAdapter)).toEqual([false, false, true])
  })
})

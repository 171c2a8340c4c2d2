import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import type { Store } from 'express-session'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster, createSentinel } from 'redis'
import { expect, it, vi } from 'vitest'
import { chooseDriver } from '../../../../src/store/drivers/choose.js'
import { toRedisClient } from '../../../../src/store/drivers/redis/client.js'
import type { CompareAndSetDriver } from '../../../../src/store/drivers/snapshot-driver.js'
import { freePort } from '../../../support/guarded.js'
import { startRedis, type TestRedis } from '../../../support/redis.js'
import { ioRedis, nodeRedis } from '../../../support/redis-clients.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { until } from '../../../support/wait.js'
import { methodsOf, newSid, snapshot } from '../fixture.js'
import { create, driverOf, RedisBench } from './memory.js'

await withService('Redis: the client', startRedis, (redis) => {
  const bench = new RedisBench(redis)

  it('that the store hides leads to the generic driver, and the hint says what to do', async () => {
    const { client } = await bench.connected(ioRedis)
    const store = new RedisStore8({ client })
    const { driver, hint } = chooseDriver(store, methodsOf(store))
    expect(driver.name).toBe('generic')
    expect(hint).toContain('{ redis: client }')
  })

  it.each([
    ['node-redis', nodeRedis, 'evalSha'],
    ['ioredis', ioRedis, 'evalsha'],
  ])('can be the store’s own object with the needed methods: %s', async (_name, kind, evalSha) => {
    const { client } = await bench.connected(kind)
    const store = new RedisStore8({ client, disableTouch: true })
    Object.assign(store.client, { eval: client.eval.bind(client), [evalSha]: client[evalSha].bind(client) })
    const driver = driverOf(store)
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    expect((await driver.write(sid, snapshot({ n: 2 }), current, 'extend')).written).toBe(true)
    expect(await driver.write(sid, snapshot({ n: 3 }), current, 'extend')).not.toHaveProperty('resent')
    expect(await driver.touch(sid, snapshot({}))).toBe(true)
    expect(await driver.touch(newSid(), snapshot({}))).toBe(false)
    await driver.destroy(sid)
    expect(await driver.read(sid)).toBeUndefined()
  })

  it('that does not tell whether it sends a write twice: what others have stored shows before it is sent, or the answer may be the second', async () => {
    const { client } = await bench.connected(ioRedis)
    const store = new RedisStore8({ client })
    let commits = 0
    let overtake = async (): Promise<void> => undefined
    const evalScript = async (script: string, ...args: never[]): Promise<unknown> => {
      if (script.includes("'SET'")) {
        commits++
        await overtake()
      }
      return (client.eval as (...args: unknown[]) => Promise<unknown>)(script, ...args)
    }
    const evalsha = async (): Promise<never> => Promise.reject(new Error('NOSCRIPT'))
    Object.assign(store.client, { eval: evalScript, evalsha })
    const driver = driverOf(store)
    const sid = newSid()
    const storeDirectly = (n: number): Promise<unknown> => bench.direct.command('SET', `sess:${sid}`, snapshot({ n }).toText())
    await storeDirectly(1)
    expect(await driver.write(sid, snapshot({ n: 2 }), undefined, 'exact')).toMatchObject({ current: { data: { n: 1 } } })
    expect(commits).toBe(0)
    const current = await driver.read(sid)
    overtake = async () => void (await storeDirectly(3))
    const refused = await driver.write(sid, snapshot({ n: 4 }), current, 'extend')
    expect(refused).toMatchObject({ current: { data: { n: 3 } }, resent: true })
    expect(commits).toBe(1)
  })

  it('of node-redis has no timer for each command while it is connected', async () => {
    const { client } = await bench.connected(nodeRedis)
    const driver = driverOf(new RedisStore({ client }))
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockClear()
    expect((await driver.write(sid, snapshot({ n: 2 }), current, 'extend')).written).toBe(true)
    expect((await driver.read(sid))?.data).toEqual({ n: 2 })
    expect(await driver.touch(sid, snapshot({}))).toBe(true)
    expect(timeout).not.toHaveBeenCalled()
  })

  it('of node-redis keeps the bound that the application has chosen', async () => {
    const client = createClient({ url: redis().url, commandOptions: { timeout: 1234 } })
    await client.connect()
    bench.ends(async () => client.destroy())
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockClear()
    await driverOf(new RedisStore({ client })).read(newSid())
    expect(timeout.mock.calls).toEqual([[1234]])
  })

  it('of node-redis keeps its bound while it is not connected', async () => {
    const client = createClient({ url: `redis://127.0.0.1:${await freePort()}`, socket: { reconnectStrategy: 10 } })
    client.on('error', () => undefined)
    client.connect().catch(() => undefined)
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockClear()
    const read = driverOf(new RedisStore({ client })).read(newSid())
    expect(timeout.mock.calls).toEqual([[5000]])
    client.destroy()
    await expect(read).rejects.toThrow()
  })

  it('of node-redis is called by the methods that the application has put over its own', async () => {
    const { client } = await bench.connected(nodeRedis)
    const driver = driverOf(new RedisStore({ client }))
    const get = vi.spyOn(client, 'get')
    const sid = newSid()
    await driver.read(sid)
    expect(get).toHaveBeenCalledWith(`sess:${sid}`)
  })

  it('of node-redis with a cache of its own is asked for what Redis holds', async () => {
    const proxy = await TcpProxy.start(redis().port)
    bench.ends(() => proxy.stop())
    const url = `redis://127.0.0.1:${proxy.port}`
    const client = createClient({ url, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } })
    await client.connect()
    bench.ends(async () => client.destroy())
    const driver = driverOf(new RedisStore({ client: client as never }))
    const sid = newSid()
    await create(driver, sid, snapshot({ n: 1 }))
    await driver.read(sid)
    const before = proxy.roundTrips
    for (let n = 0; n < 3; n++) expect((await driver.read(sid))?.data).toEqual({ n: 1 })
    expect(proxy.roundTrips - before).toBe(3)
    expect(driver.readMany).toBeUndefined()
    expect(await driver.read(newSid())).toBeUndefined()
  })

  it('of ioredis keeps its key prefix', async () => {
    const client = new Redis(redis().port, '127.0.0.1', { keyPrefix: 'app:' })
    bench.ends(async () => client.disconnect())
    const sid = newSid()
    await create(driverOf(new RedisStore8({ client }), client), sid, snapshot({ n: 1 }))
    expect(await bench.direct.command('EXISTS', `app:sess:${sid}`)).toBe(1)
  })
})

await withService('a Redis cluster', startCluster, (redis) => {
  const bench = new RedisBench(redis)

  it('is written through node-redis', async () => {
    const cluster = createCluster({ rootNodes: [{ url: redis().url }] })
    cluster.on('error', () => undefined)
    await cluster.connect()
    bench.ends(async () => cluster.destroy())
    await write(driverOf(new RedisStore({ client: cluster })))
  })

  it('is written through ioredis', async () => {
    const cluster = new Cluster([{ host: '127.0.0.1', port: redis().port }])
    bench.ends(async () => cluster.disconnect())
    await write(driverOf(new RedisStore8({ client: cluster }), cluster))
  })

  async function write(driver: CompareAndSetDriver): Promise<void> {
    for (let n = 0; n < 5; n++) {
      const sid = newSid()
      const current = await create(driver, sid, snapshot({ n }))
      expect((await driver.write(sid, snapshot({ n: n + 1 }), current, 'extend')).written).toBe(true)
      // Refused at the first time: nothing was lost on the way that could have been sent again.
      expect(await driver.write(sid, snapshot({ n }), current, 'extend')).not.toHaveProperty('resent')
      expect(await driver.touch(sid, snapshot({}))).toBe(true)
      await driver.destroy(sid)
      expect(await driver.read(sid)).toBeUndefined()
    }
  }
})

await withService('a Redis cluster with a replica', startWithReplica, (redis) => {
  const bench = new RedisBench(redis)

  it.each<[string, () => Promise<any>]>([
    [
      'node-redis',
      async () => {
        const cluster = createCluster({ rootNodes: [{ url: redis().url }], useReplicas: true })
        cluster.on('error', () => undefined)
        await cluster.connect()
        bench.ends(async () => cluster.destroy())
        return cluster
      },
    ],
    [
      'ioredis',
      async () => {
        const cluster = new Cluster([{ host: '127.0.0.1', port: redis().port }], { scaleReads: 'slave', lazyConnect: true })
        await cluster.connect()
        bench.ends(async () => cluster.disconnect())
        return cluster
      },
    ],
  ])('whose client reads from replicas: sessions are read from the master, as a replica is late: %s', async (_name, open) => {
    const client = await open()
    const replica = await bench.connected(nodeRedis, redis().replica.port)
    const calls = async (): Promise<number> => {
      const statistics = String(await replica.command('INFO', 'commandstats'))
      return [...statistics.matchAll(/cmdstat_(?:get|exists|eval|evalsha):calls=(\d+)/g)].reduce(
        (sum, [, n]) => sum + Number(n),
        0,
      )
    }
    const before = await calls()
    // A cluster asks one of all nodes that have the key.
    await until(async () => {
      await client.get('x')
      return (await calls()) > before
    })
    const sid = newSid()
    const settled = await calls()
    for (const disableTouch of [false, true]) {
      const driver = driverOf(new RedisStore8({ client, disableTouch }), client)
      const current = (await driver.read(sid)) ?? (await create(driver, sid, snapshot({ n: 1 })))
      for (let n = 0; n < 20; n++) expect((await driver.read(sid))?.data).toEqual(current.data)
      expect(await driver.touch(sid, snapshot({}))).toBe(true)
    }
    expect(await calls()).toBe(settled)
  })
})

async function startWithReplica(): Promise<TestRedis & { replica: TestRedis }> {
  const master = await startCluster()
  const replica = await startNode()
  const { command, end } = await nodeRedis(replica.port)
  const of = await nodeRedis(master.port)
  await command('CLUSTER', 'MEET', '127.0.0.1', String(master.port), master.bus)
  const id = await of.command('CLUSTER', 'MYID')
  await until(async () => String(await command('CLUSTER', 'NODES')).includes(id))
  await command('CLUSTER', 'REPLICATE', id)
  await until(async () => String(await command('INFO', 'replication')).includes('master_link_status:up'))
  await until(async () => String(await of.command('CLUSTER', 'SLOTS')).includes(String(replica.port)))
  await end()
  await of.end()
  const stop = async (): Promise<void> => {
    await replica.stop()
    await master.stop()
  }
  return { ...master, replica, stop }
}

async function startNode(): Promise<TestRedis & { bus: string }> {
  const bus = String(await freePort())
  const redis = await startRedis(['--cluster-enabled', 'yes', '--cluster-port', bus, '--cluster-announce-ip', '127.0.0.1'])
  return { ...redis, bus }
}

async function startCluster(): Promise<TestRedis & { bus: string }> {
  const redis = await startNode()
  const { command, end } = await nodeRedis(redis.port)
  await command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  while (!String(await command('CLUSTER', 'INFO')).includes('cluster_state:ok'));
  await end()
  return redis
}

it.each([
  ['node-redis before 3, which cannot be duplicated', { evalsha: () => true, internal_send_command: () => true }],
  ['an imitation of node-redis 4 in legacy mode', { evalSha: () => undefined, options: { legacyMode: true } }],
])('a Redis client without promises leads to the generic driver: %s', (_name, members) => {
  const client = { get: () => true, del: () => true, expire: () => true, eval: () => true, ...members }
  const store = Object.assign(new RedisStore({ client: {} }), { client }) as Store
  expect(chooseDriver(store, methodsOf(store))).toMatchObject({ driver: { name: 'generic' }, hint: expect.any(String) })
})

it('a sentinel of node-redis sends again what was on its way to a master that failed, and may read from replicas', () => {
  const client = toRedisClient(createSentinel({ name: 'master', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }))
  expect([client?.connection(), client?.readsElsewhere()]).toEqual([undefined, true])
  const single = toRedisClient(createClient())
  expect([single?.connection(), single?.readsElsewhere()]).toEqual([expect.any(String), false])
})

it('an unexpected reply of a Redis client is an error, not a missing session', async () => {
  const silent = (): undefined => undefined
  const driver = driverOf(new RedisStore({ client: { get: silent, del: silent, expire: silent, eval: silent, evalSha: silent } }))
  await expect(driver.read('x')).rejects.toThrow('promises')
  await expect(driver.write('x', snapshot({}), undefined, 'extend')).rejects.toThrow('promises')
})

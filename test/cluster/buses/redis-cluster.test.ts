import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { Cluster } from 'ioredis'
import { createCluster } from 'redis'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { tab } from '../../support/live.js'
import { startRedis, type TestRedis } from '../../support/redis.js'
import { nodeRedis } from '../../support/redis-clients.js'
import { withService } from '../../support/service.js'
import { sidOf } from '../../support/sid.js'
import { next, until } from '../../support/wait.js'

const shared = { revalidate: false as const, touch: false }

const ends: (() => unknown)[] = []

afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0)) await end()
})

async function onNodeRedis({ url }: TestRedis): Promise<App> {
  const client = createCluster({ rootNodes: [{ url }] })
  client.on('error', () => undefined)
  await client.connect()
  ends.push(() => client.destroy())
  return startApp({ store: new RedisStore({ client: client as never }), shared })
}

async function onIoRedis({ port }: TestRedis): Promise<App> {
  const client = new Cluster([{ host: '127.0.0.1', port }], { lazyConnect: true })
  client.on('error', () => undefined)
  await client.connect()
  ends.push(() => client.disconnect())
  return startApp({ store: new RedisStore8({ client }), shared: { ...shared, redis: client } })
}

/** As ioredis 4, which does not know sharded pub/sub. @param missing what else its clusters lack */
const onIoRedis4 =
  (missing: object) =>
  async ({ port }: TestRedis): Promise<App> => {
    const without = { ssubscribe: undefined, sunsubscribe: undefined }
    const client = new Cluster([{ host: '127.0.0.1', port }], { lazyConnect: true })
    Object.assign(client, without, missing)
    client.on('error', () => undefined)
    await client.connect()
    for (const node of client.nodes()) {
      const duplicate = node.duplicate.bind(node)
      node.duplicate = (options) => Object.assign(duplicate(options), without)
    }
    ends.push(() => client.disconnect())
    return startApp({ store: new RedisStore8({ client }), shared: { ...shared, redis: client } })
  }

/** The visitor of one node, with a socket on the other. */
async function onBoth(one: App, other: App) {
  const browser = one.browser()
  await browser.get('/set?user=ada')
  const { socket } = await tab(other, Object.assign(other.browser(), { cookie: browser.cookie }) as Browser)
  return { browser, socket }
}

const startNode = (settings: string[] = []): Promise<TestRedis> =>
  startRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', ...settings])

/** As before Redis 7. */
const startOldNode = (): Promise<TestRedis> =>
  startNode(['SSUBSCRIBE', 'SUNSUBSCRIBE', 'SPUBLISH'].flatMap((name) => ['--rename-command', name, '']))

async function takeAllSlots({ port }: TestRedis): Promise<void> {
  const { command, end } = await nodeRedis(port)
  await command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until(() => isReady(command))
  await end()
}

type Command = (...args: string[]) => Promise<any>

const isReady = async (command: Command): Promise<boolean> => (await command('CLUSTER', 'INFO')).includes('cluster_state:ok')

await withService('Redis Cluster', startNode, (redis) => {
  beforeAll(() => takeAllSlots(redis()))

  describe.each([
    ['node-redis and ioredis', onNodeRedis, onIoRedis],
    ['ioredis and node-redis', onIoRedis, onNodeRedis],
  ])('%s', (_, open, openOther) => {
    it('notify each other by sharded pub/sub, in the hash slot of the session', async () => {
      const { browser, socket } = await onBoth(await open(redis()), await openOther(redis()))
      const { command, end } = await nodeRedis(redis().port)
      ends.push(end)
      const channels = await command('PUBSUB', 'SHARDCHANNELS', 'sharedsession:*')
      expect(channels).toHaveLength(1)
      const slots = [
        await command('CLUSTER', 'KEYSLOT', channels[0]),
        await command('CLUSTER', 'KEYSLOT', `sess:${sidOf(browser)}`),
      ]
      expect(slots[0]).toBe(slots[1])
      const heard = next(socket, 'session:changed')
      await browser.get('/set?theme=dark')
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
      const ended = next(socket, 'session:destroyed')
      await browser.get('/destroy')
      expect(await ended).toEqual({ reason: 'destroyed' })
    })
  })
})

await withService('Redis Cluster, by ioredis 4', startNode, (redis) => {
  beforeAll(() => takeAllSlots(redis()))

  it.each([
    ['the latest', {}],
    ['an early one, whose clusters are not named so', { isCluster: undefined }],
  ])('plain messages notify: %s', async (_name, missing) => {
    const open = onIoRedis4(missing)
    const { browser, socket } = await onBoth(await open(redis()), await open(redis()))
    const heard = next(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
    const ended = next(socket, 'session:destroyed')
    await browser.get('/destroy')
    expect(await ended).toEqual({ reason: 'destroyed' })
  })
})

await withService('A single Redis beside a cluster', startBoth, (servers) => {
  beforeAll(() => takeAllSlots(servers().cluster))

  const single = async () => {
    const { client, command, end } = await nodeRedis(servers().single.port)
    ends.push(end)
    return { client, command }
  }
  const cluster = async () => {
    const client = createCluster({ rootNodes: [{ url: servers().cluster.url }] })
    client.on('error', () => undefined)
    await client.connect()
    ends.push(() => client.destroy())
    const { command, end } = await nodeRedis(servers().cluster.port)
    ends.push(end)
    return { client, command }
  }

  it.each([
    ['a cluster', single, cluster],
    ['a single one', cluster, single],
  ])('a store whose client is replaced by one of %s: live sessions have their messages', async (_name, from, to) => {
    const [before, after] = [await from(), await to()]
    const store = new RedisStore({ client: before.client as never })
    const app = await startApp({ store, shared })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { socket } = await tab(app, browser)
    const key = `sess:${sidOf(browser)}`
    await after.command('SET', key, await before.command('GET', key))
    const subscribed = async (command: Command): Promise<string[]> => [
      ...(await command('PUBSUB', 'CHANNELS')),
      ...(await command('PUBSUB', 'SHARDCHANNELS')),
    ]
    expect(await subscribed(before.command)).toHaveLength(1)
    Object.assign(store, { client: after.client })
    // The next call of the store shows that it is another one.
    await app.browser().get('/set?somebody=else')
    await until(async () => (await subscribed(after.command)).length === 1)
    const other = await startApp({ store: new RedisStore({ client: after.client as never }), shared })
    const elsewhere = Object.assign(other.browser(), { cookie: browser.cookie })
    // The first one may be in the read that follows on the replacement.
    for (const theme of ['dark', 'light']) {
      const heard = next(socket, 'session:changed')
      await elsewhere.get(`/set?theme=${theme}`)
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
    }
    await until(async () => (await subscribed(before.command)).length === 0)
  })
})

async function startBoth(): Promise<{ single: TestRedis; cluster: TestRedis; stop(): Promise<void> }> {
  const [single, cluster] = [await startRedis(), await startNode()]
  const stop = async (): Promise<void> => {
    await single.stop()
    await cluster.stop()
  }
  return { single, cluster, stop }
}

await withService('Redis Cluster without sharded pub/sub', startOldNode, (redis) => {
  beforeAll(() => takeAllSlots(redis()))

  it.each([
    ['node-redis', onNodeRedis, onIoRedis],
    ['ioredis', onIoRedis, onNodeRedis],
  ])('plain messages notify %s', async (_name, open, openOther) => {
    const { browser, socket } = await onBoth(await openOther(redis()), await open(redis()))
    const { command, end } = await nodeRedis(redis().port)
    ends.push(end)
    await until(async () => (await command('PUBSUB', 'CHANNELS', 'sharedsession:*')).length === 1)
    for (const theme of ['dark', 'light']) {
      const heard = next(socket, 'session:changed')
      await browser.get(`/set?theme=${theme}`)
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
    }
    const ended = next(socket, 'session:destroyed')
    await browser.get('/destroy')
    expect(await ended).toEqual({ reason: 'destroyed' })
    await until(async () => (await command('PUBSUB', 'CHANNELS', 'sharedsession:*')).length === 0)
  })
})

/** Two masters, each with half of the slots. */
async function startTwo(): Promise<{ nodes: [TestRedis, TestRedis]; stop(): Promise<void> }> {
  const nodes: [TestRedis, TestRedis] = [await startNode(), await startNode()]
  return {
    nodes,
    async stop() {
      for (const node of nodes) await node.stop()
    },
  }
}

await withService('Redis Cluster of two', startTwo, (cluster) => {
  let commands: [Command, Command]

  beforeAll(async () => {
    const [one, other] = [await nodeRedis(cluster().nodes[0].port), await nodeRedis(cluster().nodes[1].port)]
    commands = [one.command, other.command]
    await one.command('CLUSTER', 'ADDSLOTSRANGE', '0', '8191')
    await other.command('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383')
    await other.command('CLUSTER', 'SET-CONFIG-EPOCH', '2')
    await one.command('CLUSTER', 'MEET', '127.0.0.1', String(cluster().nodes[1].port))
    for (const command of commands) await until(() => isReady(command))
    return async () => {
      await one.end()
      await other.end()
    }
  })

  /** Gives the slot of a key to the other node. @returns a command of that node */
  async function move(key: string): Promise<Command> {
    const slot = String(await commands[0]('CLUSTER', 'KEYSLOT', key))
    const isOnFirst = (await commands[0]('CLUSTER', 'COUNTKEYSINSLOT', slot)) > 0
    const [from, to] = isOnFirst ? commands : [commands[1], commands[0]]
    const { port } = cluster().nodes[isOnFirst ? 1 : 0]
    const [idOfFrom, idOfTo] = [await from('CLUSTER', 'MYID'), await to('CLUSTER', 'MYID')]
    await to('CLUSTER', 'SETSLOT', slot, 'IMPORTING', idOfFrom)
    await from('CLUSTER', 'SETSLOT', slot, 'MIGRATING', idOfTo)
    await from('MIGRATE', '127.0.0.1', String(port), key, '0', '5000')
    await to('CLUSTER', 'SETSLOT', slot, 'NODE', idOfTo)
    await from('CLUSTER', 'SETSLOT', slot, 'NODE', idOfTo)
    return to
  }

  it.each([
    ['node-redis', onNodeRedis, onIoRedis],
    ['ioredis', onIoRedis, onNodeRedis],
  ])('a session whose slot has moved is notified of by its new node: %s', async (_name, open, openOther) => {
    const { browser, socket } = await onBoth(await openOther(cluster().nodes[0]), await open(cluster().nodes[0]))
    const command = await move(`sess:${sidOf(browser)}`)
    await until(async () => (await command('PUBSUB', 'SHARDCHANNELS', 'sharedsession:*')).length === 1)
    for (const theme of ['dark', 'light']) {
      const heard = next(socket, 'session:changed')
      await browser.get(`/set?theme=${theme}`)
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
    }
  })
})

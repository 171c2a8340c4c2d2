import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { Cluster } from 'ioredis'
import { createCluster } from 'redis'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { tab } from '../../support/live.js'
import { startRedis } from '../../support/redis.js'
import { nodeRedis } from '../../support/redis-clients.js'
import { withService } from '../../support/service.js'
import { sidOf } from '../../support/sid.js'
import { next, until } from '../../support/wait.js'

const shared = { revalidate: false as const, touch: false }

await withService(
  'Redis Cluster',
  () => startRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']),
  (redis) => {
    const ends: (() => unknown)[] = []

    beforeAll(async () => {
      const { command, end } = await nodeRedis(redis().port)
      await command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      await until(async () => (await command('CLUSTER', 'INFO')).includes('cluster_state:ok'))
      await end()
    })

    afterEach(async () => {
      await closeApps()
      for (const end of ends.splice(0)) await end()
    })

    async function onNodeRedis(): Promise<App> {
      const client = createCluster({ rootNodes: [{ url: redis().url }] })
      client.on('error', () => undefined)
      await client.connect()
      ends.push(() => client.destroy())
      return startApp({ store: new RedisStore({ client: client as never }), shared })
    }

    async function onIoRedis(): Promise<App> {
      const client = new Cluster([{ host: '127.0.0.1', port: redis().port }], { lazyConnect: true })
      client.on('error', () => undefined)
      await client.connect()
      ends.push(() => client.disconnect())
      return startApp({ store: new RedisStore8({ client }), shared: { ...shared, redis: client } })
    }

    describe.each([
      ['node-redis and ioredis', onNodeRedis, onIoRedis],
      ['ioredis and node-redis', onIoRedis, onNodeRedis],
    ])('%s', (_, open, openOther) => {
      it('notify each other by sharded pub/sub, in the hash slot of the session', async () => {
        const [one, two] = [await open(), await openOther()]
        const browser = one.browser()
        await browser.get('/set?user=ada')
        const { socket } = await tab(two, Object.assign(two.browser(), { cookie: browser.cookie }) as Browser)
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
  },
)

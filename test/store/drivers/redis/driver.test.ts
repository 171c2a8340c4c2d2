import { RedisStore } from 'connect-redis'
import connectRedis4 from 'connect-redis4'
import connectRedis5 from 'connect-redis5'
import connectRedis6 from 'connect-redis6'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import expressSession, { type Store } from 'express-session'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DriverNetwork } from '../../../../src/driver-testing/index.js'
import { RedisDriver } from '../../../../src/store/drivers/redis/driver.js'
import { RedisSettings } from '../../../../src/store/drivers/redis/settings.js'
import { RedisStore10 } from '../../../support/connect-redis10.js'
import { isWrite, networkOf } from '../../../support/driver-network.js'
import { startRedis } from '../../../support/redis.js'
import { ioRedis, nodeRedis, nodeRedis3, type TestClient } from '../../../support/redis-clients.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { checked, comparing, type Fixture, methodsOf, plainDriver } from '../fixture.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'

type Kind = [string, (port: number) => Promise<TestClient>, (client: any) => Store, lent: boolean]

function redisStore10(Class: typeof RedisStore): Kind {
  return ['connect-redis 10, node-redis', nodeRedis, (client) => new Class({ client }), false]
}

const KINDS: Kind[] = [
  ['connect-redis 9, node-redis', nodeRedis, (client) => new RedisStore({ client }), false],
  ...(RedisStore10 ? [redisStore10(RedisStore10)] : []),
  ['connect-redis 8, node-redis', nodeRedis, (client) => new RedisStore8({ client }), true],
  ['connect-redis 8, ioredis', ioRedis, (client) => new RedisStore8({ client }), true],
  ['connect-redis 6, node-redis 3', nodeRedis3, (client) => new (connectRedis6(expressSession))({ client }), false],
  ['connect-redis 5, node-redis 3', nodeRedis3, (client) => new (connectRedis5(expressSession))({ client }), false],
  ['connect-redis 4, node-redis 3', nodeRedis3, (client) => new (connectRedis4(expressSession))({ client }), false],
]

/** ioredis and node-redis 3 keep commands until they can connect, and send them then. During an outage they are to fail instead. */
function networkTo(proxy: TcpProxy, { client }: TestClient): DriverNetwork {
  const { options } = client
  const network = networkOf(proxy, isWrite)
  return {
    ...network,
    down() {
      options.enableOfflineQueue = false
      options.commandTimeout = 50
      client.enable_offline_queue = false
      network.down()
    },
    up() {
      options.enableOfflineQueue = true
      options.commandTimeout = undefined
      client.enable_offline_queue = true
      network.up()
    },
  }
}

await withService('Redis', startRedis, (redis) => {
  describe.each(KINDS)('%s', (_name, connect, makeStore, hidden) => {
    let proxy: TcpProxy
    let client: TestClient
    let direct: TestClient
    let fixture: Fixture

    beforeAll(async () => {
      proxy = await TcpProxy.start(redis().port)
      client = await connect(proxy.port)
      direct = await connect(redis().port)
      const store = makeStore(client.client)
      fixture = {
        driver: comparing(store, hidden ? client.client : undefined),
        store,
        roundTrips: () => proxy.roundTrips,
        async left(sid) {
          const ms = Number(await client.command('PTTL', `sess:${sid}`))
          return ms === -1 ? Number.POSITIVE_INFINITY : ms
        },
      }
    })

    afterAll(async () => {
      await client?.end()
      await direct?.end()
      await proxy?.stop()
    })

    it('is driven by redis', () => {
      expect(fixture.driver).toMatchObject({ name: 'redis', compares: true })
    })

    conformance(() => fixture)

    publicCases(() => {
      const { store } = fixture
      const driverOf = (its: Store, client: unknown) =>
        new RedisDriver(RedisSettings.of(its, hidden ? client : undefined)!, methodsOf(its))
      const second = driverOf(makeStore(direct.client), direct.client)
      return { ...fixture, driver: driverOf(store, client.client), second, network: networkTo(proxy, client) }
    }, WITH_SERVER)
  })

  describe('connect-redis 8 that hides its client', () => {
    let fixture: Fixture

    beforeAll(async () => {
      const { client, command, end } = await ioRedis(redis().port)
      const store = new RedisStore8({ client })
      const left = async (sid: string): Promise<number> => Number(await command('PTTL', `sess:${sid}`))
      const plain = plainDriver(store)
      fixture = { driver: checked(plain), plain, store, left }
      return end
    })

    it('is driven by generic', () => {
      expect(fixture.plain).toMatchObject({ name: 'generic', compares: false })
    })

    conformance(() => fixture)
  })
})

import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import type { Store } from 'express-session'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DriverNetwork } from '../../../../src/driver-testing/index.js'
import { RedisDriver } from '../../../../src/store/drivers/redis/driver.js'
import { RedisSettings } from '../../../../src/store/drivers/redis/settings.js'
import { RedisStore10 } from '../../../support/connect-redis10.js'
import { isWrite, networkOf } from '../../../support/driver-network.js'
import { startRedis } from '../../../support/redis.js'
import { ioRedis, nodeRedis, type TestClient } from '../../../support/redis-clients.js'
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
]

/** ioredis sends a command again for as long as it can connect. During an outage it is to fail. */
function networkTo(proxy: TcpProxy, { client: { options } }: TestClient): DriverNetwork {
  const network = networkOf(proxy, isWrite)
  return {
    ...network,
    down() {
      options.commandTimeout = 50
      network.down()
    },
    up() {
      options.commandTimeout = undefined
      network.up()
    },
  }
}

await withService('Redis', startRedis, (redis) => {
  describe.each(KINDS)('%s', (_name, connect, makeStore, hidden) => {
    let proxy: TcpProxy
    let client: TestClient
    let fixture: Fixture

    beforeAll(async () => {
      proxy = await TcpProxy.start(redis().port)
      client = await connect(proxy.port)
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
      await proxy?.stop()
    })

    it('is driven by redis', () => {
      expect(fixture.driver).toMatchObject({ name: 'redis', compares: true })
    })

    conformance(() => fixture)

    publicCases(() => {
      const { store } = fixture
      const settings = RedisSettings.of(store, hidden ? client.client : undefined)!
      return { ...fixture, driver: new RedisDriver(settings, methodsOf(store)), network: networkTo(proxy, client) }
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

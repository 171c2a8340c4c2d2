import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { expect, it } from 'vitest'
import { startRedis } from '../../../support/redis.js'
import { ioRedis, nodeRedis } from '../../../support/redis-clients.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { newSid, snapshot } from '../fixture.js'
import { create, driverOf, RedisBench } from './memory.js'

await withService('Redis: the traffic of a write', startRedis, (redis) => {
  const bench = new RedisBench(redis)

  it('is one round trip, also for the first write of all', async () => {
    const proxy = await TcpProxy.start(redis().port)
    bench.ends(() => proxy.stop())
    const { client } = await bench.connected(nodeRedis, proxy.port)
    const driver = driverOf(new RedisStore({ client }))
    const before = proxy.roundTrips
    await create(driver, newSid(), snapshot({ n: 1 }))
    await create(driver, newSid(), snapshot({ n: 1 }))
    expect(proxy.roundTrips - before).toBe(2)
  })

  it('is the new content once, and a digest of the old one', async () => {
    const driver = await bench.driverWith()
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ old: 'x'.repeat(100_000) }))
    const before = await bytesIn()
    await driver.write(sid, snapshot({ new: 'y'.repeat(1000) }), current, 'extend')
    expect((await bytesIn()) - before).toBeLessThan(3000)
  })

  async function bytesIn(): Promise<number> {
    return Number(/total_net_input_bytes:(\d+)/.exec(String(await bench.direct.command('INFO', 'stats')))![1])
  }

  it.each([
    ['node-redis', nodeRedis],
    ['ioredis', ioRedis],
  ])('sends the script again when Redis has forgotten it: %s', async (_name, kind) => {
    const { client } = await bench.connected(kind)
    const driver = driverOf(new RedisStore8({ client }), client)
    const sid = newSid()
    let { current } = await driver.write(sid, snapshot({ n: 0 }), undefined, 'extend')
    for (let n = 1; n <= 3; n++) {
      await bench.direct.command('SCRIPT', 'FLUSH')
      const result = await driver.write(sid, snapshot({ n }), current, 'extend')
      expect(result.written).toBe(true)
      current = result.current
    }
  })
})

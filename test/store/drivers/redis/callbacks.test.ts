import { RedisStore } from 'connect-redis'
import type { Store } from 'express-session'
import { describe, expect, it } from 'vitest'
import { legacyRedis } from '../../../support/legacy-redis.js'
import { startRedis } from '../../../support/redis.js'
import { nodeRedis3 } from '../../../support/redis-clients.js'
import { withService } from '../../../support/service.js'
import { until } from '../../../support/wait.js'
import { aged, HOUR, newSid, snapshot } from '../fixture.js'
import { create, driverOf, RedisBench } from './memory.js'

await withService('Redis: clients that call back, as connect-redis 4 to 6 wants them', startRedis, (redis) => {
  const bench = new RedisBench(redis)

  describe.each([
    ['node-redis 3', async (port: number) => (await nodeRedis3(port)).client],
    ['node-redis 4 in legacy mode', legacyRedis],
  ])('%s', (_name, connect) => {
    async function open() {
      const client = await connect(redis().port)
      bench.ends(() => client.end(true))
      return driverOf(Object.assign(new RedisStore({ client: {} }), { client }) as Store)
    }

    it('compares and sets, touches, destroys', async () => {
      const driver = await open()
      const sid = newSid()
      const first = await create(driver, sid, snapshot({ n: 1 }))
      expect((await driver.write(sid, snapshot({ n: 2 }), first, 'extend')).written).toBe(true)
      const refused = await driver.write(sid, snapshot({ n: 3 }), first, 'extend')
      expect(refused).toMatchObject({ written: false, current: { data: { n: 2 } } })
      expect(refused).not.toHaveProperty('resent')
      expect(await driver.touch(sid, snapshot({}, aged(2 * HOUR)))).toBe(true)
      expect(await bench.left(`sess:${sid}`)).toBeGreaterThan(1.5 * HOUR)
      expect((await driver.readMany!([newSid(), sid])).map((found) => found?.data)).toEqual([undefined, { n: 2 }])
      await driver.destroy(sid)
      expect(await driver.read(sid)).toBeUndefined()
    })

    it('subscribes on a connection of its own, and publishes with the write', async () => {
      const [driver, other] = [await open(), await open()]
      const bus = other.bus!()!
      bench.ends(() => bus.close())
      const heard: string[] = []
      bus.start({ heard: (topic, text) => void heard.push(topic, text), gap: () => undefined })
      const sid = newSid()
      const topic = driver.topic!(sid)!
      await bus.subscribe(topic)
      await driver.write(sid, snapshot({ n: 1 }), undefined, 'exact', { topic, text: 'created' })
      await until(() => heard.length > 0)
      expect(heard).toEqual([topic, 'created'])
    })
  })
})

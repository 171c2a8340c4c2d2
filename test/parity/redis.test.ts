import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { afterAll, beforeAll, describe } from 'vitest'
import { startRedis } from '../support/redis.js'
import { ioRedis, nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import type { Opened } from './harness.js'
import { withoutRecord } from './memory.js'
import { describeSessions } from './sessions.js'

await withService('Redis', startRedis, (redis) => {
  describe.each([
    ['connect-redis 9 on node-redis', RedisStore, nodeRedis],
    // It hides its client, so that it is written as any store is.
    ['connect-redis 8 on ioredis', RedisStore8, ioRedis],
  ])('%s', (_, Store, connect) => {
    let redisClient: TestClient

    beforeAll(async () => {
      redisClient = await connect(redis().port)
    })
    afterAll(() => redisClient.end())

    describeSessions(async (): Promise<Opened> => {
      const { client, command } = redisClient
      await command('FLUSHALL')
      const beside = new Store({ client })
      return {
        store: new Store({ client }),
        held: async (sid) => withoutRecord(JSON.parse((await command('GET', `sess:${sid}`)) ?? 'null')),
        put: (sid, session) => new Promise((done) => beside.set(sid, session as never, done)),
        left: (sid) => command('PTTL', `sess:${sid}`),
      }
    })
  })
})

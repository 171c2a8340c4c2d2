import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { RedisStore10 } from '../support/connect-redis10.js'
import { startRedis } from '../support/redis.js'
import { ioRedis, nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { type Opened, promises } from './harness.js'
import { withoutRecord } from './memory.js'
import { describeSessions } from './sessions.js'

await withService('Redis', startRedis, (redis) => {
  describe.each([
    ['connect-redis 9 on node-redis', RedisStore, nodeRedis],
    ...(RedisStore10
      ? [['connect-redis 10 on node-redis', RedisStore10, nodeRedis] as [string, typeof RedisStore, typeof nodeRedis]]
      : []),
    // It hides its client, so that it is written as any store is.
    ['connect-redis 8 on ioredis', RedisStore8, ioRedis],
  ])('%s', (_, Store, connect) => {
    let redisClient: TestClient

    beforeAll(async () => {
      redisClient = await connect(redis().port)
    })
    afterAll(() => redisClient.end())

    async function open(options = {}): Promise<Opened> {
      const { client, command } = redisClient
      await command('FLUSHALL')
      const beside = new Store({ client })
      return {
        store: new Store({ client, ...options }),
        held: async (sid) => withoutRecord(JSON.parse((await command('GET', `sess:${sid}`)) ?? 'null')),
        put: (sid, session) => new Promise((done) => beside.set(sid, session as never, done)),
        left: (sid) => command('PTTL', `sess:${sid}`),
      }
    }

    describeSessions(open)

    const untouched = (): Promise<Opened> => open({ disableTouch: true })
    promises('resave: true keeps a session alive with disableTouch', untouched, { session: { resave: true } }, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      await redisClient.command('PEXPIRE', `sess:${visitor.sid}`, '60000')
      expect((await visitor.ask('/show')).body.user).toBe('ada')
      expect(await site.left(visitor.sid)).toBeGreaterThan(23 * 3_600_000)
    })

    promises('resave: false leaves it alone with disableTouch', untouched, {}, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      await redisClient.command('PEXPIRE', `sess:${visitor.sid}`, '60000')
      expect((await visitor.ask('/show')).body.user).toBe('ada')
      expect(await site.left(visitor.sid)).toBeLessThanOrEqual(60_000)
    })

    promises('store.all() gives what express-session stored', open, {}, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      const all = await new Promise((done) => site.store.all?.((_error, sessions) => done(sessions)))
      expect(all).toEqual([{ ...(await site.held(visitor.sid)), id: visitor.sid }])
    })
  })
})

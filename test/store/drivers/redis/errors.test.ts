import { inspect } from 'node:util'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { expect, it } from 'vitest'
import { failure } from '../../../support/live.js'
import { startRedis } from '../../../support/redis.js'
import { ioRedis, nodeRedis, nodeRedis3 } from '../../../support/redis-clients.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { content, newSid, snapshot } from '../fixture.js'
import { create, driverOf, RedisBench } from './memory.js'

await withService('Redis: errors', startRedis, (redis) => {
  const bench = new RedisBench(redis)

  it('are passed on for a key that is not a string', async () => {
    const driver = await bench.driverWith()
    const sid = newSid()
    await bench.direct.command('HSET', `sess:${sid}`, 'a', '1')
    await expect(driver.write(sid, snapshot({}), undefined, 'extend')).rejects.toThrow('WRONGTYPE')
    await expect(driver.read(sid)).rejects.toThrow('WRONGTYPE')
  })

  it.each([
    ['node-redis', nodeRedis],
    ['ioredis', ioRedis],
  ])('are passed on when Redis is out of memory, and the old content stays: %s', async (_name, kind) => {
    const { client } = await bench.connected(kind)
    const driver = driverOf(new RedisStore8({ client }), client)
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    await bench.direct.command('CONFIG', 'SET', 'maxmemory', '1')
    try {
      await expect(driver.write(sid, snapshot({ n: 2 }), current, 'extend')).rejects.toThrow('OOM')
      expect(content(await driver.read(sid))).toEqual(content(current))
      expect(await driver.touch(sid, snapshot({}))).toBe(true)
    } finally {
      await bench.direct.command('CONFIG', 'SET', 'maxmemory', '0')
    }
    expect((await driver.write(sid, snapshot({ n: 2 }), current, 'extend')).written).toBe(true)
  })

  it.each([
    ['node-redis', nodeRedis],
    ['ioredis', ioRedis],
    ['node-redis 3', nodeRedis3],
  ])('show neither an id nor what is in a session: %s', async (_name, kind) => {
    const { client } = await bench.connected(kind)
    const driver = driverOf(new RedisStore8({ client }), client)
    const [sid, other] = [newSid(), newSid()]
    const current = await create(driver, sid, snapshot({ n: 1 }))
    await bench.direct.command('HSET', `sess:${other}`, 'a', '1')
    const errors = [await failure(driver.read(other))]
    await bench.direct.command('CONFIG', 'SET', 'maxmemory', '1')
    try {
      errors.push(await failure(driver.write(sid, snapshot({ password: 'secret' }), current, 'extend')))
      errors.push(await failure(driver.write(newSid(), snapshot({ password: 'secret' }), undefined, 'exact')))
    } finally {
      await bench.direct.command('CONFIG', 'SET', 'maxmemory', '0')
    }
    await bench.direct.command('ACL', 'SETUSER', 'default', '-expire', '-exists', '-del')
    try {
      errors.push(await failure(driver.touch(sid, snapshot({}))))
      errors.push(await failure(driver.destroy(sid)))
    } finally {
      await bench.direct.command('ACL', 'SETUSER', 'default', '+expire', '+exists', '+del')
    }
    for (const error of errors) {
      const shown = inspect(error, { depth: 9, showHidden: true })
      expect(error).toBeInstanceOf(Error)
      expect(shown).not.toMatch(/secret|sess:/)
      expect(shown).not.toContain(sid)
    }
  })

  it('are passed on when scripts are forbidden', async () => {
    const driver = await bench.driverWith()
    await bench.direct.command('ACL', 'SETUSER', 'default', '-eval', '-evalsha')
    try {
      await expect(driver.write(newSid(), snapshot({}), undefined, 'extend')).rejects.toThrow('NOPERM')
    } finally {
      await bench.direct.command('ACL', 'SETUSER', 'default', '+eval', '+evalsha')
    }
  })

  it.each([
    ['node-redis', 'request', nodeRedis],
    ['node-redis', 'answer', nodeRedis],
    ['ioredis', 'request', (port: number) => ioRedis(port, { maxRetriesPerRequest: 0 })],
    ['ioredis', 'answer', (port: number) => ioRedis(port, { maxRetriesPerRequest: 0 })],
  ] as const)('are passed on when the connection is lost: %s, before the %s', async (_name, before, kind) => {
    const { driver, current, sid } = await cutAt(before, kind)
    await expect(driver.write(sid, snapshot({ n: 2 }), current, 'extend')).rejects.toThrow()
    expect((await bench.direct.client.get(`sess:${sid}`)) as string).toContain(before === 'request' ? '"n":1' : '"n":2')
  })

  it('of a lost answer are hidden by ioredis, which sends again: the second write is refused with what the first one wrote', async () => {
    const { driver, current, sid } = await cutAt('answer', ioRedis)
    const result = await driver.write(sid, snapshot({ n: 2 }), current, 'extend')
    expect(result).toMatchObject({ written: false, current: { data: { n: 2 } } })
  })

  async function cutAt(before: 'request' | 'answer', kind: typeof nodeRedis) {
    const proxy = await TcpProxy.start(redis().port)
    bench.ends(() => proxy.stop())
    const { client } = await bench.connected(kind, proxy.port)
    const driver = driverOf(new RedisStore8({ client }), client)
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    proxy.cut(before, (request) => /evalsha/i.test(request.toString()))
    return { driver, current, sid }
  }

  it('do not occur while the server is paused: the driver waits', async () => {
    const driver = await bench.driverWith()
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    redis().pause()
    const written = driver.write(sid, snapshot({ n: 2 }), current, 'extend')
    redis().resume()
    expect((await written).written).toBe(true)
  })
})

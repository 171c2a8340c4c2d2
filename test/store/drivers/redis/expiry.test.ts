import type { SessionData } from 'express-session'
import { expect, it } from 'vitest'
import { startRedis } from '../../../support/redis.js'
import { withService } from '../../../support/service.js'
import { aged, HOUR, newSid, snapshot } from '../fixture.js'
import { create, RedisBench } from './memory.js'

const endless = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }

await withService('Redis: the lifetime of a session', startRedis, (redis) => {
  const bench = new RedisBench(redis)

  it('is the ttl of the store where the cookie has no expiry', async () => {
    const driver = await bench.driverWith({ ttl: 100, prefix: 'p:' })
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }, endless))
    expect(await bench.left(`p:${sid}`)).toSatisfy((ms: number) => ms > 90_000 && ms <= 100_000)
    await driver.write(sid, snapshot({ n: 2 }, endless), current, 'extend')
    expect(await bench.left(`p:${sid}`)).toSatisfy((ms: number) => ms > 90_000 && ms <= 100_000)
  })

  it('is the result of a ttl function', async () => {
    const seen: SessionData[] = []
    const ttl = (session: SessionData): number => {
      seen.push(session)
      return (session as any).seconds
    }
    const driver = await bench.driverWith({ ttl })
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ seconds: 500 }))
    expect(seen[0]?.cookie.maxAge).toBeGreaterThan(HOUR - 10_000)
    expect(await bench.left(`sess:${sid}`)).toBeLessThanOrEqual(500_000)
    const longer = await driver.write(sid, snapshot({ seconds: 5 }), current, 'extend')
    expect(await bench.left(`sess:${sid}`)).toBeGreaterThan(400_000)
    await driver.write(sid, snapshot({ seconds: 5.5 }), longer.current, 'exact')
    expect(await bench.left(`sess:${sid}`)).toBeLessThanOrEqual(5500)
  })

  it('has no end with disableTTL', async () => {
    const driver = await bench.driverWith({ disableTTL: true })
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    expect(await bench.left(`sess:${sid}`)).toBe(-1)
    expect((await driver.write(sid, snapshot({ n: 2 }), current, 'extend')).written).toBe(true)
    expect(await bench.left(`sess:${sid}`)).toBe(-1)
    expect(await driver.touch(sid, snapshot({}))).toBe(true)
    expect(await bench.left(`sess:${sid}`)).toBe(-1)
    expect(await driver.touch(newSid(), snapshot({}))).toBe(false)
  })

  it('stays endless by a merging write, and gets an end by a write with the policy exact', async () => {
    const sid = newSid()
    const current = await create(await bench.driverWith({ disableTTL: true }), sid, snapshot({ n: 1 }))
    const driver = await bench.driverWith()
    const merged = await driver.write(sid, snapshot({ n: 2 }), current, 'extend')
    expect(await bench.left(`sess:${sid}`)).toBe(-1)
    await driver.write(sid, snapshot({ n: 3 }), merged.current, 'exact')
    expect(await bench.left(`sess:${sid}`)).toBeGreaterThan(HOUR - 10_000)
  })

  it('is kept to the millisecond by a merging write', async () => {
    const driver = await bench.driverWith()
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }, aged(HOUR)))
    await bench.direct.command('PEXPIRE', `sess:${sid}`, String(2 * HOUR + 500))
    await driver.write(sid, snapshot({ n: 2 }), current, 'extend')
    expect(await bench.left(`sess:${sid}`)).toBeGreaterThan(2 * HOUR - 10_000)
    expect(await bench.left(`sess:${sid}`)).toBeLessThanOrEqual(2 * HOUR + 500)
  })

  it('is not touched with disableTouch', async () => {
    const driver = await bench.driverWith({ disableTouch: true })
    const sid = newSid()
    await create(driver, sid, snapshot({ n: 1 }, aged(HOUR)))
    expect(await driver.touch(sid, snapshot({}, aged(5 * HOUR)))).toBe(true)
    expect(await bench.left(`sess:${sid}`)).toBeLessThanOrEqual(HOUR)
    expect(await driver.touch(newSid(), snapshot({}))).toBe(false)
  })

  it('ends by a touch with an expiry in the past, and the touch reports that', async () => {
    const driver = await bench.driverWith()
    const sid = newSid()
    await create(driver, sid, snapshot({ n: 1 }))
    expect(await driver.touch(sid, snapshot({}, aged(-1)))).toBe(false)
    expect(await driver.read(sid)).toBeUndefined()
  })
})

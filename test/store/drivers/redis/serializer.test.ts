import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { RedisStore } from 'connect-redis'
import type { SessionData } from 'express-session'
import { createClient, RESP_TYPES } from 'redis'
import { expect, it } from 'vitest'
import type { CompareAndSetDriver } from '../../../../src/store/drivers/snapshot-driver.js'
import { startRedis } from '../../../support/redis.js'
import { withService } from '../../../support/service.js'
import { content, newSid, snapshot } from '../fixture.js'
import { create, driverOf, RedisBench } from './memory.js'

await withService('Redis: serializers', startRedis, (redis) => {
  const bench = new RedisBench(redis)

  it('a serializer may encrypt, with other bytes each time', async () => {
    const key = randomBytes(32)
    const serializer = {
      stringify(session: SessionData) {
        const iv = randomBytes(12)
        const cipher = createCipheriv('aes-256-gcm', key, iv)
        const sealed = Buffer.concat([cipher.update(JSON.stringify(session)), cipher.final()])
        return [iv, cipher.getAuthTag(), sealed].map((part) => part.toString('base64')).join('.')
      },
      parse(stored: string) {
        const [iv, tag, sealed] = stored.split('.').map((part) => Buffer.from(part, 'base64'))
        const decipher = createDecipheriv('aes-256-gcm', key, iv!)
        decipher.setAuthTag(tag!)
        return JSON.parse(Buffer.concat([decipher.update(sealed!), decipher.final()]).toString())
      },
    }
    await roundTrip(await bench.driverWith({ serializer }))
  })

  it('a serializer may be asynchronous', async () => {
    const serializer = {
      stringify: async (session: SessionData) => `later:${JSON.stringify(session)}`,
      parse: async (stored: string) => JSON.parse(stored.slice(6)),
    }
    await roundTrip(await bench.driverWith({ serializer: serializer as never }))
  })

  it('a serializer may write bytes that are not UTF-8', async () => {
    const serializer = {
      stringify: (session: SessionData) => `\ud800${JSON.stringify(session)}`,
      parse: (stored: string) => JSON.parse(stored.slice(stored.indexOf('{'))),
    }
    await roundTrip(await bench.driverWith({ serializer }))
  })

  it('a serializer may read Buffers', async () => {
    const client = createClient({ url: redis().url })
    await client.connect()
    bench.ends(async () => client.destroy())
    const store = new RedisStore({ client: client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }) })
    await roundTrip(driverOf(store))
  })

  it('a serializer may fail, and nothing is written', async () => {
    const serializer = {
      stringify: (session: SessionData) => {
        if ((session as any).bad) throw new TypeError('not today')
        return JSON.stringify(session)
      },
      parse: JSON.parse,
    }
    const driver = await bench.driverWith({ serializer })
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    await expect(driver.write(sid, snapshot({ bad: true }), current, 'extend')).rejects.toThrow('not today')
    expect(content(await driver.read(sid))).toEqual(content(current))
  })

  async function roundTrip(driver: CompareAndSetDriver): Promise<void> {
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ text: 'ü🦊' }))
    expect(content(await driver.read(sid))).toEqual(content(current))
    const next = await driver.write(sid, snapshot({ n: 2 }), current, 'extend')
    expect(next.written).toBe(true)
    const refused = await driver.write(sid, snapshot({ n: 3 }), current, 'extend')
    expect(refused.written).toBe(false)
    expect(content(refused.current)).toEqual(content(next.current))
    const last = await driver.write(sid, snapshot({ n: 3 }), next.current, 'extend')
    expect(last.written).toBe(true)
    expect(content(await driver.read(sid))).toEqual(content(last.current))
  }

  it('bytes of another serializer that do not survive being read can be replaced', async () => {
    const serializer = { stringify: JSON.stringify, parse: (stored: string) => JSON.parse(stored.slice(stored.indexOf('{'))) }
    const driver = await bench.driverWith({ serializer })
    const sid = newSid()
    await bench.direct.client.set(`sess:${sid}`, Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('{"cookie":{},"n":1}')]))
    const found = await driver.read(sid)
    const refused = await driver.write(sid, snapshot({ n: 2 }), found, 'extend')
    expect(refused).toMatchObject({ written: false, current: { data: { n: 1 } } })
    expect((await driver.write(sid, snapshot({ n: 2 }), refused.current, 'extend')).written).toBe(true)
  })
})

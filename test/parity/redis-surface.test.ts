import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { RedisStore10 } from '../support/connect-redis10.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sameSurface } from './surface.js'

const { Cookie } = expressSession as unknown as { Cookie: new (options?: object) => expressSession.Cookie }
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()

await withService('Redis', startRedis, (redis) => {
  let client: TestClient
  beforeAll(async () => {
    client = await nodeRedis(redis().port)
  })
  afterAll(() => client.end())

  const key = (sid: string) => `sess:${sid}`
  const left = async (sid: string): Promise<number> => Number(await client.command('TTL', key(sid)))

  const versions: [string, typeof RedisStore][] = [
    ['9', RedisStore],
    ...(RedisStore10 ? [['10', RedisStore10] as [string, typeof RedisStore]] : []),
  ]

  describe.each(versions)('the methods of connect-redis %s, called by the application', (_version, Class) => {
    async function open(options = {}) {
      await client.command('FLUSHALL')
      return new Class({ client: client.client, ...options })
    }

    sameSurface('with callbacks', open, async ({ call }) => {
      const session = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, user: 'ada' }
      return [
        await call('get', 'nobody'),
        await call('set', 'one', session),
        await call('get', 'one'),
        await call('touch', 'one', session),
        await call('touch', 'nobody', session),
        await call('length'),
        await call('ids'),
        await call('all'),
        await call('destroy', 'one'),
        await call('destroy', 'nobody'),
        await call('get', 'one'),
        await call('clear'),
      ]
    })

    sameSurface('as promises', open, async ({ store }) => {
      const session = { cookie: {}, user: 'ada' }
      const steps = []
      for (const step of [
        () => store.get('nobody'),
        () => store.set('one', session),
        () => store.get('one'),
        () => store.touch('one', session),
        () => store.length(),
        () => store.destroy('one'),
        () => store.get('one'),
        () => store.clear(),
      ])
        steps.push(await step())
      return steps
    })

    sameSurface('a session is kept as it was given, with or without a cookie', open, async ({ store }) => {
      const expires = '2100-01-01T00:00:00.000Z'
      await store.set('bare', { foo: 'bar' })
      await store.set('short', { cookie: { expires } })
      await store.set('empty', { cookie: {} })
      await store.set('own', { cookie: { path: '/x', color: 'red' }, n: 1 })
      // Changed, and stored again.
      await store.set('own', { ...(await store.get('own')), n: 2 })
      await store.set('bare', { ...(await store.get('bare')), n: 2 })
      const gets = await Promise.all(['bare', 'short', 'empty', 'own'].map((sid) => store.get(sid)))
      const all = (await store.all()).sort((a: any, b: any) => (a.id > b.id ? 1 : -1))
      const [bare, short] = [await client.command('GET', key('bare')), await client.command('GET', key('short'))]
      expect(JSON.parse(bare)).toEqual({ foo: 'bar', n: 2 })
      expect(Object.keys(JSON.parse(short).cookie).filter((name) => name !== 'sharedsession')).toEqual(['expires'])
      return { gets, all, ids: (await store.ids()).sort() }
    })

    sameSurface('how long it is kept', open, async ({ store }) => {
      const lives: number[] = []
      const near = async (sid: string): Promise<void> => void lives.push(Math.round((await left(sid)) / 10))
      await store.set('a', { foo: 'bar' })
      await near('a')
      await store.set('b', { cookie: { expires: inSeconds(60) } })
      await near('b')
      await store.touch('b', { cookie: { expires: inSeconds(90) } })
      await near('b')
      await store.set('b', { cookie: { expires: inSeconds(30) } })
      await near('b')
      const lengths = [await store.length()]
      await store.set('b', { cookie: { expires: inSeconds(-30) } })
      lengths.push(await store.length())
      await store.touch('a', { cookie: { expires: inSeconds(-30) } })
      lengths.push(await store.length())
      // And it can be there again.
      await store.set('b', { cookie: { expires: inSeconds(30) } })
      lengths.push(await store.length())
      return { lives, lengths }
    })

    sameSurface('what is no session, or has no id, goes to the store', open, async ({ call, bare }) => [
      await call('set', 'nothing', null),
      await call('get', 'nothing'),
      await call('set', undefined, { cookie: {}, n: 1 }),
      await call('get', undefined),
      await call('touch', 'nothing', null),
      await call('destroy', undefined),
      await call('set', 7, { cookie: {}, n: 7 }),
      await call('get', 7),
      await bare('set', 'nothing', undefined),
      await call('get', 'nothing'),
    ])

    sameSurface('many, one after the other and at once', open, async ({ store }) => {
      const cookie = new Cookie()
      cookie.expires = new Date(Date.now() + 60_000)
      for (let n = 0; n < 100; n++) await store.set(`s${n}`, { cookie })
      await Promise.all(Array.from({ length: 100 }, (_, n) => store.set(`t${n}`, { cookie, n })))
      const before = await store.length()
      await store.clear()
      return [before, await store.length()]
    })

    sameSurface(
      'errors',
      async () => new Class({ client: client.client, serializer: failing() as never }),
      async ({ call, bare }) => [await call('set', 'one', { cookie: {}, n: 1 }), await bare('set', 'one', { cookie: {}, n: 1 })],
    )

    sameSurface(
      'without a time limit',
      () => open({ disableTTL: true }),
      async ({ store, call }) => {
        await store.set('a', { cookie: { expires: inSeconds(60) }, n: 1 })
        return [await left('a'), await call('touch', 'a', { cookie: { expires: inSeconds(60) } }), await left('a')]
      },
    )
  })
})

function failing(): object {
  return {
    stringify() {
      throw new TypeError('not today')
    },
    parse: JSON.parse,
  }
}

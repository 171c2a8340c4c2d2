import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { Redis } from 'ioredis'
import { afterEach, expect, it } from 'vitest'
import { closeApps, startApp } from '../../../support/app.js'
import { collect, tab } from '../../../support/live.js'
import { startRedis } from '../../../support/redis.js'
import { ioRedis, nodeRedis } from '../../../support/redis-clients.js'
import { withService } from '../../../support/service.js'
import { sidOf } from '../../../support/sid.js'
import { deferred, next, until } from '../../../support/wait.js'
import { newSid, snapshot } from '../fixture.js'
import { create, driverOf, RedisBench } from './memory.js'

await withService('Redis: the store’s client', startRedis, (redis) => {
  const bench = new RedisBench(redis)
  afterEach(closeApps)

  async function other() {
    const server = await startRedis()
    bench.ends(() => server.stop())
    return bench.connected(nodeRedis, server.port)
  }

  it.each([
    ['node-redis', nodeRedis],
    ['ioredis', ioRedis],
  ])('can be replaced by another one: %s', async (_name, kind) => {
    const store = new RedisStore({ client: (await bench.connected(kind)).client })
    const driver = driverOf(store)
    const sid = newSid()
    await create(driver, sid, snapshot({ n: 1 }))
    const second = await other()
    Object.assign(store, { client: second.client })
    expect(await driver.read(sid)).toBeUndefined()
    const current = await create(driver, sid, snapshot({ n: 2 }))
    expect(JSON.parse(await second.command('GET', `sess:${sid}`))).toMatchObject({ n: 2 })
    expect(JSON.parse(await bench.direct.command('GET', `sess:${sid}`))).toMatchObject({ n: 1 })
    expect((await driver.write(sid, snapshot({ n: 3 }), current, 'extend')).written).toBe(true)
    expect(await driver.touch(sid, snapshot({}))).toBe(true)
    await driver.destroy(sid)
    expect(await second.command('EXISTS', `sess:${sid}`)).toBe(0)
    expect(await bench.direct.command('EXISTS', `sess:${sid}`)).toBe(1)
  })

  it('has to run scripts, and an error says so before anything is sent', async () => {
    const { client } = await bench.connected(ioRedis)
    const store = new RedisStore8({ client })
    const driver = driverOf(store, client)
    Object.assign(store, { client: { get: () => undefined } })
    const error = expect.objectContaining({ code: 'STORE_FAILED', message: expect.stringContaining('another client') })
    for (const call of [
      () => driver.read('sid'),
      () => driver.write('sid', snapshot({}), undefined, 'extend'),
      () => driver.touch('sid', snapshot({})),
      () => driver.destroy('sid'),
    ])
      await expect(call()).rejects.toEqual(error)
  })

  it('has to run scripts, and a message that follows a regenerate() is lost otherwise, which rejects nothing', async () => {
    const rejections = collect(process, 'unhandledRejection')
    const [regenerated, goOn] = [deferred(), deferred()]
    const store = new RedisStore({ client: (await bench.connected()).client })
    const app = await startApp({
      store,
      routes(http) {
        http.get('/regenerate-slowly', (req, res) => {
          req.session.regenerate(async () => {
            regenerated.resolve()
            await goOn.promise
            res.json({})
          })
        })
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const answer = browser.get('/regenerate-slowly')
    await regenerated.promise
    const { published } = app.shared.stats()
    const { client } = store
    Object.assign(store, { client: {} })
    goOn.resolve()
    await answer
    await until(() => app.shared.stats().published > published)
    await new Promise((resolve) => setImmediate(resolve))
    Object.assign(store, { client })
    expect(rejections).toEqual([])
  })

  it('that was replaced: messages of other processes arrive from the new one', async () => {
    const first = await bench.connected()
    const second = await other()
    const nodes = await Promise.all(
      [first, second].map(async ({ client }) => {
        const store = new RedisStore({ client })
        return { store, app: await startApp({ store, shared: { revalidate: false, touch: false } }) }
      }),
    )
    const [one, two] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
    const browser = one.app.browser()
    await browser.get('/set?user=ada')
    const sid = sidOf(browser)
    await second.command('SET', `sess:${sid}`, await bench.direct.command('GET', `sess:${sid}`))
    Object.assign(one.store, { client: second.client })
    const { socket } = await tab(one.app, browser)
    const browserOfOther = Object.assign(two.app.browser(), { cookie: browser.cookie })
    await until(async () => (await second.command('PUBSUB', 'CHANNELS')).length > 0)
    const changed = next(socket, 'session:changed')
    await browserOfOther.get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
  })

  it('that was replaced: existing subscriptions move to the new one', async () => {
    const first = await bench.connected()
    const second = await other()
    const store = new RedisStore({ client: first.client })
    const app = await startApp({ store, shared: { revalidate: false, touch: false } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const sid = sidOf(browser)
    const { socket } = await tab(app, browser)
    await until(async () => (await first.command('PUBSUB', 'CHANNELS')).length > 0)
    await second.command('SET', `sess:${sid}`, await bench.direct.command('GET', `sess:${sid}`))
    Object.assign(store, { client: second.client })
    // The next call of the store shows that it is another one.
    await app.browser().get('/set?somebody=else')
    await until(async () => (await second.command('PUBSUB', 'CHANNELS')).length > 0)
    expect(await first.command('PUBSUB', 'CHANNELS')).toEqual([])
    const there = await startApp({ store: new RedisStore({ client: second.client }) })
    const changed = next(socket, 'session:changed')
    await Object.assign(there.browser(), { cookie: browser.cookie }).get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
  })

  it('may change the prefix of ioredis: keys and channels have the present one', async () => {
    const client = new Redis(redis().port, '127.0.0.1', { keyPrefix: 'a:' })
    bench.ends(async () => client.disconnect())
    const driver = driverOf(new RedisStore8({ client }), client)
    const sid = newSid()
    await create(driver, sid, snapshot({ n: 1 }))
    const before = driver.topic!(sid)
    client.options.keyPrefix = 'b:'
    await create(driver, sid, snapshot({ n: 2 }))
    expect(driver.topic!(sid)).not.toBe(before)
    expect(await bench.direct.command('EXISTS', `a:sess:${sid}`, `b:sess:${sid}`)).toBe(2)
  })
})

import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ClusterSync, type ClusterTarget } from '../../../src/cluster/cluster-sync.js'
import { encodeMessage } from '../../../src/cluster/message.js'
import { ClusterPublisher } from '../../../src/cluster/publisher.js'
import { RedisBus } from '../../../src/store/drivers/redis/bus.js'
import { RedisDriver } from '../../../src/store/drivers/redis/driver.js'
import { hashSlot, hashTagFor } from '../../../src/store/drivers/redis/hash-slot.js'
import { RedisSettings } from '../../../src/store/drivers/redis/settings.js'
import { subscriberEndpoints } from '../../../src/store/drivers/redis/subscriber.js'
import { SessionClock } from '../../../src/store/session-clock.js'
import { topicOf } from '../../../src/store/topic.js'
import { methodsOf } from '../../store/drivers/fixture.js'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { tab } from '../../support/live.js'
import { startRedis } from '../../support/redis.js'
import { ioRedis, nodeRedis, type TestClient } from '../../support/redis-clients.js'
import { withService } from '../../support/service.js'
import { sidOf } from '../../support/sid.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { next, until } from '../../support/wait.js'
import { describeBus } from './conformance.js'

const RETRY = { attempts: 20, minDelay: 1, maxDelay: 20, timeout: 2000 }

await withService('Redis', startRedis, (redis) => {
  let direct: TestClient
  const ends: (() => unknown)[] = []

  beforeAll(async () => {
    direct = await nodeRedis(redis().port)
  })
  afterAll(() => direct.end())
  afterEach(async () => {
    await closeApps()
    for (const end of ends.splice(0)) await end()
  })

  async function opened(open: typeof nodeRedis, port = redis().port): Promise<any> {
    const { client, end } = await open(port)
    ends.push(end)
    return client
  }

  async function node(open: typeof nodeRedis, port = redis().port): Promise<App> {
    const client = await opened(open, port)
    const shared = { retry: RETRY, revalidate: false as const, touch: false }
    if (open === nodeRedis) return startApp({ store: new RedisStore({ client }), shared })
    return startApp({ store: new RedisStore8({ client }), shared: { ...shared, redis: client } })
  }

  /** A tab of one visitor on each node; both listen. */
  async function visitor(...apps: App[]) {
    const browser = apps[0]!.browser()
    await browser.get('/set?user=ada')
    const browsers = apps.map((app) => Object.assign(app.browser(), { cookie: browser.cookie }) as Browser)
    const tabs = []
    for (const [index, app] of apps.entries()) tabs.push(await tab(app, browsers[index]!))
    return { browsers, tabs, sid: sidOf(browser) }
  }

  const channels = async (): Promise<string[]> => direct.command('PUBSUB', 'CHANNELS', 'sharedsession:*')

  for (const [name, one, two] of [
    ['node-redis and ioredis', nodeRedis, ioRedis],
    ['ioredis and node-redis', ioRedis, nodeRedis],
  ] as const) {
    it(`a write on one process is notified on the other: ${name}`, async () => {
      const apps = [await node(one), await node(two)]
      const { browsers, tabs } = await visitor(...apps)
      const heard = next(tabs[1]!.socket, 'session:changed')
      await browsers[0]!.get('/set?theme=dark')
      expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })
      // The handshake's own read is enough: the session was subscribed to before.
      expect(apps[1]!.shared.stats().reads).toBe(0)
      const ended = next(tabs[1]!.socket, 'session:destroyed')
      await browsers[0]!.get('/destroy')
      expect(await ended).toEqual({ reason: 'destroyed' })
    })
  }

  it('a process without a socket publishes, and receives nothing', async () => {
    const [worker, server] = [await node(nodeRedis), await node(nodeRedis)]
    const { tabs, sid } = await visitor(server)
    const heard = next(tabs[0]!.socket, 'session:changed')
    await worker.shared.update(sid, (draft: any) => {
      draft.paid = true
    })
    expect(await heard).toMatchObject({ keys: ['paid'] })
    const [channel] = await channels()
    expect(await direct.command('PUBSUB', 'NUMSUB', channel!)).toEqual([channel, 1])
    tabs[0]!.client.disconnect()
    await until(async () => (await channels()).length === 0)
  })

  it('has no session id in its channel names', async () => {
    const app = await node(nodeRedis)
    const { sid } = await visitor(app)
    const [channel] = await channels()
    expect(channel).toMatch(/^sharedsession:[\w-]{43}$/)
    expect(channel).not.toContain(sid)
  })

  it('a commit whose publish is refused is written all the same', async () => {
    await direct.command('ACL', 'SETUSER', 'quiet', 'on', '>pass', '~*', '+@all', 'resetchannels')
    const client = await opened(nodeRedis)
    await client.sendCommand(['AUTH', 'quiet', 'pass'])
    const app = await startApp({ store: new RedisStore({ client }), shared: { revalidate: false } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await app.shared.update(sidOf(browser), (draft: any) => {
      draft.kept = 1
    })
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', kept: 1 })
    await app.shared.destroy(sidOf(browser))
    expect(await direct.command('EXISTS', `sess:${sidOf(browser)}`)).toBe(0)
  })

  it('a publish that no write carries, and that is refused, is one that the driver knows of', async () => {
    await direct.command('ACL', 'SETUSER', 'quiet', 'on', '>pass', '~*', '+@all', 'resetchannels')
    const client = await opened(nodeRedis)
    const store = new RedisStore({ client })
    const driver = new RedisDriver(RedisSettings.of(store)!, methodsOf(store))
    const bus = driver.bus()!
    await bus.publish('sharedsession:topic', 'text')
    expect(driver.publishRefused).toBe(false)
    await client.sendCommand(['AUTH', 'quiet', 'pass'])
    await bus.publish('sharedsession:topic', 'text')
    expect(driver.publishRefused).toBe(true)
    await bus.close()
  })

  it('a user that may use the keys of the sessions and the channels may publish what no write carries', async () => {
    await direct.command('ACL', 'SETUSER', 'narrow', 'reset', 'on', '>pass', '~sess:*', '&sharedsession:*', '+@all')
    const spy = await opened(nodeRedis)
    const texts: string[] = []
    await spy.subscribe('sharedsession:topic', (text: string) => texts.push(text))
    const client = await opened(nodeRedis)
    await client.sendCommand(['AUTH', 'narrow', 'pass'])
    const store = new RedisStore({ client })
    const bus = new RedisDriver(RedisSettings.of(store)!, methodsOf(store)).bus()!
    await bus.publish('sharedsession:topic', 'heard')
    await until(() => texts.length > 0)
    expect(texts).toEqual(['heard'])
    await bus.close()
  })

  it('with a serializer of the store, messages say only that something changed', async () => {
    const serializer = {
      stringify: (session: unknown) => Buffer.from(JSON.stringify(session)).toString('base64'),
      parse: (text: string) => JSON.parse(Buffer.from(text, 'base64').toString()),
    }
    const start = async () =>
      startApp({ store: new RedisStore({ client: await opened(nodeRedis), serializer }), shared: { revalidate: false } })
    const apps = [await start(), await start()]
    const { browsers, tabs } = await visitor(...apps)
    const spy = await opened(nodeRedis)
    const texts: string[] = []
    await spy.pSubscribe('*', (text: string) => texts.push(text))
    const heard = next(tabs[1]!.socket, 'session:changed')
    await browsers[0]!.get('/set?secret=swordfish')
    expect(await heard).toMatchObject({ keys: ['secret'] })
    await until(() => texts.length > 0)
    expect(texts.join()).not.toContain('swordfish')
  })

  for (const [name, open] of [
    ['node-redis', nodeRedis],
    ['ioredis', ioRedis],
  ] as const) {
    describe(`the server, with ${name}`, () => {
      it('was restarted: what was missed is found, and the next message is received', async () => {
        const apps = [await node(open), await node(open)]
        const { tabs } = await visitor(...apps)
        // It comes back empty.
        const ended = tabs.map(({ socket }) => next(socket, 'session:destroyed'))
        await redis().restart()
        expect(await Promise.all(ended)).toEqual([{ reason: 'destroyed' }, { reason: 'destroyed' }])
        const again = await visitor(...apps)
        const heard = next(again.tabs[1]!.socket, 'session:changed')
        await again.browsers[0]!.get('/set?theme=dark')
        expect(await heard).toMatchObject({ keys: ['theme'] })
      })

      it('cut the connection: what was missed is found', async () => {
        const proxy = await TcpProxy.start(redis().port)
        ends.push(() => proxy.stop())
        const apps = [await node(open), await node(open, proxy.port)]
        const { browsers, tabs } = await visitor(...apps)
        proxy.down()
        await browsers[0]!.get('/set?theme=dark')
        proxy.up()
        await until(() => tabs[1]!.session.theme === 'dark')
      })
    })

    describe(`many sessions, with ${name}`, () => {
      const calls = async (command: string): Promise<number> => {
        const statistics: string = await direct.command('INFO', 'commandstats')
        return Number(statistics.match(new RegExp(`cmdstat_${command}:calls=(\\d+)`))?.[1] ?? 0)
      }

      async function bus(port = redis().port) {
        const client = await opened(open, port)
        const made = new RedisBus(subscriberEndpoints(client)!, (channel, text) => client.publish(channel, text))
        const heard: string[] = []
        let gaps = 0
        made.start({ heard: (topic) => heard.push(topic), gap: () => gaps++ })
        ends.push(() => made.close())
        return { bus: made, heard, gaps: () => gaps }
      }

      it('are subscribed to by one command for a thousand, also on a new connection', async () => {
        const proxy = await TcpProxy.start(redis().port)
        ends.push(() => proxy.stop())
        const { bus: made, gaps } = await bus(proxy.port)
        await made.subscribe('sharedsession:first')
        const topics = Array.from({ length: 2500 }, (_, n) => `sharedsession:${n}`)
        const before = await calls('subscribe')
        await Promise.all(topics.map((topic) => made.subscribe(topic)))
        expect(await channels()).toHaveLength(2501)
        expect((await calls('subscribe')) - before).toBe(3)
        proxy.down()
        proxy.up()
        await until(() => gaps() > 0)
        expect(await channels()).toHaveLength(2501)
        expect((await calls('subscribe')) - before).toBe(6)
        const left = await calls('unsubscribe')
        for (const topic of topics) made.unsubscribe(topic)
        await until(async () => (await channels()).length === 1)
        expect((await calls('unsubscribe')) - left).toBe(3)
      })

      it('are heard as soon as subscribe() has resolved, and do not wait for a server that is away', async () => {
        const proxy = await TcpProxy.start(redis().port)
        ends.push(() => proxy.stop())
        const client = await opened(open, proxy.port)
        const target: ClusterTarget = {
          ...{ clock: new SessionClock(), reportedEnds: new Map(), living: () => undefined },
          noteReportedEnd: () => undefined,
          onMissingInStore: () => undefined,
        }
        const publisher = new ClusterPublisher({} as never, 1000)
        const own = new RedisBus(subscriberEndpoints(client)!, async () => undefined)
        const options = { driver: {}, bus: own, maxBytes: 1000, rotationWait: 1000, onReportedEnd() {}, onReportedMissing() {} }
        const cluster = new ClusterSync(target, {} as never, publisher, options as never)
        cluster.open()
        const text = encodeMessage({ kind: 'answered' }, 'another-process')
        const sids = Array.from({ length: 300 }, (_, n) => `session-${n}`)
        await Promise.all(
          sids.map(async (sid, n) => {
            for (let turns = n % 7; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
            await cluster.subscribe(sid)
            expect(await direct.command('PUBLISH', topicOf(sid), text)).toBe(1)
          }),
        )
        await until(() => cluster.messages === sids.length)
        proxy.down()
        await cluster.subscribe('while it is away')
        expect(cluster.subscribe('another one')).toBeUndefined()
        cluster.close()
      })

      it('are heard where they are wanted, however often that changed', async () => {
        const { bus: made, heard } = await bus()
        const topics = Array.from({ length: 20 }, (_, n) => `sharedsession:${n}`)
        const subscribed: unknown[] = []
        for (let round = 0; round < 100; round++) {
          for (const [n, topic] of topics.entries()) {
            if ((round + n) % 3 === 0) made.unsubscribe(topic)
            else subscribed.push(made.subscribe(topic))
          }
          if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        for (const topic of topics) made.unsubscribe(topic)
        // The command has left, and is not answered.
        await new Promise((resolve) => setImmediate(resolve))
        await Promise.all(topics.slice(0, 10).map((topic) => made.subscribe(topic)))
        await Promise.all(subscribed)
        for (const topic of topics) await made.publish(topic, 'hello')
        await until(() => heard.length >= 10)
        expect(heard.toSorted()).toEqual(topics.slice(0, 10))
      })
    })

    describeBus(`Redis, by ${name}`, async () => {
      const proxy = await TcpProxy.start(redis().port)
      const make = async (port: number): Promise<RedisBus> => {
        const { client, end } = await open(port)
        ends.push(end)
        // Both libraries have it.
        return new RedisBus(subscriberEndpoints(client)!, (channel, text) => client.publish(channel, text))
      }
      return {
        buses: [await make(redis().port), await make(proxy.port)],
        cut: () => proxy.down(),
        restore: () => proxy.up(),
        end: () => proxy.stop(),
      }
    })
  }

  it('closes at once while the server is frozen', async () => {
    const app = await node(nodeRedis)
    await visitor(app)
    redis().pause()
    try {
      await app.close()
    } finally {
      redis().resume()
    }
    await until(async () => (await channels()).length === 0)
  })
})

describe('hash slots', () => {
  // From the specification: CRC16 of "123456789" is 0x31c3.
  it('are those of Redis Cluster', () => {
    expect(hashSlot('123456789')).toBe(0x31c3)
    expect(hashSlot('{user}.a')).toBe(hashSlot('user'))
    expect(hashSlot('a{}b')).not.toBe(hashSlot(''))
  })

  it('each have a hash tag', () => {
    for (let slot = 0; slot < 16_384; slot++) expect(hashSlot(`x{${hashTagFor(slot)}}y`)).toBe(slot)
  })
})

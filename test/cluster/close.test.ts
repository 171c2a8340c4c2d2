import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type Browser, closeApps, startApp } from '../support/app.js'
import { tab } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { deferred, next, until } from '../support/wait.js'

type End = ReturnType<MemoryBus['end']>

await withService('Redis', startRedis, (redis) => {
  let client: any

  beforeAll(async () => {
    client = await createClient({ url: redis().url }).connect()
  })
  afterAll(() => client.destroy())
  afterEach(closeApps)

  /** A node whose request `/hold?...` waits for `goOn` before it saves, and `/leave` before it logs out. */
  async function node(end: End | undefined, redisClient = client) {
    const [entered, goOn] = [deferred(), deferred()]
    let session: any
    let hasArrived = false
    const app = await startApp({
      store: new RedisStore({ client: redisClient }),
      shared: { revalidate: false, touch: false, ...(end && { bus: end }) },
      wrap: (given) => {
        session = given
        return given
      },
      before: (http) => {
        http.use('/hold', (_req, _res, proceed) => {
          hasArrived = true
          proceed()
        })
      },
      routes: (http) => {
        http.use(['/hold', '/leave', '/renew'], (_req, _res, proceed) => {
          entered.resolve()
          goOn.promise.then(() => proceed())
        })
        http.get('/hold', (req, res) => {
          Object.assign(req.session, req.query)
          res.json(req.session)
        })
        http.get('/leave', (req, res) => req.session.destroy(() => res.json({})))
        http.get('/renew', (req, res) => {
          req.session.regenerate(() => {
            req.session.renewed = true
            res.json({})
          })
        })
      },
    })
    return { app, end, entered, goOn, session: () => session, reading: () => hasArrived }
  }

  /** Two nodes, and a tab of one visitor on the second. Its session is subscribed to. */
  async function nodes(bus: MemoryBus | undefined, redisClient = client) {
    const [one, two] = [await node(bus?.end(), redisClient), await node(bus?.end())]
    const browser = one.app.browser()
    await browser.get('/set?user=ada')
    const there = Object.assign(two.app.browser(), { cookie: browser.cookie }) as Browser
    const listener = await tab(two.app, there)
    await until(async () => {
      const before = two.app.shared.stats().messages
      await one.app.shared.update(sidOf(browser), (draft: any) => {
        draft.tries = (draft.tries ?? 0) + 1
      })
      return two.app.shared.stats().messages > before
    })
    await until(() => listener.session.tries > 0)
    return { one, two, browser, listener }
  }

  /** Sends a request, and closes its node while it is in flight. */
  async function closeDuring({ app, entered, goOn }: Awaited<ReturnType<typeof node>>, browser: Browser, path: string) {
    const answered = browser.get(path)
    await entered.promise
    await app.shared.close()
    return () => {
      goOn.resolve()
      return answered
    }
  }

  describe.each([
    ['the store’s driver publishes', () => undefined],
    ['each node publishes on its bus', () => new MemoryBus()],
  ])('close() during a request; %s', (_, makeBus) => {
    it('the sockets of other nodes hear of what the request saves, without a read', async () => {
      const { one, two, browser, listener } = await nodes(makeBus())
      const goOn = await closeDuring(one, browser, '/hold?late=yes')
      const { reads } = two.app.shared.stats()
      const heard = next(listener.socket, 'session:changed', ({ keys }: any) => keys.includes('late'))
      expect((await goOn()).body).toMatchObject({ late: 'yes' })
      expect(await heard).toMatchObject({ keys: ['late'], origin: 'remote' })
      expect(listener.session).toMatchObject({ user: 'ada', late: 'yes' })
      expect(two.app.shared.stats().reads).toBe(reads)
    })

    it.each([
      ['/leave', 'destroyed'],
      ['/renew', 'regenerated'],
    ])('the sockets of other nodes end when the request ends the session by %s', async (path, reason) => {
      const { one, browser, listener } = await nodes(makeBus())
      const goOn = await closeDuring(one, browser, path)
      const ended = next(listener.socket, 'session:destroyed')
      await goOn()
      expect(await ended).toMatchObject({ reason })
    })
  })

  describe.each([
    ['the store’s driver publishes', () => undefined],
    ['each node publishes on its bus', () => new MemoryBus()],
  ])('close() while the store does not answer; %s', (_, makeBus) => {
    let proxy: TcpProxy
    let slow: any

    beforeEach(async () => {
      proxy = await TcpProxy.start(redis().port)
      slow = await createClient({ url: redis().url.replace(`:${redis().port}`, `:${proxy.port}`) }).connect()
    })
    afterEach(async () => {
      slow.destroy()
      await proxy.stop()
    })

    it('a request whose session is still to be read: its save is merged, and told to other nodes', async () => {
      const { one, two, browser, listener } = await nodes(makeBus(), slow)
      one.goOn.resolve()
      proxy.stall()
      const answered = browser.get('/hold?late=yes')
      await until(() => one.reading())
      await one.app.shared.close()
      await two.app.shared.update(sidOf(browser), (draft: any) => {
        draft.meanwhile = 'kept'
      })
      const heard = next(listener.socket, 'session:changed', ({ keys }: any) => keys.includes('late'))
      proxy.resume()
      await answered
      await heard
      expect(listener.session).toMatchObject({ meanwhile: 'kept', late: 'yes' })
    })

    it('an update() that waits for the save of a socket is told to other nodes', async () => {
      const { one, browser, listener } = await nodes(makeBus(), slow)
      const { client: writer } = await tab(one.app, browser)
      proxy.stall()
      writer.emit('set', 'written', true)
      await until(() => one.app.shared.session(one.app.sockets[0]!).written)
      const updated = one.app.shared.update(sidOf(browser), (draft: any) => {
        draft.updated = draft.written
      })
      const heard = next(listener.socket, 'session:changed', ({ keys }: any) => keys.includes('updated'))
      const closed = one.app.shared.close()
      proxy.resume()
      await closed
      await updated
      await heard
      expect(listener.session).toMatchObject({ written: true, updated: true })
    })
  })

  it('closes the bus when the last request has ended', async () => {
    const bus = new MemoryBus()
    const { one, browser } = await nodes(bus)
    const end = one.end as End
    const closed = closing(end)
    const goOn = await closeDuring(one, browser, '/hold?late=yes')
    expect(closed.count).toBe(0)
    await goOn()
    await until(() => closed.count === 1)
  })

  it('leaves the bus open for another instance that comes before the last request has ended', async () => {
    const bus = new MemoryBus()
    const { one, two, browser, listener } = await nodes(bus)
    const closed = closing(one.end as End)
    const goOn = await closeDuring(one, browser, '/hold?late=yes')
    const again = sharedsession(one.session(), { autoSave: true, revalidate: false, touch: false, bus: one.end as End })
    await goOn()
    const heard = next(listener.socket, 'session:changed', ({ keys }: any) => keys.includes('again'))
    await again.update(sidOf(browser), (draft: any) => {
      draft.again = true
    })
    expect(await heard).toMatchObject({ origin: 'remote' })
    expect(closed.count).toBe(0)
    expect(two.app.shared.stats().bus).toBe('own')
    await again.close()
    await until(() => closed.count === 1)
  })

  /** How often a bus was closed. */
  function closing(end: End): { count: number } {
    const closed = { count: 0 }
    const close = end.close.bind(end)
    end.close = () => {
      closed.count++
      return close()
    }
    return closed
  }
})

import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { apply } from '../../src/document/patch.js'
import sharedsession, { type Bus, type BusListener, type SharedSessionOptions } from '../../src/index.js'
import { Random } from '../history/random.js'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { collect, tab } from '../support/live.js'
import { MemoryBus, type Weather } from '../support/memory-bus.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { deferred, next, until } from '../support/wait.js'
import { describeBus } from './buses/conformance.js'

const SETTINGS = { secret: 'secret', resave: false, saveUninitialized: false }

await withService('Redis', startRedis, (redis) => {
  let client: any

  beforeAll(async () => {
    client = await createClient({ url: redis().url }).connect()
  })
  afterAll(() => client.destroy())
  afterEach(closeApps)

  type End = ReturnType<MemoryBus['end']>

  async function node(
    bus: MemoryBus,
    options: SharedSessionOptions = {},
    routes?: AppOptions['routes'],
  ): Promise<{ app: App; end: End }> {
    const end = bus.end()
    const store = new RedisStore({ client })
    const app = await startApp({
      store,
      shared: { bus: end, revalidate: false, touch: false, ...options },
      ...(routes && { routes }),
    })
    return { app, end }
  }

  /** Two nodes, and a tab of one visitor on each. */
  async function nodes(options: SharedSessionOptions = {}, routes?: AppOptions['routes']) {
    const bus = new MemoryBus()
    const [one, two] = [await node(bus, options, routes), await node(bus, options, routes)]
    const browser = one.app.browser()
    await browser.get('/set?user=ada')
    const sid = sidOf(browser)
    const there = Object.assign(two.app.browser(), { cookie: browser.cookie }) as Browser
    const tabs = [await tab(one.app, browser), await tab(two.app, there)] as const
    await until(() => [one, two].every(({ end }) => end.topics.size === 1))
    const heard = [one, two].map(({ app }) => next(app.shared.events, 'session:changed', ({ keys }) => keys.includes('ready')))
    await one.app.shared.update(sid, (draft: any) => {
      draft.ready = true
    })
    await Promise.all(heard)
    return { bus, one, two, browser, there, sid, tabs }
  }

  const held = async (sid: string): Promise<any> => {
    const { cookie, ...data } = JSON.parse(await client.get(`sess:${sid}`))
    return data
  }

  describeBus(
    'in memory, as the tests below have it',
    async () => {
      const bus = new MemoryBus()
      return { buses: [bus.end(), bus.end()] }
    },
    { isCut: false },
  )

  describe('what another process committed', () => {
    it('is notified with its keys, its patches and its data, and without a read', async () => {
      const { two, browser, tabs } = await nodes()
      const before = two.app.shared.stats().reads
      const heard = next(tabs[1].socket, 'session:changed')
      await browser.get('/set?theme=dark')
      const change = await heard
      expect(change).toMatchObject({ keys: ['theme'], origin: 'remote' })
      expect(change.patches).toEqual([{ op: 'add', path: ['theme'], value: 'dark' }])
      expect(tabs[1].session.theme).toBe('dark')
      expect(two.app.shared.stats().reads).toBe(before)
    })

    it('is only notified with onChange: notify, one after the other, until the session is reloaded', async () => {
      const { two, one, sid, tabs } = await nodes({ onChange: 'notify' })
      const changes = collect(tabs[1].socket, 'session:changed')
      const before = two.app.shared.stats().reads
      for (const n of [1, 2]) {
        await one.app.shared.update(sid, (draft: any) => {
          draft.n = n
        })
      }
      await until(() => changes.length === 2)
      expect(changes.map(({ patches }) => patches[0].value)).toEqual([1, 2])
      expect(tabs[1].session.n).toBeUndefined()
      expect(two.app.shared.stats().reads).toBe(before)
      await tabs[1].session.reload()
      expect(tabs[1].session.n).toBe(2)
    })

    it('is not received by a process without a socket of that session', async () => {
      const { bus, two, browser, tabs } = await nodes()
      tabs[1].client.disconnect()
      await until(() => two.end.topics.size === 0)
      const [before, sent] = [two.app.shared.stats().messages, bus.texts.length]
      await browser.get('/set?theme=dark')
      expect(bus.texts.length).toBe(sent + 1)
      expect(two.app.shared.stats().messages).toBe(before)
    })

    it('is merged below unsaved changes', async () => {
      const { one, sid, tabs } = await nodes({ autoSave: false })
      tabs[1].session.mine = 1
      tabs[1].session.user = 'eve'
      const heard = next(tabs[1].socket, 'session:changed')
      await one.app.shared.update(sid, (draft: any) => {
        draft.user = 'bob'
        draft.theirs = 2
      })
      await heard
      expect(tabs[1].session).toMatchObject({ user: 'eve', mine: 1, theirs: 2 })
      await tabs[1].session.save()
      expect(await held(sid)).toMatchObject({ user: 'eve', mine: 1, theirs: 2 })
    })

    it('is read where the message was lost and the next one comes', async () => {
      const { bus, two, browser, tabs } = await nodes()
      bus.weather = () => {}
      await browser.get('/set?a=1')
      bus.weather = (deliver) => deliver()
      const before = two.app.shared.stats().reads
      await browser.get('/set?b=2')
      await until(() => tabs[1].session.b)
      expect(tabs[1].session.a).toBe('1')
      expect(two.app.shared.stats().reads).toBe(before + 1)
    })

    it('is found after a gap, in one read for all sessions', async () => {
      const { bus, two, browser, tabs } = await nodes()
      bus.weather = () => {}
      await browser.get('/set?a=1')
      expect(tabs[1].session.a).toBeUndefined()
      two.end.gap()
      await until(() => tabs[1].session.a)
    })

    it('is found after a gap although another session cannot be read', async () => {
      const { bus, one, two, browser, sid, tabs } = await nodes()
      const broken = one.app.browser()
      await broken.get('/set?user=eve')
      await tab(two.app, Object.assign(two.app.browser(), { cookie: broken.cookie }) as Browser)
      bus.weather = () => {}
      await browser.get('/set?a=1')
      await client.set(`sess:${sidOf(broken)}`, '{')
      expect(sidOf(broken)).not.toBe(sid)
      two.end.gap()
      await until(() => tabs[1].session.a)
    })

    it('is not undone by an earlier read that is answered later', async () => {
      const bus = new MemoryBus()
      const [asked, answered] = [deferred(), deferred()]
      let isSlow = false
      const slow = new Proxy(client, {
        get(target, name) {
          const value = Reflect.get(target, name)
          if (typeof value !== 'function') return value
          if (name !== 'mGet') return value.bind(target)
          return async (keys: string[]) => {
            const found = await target.mGet(keys)
            if (!isSlow) return found
            isSlow = false
            asked.resolve()
            await answered.promise
            return found
          }
        },
      })
      const one = await node(bus)
      const end = bus.end()
      const two = await startApp({
        store: new RedisStore({ client: slow }),
        shared: { bus: end, revalidate: false, touch: false },
      })
      const browsers = [one.app.browser(), one.app.browser()] as const
      for (const browser of browsers) await browser.get('/set?user=ada')
      const there = browsers.map(({ cookie }) => Object.assign(two.browser(), { cookie }) as Browser)
      const tabs = [await tab(two, there[0]!), await tab(two, there[1]!)] as const
      isSlow = true
      end.gap()
      await asked.promise
      const changes = collect(tabs[0].socket, 'session:changed')
      await browsers[0].get('/set?b=2')
      await until(() => tabs[0].session.b)
      // What only another look finds is there when the first has been taken in.
      bus.weather = () => {}
      await one.app.shared.update(sidOf(browsers[1]), (draft: any) => {
        draft.last = true
      })
      answered.resolve()
      end.gap()
      await until(() => tabs[1].session.last)
      expect(tabs[0].session.b).toBe('2')
      expect(changes.map(({ patches }) => patches)).toEqual([[{ op: 'add', path: ['b'], value: '2' }]])
    })

    it('whose message comes twice is notified once, and costs no read', async () => {
      const { bus, two, browser, tabs } = await nodes()
      const [changes, before] = [collect(tabs[1].socket, 'session:changed'), two.app.shared.stats().reads]
      bus.weather = (deliver) => {
        deliver()
        deliver()
      }
      await browser.get('/set?a=1')
      await browser.get('/set?b=2')
      await until(() => tabs[1].session.b)
      expect(changes.map(({ keys }) => keys)).toEqual([['a'], ['b']])
      expect(two.app.shared.stats().reads).toBe(before)
    })

    it('is found within revalidate where no message comes any more', async () => {
      const { bus, browser, tabs } = await nodes({ revalidate: 50 })
      bus.weather = () => {}
      await browser.get('/set?a=1')
      await until(() => tabs[1].session.a)
    })
  })

  it('a change before the subscription to a session took effect is found', async () => {
    const bus = new MemoryBus()
    const [one, two] = [await node(bus), await node(bus)]
    const { promise: connected, resolve: connect } = deferred()
    two.end.subscribe = async (topic) => {
      await connected
      ;(two.end.topics as Set<string>).add(topic)
    }
    const [ada, eve] = [one.app.browser(), one.app.browser()]
    for (const browser of [ada, eve]) await browser.get('/set?user=someone')
    const tabs = []
    for (const { cookie } of [ada, eve]) tabs.push(await tab(two.app, Object.assign(two.app.browser(), { cookie }) as Browser))
    await ada.get('/set?theme=dark')
    await eve.get('/destroy')
    expect(tabs[0]!.session.theme).toBeUndefined()
    const changed = next(tabs[0]!.socket, 'session:changed')
    const ended = next(tabs[1]!.socket, 'session:destroyed')
    connect()
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
    expect(await ended).toEqual({ reason: 'destroyed' })
  })

  describe('an end of a session on another process', () => {
    it('by a rotation: packets stop at once, the transport closes when the response has left', async () => {
      const { promise: answer, resolve: respond } = deferred()
      const rotated = deferred()
      const { one, browser, tabs } = await nodes({}, (http) => {
        http.get('/rotate', (req, res) => {
          req.session.regenerate(async () => {
            rotated.resolve()
            await answer
            res.json({})
          })
        })
      })
      const ended = next(tabs[1].socket, 'session:destroyed')
      const gone = next(tabs[1].client, 'disconnect')
      const response = browser.get('/rotate')
      await rotated.promise
      expect(await ended).toEqual({ reason: 'regenerated' })
      const heard = collect(tabs[1].socket, 'set')
      tabs[1].client.emit('set', 'late', 1)
      // One more round trip of the same connection, below the packets.
      const pong = next(tabs[1].socket.conn, 'packet', ({ type }) => type === 'message')
      tabs[1].client.emit('set', 'later', 1)
      await pong
      expect(heard).toEqual([])
      expect(tabs[1].client.connected).toBe(true)
      respond()
      await response
      await gone
      expect(one.app.shared.stats().sessions).toBeLessThanOrEqual(1)
    })

    it('is reported with its reason, and ends idle sockets', async () => {
      const { browser, tabs } = await nodes()
      const ended = next(tabs[1].socket, 'session:destroyed')
      const gone = next(tabs[1].client, 'disconnect')
      await browser.get('/destroy')
      expect(await ended).toEqual({ reason: 'destroyed' })
      await gone
    })

    it('is not believed where the session is in the store', async () => {
      const { bus, one, two, sid, tabs } = await nodes()
      const ended = collect(tabs[1].socket, 'session:destroyed')
      const before = two.app.shared.stats().reads
      bus.forge([...two.end.topics][0]!, JSON.stringify({ sharedsession: 1, node: 'x', kind: 'end', reason: 'destroyed' }))
      await until(() => two.app.shared.stats().reads > before)
      await one.app.shared.update(sid, (draft: any) => {
        draft.still = 'here'
      })
      await until(() => tabs[1].session.still)
      expect(ended).toEqual([])
    })

    it('is found by a node that missed the message, at its next read', async () => {
      const { bus, two, browser, tabs } = await nodes()
      bus.weather = () => {}
      await browser.get('/destroy')
      const ended = next(tabs[1].socket, 'session:destroyed')
      two.end.gap()
      expect(await ended).toEqual({ reason: 'destroyed' })
    })
  })

  it('a bus that throws and rejects in every method does no harm', async () => {
    const fail = (): never => {
      throw new Error('no bus today')
    }
    let listener: BusListener | undefined
    const bus: Bus = {
      start: (given) => {
        listener = given
      },
      subscribe: fail,
      unsubscribe: fail,
      publish: fail,
      close: fail,
    }
    const app = await startApp({ store: new RedisStore({ client }), shared: { bus, revalidate: false } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { client: one, session } = await tab(app, browser)
    await one.emitWithAck('set', 'n', 1)
    for (const text of [null, undefined, 5, {}, Symbol.iterator.toString()]) listener?.heard('topic', text as never)
    listener?.gap()
    expect(session).toMatchObject({ user: 'ada', n: 1 })
    await app.shared.close()
    listener?.heard('topic', '{}')
    listener?.gap()
  })

  it('a bus of another store leaves the store as it was', async () => {
    const bus: Bus = new MemoryBus().end()
    bus.start = () => {
      throw new Error('taken')
    }
    const store = new RedisStore({ client })
    const { set } = store
    expect(() => sharedsession(expressSession({ ...SETTINGS, store }), { bus })).toThrow('taken')
    expect(store.set).toBe(set)
  })

  it.each([
    ['garbage', '{'],
    ['another format', '{"sharedsession":99}'],
    ['a prototype', '{"sharedsession":1,"node":"x","kind":"commit","__proto__":{"admin":true}}'],
    [
      'a change of what is not there',
      JSON.stringify({
        ...{ sharedsession: 1, node: 'x', kind: 'commit', from: { v: 1, id: 'a' }, to: { v: 2, id: 'b' } },
        change: { cookie: {}, patches: [{ op: 'add', path: ['no', 'such'], value: 1 }] },
      }),
    ],
  ])('an invalid message makes the session be read, and nothing else: %s', async (_, text) => {
    const { bus, two, sid, tabs } = await nodes()
    const before = two.app.shared.stats().reads
    const data = await held(sid)
    bus.forge([...two.end.topics][0]!, text)
    await until(() => two.app.shared.stats().reads > before)
    expect({ ...tabs[1].session, cookie: undefined }).toEqual({ ...data, cookie: undefined })
  })

  /** Loses, doubles and reorders. */
  function storm(random: Random): { weather: Weather; clear(): void } {
    let late: (() => void)[] = []
    const release = (): void => {
      const batch = late
      late = []
      while (batch.length > 0) batch.splice(random.below(batch.length), 1)[0]!()
    }
    return {
      weather(deliver) {
        if (random.chance(0.2)) return
        const times = random.chance(0.2) ? 2 : 1
        for (let time = 0; time < times; time++) {
          if (random.chance(0.5)) deliver()
          else late.push(deliver)
        }
        if (random.chance(0.3)) setImmediate(release)
      },
      clear: release,
    }
  }

  it.each([1, 2, 3, 4, 5, 6])('lost, doubled and reordered messages do no harm (seed %i)', async (seed) => {
    const random = new Random(seed)
    const { bus, one, two, browser, there, sid, tabs } = await nodes()
    // Who follows the told changes has what the session holds: none is told twice, and none is left out.
    const mirrors = [one, two].map(({ app }) => {
      const mirror = app.shared.snapshot(sid) as object
      app.shared.events.on('session:changed', ({ patches }) => apply(mirror, patches))
      return mirror
    })
    const { weather, clear } = storm(random)
    bus.weather = weather
    const all = async (): Promise<void> => {
      const work: Promise<unknown>[] = []
      for (let n = 0; n < 8; n++) {
        const side = random.below(2)
        const key = `${random.below(6)}`
        const list = (draft: any): void => {
          draft.list ??= []
          if (draft.list.length > 3 && random.chance(0.4)) draft.list.splice(random.below(draft.list.length), 1)
          else draft.list.push({ id: random.next(), deep: { [key]: seed } })
        }
        const kind = random.below(4)
        if (kind === 0) work.push((side ? there : browser).get(`/set?key${key}=${random.next()}`))
        else if (kind === 1) work.push([one, two][side]!.app.shared.update(sid, list))
        else if (kind === 2) list(tabs[side]!.session)
        else work.push((side ? there : browser).get(`/delete?key=key${key}`))
      }
      await Promise.all(work)
    }
    for (let round = 0; round < 8; round++) await all()
    await Promise.all([one, two].map(({ app }) => app.shared.flush()))
    clear()
    bus.weather = (deliver) => deliver()
    for (const { end } of [one, two]) end.gap()
    const stored = await held(sid)
    for (const [index, { app }] of [one, two].entries()) {
      await until(() => JSON.stringify(sorted(app.shared.snapshot(sid))) === JSON.stringify(sorted(stored)))
      expect(sorted(mirrors[index]!)).toEqual(sorted(stored))
    }
  })
})

function sorted(data: object): object {
  return Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1)))
}

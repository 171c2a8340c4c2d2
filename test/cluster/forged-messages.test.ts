import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { type Browser, closeApps, startApp } from '../support/app.js'
import { tab, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { deferred, until } from '../support/wait.js'

/** Whoever listens to the bus and publishes on it, and may do nothing with the store. */
class Forger {
  readonly #bus: MemoryBus
  /** The last commit as it was told. */
  #last: { to: { v: number; id: string }; change: { cookie: any } }

  constructor(bus: MemoryBus) {
    this.#bus = bus
    this.#last = JSON.parse(bus.texts.at(-1)!.text)
  }

  get topic(): string {
    return this.#bus.texts.at(-1)!.topic
  }

  /** A commit that follows on the last one, made up or not. */
  chain(patches: object[], cookie: object = {}): void {
    const from = this.#last.to
    const to = { v: from.v + 1, id: `forged${from.v}` }
    const change = { patches, cookie: { ...this.#last.change.cookie, ...cookie } }
    this.#last = { to, change }
    this.send({ kind: 'commit', from, to, change })
  }

  send(message: object): void {
    this.#bus.forge(this.topic, JSON.stringify({ sharedsession: 1, node: 'forger', ...message }))
  }
}

const admin = { op: 'add', path: ['role'], value: 'admin' }

await withService('Redis', startRedis, (redis) => {
  let client: any

  beforeAll(async () => {
    client = await createClient({ url: redis().url }).connect()
  })
  afterAll(() => client.destroy())
  afterEach(closeApps)

  /** A visitor with a tab on a node, where everything that was asked for is read; another node has just written. */
  async function scene(options: SharedSessionOptions = {}, used: any = client, attributes: object = {}) {
    const bus = new MemoryBus()
    const shared = { revalidate: false, touch: false, ...options } as const
    const cookie = { maxAge: 3_600_000, ...attributes }
    const one = await startApp({ store: new RedisStore({ client }), shared: { ...shared, bus: bus.end() }, session: { cookie } })
    const two = await startApp({
      store: new RedisStore({ client: used }),
      shared: { ...shared, bus: bus.end() },
      session: { cookie },
    })
    const browser = one.browser()
    await browser.get('/set?user=ada')
    const sid = sidOf(browser)
    const { session } = await tab(two, Object.assign(two.browser(), { cookie: browser.cookie }) as Browser)
    const write = (data: object): Promise<unknown> =>
      one.shared.update(sid, (draft: any) => {
        Object.assign(draft, data)
      })
    await write({ list: [1, 2, 3] })
    await until(() => session.list)
    await turns()
    const reads = (): number => two.shared.stats().reads
    const stored = async (): Promise<any> => JSON.parse(await client.get(`sess:${sid}`))
    return { bus, two, session, sid, write, forger: new Forger(bus), reads, stored }
  }

  describe('a forged commit that follows on the last one', () => {
    it.each([100_000_000, 3_000_000, 4])('does not make a list of %i items', async (index) => {
      const { forger, session, reads } = await scene()
      const before = reads()
      forger.chain([{ op: 'replace', path: ['list', index], value: 0 }])
      await until(() => reads() > before)
      expect(session.list).toEqual([1, 2, 3])
    })

    it('is checked against the store although more and more of them come', async () => {
      const { forger, session, reads } = await scene({ revalidate: 200 })
      forger.chain([admin])
      await until(() => session.role === 'admin')
      const before = reads()
      const timer = setInterval(() => forger.chain([{ op: 'add', path: ['n'], value: Math.random() }]), 10)
      try {
        await until(() => reads() > before && session.role === undefined)
      } finally {
        clearInterval(timer)
      }
    })

    it('cannot make the session grow beyond its limit', async () => {
      const { forger, session, reads } = await scene({ maxBytes: 20_000 })
      const before = reads()
      for (let n = 0; n < 5; n++) {
        forger.chain([{ op: 'add', path: [`key${n}`], value: 'x'.repeat(5000) }])
        await turns()
      }
      await until(() => reads() > before && session.key0 === undefined)
      expect({ ...session, cookie: undefined }).toEqual({ cookie: undefined, user: 'ada', list: [1, 2, 3] })
    })

    it.each([
      ['a later end', { expires: new Date(Date.now() + 1e11).toISOString() }],
      ['another age', { originalMaxAge: 1e11, expires: new Date(Date.now() + 1e11).toISOString() }],
      ['no end', { originalMaxAge: null, expires: null }],
      ['another attribute', { domain: 'evil.test' }],
    ])('does not bring its cookie into the session, nor by a save into the store: %s', async (_, cookie) => {
      const { forger, session, reads, stored } = await scene()
      const before = reads()
      forger.chain([admin], cookie)
      await until(() => reads() > before)
      session.mine = 1
      await session.save()
      expect(session.role).toBeUndefined()
      const { cookie: held, ...data } = await stored()
      expect(data).toEqual({ user: 'ada', list: [1, 2, 3], mine: 1 })
      expect(held.domain).toBeUndefined()
      expect(Math.abs(held.originalMaxAge - 3_600_000)).toBeLessThan(100)
      expect(Date.parse(held.expires)).toBeLessThan(Date.now() + 3_700_000)
      expect(Date.parse(session.cookie.expires)).toBeLessThan(Date.now() + 3_700_000)
    })

    it('does not get into the store by a save that replaces the session', async () => {
      const { forger, session, reads, stored } = await scene({ merge: false })
      const before = reads()
      forger.chain([admin])
      await until(() => reads() > before)
      session.mine = 1
      await session.save()
      expect((await stored()).role).toBeUndefined()
    })

    it('does not get into the store by a save that merges', async () => {
      const { forger, session, stored } = await scene()
      forger.chain([admin])
      await until(() => session.role)
      session.mine = 1
      await session.save()
      expect((await stored()).role).toBeUndefined()
      expect(session.role).toBeUndefined()
    })
  })

  it.each<[string, object]>([
    ['a maximum age', {}],
    ['no end', { maxAge: null }],
    ['an end', { maxAge: undefined, expires: new Date(Date.now() + 3_600_000) }],
    ['many attributes', { httpOnly: false, sameSite: 'lax', path: '/', priority: 'high', partitioned: true }],
  ])('a genuine commit is applied without a read, whatever the cookie has: %s', async (_, attributes) => {
    const { session, write, reads } = await scene({}, client, attributes)
    const before = reads()
    await write({ theme: 'dark' })
    await until(() => session.theme === 'dark')
    expect(reads()).toBe(before)
  })

  it('a flood of forged rotations keeps no genuine commit away', async () => {
    const { forger, reads, session, write } = await scene()
    const before = reads()
    for (let n = 0; n < 500; n++) forger.send({ kind: 'end', reason: 'regenerated', answered: true })
    await until(() => reads() > before)
    await write({ after: 'all' })
    await until(() => session.after)
  })

  it('a flood of forged commits costs no more than one read of the session at a time', async () => {
    const [asked, answered] = [deferred(), deferred()]
    let isSlow = false
    let reading = 0
    let most = 0
    const watched = new Proxy(client, {
      get(target, name) {
        const value = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        if (name !== 'get' && name !== 'mGet') return value.bind(target)
        return async (...args: unknown[]) => {
          if (!isSlow) return value.apply(target, args)
          most = Math.max(most, ++reading)
          asked.resolve()
          await answered.promise
          const found = await value.apply(target, args)
          reading--
          return found
        }
      },
    })
    const { forger, two, reads, session, write } = await scene({}, watched)
    const before = reads()
    const heard = two.shared.stats().messages
    isSlow = true
    const flood = (): void => {
      for (let n = 0; n < 500; n++) forger.send({ kind: 'commit', to: { v: 9, id: `f${n}` } })
    }
    flood()
    await asked.promise
    for (let round = 0; round < 10; round++) {
      flood()
      await turns(2)
    }
    expect(two.shared.stats().messages - heard).toBe(5500)
    answered.resolve()
    await write({ after: 'all' })
    await until(() => session.after)
    expect(most).toBe(1)
    expect(reads() - before).toBeLessThanOrEqual(4)
  })
})

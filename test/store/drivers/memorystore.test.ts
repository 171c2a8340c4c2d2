import expressSession from 'express-session'
import memorystore from 'memorystore'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { MemoryDriver } from '../../../src/store/drivers/memory.js'
import { textsOfLruStore } from '../../../src/store/drivers/memorystore.js'
import { conformance } from './conformance.js'
import { aged, comparing, type Fixture, HOUR, methodsOf, newSid, plainDriver, snapshot } from './fixture.js'
import { publicCases } from './public-cases.js'

const LruStore = memorystore(expressSession)

/** ms that the store's cache keeps a session from now on. */
function leftIn(store: object, sid: string): number {
  const { store: cache } = store as { store: { dumpLru(): { toArray(): { key: string; now: number; maxAge: number }[] } } }
  const entry = cache
    .dumpLru()
    .toArray()
    .find(({ key }) => key === sid)!
  return entry.now + entry.maxAge - Date.now()
}

const get = (store: expressSession.Store, sid: string): Promise<any> =>
  new Promise((resolve, reject) => store.get(sid, (error, found) => (error ? reject(error) : resolve(found))))

describe('memorystore', () => {
  const store = new LruStore({})
  let fixture: Fixture

  beforeAll(() => {
    const left = async (sid: string): Promise<number> => {
      const { expires } = (await get(store, sid)).cookie
      return expires ? leftIn(store, sid) : Number.POSITIVE_INFINITY
    }
    fixture = { driver: comparing(store), store, left }
  })

  it('is driven by memory', () => {
    expect(fixture.driver).toMatchObject({ name: 'memory', compares: true })
  })

  conformance(() => fixture)

  publicCases(
    () => ({ ...fixture, driver: new MemoryDriver(textsOfLruStore(store as never, methodsOf(store))) }),
    ['driver', 'store', 'left'],
  )

  it('forgets a session that its cache has dropped, and refuses a write to it', async () => {
    const small = new LruStore({ max: 1 })
    const driver = comparing(small)
    const { current } = await driver.write('first', snapshot({ n: 1 }), undefined, 'exact')
    await driver.write('second', snapshot({ n: 1 }), undefined, 'exact')
    expect(await driver.read('first')).toBeUndefined()
    expect(await driver.write('first', snapshot({ n: 2 }), current, 'extend')).toEqual({ written: false, current: undefined })
  })

  it('stores the same as the store itself would, for as long', async () => {
    const { driver } = fixture
    const [sid, theirs] = [newSid(), newSid()]
    const data = { n: 1, list: [{ a: null }] }
    const { cookie } = store.createSession({} as never, { cookie: aged(HOUR) } as never)
    await driver.write(sid, snapshot(data, JSON.parse(JSON.stringify(cookie))), undefined, 'exact')
    await new Promise((resolve) => store.set(theirs, { cookie, ...data } as never, resolve))
    expect(await get(store, sid)).toEqual(await get(store, theirs))
    expect(Math.abs(leftIn(store, sid) - leftIn(store, theirs))).toBeLessThan(1000)
  })

  it('a session whose cookie has no end lives for a day, as in the store itself', async () => {
    const { driver } = fixture
    const sid = newSid()
    await driver.write(sid, snapshot({ n: 1 }, { originalMaxAge: null, expires: null }), undefined, 'exact')
    expect(leftIn(store, sid)).toBeGreaterThan(23 * HOUR)
  })

  it.each([
    ['a number', () => HOUR],
    ['a function', () => vi.fn((_options: object, { n }: any, sid: string) => (n === 1 && sid ? HOUR : 1))],
  ])('the option ttl: %s', async (_title, makeTtl) => {
    const made = makeTtl()
    const own = new LruStore({ ttl: made as never })
    const driver = comparing(own)
    const sid = newSid()
    await driver.write(sid, snapshot({ n: 1 }, aged(10 * HOUR)), undefined, 'exact')
    expect(leftIn(own, sid)).toBeLessThanOrEqual(HOUR)
    expect(leftIn(own, sid)).toBeGreaterThan(HOUR / 2)
    await driver.touch(sid, snapshot({}, aged(10 * HOUR)))
    expect(leftIn(own, sid)).toBeGreaterThan(HOUR / 2)
  })

  it('keeps the history of commits over a touch', async () => {
    const { driver } = fixture
    const sid = newSid()
    const history = { v: 1, ids: ['one'] }
    await driver.write(sid, snapshot({ n: 1 }, aged(HOUR), history), undefined, 'exact')
    await driver.touch(sid, snapshot({}, aged(2 * HOUR)))
    expect(await driver.read(sid)).toMatchObject({ cookie: { originalMaxAge: 2 * HOUR }, history })
  })
})

describe('has the generic driver', () => {
  it.each<[string, () => expressSession.Store]>([
    [
      'a subclass with a method of its own',
      () =>
        new (class extends LruStore {
          override set(...args: any[]) {
            super.set(...(args as Parameters<expressSession.Store['set']>))
          }
        })({}),
    ],
    ['a serializer of its own', () => new LruStore({ serializer: { stringify: JSON.stringify, parse: JSON.parse } })],
  ])('%s', (_title, make) => {
    expect(plainDriver(make())).toMatchObject({ name: 'generic' })
  })
})

import expressSession from 'express-session'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { chooseDriver } from '../../../src/store/drivers/choose.js'
import { MemoryDriver, textsOfMemoryStore } from '../../../src/store/drivers/memory.js'
import { conformance } from './conformance.js'
import { aged, comparing, type Fixture, HOUR, methodsOf, newSid, snapshot } from './fixture.js'
import { publicCases } from './public-cases.js'

describe('MemoryStore', () => {
  const store = new expressSession.MemoryStore()
  let fixture: Fixture

  const get = (sid: string): Promise<any> =>
    new Promise((resolve, reject) => store.get(sid, (error, found) => (error ? reject(error) : resolve(found))))

  beforeAll(() => {
    const left = async (sid: string): Promise<number> => {
      const { expires } = (await get(sid)).cookie
      return expires ? new Date(expires).getTime() - Date.now() : Number.POSITIVE_INFINITY
    }
    fixture = { driver: comparing(store), store, left }
  })

  it('is driven by memory', () => {
    expect(fixture.driver).toMatchObject({ name: 'memory', compares: true })
  })

  conformance(() => fixture)

  publicCases(() => ({ ...fixture, driver: new MemoryDriver(textsOfMemoryStore(store as never)) }), ['driver', 'store', 'left'])

  it('refuses a write after clear()', async () => {
    const { driver } = fixture
    const sid = newSid()
    const { current } = await driver.write(sid, snapshot({ n: 1 }), undefined, 'exact')
    await new Promise((resolve) => store.clear(resolve))
    expect(await driver.read(sid)).toBeUndefined()
    expect(await driver.write(sid, snapshot({ n: 2 }), current, 'extend')).toEqual({ written: false, current: undefined })
  })

  it('keeps the history of commits over a touch', async () => {
    const { driver } = fixture
    const sid = newSid()
    const history = { v: 1, ids: ['one'] }
    await driver.write(sid, snapshot({ n: 1 }, aged(HOUR), history), undefined, 'exact')
    await driver.touch(sid, snapshot({}, aged(2 * HOUR)))
    expect(await driver.read(sid)).toMatchObject({ cookie: { originalMaxAge: 2 * HOUR }, history })
  })

  it('stores the same as the store itself would', async () => {
    const { driver } = fixture
    const sid = newSid()
    const data = { n: 1, list: [{ a: null }] }
    const { cookie } = store.createSession({} as never, { cookie: aged(HOUR) } as never)
    const image = JSON.parse(JSON.stringify(cookie))
    await driver.write(sid, snapshot(data, image), undefined, 'exact')
    const theirs = newSid()
    await new Promise((resolve) => store.set(theirs, { cookie, ...data } as never, resolve))
    expect(await get(sid)).toEqual(await get(theirs))
    await driver.touch(sid, snapshot({}, { ...image, ...aged(2 * HOUR) }))
    expect((await get(sid)).list).toEqual([{ a: null }])
    expect(Object.keys((await get(sid)).cookie)).toEqual(Object.keys(image))
  })
})

describe('a MemoryStore with overridden methods has the generic driver', () => {
  const { MemoryStore } = expressSession
  type Set = Parameters<expressSession.MemoryStore['set']>

  /** A class that has each method itself, and does something else in one. */
  function withAll(set: (this: expressSession.MemoryStore, ...args: Set) => void): expressSession.Store {
    class Own extends MemoryStore {}
    Object.defineProperties(Own.prototype, Object.getOwnPropertyDescriptors(MemoryStore.prototype))
    Object.assign(Own.prototype, { constructor: Own, set })
    return new Own()
  }

  const own = new MemoryStore()
  own.set = own.set.bind(own)
  const { set } = MemoryStore.prototype
  const counted = new WeakMap<object, { calls: number }>()

  it.each<[string, expressSession.Store]>([
    ['methods on the store itself', own],
    [
      'a subclass that stores something else',
      withAll((sid, session, done) => set.call(own, sid, { ...session, more: 1 } as never, done)),
    ],
    [
      'a subclass that counts',
      withAll(function (this: expressSession.MemoryStore, ...args: Set) {
        const count = counted.get(this) as { calls: number }
        count.calls++
        set.apply(this, args)
      }),
    ],
    // Vitest fails a run with an unhandled rejection.
    [
      'a subclass whose methods reject',
      withAll(async () => {
        throw new Error('not connected')
      }),
    ],
  ])('%s', (_where, store) => {
    expect(chooseDriver(store, methodsOf(store)).driver.name).toBe('generic')
  })

  describe('methods that somebody has put over those of the class', () => {
    afterEach(() => vi.restoreAllMocks())

    it.each(['get', 'set', 'destroy', 'touch'] as const)('%s', (name) => {
      vi.spyOn(MemoryStore.prototype, name)
      const store = new MemoryStore()
      expect(chooseDriver(store, methodsOf(store)).driver.name).toBe('generic')
    })
  })
})

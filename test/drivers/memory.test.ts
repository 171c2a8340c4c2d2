import expressSession from 'express-session'
import { beforeAll, describe, expect, it } from 'vitest'
import { chooseDriver } from '../../src/store/drivers/choose.js'
import { conformance } from './conformance.js'
import { aged, document, type Fixture, HOUR, methodsOf, newSid } from './fixture.js'

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
    fixture = { driver: chooseDriver(store, methodsOf(store)).driver, store, left }
  })

  it('is compared and set', () => {
    expect(fixture.driver).toMatchObject({ name: 'memory', compares: true })
  })

  conformance(() => fixture)

  it('follows what clear() does', async () => {
    const { driver } = fixture
    const sid = newSid()
    const { held } = await driver.write(sid, document({ n: 1 }), undefined, 'asCookie')
    await new Promise((resolve) => store.clear(resolve))
    expect(await driver.read(sid)).toBeUndefined()
    expect(await driver.write(sid, document({ n: 2 }), held, 'atLeast')).toEqual({ written: false, held: undefined })
  })

  it('keeps what the store itself would keep', async () => {
    const { driver } = fixture
    const sid = newSid()
    const data = { n: 1, list: [{ a: null }] }
    const { cookie } = store.createSession({} as never, { cookie: aged(HOUR) } as never)
    const image = JSON.parse(JSON.stringify(cookie))
    await driver.write(sid, document(data, image), undefined, 'asCookie')
    const theirs = newSid()
    await new Promise((resolve) => store.set(theirs, { cookie, ...data } as never, resolve))
    expect(await get(sid)).toEqual(await get(theirs))
    await driver.touch(sid, document({}, { ...image, ...aged(2 * HOUR) }))
    expect((await get(sid)).list).toEqual([{ a: null }])
    expect(Object.keys((await get(sid)).cookie)).toEqual(Object.keys(image))
  })
})

it('what has methods of its own is not taken for it', () => {
  const store = new expressSession.MemoryStore()
  store.set = store.set.bind(store)
  expect(chooseDriver(store, methodsOf(store)).driver.name).toBe('generic')
})

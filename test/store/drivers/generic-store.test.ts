import expressSession, { type SessionData } from 'express-session'
import { expect, it } from 'vitest'
import { chooseDriver } from '../../../src/store/drivers/choose.js'
import { GenericDriver } from '../../../src/store/drivers/generic.js'
import type { CompareAndSetDriver } from '../../../src/store/drivers/snapshot-driver.js'
import { OriginalStore, type StoreMethods } from '../../../src/store/original-store.js'
import { MongoHabits } from '../../support/mongo-habits.js'
import { aged, checked, HOUR, methodsOf, newSid, snapshot } from './fixture.js'

/** A driver over a MemoryStore of which some methods are others. */
function driverWith(methods: (original: StoreMethods) => Partial<StoreMethods>): CompareAndSetDriver {
  const original = methodsOf(new expressSession.MemoryStore())
  return checked(new GenericDriver(new OriginalStore({ ...original, ...methods(original) })))
}

const fails = (error: unknown) => (_sid: string, callback: (error?: unknown) => void) => callback(error)

it('the generic driver takes ENOENT for a missing session, and no other error', async () => {
  const error = Object.assign(new Error('no such file'), { code: 'ENOENT' })
  const missing = driverWith(() => ({ get: fails(error), touch: (_sid, _session, callback) => callback?.(error) }))
  expect(await missing.read('x')).toBeUndefined()
  expect(await missing.touch('x', snapshot({}))).toBe(false)
  expect((await missing.write('x', snapshot({ n: 1 }), undefined, 'extend')).written).toBe(true)
  const broken = driverWith(() => ({ get: fails(new Error('broken')) }))
  await expect(broken.read('x')).rejects.toThrow('broken')
  await expect(broken.write('x', snapshot({}), undefined, 'extend')).rejects.toThrow('broken')
})

it('the generic driver rejects with the error that a store throws', async () => {
  const thrown = (): never => {
    throw new Error('thrown')
  }
  const driver = driverWith(() => ({ get: thrown, destroy: thrown }))
  await expect(driver.read('x')).rejects.toThrow('thrown')
  await expect(driver.destroy('x')).rejects.toThrow('thrown')
  const rejecting = driverWith(() => ({ set: (async () => thrown()) as never }))
  await expect(rejecting.write('x', snapshot({}), undefined, 'extend')).rejects.toThrow('thrown')
})

it('the generic driver takes the first answer of a store that calls back twice', async () => {
  const driver = driverWith(({ get }) => ({
    get: (sid, callback) =>
      get(sid, (error, found) => {
        callback(error, found)
        callback(new Error('again'))
      }),
  }))
  expect((await driver.write('x', snapshot({ n: 1 }), undefined, 'extend')).written).toBe(true)
  expect((await driver.read('x'))?.data).toEqual({ n: 1 })
})

it('the generic driver tells a session that goes away during a touch from a touch that fails', async () => {
  let gone = true
  const driver = driverWith(({ destroy }) => ({
    touch: (sid, _session, callback) => {
      const fail = (): void => callback?.(new Error('Unable to find the session to touch'))
      if (gone) destroy(sid, fail)
      else fail()
    },
  }))
  await driver.write('x', snapshot({ n: 1 }), undefined, 'extend')
  expect(await driver.touch('x', snapshot({}))).toBe(false)
  gone = false
  await driver.write('x', snapshot({ n: 1 }), undefined, 'extend')
  await expect(driver.touch('x', snapshot({}))).rejects.toThrow('Unable to find')
})

it('the generic driver does not shorten the life of a session whose stored cookie is stale since a touch', async () => {
  const store = new MongoHabits()
  const driver = checked(new GenericDriver(new OriginalStore(methodsOf(store))))
  const sid = newSid()
  const cookie = { ...aged(HOUR), expires: aged(1000).expires }
  const { current } = await driver.write(sid, snapshot({ n: 1 }, cookie), undefined, 'exact')
  await driver.touch(sid, snapshot({}, aged(HOUR)))
  expect((await driver.write(sid, snapshot({ n: 2 }, cookie), current, 'extend')).written).toBe(true)
  expect(store.rows.get(sid)!.expires - Date.now()).toBeGreaterThan(0.9 * HOUR)
})

it('the generic driver gives the store its own copy, under a real cookie', async () => {
  const given: SessionData[] = []
  const driver = driverWith(({ set }) => ({
    set: (sid, session, callback) => {
      given.push(session)
      set(sid, session, callback)
    },
  }))
  const content = snapshot({ n: 1 })
  await driver.write('x', content, undefined, 'exact')
  expect(given[0]).not.toBe(content.data)
  expect(given[0]?.cookie.maxAge).toBeGreaterThan(0.9 * HOUR)
})

it('the generic driver is chosen for a store that is neither Redis nor Postgres, by its members', () => {
  const store = new expressSession.MemoryStore()
  const lookalikes = [
    { client: {}, prefix: 'sess:' },
    { client: null, prefix: 'sess:', serializer: JSON, ttl: 1 },
    { query: () => undefined },
    { quotedTable: () => '"session"' },
  ]
  for (const members of lookalikes) {
    expect(chooseDriver(Object.assign(Object.create(store), members), methodsOf(store))).toEqual({
      driver: expect.any(GenericDriver),
    })
  }
})

import { strict as assert } from 'node:assert'
import type { StoreDriver } from '../store/drivers/store-driver.js'
import { assertText, type Cases, endIn, HOUR, newSid, refused, type TestedStore, textOf, write, written } from './fixture.js'

/** That the driver and the store's own methods read and write the same. */
export function storeCases(driver: StoreDriver, store: TestedStore): Cases {
  const get = (sid: string): Promise<object | null | undefined> =>
    new Promise((resolve, reject) => {
      swallow(store.get(sid, (error, session) => (error ? reject(error) : resolve(session))))
    })
  const set = (sid: string, data: object): Promise<void> =>
    new Promise((resolve, reject) => {
      const cookie = { originalMaxAge: HOUR, expires: endIn(HOUR).toISOString(), httpOnly: true, path: '/' }
      const session = store.createSession({} as never, { cookie, ...data } as never)
      swallow(store.set(sid, session as never, (error) => (error ? reject(error) : resolve())))
    })
  const destroy = (sid: string): Promise<void> =>
    new Promise((resolve, reject) => {
      swallow(store.destroy(sid, (error) => (error ? reject(error) : resolve())))
    })

  return {
    async 'the store reads what the driver writes'() {
      const sid = newSid()
      const text = textOf('"user":"ada","list":[1]')
      await written(driver, sid, text)
      const found = JSON.parse(JSON.stringify(await get(sid)))
      const expected = JSON.parse(text)
      // A driver for a store of documents may keep in the cookie by what it compares them.
      keepOnly(found.cookie, expected.cookie)
      keepOnly(found.cookie.sharedsession, expected.cookie.sharedsession)
      assert.deepEqual(found, expected)
    },

    async 'the driver reads what the store writes, and replaces it'() {
      const sid = newSid()
      await set(sid, { n: 1 })
      const found = await driver.read(sid)
      assert.equal(JSON.parse(String(found?.text)).n, 1)
      const text = textOf('"n":2')
      await written(driver, sid, text, found)
      assertText(await driver.read(sid), text)
    },

    async 'a write is refused after one of the store'() {
      const sid = newSid()
      const held = await written(driver, sid, textOf('"n":1'))
      await set(sid, { n: 2 })
      const found = await refused(driver, sid, await write(driver, sid, textOf('"n":3'), held))
      assert.equal(JSON.parse(String(found?.text)).n, 2)
    },

    async 'what the store has destroyed is gone, and the other way round'() {
      const sid = newSid()
      const held = await written(driver, sid, textOf('"n":1'))
      await destroy(sid)
      assert.equal(await driver.read(sid), undefined)
      assert.equal(await refused(driver, sid, await write(driver, sid, textOf('"n":2'), held)), undefined)
      await set(sid, { n: 3 })
      await driver.destroy(sid)
      assert.equal((await get(sid)) ?? undefined, undefined)
    },
  }
}

function keepOnly(members: Record<string, unknown> = {}, expected: object): void {
  for (const name of Object.keys(members)) if (!(name in expected)) delete members[name]
}

/** Some stores call back, and reject as well. */
function swallow(result: unknown): void {
  Promise.resolve(result).catch(() => undefined)
}

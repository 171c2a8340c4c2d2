import { strict as assert } from 'node:assert'
import type { StoreDriver, StoredSession } from '../store/drivers/store-driver.js'
import {
  assertSame,
  assertText,
  type Cases,
  type Drivers,
  endIn,
  HOUR,
  newSid,
  oneCreates,
  refused,
  textOf,
  touch,
  WRITERS,
  write,
  written,
  writtenOver,
} from './fixture.js'

/** How often each of eight writes. */
const TIMES = 10

/** Reading, comparing and setting, and the end of a session. */
export function writingCases(driver: StoreDriver): Cases {
  return {
    async 'reads nothing where there is nothing'() {
      assert.equal(await driver.read(newSid()), undefined)
    },

    async 'creates a session and reads it'() {
      const sid = newSid()
      const text = textOf('"user":"ada","list":[1,{"a":null}],"nested":{"deep":{"b":true}}')
      const created = await written(driver, sid, text)
      const found = await driver.read(sid)
      assertText(found, text)
      if (created.token !== undefined) assert.equal(found.token, created.token)
    },

    async 'refuses to create a session that is there'() {
      const sid = newSid()
      const text = textOf('"n":1')
      await written(driver, sid, text)
      assertText(await refused(driver, sid, await write(driver, sid, textOf('"n":2'), undefined)), text)
    },

    async 'replaces the expected session, again and again'() {
      const sid = newSid()
      let held = await written(driver, sid, textOf('"n":0,"gone":true'))
      for (let n = 1; n <= 5; n++) {
        const text = textOf(`"n":${n}`)
        held = await written(driver, sid, text, held)
        assertText(await driver.read(sid), text)
      }
    },

    async 'replaces a session that was read'() {
      const sid = newSid()
      await written(driver, sid, textOf('"n":1'))
      const text = textOf('"n":2')
      await written(driver, sid, text, await driver.read(sid))
      assertText(await driver.read(sid), text)
    },

    async 'refuses a write that expects an older session'() {
      const sid = newSid()
      const first = await written(driver, sid, textOf('"n":1'))
      const second = textOf('"n":2')
      await written(driver, sid, second, first)
      const held = await refused(driver, sid, await write(driver, sid, textOf('"n":3'), first))
      assertText(held, second)
      await written(driver, sid, textOf('"n":4'), held)
    },

    'loses nothing where eight write at once': () => losesNothing([driver]),

    'lets one of eight that create a session at once win': () => oneCreates([driver], newSid()),

    async 'does not bring a destroyed session back'() {
      const sid = newSid()
      const held = await written(driver, sid, textOf('"n":1'))
      await driver.destroy(sid)
      assert.equal(await driver.read(sid), undefined)
      assert.equal(await refused(driver, sid, await write(driver, sid, textOf('"n":2'), held)), undefined)
      assert.equal(await touch(driver, sid, endIn(60_000)), false)
      assert.equal(await driver.read(sid), undefined)
    },

    async 'refuses a write that expects a session that was destroyed and created again'() {
      const sid = newSid()
      const held = await written(driver, sid, textOf('"n":1'))
      await driver.destroy(sid)
      const text = textOf('"n":2')
      await written(driver, sid, text)
      assertText(await refused(driver, sid, await write(driver, sid, textOf('"n":3'), held)), text)
    },

    async 'destroys a session that is not there'() {
      const sid = newSid()
      await driver.destroy(sid)
      await written(driver, sid, textOf('"n":1'))
      await driver.destroy(sid)
      await driver.destroy(sid)
      assert.equal(await driver.read(sid), undefined)
    },

    async 'reads several sessions in the order of their ids'() {
      if (!driver.readMany) return
      const sids = [newSid(), newSid(), newSid()] as const
      await written(driver, sids[0], textOf('"n":0'))
      await written(driver, sids[2], textOf('"n":2'))
      const [second, missing, first, ...more] = await driver.readMany([sids[2], sids[1], sids[0]])
      assert.deepEqual(more, [])
      assert.equal(missing, undefined)
      assert.ok(first && second)
      assertSame(first, (await driver.read(sids[0])) as StoredSession)
      assertSame(second, (await driver.read(sids[2])) as StoredSession)
      assert.deepEqual(await driver.readMany([]), [])
    },
  }
}

/** What a lock or a cache in the process of a driver does not do for another process. */
export function processCases(driver: StoreDriver, second: StoreDriver): Cases {
  const both = [driver, second] as const
  return {
    'loses nothing where two processes write at once': () => losesNothing(both),
    'lets one of two processes that create a session at once win': () => oneCreates(both, newSid()),

    async 'lets one of two processes that replace a session whose end has passed win'() {
      const sid = newSid()
      await writtenOver(driver, sid)
      await oneCreates(both, sid)
    },

    async 'reads what another process has written and destroyed'() {
      for (const [writer, reader] of [both, [second, driver] as const]) await readsAtOnce(writer, reader)
    },
  }
}

/** Whatever the reader has read before. */
async function readsAtOnce(writer: StoreDriver, reader: StoreDriver): Promise<void> {
  const sid = newSid()
  const finds = async (text: string | undefined): Promise<void> => {
    const found = [await reader.read(sid), ...((await reader.readMany?.([sid])) ?? [])]
    for (const each of found) text === undefined ? assert.equal(each, undefined) : assertText(each, text)
  }
  await finds(undefined)
  const first = textOf('"n":1')
  const held = await written(writer, sid, first)
  await finds(first)
  const second = textOf('"n":2')
  await written(writer, sid, second, held)
  await finds(second)
  await writer.destroy(sid)
  await finds(undefined)
  assert.equal(await touch(reader, sid, endIn(HOUR)), false)
}

/** The writers use the drivers in turn. */
async function losesNothing(drivers: Drivers): Promise<void> {
  const sid = newSid()
  const [first] = drivers
  await written(first, sid, textOf('"count":0'))
  const increment = async (driver: StoreDriver): Promise<void> => {
    for (let held = await driver.read(sid); ; ) {
      const text = textOf(`"count":${countIn(held) + 1}`)
      const answer = await write(driver, sid, text, held)
      if (answer.written) return
      held = 'stored' in answer ? answer.stored : await driver.read(sid)
    }
  }
  const run = async (writer: number): Promise<void> => {
    for (let time = 0; time < TIMES; time++) await increment(drivers[writer % drivers.length] ?? first)
  }
  await Promise.all(WRITERS.map(run))
  assert.equal(countIn(await first.read(sid)), WRITERS.length * TIMES)
}

function countIn(held: StoredSession | undefined): number {
  assert.ok(held, 'the session is missing')
  return JSON.parse(held.text).count
}

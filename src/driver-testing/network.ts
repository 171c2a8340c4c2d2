import { strict as assert } from 'node:assert'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { StoreDriver, StoredSession, WriteAnswer } from '../store/drivers/store-driver.js'
import { IndeterminateWriteError } from '../store/drivers/store-driver.js'
import { assertText, type Cases, type DriverNetwork, endIn, HOUR, newSid, textOf, touch, write, written } from './fixture.js'

/** ms for which a driver may fail after its connection was lost, and between two calls meanwhile. */
const RECOVERY = 10_000
const PAUSE = 10

/** A value that no error may show. */
const SECRET = 'hR5vXq2mZt8w'

type Outcome = 'written' | 'refused' | 'unknown' | 'failed'

/** Answers that are lost, and outages. */
export function networkCases(driver: StoreDriver, network: DriverNetwork): Cases {
  async function outcome(sid: string, answer: Promise<WriteAnswer>): Promise<Outcome> {
    try {
      return (await answer).written ? 'written' : 'refused'
    } catch (error) {
      assertShowsNothing(error, sid)
      return error instanceof IndeterminateWriteError ? 'unknown' : 'failed'
    }
  }

  /** Sends a write as long as its answers are lost, as the library does. */
  function settled(sid: string, text: string, expected: StoredSession): Promise<Outcome> {
    return answered(async () => {
      const { written } = await write(driver, sid, text, expected)
      return written ? 'written' : 'refused'
    })
  }

  const { delayRequest } = network
  return {
    async 'an answer is lost, and the write was done'() {
      const sid = newSid()
      const held = await written(driver, sid, secretText(1))
      const text = secretText(2)
      const cut = network.loseAnswer()
      const result = await outcome(sid, write(driver, sid, text, held))
      await cut
      // Some client libraries send it again by themselves, and get the answer to the second time.
      assert.notEqual(result, 'failed', 'the write was done: the error has to be an IndeterminateWriteError')
      assertText(await driver.read(sid), text)
      await settled(sid, text, held)
      assertText(await driver.read(sid), text)
    },

    async 'an answer is lost, and the write was not done'() {
      const sid = newSid()
      const first = secretText(1)
      const held = await written(driver, sid, first)
      const text = secretText(2)
      const cut = network.loseRequest()
      const result = await outcome(sid, write(driver, sid, text, held))
      await cut
      assert.notEqual(result, 'refused', 'the store holds what was expected')
      assertText(await driver.read(sid), result === 'written' ? text : first)
      if (result !== 'written') assert.equal(await settled(sid, text, held), 'written')
      assertText(await driver.read(sid), text)
    },

    async 'the answer to the creation of a session is lost'() {
      const sid = newSid()
      const text = secretText(1)
      const cut = network.loseAnswer()
      const result = await outcome(sid, write(driver, sid, text, undefined))
      await cut
      assert.notEqual(result, 'failed', 'the write was done: the error has to be an IndeterminateWriteError')
      assertText(await driver.read(sid), text)
      assert.equal(await outcome(sid, write(driver, sid, secretText(2), undefined)), 'refused')
    },

    ...(delayRequest && {
      async 'an answer is lost, and the write is done later'() {
        const sid = newSid()
        const held = await written(driver, sid, secretText(1))
        const { cut, deliver } = delayRequest.call(network)
        const sent = outcome(sid, write(driver, sid, secretText(2), held))
        await cut
        if ((await sent) === 'written') return
        const text = secretText(3)
        assert.equal(await settled(sid, text, held), 'written')
        await deliver()
        assertText(await driver.read(sid), text)
      },
    }),

    async 'an outage rejects: no session is absent because the server is'() {
      const sid = newSid()
      const text = secretText(1)
      const held = await written(driver, sid, text)
      network.down()
      try {
        await rejects(sid, async () => driver.read(sid))
        await rejects(sid, async () => touch(driver, sid, endIn(HOUR)))
        await rejects(sid, async () => driver.destroy(sid))
        await rejects(sid, async () => write(driver, sid, secretText(2), held))
        if (driver.readMany) await rejects(sid, async () => driver.readMany?.([sid]))
      } finally {
        network.up()
      }
      assertText(await answered(async () => driver.read(sid)), text)
    },
  }
}

function secretText(n: number): string {
  return textOf(`"n":${n},"secret":"${SECRET}"`)
}

async function rejects(sid: string, call: () => Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assertShowsNothing(error, sid)
    return true
  })
}

/** Errors get into logs. */
function assertShowsNothing(error: unknown, sid: string): void {
  const shown = inspect(error, { depth: Infinity, maxArrayLength: null, maxStringLength: null })
  assert.ok(!shown.includes(sid), 'the error shows the id of the session')
  assert.ok(!shown.includes(SECRET), 'the error shows what is in the session')
}

/** Calls again while that rejects: the client library connects again. */
async function answered<T>(call: () => Promise<T>): Promise<T> {
  const end = performance.now() + RECOVERY
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (performance.now() > end) throw error
      await pause(PAUSE)
    }
  }
}

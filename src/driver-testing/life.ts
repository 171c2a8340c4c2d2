import { strict as assert } from 'node:assert'
import {
  after,
  assertSameButEnd,
  assertText,
  type Cases,
  type DriverFixture,
  endIn,
  HOUR,
  newSid,
  OVER,
  oneCreates,
  refused,
  textOf,
  touch,
  write,
  written,
  writtenOver,
} from './fixture.js'

/** Ends and touches. */
export function lifeCases({ driver, left }: DriverFixture): Cases {
  return {
    async 'a session whose end has passed is not there'() {
      const sid = newSid()
      const held = await writtenOver(driver, sid)
      assert.equal(await driver.read(sid), undefined)
      assert.deepEqual(await driver.readMany?.([sid]), driver.readMany && [undefined])
      assert.equal(await refused(driver, sid, await write(driver, sid, textOf('"n":2'), held)), undefined)
      assert.equal(await touch(driver, sid, endIn(HOUR)), false)
      assert.equal(await driver.read(sid), undefined)
    },

    async 'a session is created where the end of another one has passed'() {
      const sid = newSid()
      const held = await writtenOver(driver, sid)
      const text = textOf('"n":3')
      await written(driver, sid, text)
      await refused(driver, sid, await write(driver, sid, textOf('"n":4'), held))
      await refused(driver, sid, await write(driver, sid, textOf('"n":5'), undefined))
      assertText(await driver.read(sid), text)
    },

    async 'one of eight that replace a session whose end has passed wins'() {
      const sid = newSid()
      await writtenOver(driver, sid)
      await oneCreates([driver], sid)
    },

    async 'atLeast: a write does not shorten the life of a session'() {
      const sid = newSid()
      const held = await written(driver, sid, textOf('"n":1'))
      const text = textOf('"n":2', endIn(OVER))
      after(text, await driver.write(sid, { text, expires: endIn(OVER), atLeast: true }, held))
      assertSameButEnd(await driver.read(sid), text)
    },

    async 'atLeast: a write does not shorten a life that was touched'() {
      const sid = newSid()
      const text = textOf('"n":1', endIn(60_000))
      after(text, await driver.write(sid, { text, expires: endIn(60_000), atLeast: false }, undefined))
      assert.equal(await touch(driver, sid, endIn(HOUR)), true)
      const next = textOf('"n":2', endIn(OVER))
      const held = await driver.read(sid)
      after(next, await driver.write(sid, { text: next, expires: endIn(OVER), atLeast: true }, held))
      assertSameButEnd(await driver.read(sid), next)
    },

    ...(left && {
      async 'atLeast: a write makes a life longer'() {
        const sid = newSid()
        const text = textOf('"n":1', endIn(60_000))
        const first = after(text, await driver.write(sid, { text, expires: endIn(60_000), atLeast: false }, undefined))
        assert.ok((await left(sid)) < HOUR / 2)
        await driver.write(sid, { text: textOf('"n":2'), expires: endIn(HOUR), atLeast: true }, first)
        assert.ok((await left(sid)) > HOUR / 2, 'the session still ends when it would have ended before')
      },

      async 'a touch makes a life longer, and shorter'() {
        const sid = newSid()
        await written(driver, sid, textOf('"n":1'))
        await touch(driver, sid, endIn(3 * HOUR))
        if (driver.touchDisabled) return
        assert.ok((await left(sid)) > 2 * HOUR)
        await touch(driver, sid, endIn(60_000))
        assert.ok((await left(sid)) < HOUR)
      },
    }),

    async 'a touch to an end that has passed ends the session'() {
      const sid = newSid()
      const held = await written(driver, sid, textOf('"n":1'))
      await touch(driver, sid, endIn(OVER))
      if (driver.touchDisabled) return
      assert.equal(await driver.read(sid), undefined)
      assert.equal(await refused(driver, sid, await write(driver, sid, textOf('"n":2'), held)), undefined)
    },

    async 'a touch of what is not there'() {
      const sid = newSid()
      assert.equal(await touch(driver, sid, endIn(HOUR)), false)
      assert.equal(await touch(driver, sid, undefined), false)
      assert.equal(await driver.read(sid), undefined)
    },

    async 'a touch leaves the content alone'() {
      const sid = newSid()
      const text = textOf('"n":1')
      const held = await written(driver, sid, text)
      assert.equal(await touch(driver, sid, endIn(2 * HOUR)), true)
      const found = await driver.read(sid)
      if (driver.touchChangesContent) {
        assertSameButEnd(found, text)
        await written(driver, sid, textOf('"n":2'), found)
        return
      }
      assertText(found, text)
      assert.equal(found.token, held.token, 'a touch has changed the token')
      await written(driver, sid, textOf('"n":2'), held)
    },

    async 'a session whose cookie has no end'() {
      const sid = newSid()
      const text = textOf('"n":1', null)
      const held = after(text, await driver.write(sid, { text, expires: undefined, atLeast: false }, undefined))
      assertText(await driver.read(sid), text)
      assert.equal(await touch(driver, sid, undefined), true)
      const found = await driver.read(sid)
      const next = textOf('"n":2', null)
      const expected = driver.touchChangesContent ? found : held
      after(next, await driver.write(sid, { text: next, expires: undefined, atLeast: true }, expected))
      assertText(await driver.read(sid), next)
    },
  }
}

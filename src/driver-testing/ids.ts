import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { assertText, type Cases, type DriverFixture, endIn, HOUR, textOf, touch, written } from './fixture.js'

/** The application chooses the ids: `genid` of express-session. Those of express-session itself have upper and lower case, and 32 characters. */
export function idCases({ driver, foldsCase = false }: DriverFixture): Cases {
  const first = textOf('"n":1')
  const second = textOf('"n":2')
  const newBase = (): string => randomUUID().replaceAll('-', '').slice(0, 20)

  return {
    ...(!foldsCase && {
      async 'tells ids apart that differ by case only'() {
        const base = newBase()
        const [lower, upper] = [`a${base}`, `A${base}`]
        await written(driver, lower, first)
        assert.equal(await driver.read(upper), undefined)
        await written(driver, upper, second)
        await driver.destroy(lower)
        assert.equal(await driver.read(lower), undefined)
        assertText(await driver.read(upper), second)
      },
    }),

    async 'takes ids of characters that mean something to a server'() {
      const sid = newBase() + SPECIAL
      const held = await written(driver, sid, first)
      assertText(await driver.read(sid), first)
      assert.equal(await touch(driver, sid, endIn(HOUR)), true)
      await written(driver, sid, second, driver.touchChangesContent ? await driver.read(sid) : held)
      assertText(await driver.read(sid), second)
      if (driver.readMany) assertText((await driver.readMany([sid]))[0], second)
      await driver.destroy(sid)
      assert.equal(await driver.read(sid), undefined)
    },

    async 'takes no id for a pattern'() {
      const base = newBase()
      const sid = `${base}x`
      await written(driver, sid, first)
      for (const pattern of [`${base}%`, `${base}_`, `${base}*`, `${base}?`, `${base}.`]) {
        assert.equal(await driver.read(pattern), undefined)
        assert.equal(await touch(driver, pattern, endIn(HOUR)), false)
        await driver.destroy(pattern)
      }
      assertText(await driver.read(sid), first)
    },
  }
}

const SPECIAL = `'"%\\:$1?{}`

import { strict as assert } from 'node:assert'
import { assertText, type Cases, type DriverFixture, endIn, HOUR, newSid, refused, textOf, write, written } from './fixture.js'

/** That each text is kept, and that two texts are never taken for one. */
export function contentCases({ driver, maxBytes = 1_100_000 }: DriverFixture): Cases {
  /**
   * The store holds the second of two texts that are nearly the same: a write that expects the first is refused.
   * @param suffix of the second
   */
  async function tellsApart(members: string, others: string, suffix = ''): Promise<void> {
    const sid = newSid()
    const end = endIn(HOUR)
    const [first, second] = [textOf(members, end), textOf(others, end) + suffix]
    const held = await written(driver, sid, first)
    await written(driver, sid, second, held)
    const found = await driver.read(sid)
    assertText(found, second)
    // Both are the same content for a store that writes JSON anew.
    if (found.text !== second && sameJson(first, second)) return
    assertText(await refused(driver, sid, await write(driver, sid, textOf('"n":3'), held)), second)
  }

  async function keeps(text: string): Promise<void> {
    const sid = newSid()
    const held = await written(driver, sid, text)
    const found = await driver.read(sid)
    assertText(found, text)
    if (held.token === undefined && found.token === undefined) assert.equal(found.text, text)
    // Names what is stored, as it was read and as it was written.
    const again = await written(driver, sid, text.replace('"cookie"', ' "cookie"'), found)
    await written(driver, sid, text, again)
    assertText(await driver.read(sid), text)
  }

  return {
    'tells texts apart that differ by case only': () => tellsApart('"v":"straße ADA"', '"v":"straße ada"'),
    'tells texts apart that differ by an accent only': () => tellsApart('"v":"resume"', '"v":"résumé"'),
    'tells texts apart that differ by blanks at their end only': () => tellsApart('"v":1', '"v":1', '  '),
    'tells texts apart that differ by a character of four bytes only': () => tellsApart('"v":"🦊"', '"v":"🐻"'),
    'tells texts apart that differ by the order of their keys only': () => tellsApart('"b":1,"a":2', '"a":2,"b":1'),
    'keeps keys in any order, and keys that look like integers': () =>
      keeps(textOf('"zebra":1,"10":{"2":1,"1":[]},"a":{"z":1,"b":2},"2":"two","-1":0')),
    'keeps a key __proto__': () => keeps(textOf('"__proto__":{"admin":true},"constructor":{"prototype":1}')),
    'keeps characters that mean something to a server': () =>
      keeps(textOf(`"v":${JSON.stringify(SPECIAL)},${JSON.stringify(SPECIAL)}:[${JSON.stringify(SPECIAL)}]`)),
    'keeps numbers': () => keeps(textOf('"big":9007199254740991,"small":1e-7,"huge":1.5e+300,"negative":-0.1')),
    'keeps a large session': () => keeps(largeText(maxBytes)),
  }
}

/** As large as a session can be. */
function largeText(maxBytes: number): string {
  const textWith = (value: string): string => textOf(`"v":"${value}"`)
  // For a blank more.
  const room = maxBytes - Buffer.byteLength(textWith('')) - 1
  return textWith('ü🦊 a'.repeat(room / Buffer.byteLength('ü🦊 a')))
}

const SPECIAL = `ä€ 漢字 🦊 \u2028 " ' \`\` \\ \\\\ \n \r \t \u007f $1 $$ %s % _ ? ?? \\? :name @name '; --`

function sameJson(first: string, second: string): boolean {
  try {
    assert.deepEqual(JSON.parse(first), JSON.parse(second))
    return true
  } catch {
    return false
  }
}

import { expect, it } from 'vitest'
import type { CompareAndSetDriver } from '../../../src/store/drivers/snapshot-driver.js'
import { KeyedQueue } from '../../../src/store/keyed-queue.js'
import type { Snapshot } from '../../../src/store/snapshot.js'
import { aged, content, type Fixture, HOUR, newSid, snapshot } from './fixture.js'

/** What every driver promises. @param fixture is asked when a test runs */
export function conformance(fixture: () => Fixture): void {
  const driver = (): CompareAndSetDriver => fixture().driver
  const compares = (): boolean => fixture().plain === undefined

  async function created(sid: string, made: Snapshot): Promise<Snapshot> {
    const result = await driver().write(sid, made, undefined, 'exact')
    if (!result.written) throw new Error('not created')
    return result.current
  }

  /** The same content under the same token. */
  function expectSame(actual: Snapshot | undefined, expected: Snapshot | undefined): void {
    expect(actual && own(actual)).toEqual(expected && own(expected))
  }

  function own(current: Snapshot): object {
    const { data, ...rest } = content(current)!
    const names = Object.keys(data).filter((name) => !fixture().adds?.includes(name))
    return { ...rest, data: Object.fromEntries(names.map((name) => [name, data[name]])) }
  }

  it('reads nothing where there is nothing', async () => {
    expect(await driver().read(newSid())).toBeUndefined()
  })

  it('creates a session and reads it', async () => {
    const sid = newSid()
    const given = snapshot({ user: 'ada', list: [1, { a: null }], nested: { deep: { b: true } } })
    const current = await created(sid, given)
    expect(current.data).toMatchObject(given.data)
    const found = await driver().read(sid)
    expectSame(found, current)
    expect(found?.cookie).toMatchObject(given.cookie)
  })

  it('refuses to create a session that is there, and hands it out', async () => {
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }))
    const result = await driver().write(sid, snapshot({ n: 2 }), undefined, 'extend')
    expect(result.written).toBe(false)
    expectSame(result.current, current)
    expectSame(await driver().read(sid), current)
  })

  it('replaces the expected session', async () => {
    const sid = newSid()
    const first = await created(sid, snapshot({ n: 1, gone: true }))
    const second = await driver().write(sid, snapshot({ n: 2 }), first, 'extend')
    expect(second.written).toBe(true)
    expect(second.current?.data).toMatchObject({ n: 2 })
    expect(second.current?.data).not.toHaveProperty('gone')
    const third = await driver().write(sid, snapshot({ n: 3 }), second.current, 'extend')
    expect(third.written).toBe(true)
    expectSame(await driver().read(sid), third.current)
  })

  it('refuses a write that expects an older session, and hands out the current one', async () => {
    const sid = newSid()
    const first = await created(sid, snapshot({ n: 1 }))
    const second = await driver().write(sid, snapshot({ n: 2 }), first, 'extend')
    const third = await driver().write(sid, snapshot({ n: 3 }), first, 'extend')
    expect(third.written).toBe(false)
    expectSame(third.current, second.current)
    expectSame(await driver().read(sid), second.current)
  })

  it('refuses a write after another writer’s, and hands out what that one has written', async () => {
    const { store } = fixture()
    const sid = newSid()
    const first = await created(sid, snapshot({ n: 1 }))
    const foreign = store.createSession({} as never, { cookie: aged(HOUR), n: 2 } as never)
    await new Promise((resolve) => store.set(sid, foreign, resolve))
    const refused = await driver().write(sid, snapshot({ n: 3 }), first, 'extend')
    expect(refused.written).toBe(false)
    expect(refused.current?.data).toMatchObject({ n: 2 })
    expect((await driver().write(sid, snapshot({ n: 4 }), refused.current, 'extend')).written).toBe(true)
  })

  it('gives different contents different etags', async () => {
    const sid = newSid()
    const cookie = aged(HOUR)
    const first = await created(sid, snapshot({ n: 1 }, cookie))
    const second = await driver().write(sid, snapshot({ n: 2 }, cookie), first, 'exact')
    expect(second.current?.etag).not.toBe(first.etag)
  })

  it('never brings a destroyed session back', async () => {
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }))
    await driver().destroy(sid)
    expect(await driver().read(sid)).toBeUndefined()
    for (const life of ['extend', 'exact'] as const) {
      expect(await driver().write(sid, snapshot({ n: 2 }), current, life)).toEqual({ written: false, current: undefined })
    }
    expect(await driver().touch(sid, current)).toBe(false)
    expect(await driver().read(sid)).toBeUndefined()
    await driver().destroy(sid)
  })

  it('never brings an expired session back', async () => {
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }))
    await driver().write(sid, snapshot({ n: 1 }, aged(-5000)), current, 'exact')
    expect(await driver().read(sid)).toBeUndefined()
    expect(await driver().write(sid, snapshot({ n: 2 }), current, 'extend')).toEqual({ written: false, current: undefined })
    expect(await driver().touch(sid, current)).toBe(false)
    expect(await driver().read(sid)).toBeUndefined()
    expect((await driver().write(sid, snapshot({ n: 3 }), undefined, 'exact')).written).toBe(true)
    expect((await driver().read(sid))?.data).toMatchObject({ n: 3 })
  })

  it('touches a session that is there', async () => {
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }))
    expect(await driver().touch(sid, snapshot(current.data, aged(2 * HOUR)))).toBe(true)
    expect((await driver().read(sid))?.data).toMatchObject({ n: 1 })
  })

  it('keeps every character', async () => {
    const sid = newSid()
    const text = 'ä€ 漢字 🦊 \u2028 " \\ \n \t \u007f $1 %s \'; --'
    const current = await created(sid, snapshot({ text, [text]: [text] }))
    const result = await driver().write(sid, snapshot({ text: text + text, [text]: [] }), current, 'extend')
    expect(result.written).toBe(true)
    expect((await driver().read(sid))?.data).toMatchObject({ text: text + text, [text]: [] })
    expectSame(await driver().read(sid), result.current)
  })

  it('keeps numbers as JSON has them', async () => {
    const sid = newSid()
    const numbers = { big: 9_007_199_254_740_991, small: 1e-7, huge: 1.5e300, negative: -0.1, integer: 1 }
    await created(sid, snapshot(numbers))
    expect((await driver().read(sid))?.data).toMatchObject(numbers)
  })

  it('takes a large session', async () => {
    const sid = newSid()
    const { largest = 1_000_000 } = fixture()
    const items = Array.from({ length: largest / 200 }, (_, id) => ({ id, text: 'item ü '.repeat(25) }))
    const current = await created(sid, snapshot({ items }))
    const result = await driver().write(sid, snapshot({ items, more: 1 }), current, 'extend')
    expect(result.written).toBe(true)
    expect((await driver().read(sid))?.data).toMatchObject({ items, more: 1 })
  })

  it('keeps fields of a cookie beside its attributes', async () => {
    const sid = newSid()
    const more = { v: 1, ids: ['a', 'b'] }
    const current = await created(sid, snapshot({ n: 1 }, { ...aged(HOUR), more }))
    expect(current.cookie.more).toEqual(more)
    expect((await driver().read(sid))?.cookie.more).toEqual(more)
    const result = await driver().write(sid, snapshot({ n: 1 }, { ...aged(HOUR), more: { v: 2 } }), current, 'extend')
    expect(result.written).toBe(true)
    expect((await driver().read(sid))?.cookie.more).toEqual({ v: 2 })
  })

  it('keeps the history of commits apart from the cookie and the data', async () => {
    const sid = newSid()
    const history = { v: 2, ids: ['a', 'b'] }
    const current = await created(sid, snapshot({ n: 1 }, aged(HOUR), history))
    expect(current.history).toEqual(history)
    const found = await driver().read(sid)
    expect(found).toMatchObject({ history, data: { n: 1 } })
    expect(found?.cookie).not.toHaveProperty('sharedsession')
  })

  it('keeps the attributes of a cookie', async () => {
    const sid = newSid()
    const attributes = { secure: true, sameSite: 'lax', domain: 'example.com', path: '/app', httpOnly: false }
    await created(sid, snapshot({}, { ...aged(HOUR), ...attributes }))
    expect((await driver().read(sid))?.cookie).toMatchObject(attributes)
  })

  it('gives the read session the etag of the written one, whatever the order of its keys', async () => {
    const sid = newSid()
    const first = await created(sid, snapshot({ zebra: 1, a: { z: 1, b: 2 }, bb: 2 }))
    const found = await driver().read(sid)
    expect(found?.etag).toBe(first.etag)
    expect((await driver().write(sid, snapshot({ a: { b: 2, z: 1 } }), found, 'extend')).written).toBe(true)
  })

  it('does not change the snapshot that it is given', async () => {
    const sid = newSid()
    const given = snapshot({ list: [1] })
    const before = structuredClone(content(given))
    const current = await created(sid, given)
    await driver().touch(sid, given)
    await driver().write(sid, given, current, 'extend')
    expect(content(given)).toEqual(before)
  })

  it('does not shorten a lifetime by a merging write', async () => {
    const { left } = fixture()
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }, aged(2 * HOUR)))
    const stale = await driver().write(
      sid,
      snapshot({ n: 2 }, { ...aged(2 * HOUR), expires: aged(-1000).expires }),
      current,
      'extend',
    )
    expect(stale.written).toBe(true)
    expect((await driver().read(sid))?.data).toMatchObject({ n: 2 })
    if (left) expect(await left(sid)).toBeGreaterThan(1.9 * HOUR)
    const soon = { ...aged(2 * HOUR), expires: aged(1000).expires }
    const short = await driver().write(sid, snapshot({ n: 3 }, soon), await driver().read(sid), 'extend')
    expect(short.written).toBe(true)
    if (left) expect(await left(sid)).toBeGreaterThan(1.9 * HOUR)
  })

  it('does not shorten a lifetime that was touched', async () => {
    const { left } = fixture()
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }, aged(HOUR)))
    await driver().touch(sid, snapshot({ n: 1 }, aged(3 * HOUR)))
    const found = await driver().read(sid)
    const result = await driver().write(sid, snapshot({ n: 2 }, current.cookie), found, 'extend')
    expect(result.written).toBe(true)
    if (left && compares()) expect(await left(sid)).toBeGreaterThan(2.9 * HOUR)
    if (left) expect(await left(sid)).toBeGreaterThan(0.9 * HOUR)
  })

  it('extends a lifetime by a merging write', async () => {
    const { left } = fixture()
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }, aged(HOUR)))
    await driver().write(sid, snapshot({ n: 2 }, aged(2 * HOUR)), current, 'extend')
    if (left) expect(await left(sid)).toBeGreaterThan(1.9 * HOUR)
  })

  it('shortens a lifetime with the policy exact', async () => {
    const { left } = fixture()
    const sid = newSid()
    const current = await created(sid, snapshot({ n: 1 }, aged(2 * HOUR)))
    const result = await driver().write(sid, snapshot({ n: 2 }, aged(HOUR)), current, 'exact')
    expect(result.written).toBe(true)
    if (left) expect(Math.abs((await left(sid)) - HOUR)).toBeLessThan(60_000)
  })

  it('stores a session whose cookie has no expiry', async () => {
    const { left } = fixture()
    const sid = newSid()
    const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }
    const current = await created(sid, snapshot({ n: 1 }, cookie))
    expect((await driver().write(sid, snapshot({ n: 2 }, cookie), current, 'extend')).written).toBe(true)
    const found = await driver().read(sid)
    expect(found?.data).toMatchObject({ n: 2 })
    expect(found?.cookie.expires ?? null).toBeNull()
    if (left) expect(await left(sid)).toBeGreaterThan(23 * HOUR)
  })

  it('writes sessions that the store reads, and sees when the store destroys one', async () => {
    const { store } = fixture()
    const sid = newSid()
    await created(sid, snapshot({ n: 1 }))
    const found: any = await new Promise((resolve, reject) =>
      store.get(sid, (error, found) => (error ? reject(error) : resolve(found))),
    )
    expect(found).toMatchObject({ n: 1, cookie: { originalMaxAge: HOUR } })
    await new Promise((resolve) => store.destroy(sid, resolve))
    expect(await driver().read(sid)).toBeUndefined()
  })

  it('lets many concurrent writers of one session all succeed', async () => {
    const writers = 10
    const sid = newSid()
    await created(sid, snapshot({}))
    const queue = new KeyedQueue()
    const increment = async (writer: number): Promise<void> => {
      let current = await driver().read(sid)
      for (;;) {
        const data = { ...current?.data, [`w${writer}`]: writer, count: Number(current?.data.count ?? 0) + 1 }
        const result = await driver().write(sid, snapshot(data), current, 'extend')
        if (result.written) return
        current = result.current
      }
    }
    // Without compare-and-set the queue of the process keep writers apart.
    const run = (writer: number): Promise<void> =>
      compares() ? increment(writer) : queue.run(sid, 30_000, () => increment(writer))
    await Promise.all(Array.from({ length: writers }, (_, writer) => run(writer)))
    const { data } = (await driver().read(sid))!
    expect(data.count).toBe(writers)
    for (let writer = 0; writer < writers; writer++) expect(data[`w${writer}`]).toBe(writer)
  })

  it('lets one of many creators win, and hands out its session to the others', async () => {
    if (!compares()) return
    const sid = newSid()
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => driver().write(sid, snapshot({ n }), undefined, 'exact')),
    )
    const [winner, ...more] = results.filter(({ written }) => written)
    expect(more).toEqual([])
    for (const result of results) expectSame(result.current, winner?.current)
  })

  it('needs one round trip for each call where nobody interferes', async () => {
    const { roundTrips } = fixture()
    if (!roundTrips) return
    const sid = newSid()
    await driver().read(sid)
    await driver().write(newSid(), snapshot({}), undefined, 'extend')
    const counted = async <T>(call: () => Promise<T>): Promise<T> => {
      const before = roundTrips()
      const result = await call()
      expect(roundTrips() - before).toBe(1)
      return result
    }
    const first = await counted(() => driver().write(sid, snapshot({ n: 1 }), undefined, 'exact'))
    const second = await counted(() => driver().write(sid, snapshot({ n: 2 }), first.current, 'extend'))
    const third = await counted(() => driver().write(sid, snapshot({ n: 'x'.repeat(300_000) }), second.current, 'exact'))
    expectSame((await counted(() => driver().write(sid, snapshot({ n: 4 }), second.current, 'extend'))).current, third.current)
    expect(await counted(() => driver().touch(sid, snapshot({})))).toBe(true)
    expectSame(await counted(() => driver().read(sid)), third.current)
    await counted(() => driver().destroy(sid))
  })
}

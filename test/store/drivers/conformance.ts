import { expect, it } from 'vitest'
import type { Document } from '../../../src/store/document.js'
import type { CompareAndSetDriver, Snapshot } from '../../../src/store/drivers/driver.js'
import { KeyedQueue } from '../../../src/store/keyed-queue.js'
import { aged, content, document, type Fixture, HOUR, newSid } from './fixture.js'

/** What every driver promises. @param fixture is asked when a test runs */
export function conformance(fixture: () => Fixture): void {
  const driver = (): CompareAndSetDriver => fixture().driver
  const compares = (): boolean => fixture().plain === undefined

  async function created(sid: string, made: Document): Promise<Snapshot> {
    const result = await driver().write(sid, made, undefined, 'asCookie')
    if (!result.written) throw new Error('not created')
    return result.held
  }

  /** The same content under the same token. */
  function expectSame(actual: Snapshot | undefined, expected: Snapshot | undefined): void {
    expect(actual && own(actual)).toEqual(expected && own(expected))
  }

  function own(held: Snapshot): object {
    const { data, ...rest } = content(held)!
    const names = Object.keys(data).filter((name) => !fixture().adds?.includes(name))
    return { ...rest, data: Object.fromEntries(names.map((name) => [name, data[name]])) }
  }

  it('reads nothing where there is nothing', async () => {
    expect(await driver().read(newSid())).toBeUndefined()
  })

  it('creates, and reads what it created', async () => {
    const sid = newSid()
    const content = document({ user: 'ada', list: [1, { a: null }], nested: { deep: { b: true } } })
    const held = await created(sid, content)
    expect(held.document.data).toMatchObject(content.data)
    const found = await driver().read(sid)
    expectSame(found, held)
    expect(found?.document.cookie).toMatchObject(content.cookie)
  })

  it('creates nothing over what is there, and brings it along', async () => {
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }))
    const result = await driver().write(sid, document({ n: 2 }), undefined, 'atLeast')
    expect(result.written).toBe(false)
    expectSame(result.held, held)
    expectSame(await driver().read(sid), held)
  })

  it('replaces what is expected', async () => {
    const sid = newSid()
    const first = await created(sid, document({ n: 1, gone: true }))
    const second = await driver().write(sid, document({ n: 2 }), first, 'atLeast')
    expect(second.written).toBe(true)
    expect(second.held?.document.data).toMatchObject({ n: 2 })
    expect(second.held?.document.data).not.toHaveProperty('gone')
    const third = await driver().write(sid, document({ n: 3 }), second.held, 'atLeast')
    expect(third.written).toBe(true)
    expectSame(await driver().read(sid), third.held)
  })

  it('refuses what is not expected any more, and brings the current value along', async () => {
    const sid = newSid()
    const first = await created(sid, document({ n: 1 }))
    const second = await driver().write(sid, document({ n: 2 }), first, 'atLeast')
    const third = await driver().write(sid, document({ n: 3 }), first, 'atLeast')
    expect(third.written).toBe(false)
    expectSame(third.held, second.held)
    expectSame(await driver().read(sid), second.held)
  })

  it('notices what another writer wrote past it', async () => {
    const { store } = fixture()
    const sid = newSid()
    const first = await created(sid, document({ n: 1 }))
    const foreign = store.createSession({} as never, { cookie: aged(HOUR), n: 2 } as never)
    await new Promise((resolve) => store.set(sid, foreign, resolve))
    const refused = await driver().write(sid, document({ n: 3 }), first, 'atLeast')
    expect(refused.written).toBe(false)
    expect(refused.held?.document.data).toMatchObject({ n: 2 })
    expect((await driver().write(sid, document({ n: 4 }), refused.held, 'atLeast')).written).toBe(true)
  })

  it('tells contents apart: back to an earlier one is that earlier one', async () => {
    const sid = newSid()
    const cookie = aged(HOUR)
    const first = await created(sid, document({ n: 1 }, cookie))
    const second = await driver().write(sid, document({ n: 2 }, cookie), first, 'asCookie')
    expect(second.held?.etag).not.toBe(first.etag)
  })

  it('never brings a destroyed session back', async () => {
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }))
    await driver().destroy(sid)
    expect(await driver().read(sid)).toBeUndefined()
    for (const life of ['atLeast', 'asCookie'] as const) {
      expect(await driver().write(sid, document({ n: 2 }), held, life)).toEqual({ written: false, held: undefined })
    }
    expect(await driver().touch(sid, held.document)).toBe(false)
    expect(await driver().read(sid)).toBeUndefined()
    await driver().destroy(sid)
  })

  it('never brings an expired session back', async () => {
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }))
    await driver().write(sid, document({ n: 1 }, aged(-5000)), held, 'asCookie')
    expect(await driver().read(sid)).toBeUndefined()
    expect(await driver().write(sid, document({ n: 2 }), held, 'atLeast')).toEqual({ written: false, held: undefined })
    expect(await driver().touch(sid, held.document)).toBe(false)
    expect(await driver().read(sid)).toBeUndefined()
    expect((await driver().write(sid, document({ n: 3 }), undefined, 'asCookie')).written).toBe(true)
    expect((await driver().read(sid))?.document.data).toMatchObject({ n: 3 })
  })

  it('touches what is there', async () => {
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }))
    expect(await driver().touch(sid, document(held.document.data, aged(2 * HOUR)))).toBe(true)
    expect((await driver().read(sid))?.document.data).toMatchObject({ n: 1 })
  })

  it('keeps every character', async () => {
    const sid = newSid()
    const text = 'ä€ 漢字 🦊 \u2028 " \\ \n \t \u007f $1 %s \'; --'
    const held = await created(sid, document({ text, [text]: [text] }))
    const result = await driver().write(sid, document({ text: text + text, [text]: [] }), held, 'atLeast')
    expect(result.written).toBe(true)
    expect((await driver().read(sid))?.document.data).toMatchObject({ text: text + text, [text]: [] })
    expectSame(await driver().read(sid), result.held)
  })

  it('keeps numbers as JSON has them', async () => {
    const sid = newSid()
    const numbers = { big: 9_007_199_254_740_991, small: 1e-7, huge: 1.5e300, negative: -0.1, integer: 1 }
    await created(sid, document(numbers))
    expect((await driver().read(sid))?.document.data).toMatchObject(numbers)
  })

  it('takes a large session', async () => {
    const sid = newSid()
    const items = Array.from({ length: 5000 }, (_, id) => ({ id, text: 'item ü '.repeat(25) }))
    const held = await created(sid, document({ items }))
    const result = await driver().write(sid, document({ items, more: 1 }), held, 'atLeast')
    expect(result.written).toBe(true)
    expect((await driver().read(sid))?.document.data).toMatchObject({ items, more: 1 })
  })

  it('keeps what a cookie has beside its attributes', async () => {
    const sid = newSid()
    const record = { v: 1, ids: ['a', 'b'] }
    const held = await created(sid, document({ n: 1 }, { ...aged(HOUR), record }))
    expect(held.document.cookie.record).toEqual(record)
    expect((await driver().read(sid))?.document.cookie.record).toEqual(record)
    const result = await driver().write(sid, document({ n: 1 }, { ...aged(HOUR), record: { v: 2 } }), held, 'atLeast')
    expect(result.written).toBe(true)
    expect((await driver().read(sid))?.document.cookie.record).toEqual({ v: 2 })
  })

  it('keeps the attributes of a cookie', async () => {
    const sid = newSid()
    const attributes = { secure: true, sameSite: 'lax', domain: 'example.com', path: '/app', httpOnly: false }
    await created(sid, document({}, { ...aged(HOUR), ...attributes }))
    expect((await driver().read(sid))?.document.cookie).toMatchObject(attributes)
  })

  it('does not see the order of keys in what it compares', async () => {
    const sid = newSid()
    const first = await created(sid, document({ zebra: 1, a: { z: 1, b: 2 }, bb: 2 }))
    const found = await driver().read(sid)
    expect(found?.etag).toBe(first.etag)
    expect((await driver().write(sid, document({ a: { b: 2, z: 1 } }), found, 'atLeast')).written).toBe(true)
  })

  it('takes nothing of what it was given for its own', async () => {
    const sid = newSid()
    const content = document({ list: [1] })
    const before = structuredClone(content)
    const held = await created(sid, content)
    await driver().touch(sid, content)
    await driver().write(sid, content, held, 'atLeast')
    expect(content).toEqual(before)
  })

  it('does not shorten a life by merging', async () => {
    const { left } = fixture()
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }, aged(2 * HOUR)))
    const stale = await driver().write(
      sid,
      document({ n: 2 }, { ...aged(2 * HOUR), expires: aged(-1000).expires }),
      held,
      'atLeast',
    )
    expect(stale.written).toBe(true)
    expect((await driver().read(sid))?.document.data).toMatchObject({ n: 2 })
    if (left) expect(await left(sid)).toBeGreaterThan(1.9 * HOUR)
    const soon = { ...aged(2 * HOUR), expires: aged(1000).expires }
    const short = await driver().write(sid, document({ n: 3 }, soon), await driver().read(sid), 'atLeast')
    expect(short.written).toBe(true)
    if (left) expect(await left(sid)).toBeGreaterThan(1.9 * HOUR)
  })

  it('does not shorten a life that was touched', async () => {
    const { left } = fixture()
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }, aged(HOUR)))
    await driver().touch(sid, document({ n: 1 }, aged(3 * HOUR)))
    const found = await driver().read(sid)
    const result = await driver().write(sid, document({ n: 2 }, held.document.cookie), found, 'atLeast')
    expect(result.written).toBe(true)
    if (left && compares()) expect(await left(sid)).toBeGreaterThan(2.9 * HOUR)
    if (left) expect(await left(sid)).toBeGreaterThan(0.9 * HOUR)
  })

  it('lengthens a life by merging', async () => {
    const { left } = fixture()
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }, aged(HOUR)))
    await driver().write(sid, document({ n: 2 }, aged(2 * HOUR)), held, 'atLeast')
    if (left) expect(await left(sid)).toBeGreaterThan(1.9 * HOUR)
  })

  it('shortens a life where the writer says so', async () => {
    const { left } = fixture()
    const sid = newSid()
    const held = await created(sid, document({ n: 1 }, aged(2 * HOUR)))
    const result = await driver().write(sid, document({ n: 2 }, aged(HOUR)), held, 'asCookie')
    expect(result.written).toBe(true)
    if (left) expect(Math.abs((await left(sid)) - HOUR)).toBeLessThan(60_000)
  })

  it('stores a session whose cookie has no end', async () => {
    const { left } = fixture()
    const sid = newSid()
    const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }
    const held = await created(sid, document({ n: 1 }, cookie))
    expect((await driver().write(sid, document({ n: 2 }, cookie), held, 'atLeast')).written).toBe(true)
    const found = await driver().read(sid)
    expect(found?.document.data).toMatchObject({ n: 2 })
    expect(found?.document.cookie.expires ?? null).toBeNull()
    if (left) expect(await left(sid)).toBeGreaterThan(23 * HOUR)
  })

  it('shows its sessions to the store, and takes those of the store', async () => {
    const { store } = fixture()
    const sid = newSid()
    await created(sid, document({ n: 1 }))
    const found: any = await new Promise((resolve, reject) =>
      store.get(sid, (error, it) => (error ? reject(error) : resolve(it))),
    )
    expect(found).toMatchObject({ n: 1, cookie: { originalMaxAge: HOUR } })
    await new Promise((resolve) => store.destroy(sid, resolve))
    expect(await driver().read(sid)).toBeUndefined()
  })

  it('lets 50 writers of one session all get through', async () => {
    const sid = newSid()
    await created(sid, document({}))
    const lanes = new KeyedQueue()
    const increment = async (writer: number): Promise<void> => {
      let held = await driver().read(sid)
      for (;;) {
        const data = { ...held?.document.data, [`w${writer}`]: writer, count: Number(held?.document.data.count ?? 0) + 1 }
        const result = await driver().write(sid, document(data), held, 'atLeast')
        if (result.written) return
        held = result.held
      }
    }
    // Without compare-and-set the lanes of the process keep writers apart.
    const run = (writer: number): Promise<void> =>
      compares() ? increment(writer) : lanes.run(sid, 30_000, () => increment(writer))
    await Promise.all(Array.from({ length: 50 }, (_, writer) => run(writer)))
    const { data } = (await driver().read(sid))!.document
    expect(data.count).toBe(50)
    for (let writer = 0; writer < 50; writer++) expect(data[`w${writer}`]).toBe(writer)
  })

  it('lets one of many creators win, and shows the others what it made', async () => {
    if (!compares()) return
    const sid = newSid()
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => driver().write(sid, document({ n }), undefined, 'asCookie')),
    )
    const [winner, ...more] = results.filter(({ written }) => written)
    expect(more).toEqual([])
    for (const result of results) expectSame(result.held, winner?.held)
  })

  it('needs one round trip for each call where nobody interferes', async () => {
    const { roundTrips } = fixture()
    if (!roundTrips) return
    const sid = newSid()
    await driver().read(sid)
    await driver().write(newSid(), document({}), undefined, 'atLeast')
    const counted = async <T>(call: () => Promise<T>): Promise<T> => {
      const before = roundTrips()
      const result = await call()
      expect(roundTrips() - before).toBe(1)
      return result
    }
    const first = await counted(() => driver().write(sid, document({ n: 1 }), undefined, 'asCookie'))
    const second = await counted(() => driver().write(sid, document({ n: 2 }), first.held, 'atLeast'))
    const third = await counted(() => driver().write(sid, document({ n: 'x'.repeat(300_000) }), second.held, 'asCookie'))
    expectSame((await counted(() => driver().write(sid, document({ n: 4 }), second.held, 'atLeast'))).held, third.held)
    expect(await counted(() => driver().touch(sid, document({})))).toBe(true)
    expectSame(await counted(() => driver().read(sid)), third.held)
    await counted(() => driver().destroy(sid))
  })
}

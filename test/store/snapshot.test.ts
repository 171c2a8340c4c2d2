import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/document/json.js'
import { Snapshot } from '../../src/store/snapshot.js'
import { expiryInText } from '../../src/store/stored-text.js'

class Own {
  kept = 1
}

const cycle: Record<string, unknown> = {}
cycle.a = cycle

const withToJson: Record<string, { toJSON: (key: string) => unknown }> = {
  a: { toJSON: (key) => ({ key, b: new Date(1), c: undefined }) },
  b: { toJSON: () => [undefined, 2] },
  c: { toJSON: () => ({ toJSON: 1, b: 2 }) },
  d: { toJSON: () => undefined },
  e: { toJSON: () => null },
}

const byJson = (value: object): unknown => JSON.parse(JSON.stringify(value))

/** The data of what is saved, without its cookie. */
const dataOf = (value: object): unknown => Snapshot.fromSession(value).data

describe('the data of a snapshot', () => {
  it('is what JSON makes of plain data', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        fc.pre(!JSON.stringify(data).includes('__proto__') && !('cookie' in data))
        expect(dataOf(data)).toEqual(byJson(data))
      }),
    )
  })

  it.each([
    ['numbers that JSON has not', { a: [Number.NaN, Number.POSITIVE_INFINITY, -0, 1e21] }],
    ['what it leaves out', { a: undefined, b: [undefined, 1] }],
    ['holes', { a: Object.assign(new Array(3), { 0: 1 }) }],
    ['dates', { a: new Date(0), b: [new Date(Number.NaN)] }],
    ['things with a toJSON', withToJson],
    ['objects without a prototype', { a: Object.assign(Object.create(null), { b: 1 }) }],
    ['an instance at the top', Object.assign(new Own(), { a: 1 })],
  ])('is what JSON makes of %s', (_name, value) => {
    const data = dataOf(value)
    expect(data).toEqual(byJson(value))
    expect(JSON.stringify(data)).toBe(JSON.stringify(value))
  })

  it.each([
    ['an instance', { a: new Own() }],
    ['a Map', { a: new Map([[1, 2]]) }],
    ['a boxed string', { a: [Object('text')] }],
    ['functions and symbols', { a: () => 1, b: [Symbol('b'), () => 1], c: Symbol('c') }],
    ['an object with a toJSON of its own', { toJSON: () => ({ a: 1 }) }],
    ['a toJSON that gives a Map', { a: { toJSON: () => new Map([[1, 2]]) } }],
  ])('is what JSON makes of %s', (_name, value) => {
    expect(dataOf(value)).toEqual(byJson(value))
  })

  it.each([
    ['a cycle', cycle],
    ['a BigInt', { a: 1n }],
  ])('cannot be made of %s: the error is JSON’s own', (_name, value) => {
    const failure = (make: () => unknown): unknown => {
      try {
        return make()
      } catch (error) {
        return (error as Error).constructor
      }
    }
    expect(failure(() => dataOf(value))).toBe(failure(() => byJson(value)))
  })

  it('is empty where the store holds a cookie alone, of a copy as well', () => {
    for (const [text, isEmpty] of [
      ['{"cookie":{"path":"/"}}', true],
      ['{"cookie":{"path":"/"},"user":"ada"}', false],
      [' {"cookie":{"path":"/"}}', true],
      ['{"user":"ada","cookie":{"path":"/"}}', false],
    ] as const) {
      const snapshot = Snapshot.fromStored({ text })
      expect([snapshot.isEmpty, snapshot.copy().isEmpty, snapshot.storedAs({ text }).isEmpty]).toEqual(Array(3).fill(isEmpty))
    }
  })

  it('has its data once a store holds it, with and without data, with and without a history', () => {
    const cookie = { originalMaxAge: null, expires: null, path: '/' } as never
    for (const data of [{}, { user: 'ada' }, { cookies: { cookie: '}' } }] as JsonObject[]) {
      for (const history of [undefined, { v: 1, ids: ['"}'] }]) {
        const snapshot = new Snapshot({ cookie, data, dataText: JSON.stringify(data), history })
        const text = snapshot.toText()
        const stored = snapshot.storedAs({ text })
        const again = Snapshot.fromStored({ text })
        for (const each of [stored, stored.copy()]) {
          expect([each.data, each.dataText, each.isEmpty, each.toText()]).toEqual([data, again.dataText, again.isEmpty, text])
        }
      }
    }
  })

  it.each([
    ['{"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"a":1}', undefined],
    ['{"cookie":{"originalMaxAge":60000,"expires":"2030-01-01T00:00:00.000Z"}}', Date.UTC(2030, 0)],
    ['{"cookie":{"originalMaxAge":null,"expires":"2030-01-01T00:00:00.000Z"}}', Date.UTC(2030, 0)],
    ['{"cookie":{"path":"/","expires":"2030-01-01T00:00:00.000Z"}}', Date.UTC(2030, 0)],
    ['{"a":1,"cookie":{"originalMaxAge":null,"expires":null}}', undefined],
    ['{"a":1}', undefined],
  ])('says when it ends: %s', (text, end) => {
    expect(expiryInText(text)).toBe(end)
  })

  it('has the cookie and the end that JSON.parse finds, whatever is in the cookie', () => {
    const text = fc.oneof(fc.constantFrom('/', '/}', '},"', '"expires":"2031-01-01"', '{', '\\', '",}{'), fc.string())
    const cookie = fc.record(
      {
        originalMaxAge: fc.oneof(fc.constant(null), fc.integer()),
        path: text,
        expires: fc.oneof(fc.constant(null), fc.constantFrom('2030-01-01T00:00:00.000Z', 'no date', '')),
        domain: text,
        secure: fc.oneof(fc.boolean(), fc.constant('auto')),
      },
      { requiredKeys: [] },
    )
    const data = fc.dictionary(fc.string(), fc.oneof(text, fc.record({ expires: fc.constant('2031-01-01T00:00:00.000Z') })))
    fc.assert(
      fc.property(cookie, data, ({ ...cookie }, data) => {
        fc.pre(!('cookie' in data) && !JSON.stringify(data).includes('__proto__'))
        const end = cookie.expires ? new Date(cookie.expires).getTime() : Number.NaN
        const expires = Number.isNaN(end) ? undefined : end
        const stored = Snapshot.fromStored({ text: JSON.stringify({ cookie, ...data }) })
        for (const each of [stored, stored.copy()]) {
          // Before the cookie is parsed, and after that.
          expect(each.expires).toBe(expires)
          expect(each.cookie).toEqual(cookie)
          expect(each.expires).toBe(expires)
          expect(each.isEmpty).toBe(Object.keys(data).length === 0)
          expect(each.data).toEqual(byJson(data))
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('shares nothing with the object that it was made from', () => {
    const value = { a: { b: [{ c: 1 }] } }
    const image = dataOf(value) as typeof value
    value.a.b[0]!.c = 2
    expect(image).toEqual({ a: { b: [{ c: 1 }] } })
  })
})

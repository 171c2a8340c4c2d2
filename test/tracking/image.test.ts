import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonImage } from '../../src/tracking/image.js'

class Own {
  kept = 1
}

const cycle: Record<string, unknown> = {}
cycle.a = cycle

const told: Record<string, { toJSON: (key: string) => unknown }> = {
  a: { toJSON: (key) => ({ key, b: new Date(1), c: undefined }) },
  b: { toJSON: () => [undefined, 2] },
  c: { toJSON: () => ({ toJSON: 1, b: 2 }) },
  d: { toJSON: () => undefined },
  e: { toJSON: () => null },
}

const byJson = (value: object): unknown => JSON.parse(JSON.stringify(value))

describe('jsonImage()', () => {
  it('is what JSON makes of plain data', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        const image = jsonImage(data)
        // A key of that name is left to JSON.
        if (image) expect(image).toEqual(byJson(data))
        else expect(JSON.stringify(data)).toContain('__proto__')
      }),
    )
  })

  it.each([
    ['numbers that JSON has not', { a: [Number.NaN, Number.POSITIVE_INFINITY, -0, 1e21] }],
    ['what it leaves out', { a: undefined, b: [undefined, 1] }],
    ['holes', { a: Object.assign(new Array(3), { 0: 1 }) }],
    ['dates', { a: new Date(0), b: [new Date(Number.NaN)] }],
    ['things with a toJSON', told],
    ['objects without a prototype', { a: Object.assign(Object.create(null), { b: 1 }) }],
    ['an instance at the top', Object.assign(new Own(), { a: 1 })],
  ])('is what JSON makes of %s', (_name, value) => {
    const image = jsonImage(value)
    expect(image).toEqual(byJson(value))
    expect(JSON.stringify(image)).toBe(JSON.stringify(value))
  })

  it.each([
    ['an instance', { a: new Own() }],
    ['a Map', { a: new Map() }],
    ['a boxed string', { a: [Object('text')] }],
    ['a function', { a: () => 1 }],
    ['a symbol', { a: Symbol('a') }],
    ['a BigInt', { a: 1n }],
    ['a key that sets prototypes', { a: JSON.parse('{"__proto__":{"b":1}}') }],
    ['a cycle', cycle],
    ['an object with a toJSON of its own', { toJSON: () => ({ a: 1 }) }],
    ['a toJSON that gives a Map', { a: { toJSON: () => new Map() } }],
  ])('leaves %s to JSON', (_name, value) => {
    expect(jsonImage(value)).toBeUndefined()
  })

  it('shares nothing with what it was given', () => {
    const value = { a: { b: [{ c: 1 }] } }
    const image = jsonImage(value) as typeof value
    value.a.b[0]!.c = 2
    expect(image).toEqual({ a: { b: [{ c: 1 }] } })
  })
})

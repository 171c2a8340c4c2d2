import { describe, expect, it } from 'vitest'
import { apply, diff } from '../../src/document/patch.js'
import { addLazily, changeOf, differingEntries, entriesOf } from '../../src/store/data-text.js'
import { Snapshot } from '../../src/store/snapshot.js'

const cookie = { path: '/' }
/** As a store holds it. */
const held = (data: object): Snapshot => Snapshot.fromStored({ text: JSON.stringify({ cookie, ...data }) })
const differing = (before: object, after: object) => {
  const found = differingEntries(JSON.stringify(before), entriesOf(after)!)
  return found && { before: JSON.parse(found.before), after: JSON.parse(found.after) }
}

describe('the entries in which two sessions differ', () => {
  it.each<[string, object, object, unknown]>([
    ['none', { a: 1, b: [2] }, { a: 1, b: [2] }, undefined],
    ['none, of empty ones', {}, {}, undefined],
    ['the first', { a: 1, b: 2, c: 3 }, { a: 9, b: 2, c: 3 }, { before: { a: 1 }, after: { a: 9 } }],
    ['the last', { a: 1, b: 2 }, { a: 1, b: 22 }, { before: { b: 2 }, after: { b: 22 } }],
    ['a number that begins with the other', { a: 12, b: 2 }, { a: 1, b: 2 }, { before: { a: 12 }, after: { a: 1 } }],
    ['one that is new', { a: 1 }, { a: 1, b: 2 }, { before: {}, after: { b: 2 } }],
    ['one that is gone', { a: 1, b: 2, c: 3 }, { a: 1, c: 3 }, { before: { b: 2 }, after: {} }],
    ['all of one', {}, { a: 1 }, { before: {}, after: { a: 1 } }],
    [
      'a text that looks like an entry',
      { s: 'x,"k":5', k: 5 },
      { s: 'y', k: 5 },
      { before: { s: 'x,"k":5' }, after: { s: 'y' } },
    ],
    ['an object that ends like the session', { a: { k: 5 } }, { k: 5 }, { before: { a: { k: 5 } }, after: { k: 5 } }],
    ['another order', { a: 1, b: 2 }, { b: 2, a: 1 }, { before: { a: 1, b: 2 }, after: { b: 2, a: 1 } }],
  ])('%s', (_title, before, after, expected) => {
    expect(differing(before, after)).toEqual(expected)
  })

  it('lead to the same patches as a comparison of the whole, whatever changes', () => {
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 48271) % 2147483647
      return seed % below
    }
    const values = [1, 12, 'a', 'a,"b":1', ',', ':', '"', '\\', '', null, true, [], [1, ','], {}, { b: 1 }, { a: { b: ',' } }]
    // No backslash beside the quotation mark: JSON.parse() of Node 24 takes an escaped key for another one of the same length.
    const keys = ['a', 'b', ',', ':', '"', '', '1', 'a,"b']
    const make = (): Record<string, unknown> => {
      const entries = Array.from({ length: random(5) }, () => [keys[random(keys.length)]!, values[random(values.length)]])
      return Object.fromEntries(entries)
    }
    for (let time = 0; time < 20_000; time++) {
      const [before, after] = [make(), make()]
      // By its text, and by the JSON of its keys.
      const known = random(2) ? held(before) : Snapshot.lazyFromSession({ cookie, ...before })
      const patches = changeOf(known, Snapshot.lazyFromSession({ cookie, ...after }))?.() ?? []
      expect(patches).toEqual(diff(before as never, after as never))
      // A copy by JSON: the values are shared.
      expect(apply(JSON.parse(JSON.stringify(before)), patches)).toEqual(after)
    }
  })
})

it('a session whose JSON a copy decides has no entries', () => {
  expect(entriesOf({ toJSON: () => ({}) })).toBeUndefined()
  expect(entriesOf({ a: JSON.parse('{"__proto__":{"x":1}}') })).toBeUndefined()
  expect(entriesOf({ cookie, a: undefined, b: () => 1, c: new Date(0) })).toEqual(['"c":"1970-01-01T00:00:00.000Z"'])
})

describe('the entries of a session', () => {
  const toJSON = (key: string): string => `as ${key}`
  it.each<[string, object]>([
    ['of keys that are quoted', { 'a":b': 1, '\\': 2, '': 3, é: 4, 1: 5 }],
    ['of what JSON leaves out', { a: undefined, b: () => 1, c: Symbol('c'), d: { toJSON: () => undefined } }],
    [
      'of what converts itself',
      { date: new Date(0), own: { toJSON }, called: Object.assign(() => 1, { toJSON }), 'a":': { toJSON } },
    ],
    ['of objects of scalars', { n: new Number(1), s: new String('s'), b: new Boolean(false), nan: Number.NaN, none: null }],
  ])('%s are those of JSON', (_title, session) => {
    expect(`{${entriesOf(session)!.join(',')}}`).toBe(JSON.stringify(session))
  })
})

describe('data that is parsed when it is looked at', () => {
  const long = 'x'.repeat(200)
  const data = { user: { name: long }, list: [1, long], n: 1, 'a":b': long }
  const made = (source: object): Record<string, unknown> => {
    const target = { cookie: {} }
    addLazily(target, entriesOf(source)!)
    return target
  }

  it.each([
    ['long', { user: { name: long }, list: [1, long], n: 1 }],
    ['with a key that is escaped', data],
    ['short', { a: 1, b: { c: 2 } }],
    ['none', {}],
  ])('is the same data: %s', (_title, source) => {
    expect(JSON.stringify(made(source))).toBe(JSON.stringify({ cookie: {}, ...source }))
    expect(structuredClone(made(source))).toEqual({ cookie: {}, ...source })
    expect({ ...made(source) }).toEqual({ cookie: {}, ...source })
  })

  it('is not parsed before', () => {
    const session = made({ user: { name: long } })
    expect(typeof Object.getOwnPropertyDescriptor(session, 'user')?.get).toBe('function')
    expect(session.user).toEqual({ name: long })
    expect(session.user).toBe(session.user)
  })

  it('keeps what was deleted or set before', () => {
    const session = made({ user: { name: long }, list: [long], n: 1 })
    delete session.user
    session.n = 2
    expect(session.list).toEqual([long])
    expect(session).toEqual({ cookie: {}, list: [long], n: 2 })
    session.user = 'other'
    expect(session.user).toBe('other')
  })
})

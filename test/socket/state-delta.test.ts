import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { MirrorPatch, MirrorState } from '../../src/client/protocol.js'
import { stateDelta } from '../../src/socket/mirror/state-delta.js'
import { apply } from '../publish/mirror.js'

it.each<[string, MirrorState, MirrorState, MirrorPatch[]]>([
  ['nothing', { a: 1 }, { a: 1 }, []],
  ['keys', { a: 1, b: 2 }, { a: 2, c: [] }, [[['b']], [['a'], 2], [['c'], []]]],
  ['a key below', { a: { b: { c: 1, d: 1 } } }, { a: { b: { c: 2, d: 1 } } }, [[['a', 'b', 'c'], 2]]],
  ['another kind', { a: { 0: 'x' } }, { a: ['x'] }, [[['a'], ['x']]]],
  ['null', { a: {} }, { a: null }, [[['a'], null]]],
  ['an appended element', { a: [1, 2] }, { a: [1, 2, 3] }, [[['a'], 2, 0, [3]]]],
  ['a removed element', { a: [1, 2, 3] }, { a: [1, 3] }, [[['a'], 1, 1, []]]],
  [
    'an element that changed in place',
    { a: [{ id: 1 }, { id: 2, n: 1 }, { id: 3 }] },
    { a: [{ id: 1 }, { id: 2, n: 2 }, { id: 3 }] },
    [[['a', 1, 'n'], 2]],
  ],
  [
    'several places of an array',
    { a: [1, 2, 3, 4, 5, 6] },
    { a: [0, 1, 2, 4, 5, 7] },
    [
      [['a'], 0, 0, [0]],
      [['a'], 3, 1, []],
      [['a', 5], 7],
    ],
  ],
  ['an array of arrays', { a: [[1], [2]] }, { a: [[1], [2, 3]] }, [[['a', 1], 1, 0, [3]]]],
  [
    'texts that look like JSON',
    { a: ['{}', {}] },
    { a: [{}, '{}'] },
    [
      [['a'], 0, 1, []],
      [['a'], 1, 0, ['{}']],
    ],
  ],
])('%s', (_name, from, to, patches) => {
  expect(stateDelta(from, to)).toEqual(patches)
  expect(apply(from, patches)).toEqual(to)
})

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, 0, 1, 'a', ''),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', '0', 'length', 'toString'), tie('value'), { noNullPrototype: true }),
  ),
})).value as fc.Arbitrary<any>
const state = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, { noNullPrototype: true })

it('leads from any state to any other one', () => {
  fc.assert(
    fc.property(state, state, (from, to) => {
      const patches = JSON.parse(JSON.stringify(stateDelta(from, to)))
      expect(apply(from, patches)).toEqual(to)
    }),
    { numRuns: 500 },
  )
})

it('says nothing of what is equal in both', () => {
  fc.assert(
    fc.property(state, (same) => {
      expect(stateDelta(same, structuredClone(same))).toEqual([])
    }),
  )
})

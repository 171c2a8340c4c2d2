import fc from 'fast-check'
import { applyPatches, enablePatches } from 'immer'
import { describe, expect, it } from 'vitest'
import { diffArrays } from '../../src/document/array-diff.js'
import { apply, diff } from '../../src/document/patch.js'
import { documents } from './documents.js'
import type { Any } from './harness.js'

enablePatches()

describe('diff', () => {
  it('gives patches from one document to the other, for apply and for immer', () => {
    fc.assert(
      fc.property(documents, documents, (base, next) => {
        const patches = diff(base, next)
        expect(apply(structuredClone(base), patches)).toEqual(next)
        expect(applyPatches(base, patches as Any)).toEqual(next)
      }),
    )
  })

  it('gives no patches for equal documents', () => {
    fc.assert(
      fc.property(documents, (base) => {
        expect(diff(base, structuredClone(base))).toEqual([])
      }),
    )
  })

  it('matches elements of arrays by content, by id and by index', () => {
    const base: Any = {
      a: [{ x: 1 }, { x: 2 }, { x: 3 }],
      b: [{ id: 1 }, { id: 2, q: 1 }],
      c: [{ x: 1 }, { x: 2 }],
      d: [1, 2, 3],
    }
    const next: Any = {
      a: [{ x: 2 }, { x: 3 }],
      b: [{ id: 0 }, { id: 2, q: 2 }, { id: 3 }],
      c: [{ x: 1 }, { x: 5 }],
      d: [1, 7, 3],
    }
    expect(diff(base, next)).toEqual([
      { op: 'remove', path: ['a', 0] },
      { op: 'replace', path: ['b', 0], value: { id: 0 } },
      { op: 'replace', path: ['b', 1, 'q'], value: 2 },
      { op: 'add', path: ['b', 2], value: { id: 3 } },
      { op: 'replace', path: ['c', 1, 'x'], value: 5 },
      { op: 'replace', path: ['d', 1], value: 7 },
    ])
  })

  it('ignores the order of keys', () => {
    expect(diff({ a: [{ x: 1, y: 2 }, 1] }, { a: [0, { y: 2, x: 1 }, 1] })).toEqual([{ op: 'add', path: ['a', 0], value: 0 }])
  })

  it('copies the values of its patches', () => {
    const next = { a: { b: [] as Any[] } }
    const [patch] = diff({}, next)
    next.a.b.push(1)
    expect(patch?.value).toEqual({ b: [] })
  })
})

describe('apply', () => {
  it('follows own properties only and refuses __proto__', () => {
    const bad: Any[] = [
      { op: 'add', path: ['__proto__', 'x'], value: 1 },
      { op: 'add', path: ['a', '__proto__'], value: {} },
      { op: 'add', path: ['constructor', 'prototype', 'x'], value: 1 },
      { op: 'add', path: ['n', 'x'], value: 1 },
      { op: 'add', path: ['list', 'x'], value: 1 },
      { op: 'replace', path: [], value: 1 },
    ]
    for (const patch of bad) expect(() => apply({ a: {}, n: 1, list: [] }, [patch])).toThrow(TypeError)
    expect(({} as Any).x).toBeUndefined()
  })

  it.each<[string, Any]>([
    ['replace far beyond the end', { op: 'replace', path: ['list', 100_000_000], value: 0 }],
    ['replace at the end', { op: 'replace', path: ['list', 2], value: 0 }],
    ['add behind the end', { op: 'add', path: ['list', 3], value: 0 }],
    ['remove at the end', { op: 'remove', path: ['list', 2] }],
    ['a negative index', { op: 'add', path: ['list', -1], value: 0 }],
    ['a text', { op: 'replace', path: ['list', '1'], value: 0 }],
    ['an empty text', { op: 'replace', path: ['list', ''], value: 0 }],
    ['the length', { op: 'replace', path: ['list', 'length'], value: 1e8 }],
    ['through an item that is not there', { op: 'add', path: ['list', 5, 'x'], value: 0 }],
  ])('refuses what is no index of the array: %s', (_, patch) => {
    const doc = { list: [1, 2] }
    expect(() => apply(doc, [patch])).toThrow(TypeError)
    expect(doc.list).toEqual([1, 2])
  })

  it('copies values without their __proto__', () => {
    const value = JSON.parse('{"__proto__":{"x":1},"list":[1]}')
    const doc = apply({} as Any, [{ op: 'add', path: ['a'], value }])
    expect(Object.keys(doc.a)).toEqual(['list'])
    expect(doc.a.list).not.toBe(value.list)
  })
})

describe('diffArrays', () => {
  const replay = (before: number[], after: number[]) => {
    const out: number[] = []
    let from = 0
    for (const { removed, added, kept } of diffArrays(before, after)) {
      for (let i = 0; i < added; i++) out.push(after[out.length] as number)
      from += removed
      for (let i = 0; i < kept; i++) out.push(before[from++] as number)
    }
    expect(from).toBe(before.length)
    return out
  }

  it('gives a script from one array to the other', () => {
    const list = fc.array(fc.integer({ min: 0, max: 5 }))
    fc.assert(
      fc.property(list, list, (before, after) => {
        expect(replay(before, after)).toEqual(after)
      }),
    )
  })

  it('gives the shortest script', () => {
    expect(diffArrays([1, 2, 3, 4], [2, 3, 5, 4])).toEqual([
      { removed: 1, added: 0, kept: 2 },
      { removed: 0, added: 1, kept: 1 },
    ])
    expect(diffArrays([1, 2], [3])).toEqual([{ removed: 2, added: 1, kept: 0 }])
    expect(diffArrays([], [])).toEqual([])
  })

  it('gives a correct script if there are too many differences for the shortest', () => {
    const before = Array.from({ length: 600 }, (_, i) => i)
    const shuffled = before.map((i) => (i * 7) % 600)
    expect(replay(before, shuffled)).toEqual(shuffled)
    expect(replay(before, [...before].reverse())).toEqual([...before].reverse())
    const halves = [...before.slice(300), ...before.slice(0, 300)]
    expect(Math.max(...diffArrays(before, halves).map((run) => run.kept))).toBe(300)
  })
})

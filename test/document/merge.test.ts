import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/document/json.js'
import { merge } from '../../src/document/merge.js'
import { apply } from '../../src/document/patch.js'
import { documents } from './documents.js'
import { type Any, open, shop } from './harness.js'

describe('merge', () => {
  it('returns the changed side if only one side changed, with patches from theirs to the result', () => {
    fc.assert(
      fc.property(documents, documents, documents, (base, mine, theirs) => {
        const inputs = JSON.stringify([base, mine, theirs])
        expect(merge(base, mine, base)).toMatchObject({ data: mine, conflicts: [] })
        expect(merge(base, base, theirs)).toMatchObject({ data: theirs, patches: [], conflicts: [] })
        const { data, patches } = merge(base, mine, theirs)
        expect(apply(structuredClone(theirs), patches)).toEqual(data)
        expect(JSON.stringify([base, mine, theirs])).toBe(inputs)
      }),
      { numRuns: 300 },
    )
  })

  it('visits each level of deeply nested arrays once', () => {
    const deep = (): JsonObject => ({ list: JSON.parse('['.repeat(900) + ']'.repeat(900)) })
    // Some milliseconds; with a look at what is below from each level it takes minutes.
    for (let times = 0; times < 100; times++) {
      expect(merge(deep(), { ...deep(), mine: 1 }, { ...deep(), theirs: 1 }).patches).toHaveLength(1)
    }
  })

  it('keeps edits of different values, in any order of the writers', () => {
    const mine = shop()
    mine.cart.items[1].q = 5
    mine.user.tags.push('z')
    delete mine.n
    const theirs = shop()
    theirs.cart.items.shift()
    theirs.cart.items[1].note = 'n'
    theirs.user.age = 3
    const wanted = {
      cart: {
        items: [
          { id: 2, q: 5 },
          { id: 3, q: 1, note: 'n' },
        ],
        total: 0,
      },
      user: { name: 'a', tags: ['x', 'y', 'z'], age: 3 },
      list: [1, 2, 3],
    }
    expect(merge(shop(), mine, theirs)).toMatchObject({ data: wanted, conflicts: [] })
    expect(merge(shop(), theirs, mine)).toMatchObject({ data: wanted, conflicts: [] })
  })

  it('keeps an edit of an element that the other side moved', () => {
    const mine = shop()
    mine.cart.items.reverse()
    const theirs = shop()
    theirs.cart.items[0].q = 9
    const wanted = [
      { id: 3, q: 1 },
      { id: 2, q: 1 },
      { id: 1, q: 9 },
    ]
    expect((merge(shop(), mine, theirs).data as Any).cart.items).toEqual(wanted)
    expect((merge(shop(), theirs, mine).data as Any).cart.items).toEqual(wanted)
  })

  it('keeps what both sides append, insert and remove', () => {
    const base = { list: [1, 2, 3, 4] } as JsonObject
    expect(merge(base, { list: [1, 2, 3, 4, 5] }, { list: [1, 2, 3, 4, 6] }).data).toEqual({ list: [1, 2, 3, 4, 6, 5] })
    expect(merge(base, { list: [0, 1, 2, 3, 4] }, { list: [2, 3, 4] }).data).toEqual({ list: [0, 2, 3, 4] })
    expect(merge(base, { list: [1, 1.5, 2, 4] }, { list: [1, 2, 3, 3.5, 4] }).data).toEqual({ list: [1, 1.5, 2, 3.5, 4] })
  })

  it('keeps an insertion behind an element that the other side removes, and removes such an element even if this side moved it', () => {
    expect(merge({ a: [1, 2, 3] }, { a: [1, 2, 9, 3] }, { a: [1, 3] }).data).toEqual({ a: [1, 9, 3] })
    const [x, y, z] = [{ id: 1 }, { id: 2 }, { id: 3 }]
    expect(merge({ a: [x, y, z] } as Any, { a: [z, x, y] } as Any, { a: [x, y] } as Any).data).toEqual({ a: [x, y] })
  })

  it('keeps every insertion into an array and every removal, and the order of the other elements', () => {
    const places = fc.uniqueArray(fc.integer({ min: 0, max: 9 }))
    const base = Array.from({ length: 10 }, (_, id) => ({ id }))
    const edit = (removed: number[], inserted: number[], name: string) => {
      const list: Any[] = base.filter(({ id }) => !removed.includes(id))
      for (const place of inserted) list.splice(Math.min(place, list.length), 0, { id: `${name}${place}` })
      return list
    }
    fc.assert(
      fc.property(places, places, places, places, (myRemoved, myInserted, theirRemoved, theirInserted) => {
        const mine = edit(myRemoved, myInserted, 'm')
        const theirs = edit(theirRemoved, theirInserted, 't')
        const ids = ((merge({ a: base }, { a: mine }, { a: theirs }).data as Any).a as Any[]).map(({ id }) => id)
        const left = base.map(({ id }) => id).filter((id) => !myRemoved.includes(id) && !theirRemoved.includes(id))
        expect(ids.filter((id) => typeof id === 'number')).toEqual(left)
        const inserted = [...myInserted.map((place) => `m${place}`), ...theirInserted.map((place) => `t${place}`)]
        expect(ids.filter((id) => typeof id === 'string').sort()).toEqual(inserted.sort())
      }),
    )
  })

  it('keeps a scalar that one side put in place of one that both removed, in any order of the writers', () => {
    for (const [base, one, other, merged] of [
      [['tea'], ['cup'], [], ['cup']],
      [['tea', 'pot'], ['tea', 'cup'], ['tea'], ['tea', 'cup']],
      [['tea', 'pot', 'jug'], ['tea', 'cup', 'jug'], ['jug'], ['cup', 'jug']],
      [
        [1, 2, 3],
        [1, 9, 3],
        [1, 3, 4],
        [1, 9, 3, 4],
      ],
    ]) {
      expect(merge({ a: base } as JsonObject, { a: one } as JsonObject, { a: other } as JsonObject)).toMatchObject({
        data: { a: merged },
        conflicts: [],
      })
      expect(merge({ a: base } as JsonObject, { a: other } as JsonObject, { a: one } as JsonObject)).toMatchObject({
        data: { a: merged },
        conflicts: [],
      })
    }
  })

  it('takes scalars at one index for one value where nobody changed the length', () => {
    const { data, conflicts } = merge({ a: ['', '', ''] }, { a: ['X', '', ''] }, { a: ['O', '', 'O'] })
    expect(data).toEqual({ a: ['X', '', 'O'] })
    expect(conflicts).toEqual([{ path: ['a', 0], kind: 'both-set', base: '', mine: 'X', theirs: 'O', won: 'mine' }])
    expect(merge({ a: [0, 0, 0] }, { a: [0, 1, 0] }, { a: [1, 0, 1] }).data).toEqual({ a: [1, 1, 1] })
    expect(merge({ a: [0, 0, 0, 0] }, { a: [1, 0, 0, 1] }, { a: [0, 2, 2, 0] }).data).toEqual({ a: [1, 2, 2, 1] })
    expect(merge({ a: [0, 0, 0, 0] }, { a: [0, 2, 2, 0] }, { a: [1, 0, 0, 1] }).data).toEqual({ a: [1, 2, 2, 1] })
    expect(merge({ a: [0, 0, 0] }, { a: [1, 0, 0] }, { a: [1, 0, 1] }).data).toEqual({ a: [1, 0, 1] })
  })

  it('keeps every scalar that was added, and every removal', () => {
    const places = fc.uniqueArray(fc.integer({ min: 0, max: 5 }))
    const base = Array.from({ length: 6 }, (_, index) => `b${index}`)
    const edit = (removed: number[], inserted: number[], name: string) => {
      const list = base.filter((_, index) => !removed.includes(index))
      for (const place of inserted) list.splice(Math.min(place, list.length), 0, `${name}${place}`)
      return list
    }
    fc.assert(
      fc.property(places, places, places, places, (myRemoved, myInserted, theirRemoved, theirInserted) => {
        const mine = edit(myRemoved, myInserted, 'm')
        const theirs = edit(theirRemoved, theirInserted, 't')
        // What both put at one index is one value, and mine wins.
        fc.pre(mine.length !== base.length || theirs.length !== base.length)
        const merged = (merge({ a: base }, { a: mine }, { a: theirs }).data as Any).a as string[]
        const left = base.filter((_, index) => !myRemoved.includes(index) && !theirRemoved.includes(index))
        expect(merged.filter((item) => item.startsWith('b'))).toEqual(left)
        const inserted = [...myInserted.map((place) => `m${place}`), ...theirInserted.map((place) => `t${place}`)]
        expect(merged.filter((item) => !item.startsWith('b')).sort()).toEqual(inserted.sort())
      }),
      { numRuns: 1000 },
    )
  })

  it('reports a conflict for what both changed', () => {
    const { data, conflicts } = merge({ n: 1, o: { a: 1 } }, { n: 2, o: { a: 2 } }, { n: 3 })
    expect(data).toEqual({ n: 2 })
    expect(conflicts.map(({ kind, won }) => [kind, won])).toEqual([
      ['both-set', 'mine'],
      ['deleted-under-edit', 'theirs'],
    ])
  })
})

describe('many concurrent edits of different values', () => {
  it('all stay, in elements among others that are moved, inserted and removed', () => {
    const items = () => Array.from({ length: 20 }, (_, id) => ({ id, mine: 0, theirs: 0 }))
    const element = fc.integer({ min: 0, max: 19 })
    fc.assert(
      fc.property(fc.array(element), fc.array(element), fc.array(element), (edits, theirEdits, removed) => {
        const { session, rebase, flush, live } = open({ items: items() })
        for (const id of edits) session.items[id].mine++
        const theirs = items()
        for (const id of theirEdits) (theirs[id] as Any).theirs++
        const left = theirs.filter(({ id }) => !removed.includes(id)).reverse()
        rebase({ items: [{ id: 99, mine: 0, theirs: 0 }, ...left] })
        flush()
        for (const item of left) item.mine = edits.filter((id) => id === item.id).length
        expect(live().items.slice(1)).toEqual(left)
      }),
      { numRuns: 200 },
    )
  })
})

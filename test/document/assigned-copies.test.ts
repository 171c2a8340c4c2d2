import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { equal, isContainer, sameKind } from '../../src/document/json.js'
import { merge } from '../../src/document/merge.js'
import { StrategyTable } from '../../src/document/merge-strategy.js'
import { documents } from './documents.js'
import { type Any, open, plain } from './harness.js'

describe('a copy that was assigned in place of an object or an array', () => {
  it('is merged by what differs, and stays the object that the application holds', () => {
    const { session, rebase, live, flush } = open({ o: { a: 1, gone: 1 }, list: ['a', 'b'] })
    session.o = { ...session.o, mine: 1 }
    session.list = [...session.list, 'mine']
    const { o, list } = session
    expect(rebase({ o: { a: 2, theirs: 1 }, list: ['theirs', 'a', 'b'] }).conflicts).toEqual([])
    expect(live()).toEqual({ o: { a: 2, mine: 1, theirs: 1 }, list: ['theirs', 'a', 'b', 'mine'] })
    expect([o.theirs, list[0]]).toEqual([1, 'theirs'])
    // The save was refused once more.
    rebase({ o: { a: 2, theirs: 2 }, list: ['a', 'b', 'theirs'] })
    flush()
    expect(live()).toEqual({ o: { a: 2, mine: 1, theirs: 2 }, list: expect.arrayContaining(['a', 'b', 'theirs', 'mine']) })
    o.late = 1
    expect(flush()).toEqual([{ op: 'add', path: ['o', 'late'], value: 1 }])
  })

  it('is merged at each depth', () => {
    const { session, rebase, live, flush } = open()
    const { cart } = session
    session.cart = { ...cart, items: [...cart.items.map((item: Any) => ({ ...item, q: 2 })), { id: 4, q: 1 }] }
    const theirs = plain(live()) as Any
    theirs.cart = { items: [{ id: 1, q: 1, note: 'n' }, { id: 3, q: 1 }, { id: 5 }], total: 9 }
    rebase(theirs)
    flush()
    expect(live().cart.total).toBe(9)
    expect(live().cart.items).toEqual(
      expect.arrayContaining([{ id: 1, q: 2, note: 'n' }, { id: 3, q: 2 }, { id: 5 }, { id: 4, q: 1 }]),
    )
    expect(live().cart.items).toHaveLength(4)
  })

  it('of an element is merged if it is the same one by its id, and not if it is another one', () => {
    const { session, rebase, live, flush } = open({ items: [{ id: 1, q: 1 }, { id: 2, q: 1 }, { q: 1 }] })
    session.items[0] = { ...session.items[0], q: 2 }
    session.items[1] = { id: 9 }
    session.items[2] = { ...session.items[2], q: 2 }
    const theirs = {
      items: [
        { id: 1, q: 1, note: 'n' },
        { id: 2, q: 1, note: 'n' },
        { q: 1, note: 'n' },
      ],
    }
    expect(rebase(theirs).conflicts).toMatchObject(
      [{ path: ['items', 1], kind: 'both-set' }].map((one) => expect.objectContaining({ path: one.path })),
    )
    flush()
    expect(live().items).toEqual([{ id: 1, q: 2, note: 'n' }, { id: 9 }, { q: 2, note: 'n' }])
  })

  it('of elements that changed places is no mixture of them', () => {
    const { session, rebase, live, flush } = open({ items: [{ a: 1 }, { b: 1 }] })
    const [first, second] = session.items
    session.items[0] = second
    session.items[1] = first
    rebase({ items: [{ a: 1, theirs: 1 }, { b: 1 }] })
    flush()
    expect(live().items).toEqual([{ b: 1 }, { a: 1, theirs: 1 }])
    const next = open({ items: [{ a: 1 }, { b: 1 }, { c: 1 }] })
    next.session.items[0] = next.session.items[1]
    next.session.items[1] = { d: 1 }
    expect(next.rebase({ items: [{ a: 1, theirs: 1 }, { b: 1 }, { c: 1 }] }).conflicts).toHaveLength(1)
    next.flush()
    expect(next.live().items).toEqual([{ b: 1 }, { d: 1 }, { c: 1 }])
  })

  it('keeps strategies, and the conflicts below it', () => {
    const strategies = StrategyTable.of({ 'o.count': 'sum', 'list.*.count': 'sum', user: 'whole' })
    const { session, rebase, takeChanges, live } = open(
      { o: { count: 1, name: 'a' }, list: [{ id: 1, count: 1 }], user: { id: 1 } },
      { strategies },
    )
    session.o = { ...session.o, count: 2, name: 'mine' }
    session.list[0] = { ...session.list[0], count: 2 }
    session.user = { id: 2 }
    const theirs = { o: { count: 5, name: 'theirs' }, list: [{ id: 1, count: 3 }], user: { id: 1, seen: 1 } }
    const { conflicts } = rebase(theirs)
    expect(conflicts.map(({ path, won }) => [path, won])).toEqual([
      [['o', 'name'], 'mine'],
      [['user'], 'mine'],
    ])
    // What the strategy has made of both is news to the author too.
    expect(takeChanges().by[0]?.size).toBe(2)
    expect(live()).toEqual({ o: { count: 6, name: 'mine' }, list: [{ id: 1, count: 4 }], user: { id: 2 } })
  })

  it('merges as the same data from an HTTP request', () => {
    fc.assert(
      fc.property(documents, documents, documents, (base, mine, changed) => {
        const theirs = { ...base, ...changed }
        // Where they delete or replace it, what a socket assigns is there again, and what a request wrote inside it is not.
        for (const [key, value] of Object.entries(base)) {
          if (isContainer(value) && !sameKind(value, theirs[key])) theirs[key] = value
        }
        const { session, rebase, live, flush } = open(plain(base))
        for (const key of Object.keys(base)) if (!(key in mine)) delete session[key]
        for (const [key, value] of Object.entries(mine)) if (!equal(base[key], value)) session[key] = plain(value)
        rebase(plain(theirs))
        expect(live()).toEqual(merge(base, mine, theirs).data)
        flush()
      }),
      { numRuns: 200 },
    )
  })
})

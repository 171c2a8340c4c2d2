import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/document/json.js'
import { merge } from '../../src/document/merge.js'
import { StrategyTable } from '../../src/document/merge-strategy.js'
import { documents } from './documents.js'
import { type Any, open, plain } from './harness.js'

const merged = (mine: Any, theirs: Any, base: Any = {}, rules?: Any): Any =>
  merge(base, mine, theirs, rules && StrategyTable.of(rules))

describe('a container that both writers have added', () => {
  it('has what both put into it, at every depth, without a conflict', () => {
    const mine = { cart: { a: 1, at: { x: { mine: 1 } }, list: ['m'] } }
    const theirs = { cart: { b: 1, at: { x: { theirs: 1 } }, list: ['t'] } }
    const data = { cart: { a: 1, b: 1, at: { x: { mine: 1, theirs: 1 } }, list: ['t', 'm'] } }
    expect(merged(mine, theirs)).toMatchObject({ data, conflicts: [] })
    const { session, rebase, live, flush } = open({})
    session.cart = plain(mine.cart)
    expect(rebase(theirs).conflicts).toEqual([])
    expect(live()).toEqual(data)
    expect(flush().map(({ op, path }) => [op, path.join('.')])).toEqual([
      ['add', 'cart.a'],
      ['add', 'cart.at.x.mine'],
      ['add', 'cart.list.1'],
    ])
  })

  it('is merged inside an object or an element that the base has, too', () => {
    const base = { o: {}, items: [{ id: 1 }] }
    const mine = { o: { list: [1] }, items: [{ id: 1, tags: { m: 1 } }] }
    const theirs = { o: { list: [2] }, items: [{ id: 0 }, { id: 1, tags: { t: 1 } }] }
    const data = { o: { list: [2, 1] }, items: [{ id: 0 }, { id: 1, tags: { t: 1, m: 1 } }] }
    expect(merged(mine, theirs, base)).toMatchObject({ data, conflicts: [] })
  })

  it('stays the object that the application holds, and keeps what a third and a fourth writer put into it', () => {
    const { session, rebase, live, flush, document } = open({})
    session.cart = {}
    session.list = []
    const { cart, list } = session
    cart.a = 1
    list.push('a')
    rebase({ cart: { b: 1 }, list: ['b'] })
    cart.a2 = 1
    list.push('a2')
    rebase({ cart: { b: 1, c: 1 }, list: ['b', 'c'] })
    const all = { cart: { a: 1, a2: 1, b: 1, c: 1 }, list: ['b', 'c', 'a', 'a2'] }
    expect(live()).toEqual(all)
    // The save fails, because another writer was faster.
    document.takeChanges()
    document.rollback()
    expect(rebase({ cart: { c: 1, d: 1 }, list: ['c', 'd'] }).conflicts).toEqual([])
    expect(live()).toEqual({ cart: { a: 1, a2: 1, c: 1, d: 1 }, list: ['c', 'd', 'a', 'a2'] })
    expect(flush()).toHaveLength(4)
    cart.late = 1
    list.push('late')
    expect(flush()).toHaveLength(2)
    expect(session.cart).toBe(cart)
  })

  it('is in the next patches for its own author too, because the rebase put theirs in its place; later writes are not', () => {
    const { session, rebase, takeChanges } = open({})
    session.cart = { a: 1 }
    rebase({ cart: { b: 1 } })
    session.cart.c = 1
    const { patches, by } = takeChanges()
    const namesMergeAuthor = Object.fromEntries(patches.map(({ path }, index) => [path.join('.'), by[index]!.size > 1]))
    expect(namesMergeAuthor).toEqual({ 'cart.a': true, 'cart.c': false })
  })

  it('has theirs as its base, also if mine was written to in several steps', () => {
    const { session, rebase, live, document } = open({})
    session.cart = { n: 1, gone: 1, items: [{ id: 1 }] }
    session.cart.n = 2
    delete session.cart.gone
    session.cart.items[0].q = 1
    session.cart.items.push({ id: 2 })
    rebase({ cart: { gone: 2, items: [] } })
    expect(live()).toEqual({ cart: { n: 2, gone: 2, items: [{ id: 1, q: 1 }, { id: 2 }] } })
    document.discard()
    expect(live()).toEqual({ cart: { gone: 2, items: [] } })
  })

  it('is one value if theirs is of another kind: the later one wins, with a conflict', () => {
    const values = [{ a: 1 }, ['a'], 'a', null]
    for (const mine of values) {
      for (const theirs of values) {
        if (mine === theirs) continue
        const { data, conflicts } = merged({ x: mine }, { x: theirs })
        expect(data).toEqual({ x: mine })
        expect(conflicts).toEqual([{ path: ['x'], kind: 'both-set', base: undefined, mine, theirs, won: 'mine' }])
      }
    }
  })

  it('is one value if it replaced a scalar of the base', () => {
    for (const was of ['none', null]) {
      const { session, rebase, live } = open({ x: was })
      session.x = { mine: 1 }
      expect(rebase({ x: { theirs: 1 } }).conflicts).toHaveLength(1)
      expect(live()).toEqual({ x: { mine: 1 } })
    }
  })

  it('is one value if I moved mine there from another place, where it has its base', () => {
    const { session, rebase, live, document, flush } = open({ old: { n: 1 }, list: [{ id: 1 }] })
    session.fresh = session.old
    delete session.old
    session.wrapped = { inner: session.list.pop(), mine: 1 }
    const theirs = { old: { n: 1 }, list: [{ id: 1 }], fresh: { theirs: 1 }, wrapped: { inner: { theirs: 1 }, theirs: 1 } }
    expect(rebase(theirs).conflicts.map(({ path }) => path.join('.'))).toEqual(['fresh', 'wrapped.inner'])
    expect(live()).toEqual({ list: [], fresh: { n: 1 }, wrapped: { inner: { id: 1 }, mine: 1, theirs: 1 } })
    expect(document.base()).toEqual(theirs)
    flush()
  })

  it('is one value if I moved mine there and replaced it at its former place, whatever the order of the keys', () => {
    for (const [old, fresh] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const { session, rebase, live, flush } = open({ [old]: [1, 2] })
      session[fresh] = session[old]
      session[old] = [7]
      const theirs = { [old]: [1, 2, 3], [fresh]: [9, 8, 7, 6] }
      const conflict = { path: [fresh], kind: 'both-set', base: undefined, mine: [1, 2], theirs: theirs[fresh], won: 'mine' }
      expect(rebase(theirs).conflicts).toEqual([conflict])
      expect(live()).toEqual({ [old]: [3, 7], [fresh]: [1, 2] })
      flush()
    }
  })

  it('is merged at each place if mine is one object at two places', () => {
    const { session, rebase, live, flush } = open({})
    session.a = session.b = { mine: 1 }
    rebase({ a: { theirs: 1 } })
    session.a.more = 1
    flush()
    expect(live().a).toEqual({ mine: 1, theirs: 1, more: 1 })
    expect(live().b).toMatchObject({ mine: 1 })
  })

  it('has a conflict for each key that both put into it with different values', () => {
    const { data, conflicts } = merged({ cart: { n: 1, same: 'x' } }, { cart: { n: 2, same: 'x' } })
    expect(data).toEqual({ cart: { n: 1, same: 'x' } })
    expect(conflicts).toEqual([{ path: ['cart', 'n'], kind: 'both-set', base: undefined, mine: 1, theirs: 2, won: 'mine' }])
  })

  it('may be a class instance of mine: its JSON replaces it', () => {
    class Cart {
      a = 1
    }
    const { session, rebase, live, flush } = open({})
    session.cart = new Cart()
    expect(rebase({ cart: { b: 1 } }).conflicts).toEqual([])
    expect(live()).toEqual({ cart: { a: 1, b: 1 } })
    flush()
  })
})

describe('an array that both writers have added', () => {
  it('has their elements and then mine, also if some are equal', () => {
    expect(merged({ list: ['x', 'm'] }, { list: ['x', 't'] }).data).toEqual({ list: ['x', 't', 'x', 'm'] })
    expect(merged({ list: [] }, { list: ['t'] }).data).toEqual({ list: ['t'] })
    expect(merged({ list: ['m'] }, { list: [] }).data).toEqual({ list: ['m'] })
  })

  it('has its elements once if both are equal, at any depth: a default that both set is not doubled', () => {
    const fresh = { roles: ['guest'], board: [[0, 0], [0]], user: { tags: [{ id: 1, at: ['x'] }] } }
    const { session, rebase, live, flush, document } = open({})
    Object.assign(session, plain(fresh))
    session.user.tags[0].late = 1
    delete session.user.tags[0].late
    expect(rebase(fresh).conflicts).toEqual([])
    expect(live()).toEqual(fresh)
    expect(document.hasChanges()).toBe(false)
    // From there on it is a list as any other, and its elements are known.
    session.roles.push('mine')
    session.board[0][0] = 1
    session.user.tags[0].at.push('mine')
    const theirs = plain(fresh) as Any
    theirs.roles.push('theirs')
    theirs.board[1].push(2)
    theirs.user.tags[0].at.push('theirs')
    expect(rebase(theirs).conflicts).toEqual([])
    expect(live()).toEqual({
      roles: ['guest', 'theirs', 'mine'],
      board: [
        [1, 0],
        [0, 2],
      ],
      user: { tags: [{ id: 1, at: ['x', 'theirs', 'mine'] }] },
    })
    expect(flush().every(({ op }) => op !== 'remove')).toBe(true)
    expect(merged(fresh, fresh)).toMatchObject({ data: fresh, patches: [], conflicts: [] })
  })

  it('leaves an element that I moved into it its base at its former place', () => {
    const { session, rebase, live, document, flush } = open({ old: [{ id: 1, v: [1] }] })
    session.fresh = [session.old.pop(), { id: 2 }]
    const theirs = { old: [{ id: 1, v: [1] }], fresh: [{ id: 1, v: [1] }, { id: 2 }] }
    rebase(theirs)
    expect(live()).toEqual({ ...theirs, old: [] })
    expect(document.base()).toEqual(theirs)
    expect(flush()).toEqual([{ op: 'remove', path: ['old', 0] }])
  })
})

describe('strategies in a container that both have added', () => {
  it("'sum' counts from 0, in objects, in equal objects too, and by index in arrays of one length", () => {
    const rules = { 'stats.n': 'sum', 'hits.*': 'sum', 'hits.2': 'last' }
    const both = { stats: { n: 1 }, hits: [1, 2, 5] }
    expect(merged(both, both, {}, rules)).toMatchObject({ data: { stats: { n: 2 }, hits: [2, 4, 5] }, conflicts: [] })
    const { data, conflicts } = merged({ hits: [1, 1, 1] }, { hits: [1, 1, 2] }, {}, rules)
    expect(data).toEqual({ hits: [2, 2, 1] })
    expect(conflicts).toEqual([{ path: ['hits', 2], kind: 'both-set', base: undefined, mine: 1, theirs: 2, won: 'mine' }])
    const { session, rebase, live, flush } = open({}, { strategies: StrategyTable.of(rules as Any) })
    session.stats = { n: 1 }
    session.stats.n++
    rebase({ stats: { n: 3 } })
    expect(live()).toEqual({ stats: { n: 5 } })
    expect(rebase({ stats: { n: 4 } }).conflicts).toEqual([])
    expect(flush()).toEqual([{ op: 'replace', path: ['stats', 'n'], value: 6 }])
  })

  it("'whole' keeps one of the two containers", () => {
    const { session, rebase, live, flush } = open({}, { strategies: StrategyTable.of({ user: 'whole', list: 'whole' }) })
    session.user = { id: 1 }
    session.list = ['m']
    const theirs = { user: { id: 2, admin: true }, list: ['t'] }
    expect(rebase(theirs).conflicts.map(({ path }) => path)).toEqual([['user'], ['list']])
    expect(live()).toEqual({ user: { id: 1 }, list: ['m'] })
    flush()
  })

  it('a merge function gets undefined for the base', () => {
    const union = (base: Any, mine: Any, theirs: Any) => [base === undefined, ...new Set([...theirs, ...mine])]
    expect(merged({ tags: ['a', 'm'] }, { tags: ['a', 't'] }, {}, { tags: union }).data).toEqual({
      tags: [true, 'a', 't', 'm'],
    })
  })
})

it('random containers that both add: nothing of theirs is lost without a conflict, and a repeated merge changes nothing', () => {
  const conflictAt = (conflicts: Any[], path: Any[]) =>
    conflicts.some(({ path: place }) => place.every((key: Any, index: number) => key === path[index]))
  const leaves = (value: Any, path: Any[] = []): [Any[], Any][] =>
    Array.isArray(value) || typeof value !== 'object' || value === null
      ? [[path, value]]
      : Object.keys(value).flatMap((key) => leaves(value[key], [...path, key]))
  fc.assert(
    fc.property(documents, documents, (mine, theirs) => {
      const { data, conflicts } = merge({}, mine, theirs)
      for (const document of [mine, theirs] as JsonObject[]) {
        for (const [path, value] of leaves(document)) {
          if (conflictAt(conflicts, path)) continue
          const found = path.reduce((at, key) => at?.[key], data as Any)
          if (Array.isArray(value)) for (const item of value) expect(found).toContainEqual(item)
          else expect(found).toEqual(value)
        }
      }
      expect(merge({}, mine, mine)).toMatchObject({ data: mine, patches: [], conflicts: [] })
    }),
    { numRuns: 150 },
  )
})

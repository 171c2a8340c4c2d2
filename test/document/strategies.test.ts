import { describe, expect, it } from 'vitest'
import { merge } from '../../src/document/merge.js'
import { type MergeRules, parsePath, StrategyTable } from '../../src/document/merge-strategy.js'
import { type Any, open, plain, shop } from './harness.js'

const rules = (given: MergeRules) => ({ strategies: StrategyTable.of(given) })
const merged = (given: MergeRules, base: Any, mine: Any, theirs: Any): Any => merge(base, mine, theirs, StrategyTable.of(given))

describe('paths', () => {
  const rule = (...given: string[]) => StrategyTable.of(Object.fromEntries(given.map((path) => [path, path as Any])))

  it('are keys between dots; a backslash takes the next character for itself', () => {
    expect(rule('a.b')?.for(['a', 'b'])).toBe('a.b')
    expect(rule('list.0')?.for(['list', 0])).toBe('list.0')
    expect(rule('a\\.b')?.for(['a.b'])).toBe('a\\.b')
    expect(rule('a\\\\.b')?.for(['a\\', 'b'])).toBe('a\\\\.b')
    expect(rule('\\*')?.for(['x'])).toBeUndefined()
    expect(rule('\\*')?.for(['*'])).toBe('\\*')
    expect(rule('a*')?.for(['a*'])).toBe('a*')
  })

  it('a star is any one key; what names a key wins over it, from the left', () => {
    const some = rule('a.*', 'a.b', '*.b', '*.c', 'd.*.e')
    expect(some?.for(['a', 'b'])).toBe('a.b')
    expect(some?.for(['a', 'c'])).toBe('a.*')
    expect(some?.for(['x', 'c'])).toBe('*.c')
    expect(some?.for(['a'])).toBeUndefined()
    expect(some?.for(['a', 'b', 'c'])).toBeUndefined()
    expect(some?.for(['d', 1, 'e'])).toBe('d.*.e')
    expect(some?.hasBelow(['d', 1])).toBe(true)
    expect(some?.hasBelow(['d', 1, 'e'])).toBe(false)
    expect(StrategyTable.of({})).toBeUndefined()
  })

  it.each(['', '.', 'a.', '.a', 'a..b', 'a\\'])('%j names nothing', (path) => {
    expect(parsePath(path)).toBeUndefined()
  })
})

describe("'sum'", () => {
  it('counts what both added, without a conflict, and is counted once by the save', () => {
    const { session, rebase: absorb, live, flush } = open(shop(), rules({ n: 'sum' }))
    session.n += 2
    expect(absorb({ ...shop(), n: 4 }).conflicts).toEqual([])
    expect(live().n).toBe(6)
    expect(flush()).toEqual([{ op: 'replace', path: ['n'], value: 6 }])
    expect(absorb({ ...shop(), n: 6 }).patches).toEqual([])
    expect(live().n).toBe(6)
  })

  it('adds up where both came to the same number', () => {
    expect(merged({ n: 'sum' }, { n: 1 }, { n: 2 }, { n: 2 })).toMatchObject({ data: { n: 3 }, conflicts: [] })
  })

  it('takes the only change there is', () => {
    expect(merged({ n: 'sum' }, { n: 1 }, { n: 5 }, { n: 1 }).data).toEqual({ n: 5 })
    expect(merged({ n: 'sum' }, { n: 1 }, { n: 1 }, { n: 5 }).data).toEqual({ n: 5 })
  })

  it('starts from 0 where there was nothing, also where the object around it is new to both', () => {
    const given: MergeRules = { n: 'sum', 'stats.*': 'sum', 'deep.*.n': 'sum' }
    const mine = { n: 1, stats: { a: 1, b: 2 }, deep: { x: { n: 1 } } }
    const theirs = { n: 2, stats: { a: 3 }, deep: { x: { n: 1 } } }
    const data = { n: 3, stats: { a: 4, b: 2 }, deep: { x: { n: 2 } } }
    expect(merged(given, {}, mine, theirs)).toMatchObject({ data, conflicts: [] })
  })

  it('holds inside an object that was replaced by a copy; the rest of it is in conflict', () => {
    const {
      session,
      rebase: absorb,
      live,
    } = open({ stats: { n: 1, name: 'a', gone: 1 } }, rules({ 'stats.*': 'sum', 'stats.name': 'last' }))
    session.stats = { ...session.stats, n: session.stats.n + 1 }
    expect(absorb({ stats: { n: 5, name: 'a', gone: 1 } }).conflicts).toEqual([])
    expect(live().stats.n).toBe(6)
    session.stats = { n: 7, name: 'mine' }
    const theirs = { stats: { n: 10, name: 'theirs', gone: 1 } }
    expect(absorb(theirs).conflicts).toEqual([
      {
        path: ['stats'],
        kind: 'both-set',
        base: { n: 5, name: 'a', gone: 1 },
        mine: { n: 12, name: 'mine' },
        ...{ theirs: theirs.stats, won: 'mine' },
      },
    ])
    expect(live().stats).toEqual({ n: 12, name: 'mine' })
  })

  it.each([
    ['text', { n: 'a' }, { n: 1 }, { n: 2 }],
    ['removed by me', { n: 1 }, {}, { n: 2 }],
    ['removed by them', { n: 1 }, { n: 2 }, {}],
    ['too large', { n: 0 }, { n: Number.MAX_VALUE }, { n: Number.MAX_VALUE / 1.5 }],
  ])('falls back to the later change: %s', (_what, base: Any, mine: Any, theirs: Any) => {
    const { data, conflicts } = merged({ n: 'sum' }, base, mine, theirs)
    expect(data).toEqual(mine)
    expect(conflicts).toEqual([
      expect.objectContaining({ path: ['n'], base: base.n, mine: mine.n, theirs: theirs.n, won: 'mine' }),
    ])
  })

  it('holds for the elements of an array: found by id, numbers by their place', () => {
    const base = {
      items: [
        { id: 'a', n: 1 },
        { id: 'b', n: 1 },
      ],
      hits: [0, 0, 'x', 'y'],
    }
    const mine = {
      items: [
        { id: 'a', n: 2 },
        { id: 'b', n: 1 },
      ],
      hits: [1, 5, 'mine', 'y'],
    }
    const theirs = {
      items: [
        { id: 'b', n: 1 },
        { id: 'a', n: 4 },
      ],
      hits: [2, 0, 'theirs', 'z'],
    }
    const { data, conflicts, patches } = merged({ 'items.*.n': 'sum', 'hits.*': 'sum', 'hits.2': 'last' }, base, mine, theirs)
    expect(data).toEqual({
      items: [
        { id: 'b', n: 1 },
        { id: 'a', n: 5 },
      ],
      hits: [3, 5, 'mine', 'z'],
    })
    expect(conflicts).toEqual([{ path: ['hits', 2], kind: 'both-set', base: 'x', mine: 'mine', theirs: 'theirs', won: 'mine' }])
    expect(patches).toHaveLength(4)
  })

  it('of a slot is told to the one who counted as well: it is not what was written', () => {
    const { session, rebase: absorb, takeChanges: collect } = open({ hits: [0, 0], n: 0 }, rules({ '*': 'sum', 'hits.*': 'sum' }))
    session.hits[0]++
    session.n++
    absorb({ hits: [1, 0], n: 0 })
    const { patches, by } = collect()
    const told = Object.fromEntries(patches.map(({ path }, index) => [path.join('.'), by[index]!.size > 1]))
    expect(told).toEqual({ n: false, 'hits.0': true })
  })

  it('an array without strategies for its elements, or whose length changed, is merged as any other', () => {
    const names = merged({ 'names.*.x': 'sum' }, { names: ['a', 'b'] }, { names: ['b', 'b'] }, { names: ['a', 'c'] })
    expect(names.data).toEqual({ names: ['b', 'c'] })
    const { data } = merged({ 'hits.*': 'sum' }, { hits: [1, 2] }, { hits: [1, 3] }, { hits: [0, 1, 2] })
    expect(data).toEqual({ hits: [0, 1, 3] })
  })
})

describe("'whole'", () => {
  const user = { name: 'ada', roles: ['admin'], at: { city: 'x' } }

  it('never mixes: who wrote inside later wins with all of it, and the conflict has both', () => {
    const { session, rebase: absorb, live, flush } = open({ user: plain(user) }, rules({ user: 'whole' }))
    const { roles } = session.user
    roles.push('root')
    const theirs = { name: 'bob', roles: [], at: { city: 'x' } }
    const mine = { ...user, roles: ['admin', 'root'] }
    expect(absorb({ user: theirs }).conflicts).toEqual([
      { path: ['user'], kind: 'both-set', base: user, mine, theirs, won: 'mine' },
    ])
    expect(live().user).toEqual(mine)
    expect(flush().map(({ path }) => path[1])).toEqual(expect.arrayContaining(['name', 'roles']))
    roles.push('still tracked')
    expect(live().user.roles).toEqual(['admin', 'root', 'still tracked'])
    expect(flush()).toHaveLength(1)
  })

  it('takes theirs as a whole where only they changed it, also after a change there and back', () => {
    const {
      session,
      rebase: absorb,
      live,
      flush,
    } = open({ user: plain(user), list: [{ id: 1 }, { id: 2 }] }, rules({ '*': 'whole' }))
    session.user.name = 'bob'
    session.user.name = 'ada'
    session.list.reverse()
    session.list.reverse()
    session.list[0] = { id: 1 }
    const theirs = { user: { ...user, at: { city: 'y' } }, list: [{ id: 1, x: 1 }, { id: 2 }] }
    expect(absorb(theirs).conflicts).toEqual([])
    expect(live()).toEqual(theirs)
    expect(flush()).toEqual([])
  })

  it('keeps mine where only I wrote, or both the same', () => {
    const { session, rebase: absorb, live } = open({ user: plain(user), n: 1 }, rules({ user: 'whole' }))
    session.user.name = 'bob'
    expect(absorb({ user, n: 2 }).conflicts).toEqual([])
    expect(live()).toEqual({ user: { ...user, name: 'bob' }, n: 2 })
    expect(absorb({ user: { ...user, name: 'bob' }, n: 2 }).conflicts).toEqual([])
    expect(live().user.name).toBe('bob')
  })

  it.each([undefined, null, 'none', []])('what they put in its place or removed stays so: %j', (instead) => {
    const { session, rebase: absorb, live } = open({ user: plain(user) }, rules({ user: 'whole' }))
    session.user.name = 'bob'
    const theirs = instead === undefined ? {} : { user: instead }
    expect(absorb(theirs).conflicts).toEqual([expect.objectContaining({ path: ['user'], won: 'theirs' })])
    expect(live()).toEqual(theirs)
  })

  it('my replacement or removal of it wins over edits inside', () => {
    const theirs = { user: { ...user, name: 'theirs' } }
    for (const mine of [{ user: { name: 'mine' } }, {}]) {
      const { session, rebase: absorb, live } = open({ user: plain(user) }, rules({ user: 'whole' }))
      if (mine.user) session.user = plain(mine.user)
      else delete session.user
      expect(absorb(theirs).conflicts).toEqual([
        expect.objectContaining({ path: ['user'], mine: mine.user, theirs: theirs.user, won: 'mine' }),
      ])
      expect(live()).toEqual(mine)
    }
  })

  it('holds for elements of an array, found by id', () => {
    const { session, rebase: absorb, live } = open(shop(), rules({ 'cart.items.*': 'whole' }))
    session.cart.items[0].q = 5
    const theirs = shop()
    theirs.cart.items.reverse()
    theirs.cart.items[2].note = 'theirs'
    expect(absorb(theirs).conflicts).toEqual([expect.objectContaining({ path: ['cart', 'items', 2], won: 'mine' })])
    expect(live().cart.items).toEqual([
      { id: 3, q: 1 },
      { id: 2, q: 1 },
      { id: 1, q: 5 },
    ])
  })

  it('holds inside an object that both made', () => {
    const mine = { a: { user: { name: 'mine' }, n: 1 } }
    const theirs = { a: { user: { name: 'theirs', roles: [] }, m: 1 } }
    const { data, conflicts } = merged({ 'a.user': 'whole' }, {}, mine, theirs)
    expect(data).toEqual({ a: { ...mine.a, m: 1 } })
    expect(conflicts.map(({ path }: Any) => path.join('.'))).toEqual(['a.user'])
    expect(merged({ 'a.user': 'whole' }, {}, mine, { a: { user: 1 } }).data).toEqual(mine)
  })
})

describe('a function', () => {
  const union = (_base: Any, mine: Any = [], theirs: Any = []) => [...new Set([...theirs, ...mine])]

  it('gets copies of what there was, is and is there, and decides', () => {
    const calls: Any[] = []
    const merge = (...values: Any[]) => {
      calls.push(plain(values))
      for (const value of values) value.a.push('changed')
      return { mine: values[1].a, theirs: values[2].a.slice(0, 1) }
    }
    const { session, rebase: absorb, live, document: ledger } = open({ x: { a: [1] } }, rules({ x: merge }))
    const { x } = session
    x.a.push(2)
    const theirs = { x: { a: [3] } }
    expect(absorb(theirs).conflicts).toEqual([])
    expect(calls).toEqual([[{ a: [1] }, { a: [1, 2] }, { a: [3] }]])
    expect(live()).toEqual({ x: { mine: [1, 2, 'changed'], theirs: [3] } })
    expect(theirs).toEqual({ x: { a: [3] } })
    expect(ledger.base()).toEqual(theirs)
    x.late = 1
    expect(live().x.late).toBe(1)
  })

  it('is asked only where both changed, and again about its own result', () => {
    const { session, rebase: absorb, live, document: ledger } = open({ tags: ['a'] }, rules({ tags: union }))
    absorb({ tags: ['b'] })
    expect(live()).toEqual({ tags: ['b'] })
    session.tags.push('c')
    absorb({ tags: ['b', 'd'] })
    expect(live()).toEqual({ tags: ['b', 'd', 'c'] })
    ledger.takeChanges()
    ledger.rollback()
    absorb({ tags: ['b', 'd', 'e'] })
    expect(live()).toEqual({ tags: ['b', 'd', 'e', 'c'] })
  })

  it('is told of what is absent by undefined, and removes by it', () => {
    const seen: Any[] = []
    const pick = (result: Any) =>
      rules({
        n: (...values) => {
          seen.push(values)
          return result
        },
      })
    const first = open({ n: 1 }, pick(7))
    first.session.n = 2
    first.rebase({})
    expect(first.live()).toEqual({ n: 7 })
    const second = open({}, pick(undefined))
    second.session.n = 2
    second.rebase({ n: 3 })
    expect(second.live()).toEqual({})
    expect(second.flush()).toEqual([{ op: 'remove', path: ['n'] }])
    const third = open({ n: 1 }, pick(undefined))
    delete third.session.n
    third.rebase({ n: 3 })
    expect(third.live()).toEqual({})
    expect(seen).toEqual([
      [1, 2, undefined],
      [undefined, 2, 3],
      [1, undefined, 3],
    ])
  })

  it('replaces, changes and removes elements of arrays, and slots of them', () => {
    const base = {
      list: [
        { id: 1, v: 1 },
        { id: 2, v: 1 },
      ],
      slots: [1, 2, 3],
    }
    const mine = {
      list: [
        { id: 1, v: 2 },
        { id: 2, v: 1 },
      ],
      slots: [5, 2, 4],
    }
    const theirs = {
      list: [
        { id: 1, v: 3 },
        { id: 2, v: 1 },
      ],
      slots: [6, 2, 3],
    }
    const both = (result: Any) => merged({ 'list.*': () => result, 'slots.*': () => result }, base, mine, theirs).data
    expect(both({ id: 1, v: 9 })).toEqual({
      list: [
        { id: 1, v: 9 },
        { id: 2, v: 1 },
      ],
      slots: [{ id: 1, v: 9 }, 2, 4],
    })
    expect(both('text')).toEqual({ list: ['text', { id: 2, v: 1 }], slots: ['text', 2, 4] })
    expect(both(undefined)).toEqual({ list: [{ id: 2, v: 1 }], slots: [null, 2, 4] })
  })

  it('decides inside an object that was replaced, and removes there', () => {
    const mine = { a: { x: 1, y: 1, z: 1 } }
    const theirs = { a: { x: 2, y: 2 } }
    const given: MergeRules = { 'a.x': () => undefined, 'a.y': (_base, m, t) => m + t }
    expect(merged(given, {}, mine, theirs)).toMatchObject({ data: { a: { y: 3, z: 1 } } })
  })

  const throws = () => {
    throw new Error('mine')
  }
  const cycle = () => {
    const value: Any = {}
    value.self = value
    return value
  }
  it.each([
    ['throws', throws, /threw an error/],
    ['is async', async () => Promise.reject(new Error('nobody looks at it')), /a promise; it must not be async/],
    ['returns a function', () => throws, /a function that JSON does not have/],
    ['returns NaN', () => Number.NaN, /a number that JSON does not have/],
    ['returns a cycle', cycle, /contains itself/],
  ])('that %s leaves it to the later change, with an error and a conflict', (_what, merge: Any, message) => {
    const { data, conflicts, problems } = merged({ 'a.n': merge }, { a: { n: 1 } }, { a: { n: 2 } }, { a: { n: 3, m: 1 } })
    expect(data).toEqual({ a: { n: 2, m: 1 } })
    expect(conflicts).toEqual([expect.objectContaining({ path: ['a', 'n'], mine: 2, theirs: 3, won: 'mine' })])
    expect(problems).toEqual([expect.objectContaining({ code: 'MERGE_FAILED', message: expect.stringMatching(message) })])
    expect(problems[0].message).toMatch(/^a\.n: the merge function/)
  })

  it('a Date it returns is what JSON makes of it', () => {
    expect(merged({ n: () => new Date(0) }, {}, { n: 1 }, { n: 2 }).data).toEqual({ n: '1970-01-01T00:00:00.000Z' })
  })
})

describe('conflicts', () => {
  it('none where both set, replaced or removed the same, at any depth and in arrays', () => {
    const base = { a: { n: 1, gone: 1 }, list: [1, 2], objects: [{ v: 1 }] }
    const next = { a: { n: 2 }, list: [5, 2], objects: [{ v: 2 }], fresh: { x: 1 } }
    expect(merge(base, next, next).conflicts).toEqual([])
    const { session, rebase: absorb } = open(plain(base))
    session.a = { n: 2 }
    session.list[0] = 5
    session.objects[0] = { v: 2 }
    session.fresh = { x: 1 }
    expect(absorb(plain(next)).conflicts).toEqual([])
  })

  it('a deleted parent wins over edits below it, with or without a strategy, and the late edit is reported', () => {
    const base = { a: { b: { n: 1 } } }
    const all: MergeRules[] = [{}, { 'a.b.n': 'sum' }, { 'a.b': 'whole' }, { 'a.b.n': () => 9 }]
    for (const given of all) {
      const { data, conflicts } = merged(given, base, { a: { b: { n: 2 } } }, {})
      expect(data).toEqual({})
      expect(conflicts).toEqual([expect.objectContaining({ path: ['a'], won: 'theirs', mine: { b: { n: 2 } } })])
    }
  })
})

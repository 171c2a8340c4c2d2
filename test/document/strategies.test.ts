import { describe, expect, it } from 'vitest'
import { merge } from '../../src/document/merge.js'
import { type MergeRules, parsePath, StrategyTable } from '../../src/document/merge-strategy.js'
import { type Any, open, plain, shop } from './harness.js'

const rules = (given: MergeRules) => ({ strategies: StrategyTable.of(given) })
const merged = (given: MergeRules, base: Any, mine: Any, theirs: Any): Any => merge(base, mine, theirs, StrategyTable.of(given))

describe('paths of merge strategies', () => {
  const rule = (...given: string[]) => StrategyTable.of(Object.fromEntries(given.map((path) => [path, path as Any])))

  it('are keys between dots; a backslash escapes the next character', () => {
    expect(rule('a.b')?.for(['a', 'b'])).toBe('a.b')
    expect(rule('list.0')?.for(['list', 0])).toBe('list.0')
    expect(rule('a\\.b')?.for(['a.b'])).toBe('a\\.b')
    expect(rule('a\\\\.b')?.for(['a\\', 'b'])).toBe('a\\\\.b')
    expect(rule('\\*')?.for(['x'])).toBeUndefined()
    expect(rule('\\*')?.for(['*'])).toBe('\\*')
    expect(rule('a*')?.for(['a*'])).toBe('a*')
  })

  it('may have a star for any one key; a named key wins over a star, from the left', () => {
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

  it.each(['', '.', 'a.', '.a', 'a..b', 'a\\'])('%j is not a path', (path) => {
    expect(parsePath(path)).toBeUndefined()
  })
})

describe("'sum'", () => {
  it('adds what both added, without a conflict, and the save adds it once', () => {
    const { session, rebase, live, flush } = open(shop(), rules({ n: 'sum' }))
    session.n += 2
    expect(rebase({ ...shop(), n: 4 }).conflicts).toEqual([])
    expect(live().n).toBe(6)
    expect(flush()).toEqual([{ op: 'replace', path: ['n'], value: 6 }])
    expect(rebase({ ...shop(), n: 6 }).patches).toEqual([])
    expect(live().n).toBe(6)
  })

  it('adds both changes if both came to the same number', () => {
    expect(merged({ n: 'sum' }, { n: 1 }, { n: 2 }, { n: 2 })).toMatchObject({ data: { n: 3 }, conflicts: [] })
  })

  it('takes the change if only one side changed the number', () => {
    expect(merged({ n: 'sum' }, { n: 1 }, { n: 5 }, { n: 1 }).data).toEqual({ n: 5 })
    expect(merged({ n: 'sum' }, { n: 1 }, { n: 1 }, { n: 5 }).data).toEqual({ n: 5 })
  })

  it('starts from 0 if the base has no number, also in an object that both added', () => {
    const given: MergeRules = { n: 'sum', 'stats.*': 'sum', 'deep.*.n': 'sum' }
    const mine = { n: 1, stats: { a: 1, b: 2 }, deep: { x: { n: 1 } } }
    const theirs = { n: 2, stats: { a: 3 }, deep: { x: { n: 1 } } }
    const data = { n: 3, stats: { a: 4, b: 2 }, deep: { x: { n: 2 } } }
    expect(merged(given, {}, mine, theirs)).toMatchObject({ data, conflicts: [] })
  })

  it('applies inside an object that was replaced by a copy, whose other keys are merged', () => {
    const { session, rebase, live } = open(
      { stats: { n: 1, name: 'a', gone: 1 } },
      rules({ 'stats.*': 'sum', 'stats.name': 'last' }),
    )
    session.stats = { ...session.stats, n: session.stats.n + 1 }
    expect(rebase({ stats: { n: 5, name: 'a', gone: 1 } }).conflicts).toEqual([])
    expect(live().stats.n).toBe(6)
    session.stats = { n: 7, name: 'mine' }
    const theirs = { stats: { n: 10, name: 'theirs', gone: 1 } }
    expect(rebase(theirs).conflicts).toEqual([
      { path: ['stats', 'name'], kind: 'both-set', base: 'a', mine: 'mine', theirs: 'theirs', won: 'mine' },
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

  it('applies to the elements of an array: objects by id, numbers by index', () => {
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

  it('of an array element is in the next patches for its own author too, because it is not what the author wrote', () => {
    const { session, rebase, takeChanges } = open({ hits: [0, 0], n: 0 }, rules({ '*': 'sum', 'hits.*': 'sum' }))
    session.hits[0]++
    session.n++
    rebase({ hits: [1, 0], n: 0 })
    const { patches, by } = takeChanges()
    const namesMergeAuthor = Object.fromEntries(patches.map(({ path }, index) => [path.join('.'), by[index]!.size > 1]))
    expect(namesMergeAuthor).toEqual({ n: false, 'hits.0': true })
  })

  it('does not apply to an array without strategies for its elements, or whose length changed', () => {
    const names = merged({ 'names.*.x': 'sum' }, { names: ['a', 'b'] }, { names: ['b', 'b'] }, { names: ['a', 'c'] })
    expect(names.data).toEqual({ names: ['b', 'c'] })
    const { data } = merged({ 'hits.*': 'sum' }, { hits: [1, 2] }, { hits: [1, 3] }, { hits: [0, 1, 2] })
    expect(data).toEqual({ hits: [0, 1, 3] })
  })
})

describe("'whole'", () => {
  const user = { name: 'ada', roles: ['admin'], at: { city: 'x' } }

  it('never mixes two versions: the later writer wins with the whole object, and the conflict has both', () => {
    const { session, rebase, live, flush } = open({ user: plain(user) }, rules({ user: 'whole' }))
    const { roles } = session.user
    roles.push('root')
    const theirs = { name: 'bob', roles: [], at: { city: 'x' } }
    const mine = { ...user, roles: ['admin', 'root'] }
    expect(rebase({ user: theirs }).conflicts).toEqual([
      { path: ['user'], kind: 'both-set', base: user, mine, theirs, won: 'mine' },
    ])
    expect(live().user).toEqual(mine)
    expect(flush().map(({ path }) => path[1])).toEqual(expect.arrayContaining(['name', 'roles']))
    roles.push('still tracked')
    expect(live().user.roles).toEqual(['admin', 'root', 'still tracked'])
    expect(flush()).toHaveLength(1)
  })

  it('takes theirs if only they changed it, also after a change of mine that was taken back', () => {
    const { session, rebase, live, flush } = open({ user: plain(user), list: [{ id: 1 }, { id: 2 }] }, rules({ '*': 'whole' }))
    session.user.name = 'bob'
    session.user.name = 'ada'
    session.list.reverse()
    session.list.reverse()
    session.list[0] = { id: 1 }
    const theirs = { user: { ...user, at: { city: 'y' } }, list: [{ id: 1, x: 1 }, { id: 2 }] }
    expect(rebase(theirs).conflicts).toEqual([])
    expect(live()).toEqual(theirs)
    expect(flush()).toEqual([])
  })

  it('keeps mine if only I wrote, or both wrote the same', () => {
    const { session, rebase, live } = open({ user: plain(user), n: 1 }, rules({ user: 'whole' }))
    session.user.name = 'bob'
    expect(rebase({ user, n: 2 }).conflicts).toEqual([])
    expect(live()).toEqual({ user: { ...user, name: 'bob' }, n: 2 })
    expect(rebase({ user: { ...user, name: 'bob' }, n: 2 }).conflicts).toEqual([])
    expect(live().user.name).toBe('bob')
  })

  it.each([undefined, null, 'none', []])('takes theirs if they replaced or removed the object: %j', (instead) => {
    const { session, rebase, live } = open({ user: plain(user) }, rules({ user: 'whole' }))
    session.user.name = 'bob'
    const theirs = instead === undefined ? {} : { user: instead }
    expect(rebase(theirs).conflicts).toEqual([expect.objectContaining({ path: ['user'], won: 'theirs' })])
    expect(live()).toEqual(theirs)
  })

  it('keeps my replacement or removal of the object against their edits inside', () => {
    const theirs = { user: { ...user, name: 'theirs' } }
    for (const mine of [{ user: { name: 'mine' } }, {}]) {
      const { session, rebase, live } = open({ user: plain(user) }, rules({ user: 'whole' }))
      if (mine.user) session.user = plain(mine.user)
      else delete session.user
      expect(rebase(theirs).conflicts).toEqual([
        expect.objectContaining({ path: ['user'], mine: mine.user, theirs: theirs.user, won: 'mine' }),
      ])
      expect(live()).toEqual(mine)
    }
  })

  it('applies to elements of an array, matched by id', () => {
    const { session, rebase, live } = open(shop(), rules({ 'cart.items.*': 'whole' }))
    session.cart.items[0].q = 5
    const theirs = shop()
    theirs.cart.items.reverse()
    theirs.cart.items[2].note = 'theirs'
    expect(rebase(theirs).conflicts).toEqual([expect.objectContaining({ path: ['cart', 'items', 2], won: 'mine' })])
    expect(live().cart.items).toEqual([
      { id: 3, q: 1 },
      { id: 2, q: 1 },
      { id: 1, q: 5 },
    ])
  })

  it('applies inside an object that both added', () => {
    const mine = { a: { user: { name: 'mine' }, n: 1 } }
    const theirs = { a: { user: { name: 'theirs', roles: [] }, m: 1 } }
    const { data, conflicts } = merged({ 'a.user': 'whole' }, {}, mine, theirs)
    expect(data).toEqual({ a: { ...mine.a, m: 1 } })
    expect(conflicts.map(({ path }: Any) => path.join('.'))).toEqual(['a.user'])
    expect(merged({ 'a.user': 'whole' }, {}, mine, { a: { user: 1 } }).data).toEqual(mine)
  })
})

describe('a merge function', () => {
  const union = (_base: Any, mine: Any = [], theirs: Any = []) => [...new Set([...theirs, ...mine])]

  it('gets copies of base, mine and theirs, and its result is the value', () => {
    const calls: Any[] = []
    const merge = (...values: Any[]) => {
      calls.push(plain(values))
      for (const value of values) value.a.push('changed')
      return { mine: values[1].a, theirs: values[2].a.slice(0, 1) }
    }
    const { session, rebase, live, document } = open({ x: { a: [1] } }, rules({ x: merge }))
    const { x } = session
    x.a.push(2)
    const theirs = { x: { a: [3] } }
    expect(rebase(theirs).conflicts).toEqual([])
    expect(calls).toEqual([[{ a: [1] }, { a: [1, 2] }, { a: [3] }]])
    expect(live()).toEqual({ x: { mine: [1, 2, 'changed'], theirs: [3] } })
    expect(theirs).toEqual({ x: { a: [3] } })
    expect(document.base()).toEqual(theirs)
    x.late = 1
    expect(live().x.late).toBe(1)
  })

  it('is called only if both changed the value, and again with its own result', () => {
    const { session, rebase, live, document } = open({ tags: ['a'] }, rules({ tags: union }))
    rebase({ tags: ['b'] })
    expect(live()).toEqual({ tags: ['b'] })
    session.tags.push('c')
    rebase({ tags: ['b', 'd'] })
    expect(live()).toEqual({ tags: ['b', 'd', 'c'] })
    document.takeChanges()
    document.rollback()
    rebase({ tags: ['b', 'd', 'e'] })
    expect(live()).toEqual({ tags: ['b', 'd', 'e', 'c'] })
  })

  it('gets undefined for an absent value, and removes the value by returning it', () => {
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

  it('replaces, changes and removes elements of arrays, matched by id or by index', () => {
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

  it('decides inside an object that was replaced, and removes keys there', () => {
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

  it('may return a Date, which becomes its JSON', () => {
    expect(merged({ n: () => new Date(0) }, {}, { n: 1 }, { n: 2 }).data).toEqual({ n: '1970-01-01T00:00:00.000Z' })
  })
})

describe('conflicts of a rebase', () => {
  it('are not reported if both set, replaced or removed the same, at any depth and in arrays', () => {
    const base = { a: { n: 1, gone: 1 }, list: [1, 2], objects: [{ v: 1 }] }
    const next = { a: { n: 2 }, list: [5, 2], objects: [{ v: 2 }], fresh: { x: 1 } }
    expect(merge(base, next, next).conflicts).toEqual([])
    const { session, rebase } = open(plain(base))
    session.a = { n: 2 }
    session.list[0] = 5
    session.objects[0] = { v: 2 }
    session.fresh = { x: 1 }
    expect(rebase(plain(next)).conflicts).toEqual([])
  })

  it('report an edit below an object that the other side deleted, with or without a strategy', () => {
    const base = { a: { b: { n: 1 } } }
    const all: MergeRules[] = [{}, { 'a.b.n': 'sum' }, { 'a.b': 'whole' }, { 'a.b.n': () => 9 }]
    for (const given of all) {
      const { data, conflicts } = merged(given, base, { a: { b: { n: 2 } } }, {})
      expect(data).toEqual({})
      expect(conflicts).toEqual([expect.objectContaining({ path: ['a'], won: 'theirs', mine: { b: { n: 2 } } })])
    }
  })
})

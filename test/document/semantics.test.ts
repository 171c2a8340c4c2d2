import { describe, expect, it } from 'vitest'
import { type Any, open, plain, shop } from './harness.js'

// The rows of the semantics table that are about places; those about values are in semantics.values.test.ts.

describe('a node removed here', () => {
  it('works on as in plain JavaScript, and can be attached again', () => {
    const { session, flush, live } = open()
    const { user } = session
    delete session.user
    flush()
    user.name = 'b'
    expect(user.name).toBe('b')
    expect(flush()).toEqual([])
    session.owner = user
    flush()
    user.tags.push('z')
    expect(flush()).toEqual([{ op: 'add', path: ['owner', 'tags', 2], value: 'z' }])
    expect(live().owner).toEqual({ name: 'b', tags: ['x', 'y', 'z'] })
  })
})

describe('a node moved away', () => {
  it('and put back is where it was: only what was written in it counts', () => {
    const { session, flush } = open()
    const item = session.cart.items.pop()
    session.user.fav = item
    delete session.user.fav
    item.q = 9
    session.cart.items.push(item)
    expect(flush()).toEqual([{ op: 'replace', path: ['cart', 'items', 2, 'q'], value: 9 }])
  })
})

describe('a node removed by another writer', () => {
  it('stays removed; what was written in it and not saved is a conflict', () => {
    const { session, rebase: absorb, takeChanges: collect, live } = open()
    session.user.name = 'b'
    const { user: _, ...theirs } = shop()
    expect(absorb(theirs).conflicts).toEqual([
      {
        path: ['user'],
        kind: 'deleted-under-edit',
        base: { name: 'a', tags: ['x', 'y'] },
        mine: { name: 'b', tags: ['x', 'y'] },
        theirs: undefined,
        won: 'theirs',
      },
    ])
    expect(collect().conflicts).toEqual([])
    expect(live()).toEqual(theirs)
  })

  it('is no conflict where what was written inside was taken back', () => {
    const { session, rebase: absorb } = open()
    session.user.name = 'b'
    session.user.name = 'a'
    const { user: _, ...theirs } = shop()
    expect(absorb(theirs).conflicts).toEqual([])
  })

  it('reports later writes to it, once each collect (orphan-write)', () => {
    const { session, rebase: absorb, takeChanges: collect } = open()
    const { tags } = session.user
    const item = session.cart.items[1]
    const theirs = shop()
    theirs.user = 'gone'
    theirs.cart.items.splice(1, 1)
    expect(absorb(theirs).conflicts).toEqual([])
    tags.push('z')
    item.q = 9
    expect(collect().conflicts).toEqual([
      { path: ['user'], kind: 'orphan-write', mine: ['x', 'y', 'z'], won: 'theirs' },
      { path: ['cart', 'items', 1], kind: 'orphan-write', mine: { id: 2, q: 9 }, won: 'theirs' },
    ])
    expect(collect().conflicts).toEqual([])
  })

  it('is one of this side again when it is attached again', () => {
    const { session, rebase: absorb, takeChanges: collect, live } = open()
    const { user } = session
    const { user: _, ...theirs } = shop()
    absorb(theirs)
    session.back = user
    user.name = 'b'
    expect(collect().conflicts).toEqual([])
    expect(live().back.name).toBe('b')
    delete session.back
    user.name = 'c'
    expect(collect().conflicts).toEqual([])
  })

  it('survives where this side had moved it elsewhere', () => {
    const { session, rebase: absorb, live } = open()
    const { user } = session
    session.list.push(user)
    delete session.user
    const { user: _, ...theirs } = shop()
    expect(absorb(theirs).conflicts).toEqual([])
    expect(live().list[3]).toEqual({ name: 'a', tags: ['x', 'y'] })
  })
})

describe('both set one key', () => {
  it('mine wins, and the conflict is reported', () => {
    const { session, rebase: absorb, flush } = open()
    session.n = 5
    session.extra = { mine: true }
    delete session.list
    const theirs = { ...shop(), n: 6, extra: 1, list: [9] }
    expect(absorb(theirs).conflicts).toEqual([
      { path: ['n'], kind: 'both-set', base: 1, mine: 5, theirs: 6, won: 'mine' },
      { path: ['extra'], kind: 'both-set', base: undefined, mine: { mine: true }, theirs: 1, won: 'mine' },
      { path: ['list'], kind: 'deleted-under-edit', base: [1, 2, 3], mine: undefined, theirs: [9], won: 'mine' },
    ])
    expect(flush()).toEqual([
      { op: 'replace', path: ['n'], value: 5 },
      { op: 'replace', path: ['extra'], value: { mine: true } },
      { op: 'remove', path: ['list'] },
    ])
  })

  it('is no conflict where both set the same, or both removed it', () => {
    const { session, rebase: absorb, flush } = open()
    session.n = 5
    session.user = { name: 'b' }
    delete session.list
    const { list: _, ...theirs } = { ...shop(), n: 5, user: { name: 'b' } }
    expect(absorb(theirs).conflicts).toEqual([])
    expect(flush()).toEqual([])
  })

  it('counts for one index of an array, too', () => {
    const { session, rebase: absorb, live } = open()
    session.list[0] = 10
    const theirs = shop()
    theirs.list[0] = 20
    theirs.list[2] = 30
    expect(absorb(theirs).conflicts).toEqual([
      { path: ['list', 0], kind: 'both-set', base: 1, mine: 10, theirs: 20, won: 'mine' },
    ])
    expect(live().list).toEqual([10, 2, 30])
  })

  it('leaves removed an element that they changed (deleted-under-edit)', () => {
    const { session, rebase: absorb, live } = open()
    session.cart.items.shift()
    const theirs = shop()
    theirs.cart.items[0].q = 5
    expect(absorb(theirs).conflicts).toMatchObject([{ path: ['cart', 'items', 0], kind: 'deleted-under-edit', won: 'mine' }])
    expect(live().cart.items).toHaveLength(2)
  })
})

describe('replacing an object', () => {
  it('is one replace', () => {
    const { session, flush } = open()
    session.user = { name: 'b' }
    expect(flush()).toEqual([{ op: 'replace', path: ['user'], value: { name: 'b' } }])
  })

  it('by a deep-equal one gives no patch, in arrays too', () => {
    const { session, flush, document: ledger } = open()
    session.user = { tags: ['x', 'y'], name: 'a' }
    session.cart.items.splice(0, 3, { q: 1, id: 1 }, { id: 2, q: 1 }, { id: 3, q: 1 })
    expect(ledger.mayHaveChanges).toBe(true)
    expect(ledger.hasChanges()).toBe(false)
    expect(flush()).toEqual([])
  })

  it('by an equal one is not a change of mine: theirs is taken, into the new object', () => {
    const { session, rebase: absorb, flush } = open()
    session.user = { name: 'a', tags: ['x', 'y'] }
    session.list = [1, 2, 3]
    const { user } = session
    const theirs = { ...shop(), user: { name: 'b', tags: ['y', { z: 1 }] }, list: 'none' }
    expect(absorb(theirs).conflicts).toEqual([])
    expect(plain(user)).toEqual(theirs.user)
    expect(session.list).toBe('none')
    expect(flush()).toEqual([])
  })

  it('of a whole large array is one replace', () => {
    const { session, flush } = open({ list: Array.from({ length: 200 }, (_, id) => ({ id })) })
    session.list.sort((a: Any, b: Any) => ((a.id * 7919) % 200) - ((b.id * 7919) % 200))
    expect(flush()).toMatchObject([{ op: 'replace', path: ['list'] }])
    session.list.splice(0, 200, ...plain(session.list))
    expect(flush()).toEqual([])
  })
})

describe('a failed save', () => {
  it('leaves what it would have saved unsaved, below what was written since', () => {
    const { session, document: ledger, flush } = open()
    session.n = 2
    session.user.name = 'b'
    ledger.takeChanges()
    session.n = 3
    session.list.push(4)
    ledger.rollback()
    expect(ledger.base()).toEqual(shop())
    expect(flush()).toEqual([
      { op: 'replace', path: ['n'], value: 3 },
      { op: 'replace', path: ['user', 'name'], value: 'b' },
      { op: 'add', path: ['list', 3], value: 4 },
    ])
  })

  it('that is heard of after an absorb changes nothing: there is another base', () => {
    const { session, document: ledger, live } = open()
    session.n = 2
    ledger.takeChanges()
    ledger.rebase({ ...shop(), n: 5 })
    ledger.rollback()
    expect(ledger.mayHaveChanges).toBe(false)
    expect(live().n).toBe(5)
  })

  it('can still be taken back after a discard', () => {
    const { session, document: ledger, flush } = open()
    session.n = 2
    ledger.takeChanges()
    session.n = 3
    ledger.discard()
    expect(session.n).toBe(2)
    ledger.rollback()
    expect(flush()).toEqual([{ op: 'replace', path: ['n'], value: 2 }])
  })
})

describe('one object at two places', () => {
  it('is an alias until the collect, then split as JSON would', () => {
    const { session, flush, live } = open()
    session.copy = session.user
    session.copy.name = 'b'
    expect(session.user.name).toBe('b')
    flush()
    session.copy.name = 'c'
    flush()
    expect(live()).toMatchObject({ user: { name: 'b' }, copy: { name: 'c' } })
  })

  it('is split in arrays, by fill and copyWithin too, and inside one value', () => {
    const { session, flush, live } = open({ a: [1, 2, 3], b: [{ x: 1 }, 2, 3] })
    session.a.fill({ y: 1 })
    session.b.copyWithin(1, 0, 1)
    const raw = { z: 1 }
    session.c = { one: raw, two: [raw, raw] }
    const twice = { v: 1 }
    session.d = twice
    session.e = twice
    session.a[0].y = 2
    expect(session.a[2].y).toBe(2)
    flush()
    session.e.v = 3
    session.a[0].y = 3
    session.b[1].x = 3
    session.c.two[0].z = 3
    flush()
    expect(live()).toEqual({
      a: [{ y: 3 }, { y: 2 }, { y: 2 }],
      b: [{ x: 1 }, { x: 3 }, 3],
      c: { one: { z: 1 }, two: [{ z: 3 }, { z: 1 }] },
      d: { v: 1 },
      e: { v: 3 },
    })
  })

  it('is split when something removed that holds it comes back', () => {
    const { session, flush, live } = open({ box: { inner: { v: 1 } } })
    const { box } = session
    session.inner = box.inner
    delete session.box
    flush()
    session.inner.v = 2
    expect(box.inner.v).toBe(2)
    session.box = box
    flush()
    session.inner.v = 3
    flush()
    expect(live()).toEqual({ box: { inner: { v: 2 } }, inner: { v: 3 } })
  })

  it('keeps its base through a failed save', () => {
    const { session, document: ledger, flush } = open()
    // A key that comes first, whatever the order of assignment.
    session[0] = session.user
    session.cart.items.unshift(session.cart.items[2])
    session.user.name = 'b'
    ledger.takeChanges()
    ledger.rollback()
    expect(ledger.base()).toEqual(shop())
    flush()
  })
})

import { describe, expect, it } from 'vitest'
import { type Any, open, plain, shop } from './harness.js'

// What becomes of containers that are removed, moved, replaced or aliased. Values that are not JSON are in non-json-values.test.ts.

describe('a container that this side removed', () => {
  it('still works as in plain JavaScript, and can be assigned again', () => {
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

describe('a container that this side moved away', () => {
  it('and moved back gives patches only for what was written in it', () => {
    const { session, flush } = open()
    const item = session.cart.items.pop()
    session.user.fav = item
    delete session.user.fav
    item.q = 9
    session.cart.items.push(item)
    expect(flush()).toEqual([{ op: 'replace', path: ['cart', 'items', 2, 'q'], value: 9 }])
  })
})

describe('an element that this side moved within its array', () => {
  it('and another writer changed is no conflict, although nobody has read it', () => {
    const { session, rebase, live } = open()
    session.cart.items.reverse()
    const theirs = shop()
    theirs.cart.items[0].q = 9
    expect(rebase(theirs).conflicts).toEqual([])
    expect(live().cart.items.map(({ id, q }: Any) => [id, q])).toEqual([
      [3, 1],
      [2, 1],
      [1, 9],
    ])
  })
})

describe('a container that another writer removed', () => {
  it('stays removed; unsaved writes in it are a conflict', () => {
    const { session, rebase, takeChanges, live } = open()
    session.user.name = 'b'
    const { user: _, ...theirs } = shop()
    expect(rebase(theirs).conflicts).toEqual([
      {
        path: ['user'],
        kind: 'deleted-under-edit',
        base: { name: 'a', tags: ['x', 'y'] },
        mine: { name: 'b', tags: ['x', 'y'] },
        theirs: undefined,
        won: 'theirs',
      },
    ])
    expect(takeChanges().conflicts).toEqual([])
    expect(live()).toEqual(theirs)
  })

  it('is no conflict if the writes in it were taken back', () => {
    const { session, rebase } = open()
    session.user.name = 'b'
    session.user.name = 'a'
    const { user: _, ...theirs } = shop()
    expect(rebase(theirs).conflicts).toEqual([])
  })

  it('gives one conflict (orphan-write) per save for later writes to it', () => {
    const { session, rebase, takeChanges } = open()
    const { tags } = session.user
    const item = session.cart.items[1]
    const theirs = shop()
    theirs.user = 'gone'
    theirs.cart.items.splice(1, 1)
    expect(rebase(theirs).conflicts).toEqual([])
    tags.push('z')
    item.q = 9
    expect(takeChanges().conflicts).toEqual([
      { path: ['user'], kind: 'orphan-write', mine: ['x', 'y', 'z'], won: 'theirs' },
      { path: ['cart', 'items', 1], kind: 'orphan-write', mine: { id: 2, q: 9 }, won: 'theirs' },
    ])
    expect(takeChanges().conflicts).toEqual([])
  })

  it('is part of the document again after it was assigned again', () => {
    const { session, rebase, takeChanges, live } = open()
    const { user } = session
    const { user: _, ...theirs } = shop()
    rebase(theirs)
    session.back = user
    user.name = 'b'
    expect(takeChanges().conflicts).toEqual([])
    expect(live().back.name).toBe('b')
    delete session.back
    user.name = 'c'
    expect(takeChanges().conflicts).toEqual([])
  })

  it('stays if this side had moved it to another place', () => {
    const { session, rebase, live } = open()
    const { user } = session
    session.list.push(user)
    delete session.user
    const { user: _, ...theirs } = shop()
    expect(rebase(theirs).conflicts).toEqual([])
    expect(live().list[3]).toEqual({ name: 'a', tags: ['x', 'y'] })
  })
})

describe('one key that both writers set', () => {
  it('has my value, and the conflict is reported', () => {
    const { session, rebase, flush } = open()
    session.n = 5
    session.extra = { mine: true }
    delete session.list
    const theirs = { ...shop(), n: 6, extra: 1, list: [9] }
    expect(rebase(theirs).conflicts).toEqual([
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

  it('is no conflict if both set the same value, or both removed it', () => {
    const { session, rebase, flush } = open()
    session.n = 5
    session.user = { name: 'b' }
    delete session.list
    const { list: _, ...theirs } = { ...shop(), n: 5, user: { name: 'b' } }
    expect(rebase(theirs).conflicts).toEqual([])
    expect(flush()).toEqual([])
  })

  it('may be an index of an array', () => {
    const { session, rebase, live } = open()
    session.list[0] = 10
    const theirs = shop()
    theirs.list[0] = 20
    theirs.list[2] = 30
    expect(rebase(theirs).conflicts).toEqual([
      { path: ['list', 0], kind: 'both-set', base: 1, mine: 10, theirs: 20, won: 'mine' },
    ])
    expect(live().list).toEqual([10, 2, 30])
  })

  it('stays removed if I removed an element that they changed (deleted-under-edit)', () => {
    const { session, rebase, live } = open()
    session.cart.items.shift()
    const theirs = shop()
    theirs.cart.items[0].q = 5
    expect(rebase(theirs).conflicts).toMatchObject([{ path: ['cart', 'items', 0], kind: 'deleted-under-edit', won: 'mine' }])
    expect(live().cart.items).toHaveLength(2)
  })
})

describe('replacing an object or an array', () => {
  it('gives one replace', () => {
    const { session, flush } = open()
    session.user = { name: 'b' }
    expect(flush()).toEqual([{ op: 'replace', path: ['user'], value: { name: 'b' } }])
  })

  it('by an equal one gives no patch, in arrays too', () => {
    const { session, flush, document } = open()
    session.user = { tags: ['x', 'y'], name: 'a' }
    session.cart.items.splice(0, 3, { q: 1, id: 1 }, { id: 2, q: 1 }, { id: 3, q: 1 })
    expect(document.mayHaveChanges).toBe(true)
    expect(document.hasChanges()).toBe(false)
    expect(flush()).toEqual([])
  })

  it('by an equal one is no change of mine: a rebase puts theirs into the new object', () => {
    const { session, rebase, flush } = open()
    session.user = { name: 'a', tags: ['x', 'y'] }
    session.list = [1, 2, 3]
    const { user } = session
    const theirs = { ...shop(), user: { name: 'b', tags: ['y', { z: 1 }] }, list: 'none' }
    expect(rebase(theirs).conflicts).toEqual([])
    expect(plain(user)).toEqual(theirs.user)
    expect(session.list).toBe('none')
    expect(flush()).toEqual([])
  })

  it('gives one replace for a large array', () => {
    const { session, flush } = open({ list: Array.from({ length: 200 }, (_, id) => ({ id })) })
    session.list.sort((a: Any, b: Any) => ((a.id * 7919) % 200) - ((b.id * 7919) % 200))
    expect(flush()).toMatchObject([{ op: 'replace', path: ['list'] }])
    session.list.splice(0, 200, ...plain(session.list))
    expect(flush()).toEqual([])
  })
})

describe('a failed save', () => {
  it('leaves its writes unsaved, and later writes on top', () => {
    const { session, document, flush } = open()
    session.n = 2
    session.user.name = 'b'
    document.takeChanges()
    session.n = 3
    session.list.push(4)
    document.rollback()
    expect(document.base()).toEqual(shop())
    expect(flush()).toEqual([
      { op: 'replace', path: ['n'], value: 3 },
      { op: 'replace', path: ['user', 'name'], value: 'b' },
      { op: 'add', path: ['list', 3], value: 4 },
    ])
  })

  it('changes nothing if it is reported after a rebase, which set another base', () => {
    const { session, document, live } = open()
    session.n = 2
    document.takeChanges()
    document.rebase({ ...shop(), n: 5 })
    document.rollback()
    expect(document.mayHaveChanges).toBe(false)
    expect(live().n).toBe(5)
  })

  it('can still be rolled back after a discard', () => {
    const { session, document, flush } = open()
    session.n = 2
    document.takeChanges()
    session.n = 3
    document.discard()
    expect(session.n).toBe(2)
    document.rollback()
    expect(flush()).toEqual([{ op: 'replace', path: ['n'], value: 2 }])
  })
})

describe('one object at two places', () => {
  it('is an alias until the save, which gives each place its own copy', () => {
    const { session, flush, live } = open()
    session.copy = session.user
    session.copy.name = 'b'
    expect(session.user.name).toBe('b')
    flush()
    session.copy.name = 'c'
    flush()
    expect(live()).toMatchObject({ user: { name: 'b' }, copy: { name: 'c' } })
  })

  it('is split in arrays, also after fill and copyWithin, and inside one value', () => {
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

  it('is split when a removed container that holds it is assigned again', () => {
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

  it('is found at the one that is left, though it was read at the other', () => {
    const { session, flush, live } = open({})
    const both = { inner: { v: 1 } }
    session.a = both
    session.b = both
    expect(session.a.inner.v).toBe(1)
    delete session.a
    const holder: Any = { x: { inner: { v: 1 } } }
    session.holder = holder
    expect(session.holder.x.inner.v).toBe(1)
    holder.y = holder.x
    delete holder.x
    flush()
    session.c = [session.b.inner, session.holder.y.inner]
    flush()
    for (const inner of session.c) inner.v = 2
    flush()
    expect(live()).toEqual({ b: { inner: { v: 1 } }, holder: { y: { inner: { v: 1 } } }, c: [{ v: 2 }, { v: 2 }] })
  })

  it('keeps its base through a failed save', () => {
    const { session, document, flush } = open()
    // A key that comes first, whatever the order of assignment.
    session[0] = session.user
    session.cart.items.unshift(session.cart.items[2])
    session.user.name = 'b'
    document.takeChanges()
    document.rollback()
    expect(document.base()).toEqual(shop())
    flush()
  })
})

import { describe, expect, it } from 'vitest'
import { type Any, open, shop } from './harness.js'

// `flush` and `rebase` check every step against a model of the store (see harness.ts).

describe('a reference that a handler holds', () => {
  it('still writes to the session after a save', () => {
    const { session, flush, live } = open()
    const cart = session.cart
    session.n = 2
    flush()
    cart.total = 5
    cart.items.push({ id: 4, q: 1 })
    const patches = flush()
    expect(patches.length).toBeGreaterThan(0)
    expect(live().cart.total).toBe(5)
    expect(live().cart.items.length).toBe(4)
  })

  it('still writes after a save that had nothing to write', () => {
    const { session, flush, live } = open()
    const cart = session.cart
    flush()
    expect(cart.total).toBe(0)
    cart.total = 1
    flush()
    expect(live().cart.total).toBe(1)
  })

  it('to an element of an array writes to it through three saves', () => {
    const { session, flush } = open()
    const item = session.cart.items[1]
    for (let i = 2; i < 5; i++) {
      item.q = i
      const patches = flush()
      expect(patches).toEqual([{ op: 'replace', path: ['cart', 'items', 1, 'q'], value: i }])
    }
  })

  it('still writes after a rebase that changed another key', () => {
    const { session, flush, rebase, live } = open()
    const cart = session.cart
    const theirs = shop()
    theirs.n = 77
    rebase(theirs)
    cart.total = 3
    flush()
    expect(live()).toEqual({ ...shop(), n: 77, cart: { ...shop().cart, total: 3 } })
  })

  it('still writes after a rebase that changed the object itself', () => {
    const { session, flush, rebase, live } = open()
    const cart = session.cart
    const theirs = shop()
    theirs.cart.items.push({ id: 9, q: 1 })
    rebase(theirs)
    expect(cart.items.length).toBe(4)
    cart.items.push({ id: 10, q: 1 })
    flush()
    expect(live().cart.items.map((item: Any) => item.id)).toEqual([1, 2, 3, 9, 10])
  })

  it('to an element writes to that element after a rebase that removed an earlier one', () => {
    const { session, flush, rebase, live } = open()
    const item = session.cart.items[1]
    const theirs = shop()
    theirs.cart.items.shift()
    rebase(theirs)
    item.q = 50
    flush()
    expect(live().cart.items).toEqual([
      { id: 2, q: 50 },
      { id: 3, q: 1 },
    ])
  })

  it('to an element writes to that element after a shift', () => {
    const { session, flush, live } = open()
    const item = session.cart.items[1]
    session.cart.items.shift()
    item.q = 50
    flush()
    expect(live().cart.items).toEqual([
      { id: 2, q: 50 },
      { id: 3, q: 1 },
    ])
  })

  it('to an element writes to that element after a sort', () => {
    const { session, flush, live } = open()
    const item = session.cart.items[0]
    session.cart.items.sort((a: Any, b: Any) => b.id - a.id)
    item.q = 7
    flush()
    expect(live().cart.items).toEqual([
      { id: 3, q: 1 },
      { id: 2, q: 1 },
      { id: 1, q: 7 },
    ])
  })

  it('to an element writes to that element after two were swapped by destructuring', () => {
    const { session, flush, live } = open()
    const { items } = session.cart
    flush()
    const [first, second] = items
    ;[items[0], items[1]] = [items[1], items[0]]
    first.q = 10
    second.q = 20
    flush()
    expect(live().cart.items).toEqual([
      { id: 2, q: 20 },
      { id: 1, q: 10 },
      { id: 3, q: 1 },
    ])
  })

  it('to an element writes to its new place after it was moved', () => {
    const { session, flush, live } = open()
    const item = session.cart.items[0]
    flush()
    session.cart.items.shift()
    session.fav = item
    flush()
    item.q = 99
    flush()
    expect(live().fav).toEqual({ id: 1, q: 99 })
  })

  it('to a popped element writes to it after it was added again', () => {
    const { session, flush, live } = open()
    const item = session.cart.items.pop()
    flush()
    item.q = 5
    session.cart.items.unshift(item)
    flush()
    item.q = 6
    flush()
    expect(live().cart.items.map((item: Any) => [item.id, item.q])).toEqual([
      [3, 6],
      [1, 1],
      [2, 1],
    ])
  })

  it('to an object that it assigned writes to the session until the save', () => {
    const { session, flush, live } = open()
    const raw: Any = { a: [] }
    session.box = raw
    raw.a.push(1)
    raw.z = 2
    flush()
    expect(live().box).toEqual({ a: [1], z: 2 })
  })

  it('to a proxy of an object that it assigned writes to it before and after the save', () => {
    const { session, flush, live } = open()
    session.box = { a: [] }
    session.box.a.push(1)
    flush()
    session.box.a.push(2)
    const patches = flush()
    expect(patches).toEqual([{ op: 'add', path: ['box', 'a', 1], value: 2 }])
    expect(live().box).toEqual({ a: [1, 2] })
  })

  it('to a deleted object can be written to, and nothing is saved', () => {
    const { session, flush, live } = open()
    const cart = session.cart
    delete session.cart
    flush()
    cart.total = 4
    flush()
    expect('cart' in live()).toBe(false)
  })

  it('to an element writes to it after the objects around it were replaced by copies', () => {
    const { session, flush, live } = open()
    const item = session.cart.items[0]
    session.cart = { ...session.cart, items: [...session.cart.items, { id: 4, q: 1 }] }
    flush()
    item.q = 42
    flush()
    expect(live().cart.items.map((item: Any) => item.q)).toEqual([42, 1, 1, 1])
  })
})

describe('patches of a save, and a rebase', () => {
  it('a scalar gives one replace', () => {
    const { session, flush } = open()
    session.cart.total = 9
    expect(flush()).toEqual([{ op: 'replace', path: ['cart', 'total'], value: 9 }])
  })

  it('reading and JSON.stringify give no patches', () => {
    const { session, flush } = open()
    void session.cart.items[0].id
    JSON.stringify(session)
    expect(flush()).toEqual([])
  })

  it('assigning an equal value gives no patches', () => {
    const { session, flush } = open()
    session.n = 1
    session.user = { name: 'a', tags: ['x', 'y'] }
    expect(flush()).toEqual([])
  })

  it('a change that is taken back gives no patches', () => {
    const { session, flush } = open()
    session.n = 2
    session.n = 1
    session.list.push(9)
    session.list.pop()
    expect(flush()).toEqual([])
  })

  it('push gives one add', () => {
    const { session, flush } = open()
    session.cart.items.push({ id: 4, q: 1 })
    expect(flush()).toEqual([{ op: 'add', path: ['cart', 'items', 3], value: { id: 4, q: 1 } }])
  })

  it('shift gives one remove', () => {
    const { session, flush } = open()
    session.cart.items.shift()
    expect(flush()).toEqual([{ op: 'remove', path: ['cart', 'items', 0] }])
  })

  it('unshift gives one add', () => {
    const { session, flush } = open()
    session.list.unshift(0)
    expect(flush()).toEqual([{ op: 'add', path: ['list', 0], value: 0 }])
  })

  it('splice in the middle gives one remove', () => {
    const { session, flush } = open()
    session.cart.items.splice(1, 1)
    expect(flush()).toEqual([{ op: 'remove', path: ['cart', 'items', 1] }])
  })

  it('both elements stay if both writers push', () => {
    const { session, flush, rebase, live } = open()
    session.list.push(10)
    const theirs = shop()
    theirs.list.push(20)
    rebase(theirs)
    flush()
    expect([...live().list].sort()).toEqual([1, 10, 2, 20, 3].sort())
    expect(live().list.length).toBe(5)
  })

  it('both elements stay if both writers unshift', () => {
    const { session, flush, rebase, live } = open()
    session.list.unshift(10)
    const theirs = shop()
    theirs.list.unshift(20)
    rebase(theirs)
    flush()
    expect([...live().list].sort()).toEqual([1, 10, 2, 20, 3].sort())
  })

  it('an edit of one element stays if the other writer removes another one', () => {
    const { session, flush, rebase, live } = open()
    session.cart.items[2].q = 5
    const theirs = shop()
    theirs.cart.items.shift()
    rebase(theirs)
    flush()
    expect(live().cart.items).toEqual([
      { id: 2, q: 1 },
      { id: 3, q: 5 },
    ])
  })

  it('an edit inside an object that the other writer deletes is gone, without an error', () => {
    const { session, flush, rebase, live } = open()
    session.user.name = 'z'
    const theirs = shop()
    delete theirs.user
    rebase(theirs)
    flush()
    expect('user' in live()).toBe(false)
  })

  it('different keys of one object are merged', () => {
    const { session, flush, rebase, live } = open()
    session.user.name = 'z'
    const theirs = shop()
    theirs.user.age = 3
    rebase(theirs)
    flush()
    expect(live().user).toEqual({ name: 'z', tags: ['x', 'y'], age: 3 })
  })

  it('the patches after a rebase lead from theirs, and have only mine', () => {
    const { session, flush, rebase } = open()
    session.n = 5
    const theirs = shop()
    theirs.user.name = 'q'
    rebase(theirs)
    expect(flush()).toEqual([{ op: 'replace', path: ['n'], value: 5 }])
  })
})

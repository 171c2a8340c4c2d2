import { describe, expect, it } from 'vitest'
import { type Any, open, plain, shop } from './harness.js'

// The scenario matrix of the study; `flush` and `absorb` compare every step with a model of the store (see harness.ts).
const eq = (got: unknown, wanted: unknown) => expect(plain(got)).toEqual(plain(wanted))
const is = (got: unknown, wanted: unknown) => expect(got).toBe(wanted)
const ok = (value: unknown) => expect(value).toBeTruthy()

describe('held references', () => {
  it('held ref survives a flush', () => {
    const { session, flush, live } = open()
    const c = session.cart
    session.n = 2
    flush()
    c.total = 5
    c.items.push({ id: 4, q: 1 })
    const p = flush()
    ok(p.length)
    eq(live().cart.total, 5)
    eq(live().cart.items.length, 4)
  })

  it('held ref: read only event then flush', () => {
    const { session, flush, live } = open()
    const c = session.cart
    flush()
    is(c.total, 0)
    c.total = 1
    flush()
    eq(live().cart.total, 1)
  })

  it('held deep ref across 3 flushes', () => {
    const { session, flush } = open()
    const it = session.cart.items[1]
    for (let i = 2; i < 5; i++) {
      it.q = i
      const p = flush()
      eq(p, [{ op: 'replace', path: ['cart', 'items', 1, 'q'], value: i }])
    }
  })

  it('held ref after a remote merge elsewhere', () => {
    const { session, flush, rebase: absorb, live } = open()
    const c = session.cart
    const th = shop()
    th.n = 77
    absorb(th)
    c.total = 3
    flush()
    eq(live(), { ...shop(), n: 77, cart: { ...shop().cart, total: 3 } })
  })

  it('held ref after a remote merge inside it', () => {
    const { session, flush, rebase: absorb, live } = open()
    const c = session.cart
    const th = shop()
    th.cart.items.push({ id: 9, q: 1 })
    absorb(th)
    is(c.items.length, 4)
    c.items.push({ id: 10, q: 1 })
    flush()
    eq(
      live().cart.items.map((x: Any) => x.id),
      [1, 2, 3, 9, 10],
    )
  })

  it('held element, remote removed an earlier one (wrong-target write)', () => {
    const { session, flush, rebase: absorb, live } = open()
    const it = session.cart.items[1]
    const th = shop()
    th.cart.items.shift()
    absorb(th)
    it.q = 50
    flush()
    eq(live().cart.items, [
      { id: 2, q: 50 },
      { id: 3, q: 1 },
    ])
  })

  it('held element, local shift before it', () => {
    const { session, flush, live } = open()
    const it = session.cart.items[1]
    session.cart.items.shift()
    it.q = 50
    flush()
    eq(live().cart.items, [
      { id: 2, q: 50 },
      { id: 3, q: 1 },
    ])
  })

  it('held element, sort', () => {
    const { session, flush, live } = open()
    const it = session.cart.items[0]
    session.cart.items.sort((a: Any, b: Any) => b.id - a.id)
    it.q = 7
    flush()
    eq(live().cart.items, [
      { id: 3, q: 1 },
      { id: 2, q: 1 },
      { id: 1, q: 7 },
    ])
  })

  it('held elements, swap by destructuring, after a flush', () => {
    const { session, flush, live } = open()
    const a = session.cart.items
    flush()
    const x = a[0],
      y = a[1]
    ;[a[0], a[1]] = [a[1], a[0]]
    x.q = 10
    y.q = 20
    flush()
    eq(live().cart.items, [
      { id: 2, q: 20 },
      { id: 1, q: 10 },
      { id: 3, q: 1 },
    ])
  })

  it('move node within tree, then write via old ref', () => {
    const { session, flush, live } = open()
    const it = session.cart.items[0]
    flush()
    session.cart.items.shift()
    session.fav = it
    flush()
    it.q = 99
    flush()
    eq(live().fav, { id: 1, q: 99 })
  })

  it('popped element re-attached elsewhere', () => {
    const { session, flush, live } = open()
    const it = session.cart.items.pop()
    flush()
    it.q = 5
    session.cart.items.unshift(it)
    flush()
    it.q = 6
    flush()
    eq(
      live().cart.items.map((x: Any) => [x.id, x.q]),
      [
        [3, 6],
        [1, 1],
        [2, 1],
      ],
    )
  })

  it('assign raw object, mutate through raw in same window', () => {
    const { session, flush, live } = open()
    const raw: Any = { a: [] }
    session.box = raw
    raw.a.push(1)
    raw.z = 2
    flush()
    eq(live().box, { a: [1], z: 2 })
  })

  it('assign raw object, then mutate through proxy', () => {
    const { session, flush, live } = open()
    session.box = { a: [] }
    session.box.a.push(1)
    flush()
    session.box.a.push(2)
    const p = flush()
    eq(p, [{ op: 'add', path: ['box', 'a', 1], value: 2 }])
    eq(live().box, { a: [1, 2] })
  })

  it('write to object replaced meanwhile (local delete) is not an error', () => {
    const { session, flush, live } = open()
    const c = session.cart
    delete session.cart
    flush()
    c.total = 4
    flush()
    ok(!('cart' in live()))
  })

  it('immutable-style update keeps held element', () => {
    const { session, flush, live } = open()
    const it = session.cart.items[0]
    session.cart = { ...session.cart, items: [...session.cart.items, { id: 4, q: 1 }] }
    flush()
    it.q = 42
    flush()
    eq(
      live().cart.items.map((x: Any) => x.q),
      [42, 1, 1, 1],
    )
  })
})

describe('patches and merges', () => {
  it('flush patches minimal: scalar', () => {
    const { session, flush } = open()
    session.cart.total = 9
    eq(flush(), [{ op: 'replace', path: ['cart', 'total'], value: 9 }])
  })

  it('unmodified => no patches', () => {
    const { session, flush } = open()
    void session.cart.items[0].id
    JSON.stringify(session)
    eq(flush(), [])
  })

  it('same value assigned => no patches', () => {
    const { session, flush } = open()
    session.n = 1
    session.user = { name: 'a', tags: ['x', 'y'] }
    eq(flush(), [])
  })

  it('there and back => no patches', () => {
    const { session, flush } = open()
    session.n = 2
    session.n = 1
    session.list.push(9)
    session.list.pop()
    eq(flush(), [])
  })

  it('push = one add', () => {
    const { session, flush } = open()
    session.cart.items.push({ id: 4, q: 1 })
    eq(flush(), [{ op: 'add', path: ['cart', 'items', 3], value: { id: 4, q: 1 } }])
  })

  it('shift = one remove', () => {
    const { session, flush } = open()
    session.cart.items.shift()
    eq(flush(), [{ op: 'remove', path: ['cart', 'items', 0] }])
  })

  it('unshift = one add', () => {
    const { session, flush } = open()
    session.list.unshift(0)
    eq(flush(), [{ op: 'add', path: ['list', 0], value: 0 }])
  })

  it('splice middle', () => {
    const { session, flush } = open()
    session.cart.items.splice(1, 1)
    eq(flush(), [{ op: 'remove', path: ['cart', 'items', 1] }])
  })

  it('concurrent push both kept', () => {
    const { session, flush, rebase: absorb, live } = open()
    session.list.push(10)
    const th = shop()
    th.list.push(20)
    absorb(th)
    flush()
    eq([...live().list].sort(), [1, 10, 2, 20, 3].sort())
    is(live().list.length, 5)
  })

  it('concurrent unshift both kept', () => {
    const { session, flush, rebase: absorb, live } = open()
    session.list.unshift(10)
    const th = shop()
    th.list.unshift(20)
    absorb(th)
    flush()
    eq([...live().list].sort(), [1, 10, 2, 20, 3].sort())
  })

  it('my edit of element, theirs removed another', () => {
    const { session, flush, rebase: absorb, live } = open()
    session.cart.items[2].q = 5
    const th = shop()
    th.cart.items.shift()
    absorb(th)
    flush()
    eq(live().cart.items, [
      { id: 2, q: 1 },
      { id: 3, q: 5 },
    ])
  })

  it('my edit inside, theirs deleted parent (delete wins, no throw)', () => {
    const { session, flush, rebase: absorb, live } = open()
    session.user.name = 'z'
    const th = shop()
    delete th.user
    absorb(th)
    flush()
    ok(!('user' in live()))
  })

  it('disjoint keys merge', () => {
    const { session, flush, rebase: absorb, live } = open()
    session.user.name = 'z'
    const th = shop()
    th.user.age = 3
    absorb(th)
    flush()
    eq(live().user, { name: 'z', tags: ['x', 'y'], age: 3 })
  })

  it('flush after merge yields only mine, relative to theirs', () => {
    const { session, flush, rebase: absorb } = open()
    session.n = 5
    const th = shop()
    th.user.name = 'q'
    absorb(th)
    eq(flush(), [{ op: 'replace', path: ['n'], value: 5 }])
  })
})

import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Any, open, plain, shop } from './harness.js'

// `flush` and `rebase` check every step against a model of the store (see harness.ts).

describe('session data takes', () => {
  it('sort and reverse', () => {
    const { session, flush, live } = open()
    session.list.reverse()
    session.list.sort()
    session.cart.items.reverse()
    flush()
    expect(live().cart.items.map((item: Any) => item.id)).toEqual([3, 2, 1])
  })

  it('a length of 0, and new elements after it', () => {
    const { session, flush, live } = open()
    session.list.length = 0
    flush()
    expect(live().list).toEqual([])
    session.list.push(1)
    flush()
    expect(live().list).toEqual([1])
  })

  it('delete of an index, which leaves null', () => {
    const { session, flush, live } = open()
    delete session.list[1]
    flush()
    expect(live().list).toEqual([1, null, 3])
  })

  it('a write beyond the end of an array, with null in between', () => {
    const { session, flush, live } = open()
    session.list[5] = 6
    flush()
    expect(live().list).toEqual([1, 2, 3, null, null, 6])
  })

  it('a key that was deleted and set again', () => {
    const { session, flush, live } = open()
    delete session.user
    session.user = { name: 'n' }
    flush()
    expect(live().user).toEqual({ name: 'n' })
    session.user.name = 'm'
    flush()
    expect(live().user).toEqual({ name: 'm' })
  })

  it('a new object, and an edit inside it before the save', () => {
    const { session, flush, live } = open()
    session.cart = { items: [{ id: 8 }] }
    session.cart.items[0].q = 2
    flush()
    expect(live().cart).toEqual({ items: [{ id: 8, q: 2 }] })
  })

  it('one object at two places: a write to one is a write to both until the save', () => {
    const { session, flush, live } = open()
    session.b = session.cart
    session.b.total = 5
    flush()
    expect(live().cart.total).toBe(5)
    expect(live().b.total).toBe(5)
  })

  it('one object at two places: each place has its own after the save', () => {
    const { session, flush } = open()
    session.b = session.user
    flush()
    session.b.name = 'k'
    flush()
    session.user.name = 'l'
    flush()
  })

  it('one assigned object at two places', () => {
    const { session, flush, live } = open()
    const raw = { v: 1 }
    session.p = raw
    session.q = raw
    flush()
    session.p.v = 2
    flush()
    expect(live().p.v).toBe(2)
  })

  it('no object that would contain itself: the write is refused', () => {
    const { session, problems } = open()
    session.user.self = session
    expect(problems()).toMatchObject([{ code: 'NOT_STORABLE' }])
    expect(session.user.self).toBe(undefined)
  })

  it('no assigned object that contains itself: the write is refused', () => {
    const { session, problems } = open()
    const cyclic: Any = {}
    cyclic.self = cyclic
    session.x = cyclic
    expect(problems()).toMatchObject([{ code: 'NOT_STORABLE' }])
    expect(session.x).toBe(undefined)
  })

  it('no BigInt: the write is refused', () => {
    const { session, problems } = open()
    session.x = { y: 1n }
    expect(problems()).toMatchObject([{ code: 'NOT_STORABLE' }])
    expect(session.x).toBe(undefined)
  })

  it('a Date, which is usable until the save and a string in the patch', () => {
    const { session, flush } = open()
    session.at = new Date(0)
    expect(session.at.getTime()).toBe(0)
    const patches = flush()
    expect(patches[0]?.value).toBe('1970-01-01T00:00:00.000Z')
  })

  it('a Date that is changed in place before the save', () => {
    const { session, flush, live } = open()
    session.at = new Date(0)
    session.at.setUTCFullYear(2020)
    flush()
    expect(live().at).toBe('2020-01-01T00:00:00.000Z')
  })

  it('a Map, a Set and a Buffer as their JSON', () => {
    const { session, flush } = open()
    session.m = new Map([[1, 2]])
    session.s = new Set([1])
    session.b = Buffer.from('a')
    const patches = flush()
    expect(patches.map(({ value }) => plain(value))).toEqual([{}, {}, { type: 'Buffer', data: [97] }])
  })

  it('a class instance with toJSON, which is usable until the save', () => {
    const { session, flush } = open()
    class User {
      constructor(public n: string) {}
      hi() {
        return 1
      }
      toJSON() {
        return { n: this.n, j: 1 }
      }
    }
    session.u = new User('x')
    expect(session.u.hi()).toBe(1)
    const patches = flush()
    expect(plain(patches[0]?.value)).toEqual({ n: 'x', j: 1 })
    expect(session.u.n).toBe('x')
  })

  it('undefined, which removes the key in the store', () => {
    const { session, flush } = open()
    session.n = undefined
    session.zz = undefined
    const patches = flush()
    expect(plain(patches)).toEqual([{ op: 'remove', path: ['n'] }])
  })

  it('NaN as null', () => {
    const { session, flush } = open()
    session.n = NaN
    const patches = flush()
    expect(plain(patches)).toEqual([{ op: 'replace', path: ['n'], value: null }])
    flush()
  })

  it('a function, which is not saved', () => {
    const { session, flush } = open()
    session.f = () => 1
    const patches = flush()
    expect(plain(patches)).toEqual([])
  })

  it('a symbol key, which is not saved', () => {
    const { session, flush } = open()
    session[Symbol('k')] = 1
    const patches = flush()
    expect(patches).toEqual([])
  })

  it('no __proto__: the write is refused, and no prototype changes', () => {
    const { session, flush, problems } = open()
    // biome-ignore lint/suspicious/noProto: that is the attack
    session.__proto__ = { admin: true }
    expect(problems()).toMatchObject([{ code: 'RESERVED_KEY' }])
    expect(session.admin).toBe(undefined)
    expect(({} as Any).admin).toBe(undefined)
    flush()
  })

  it('no own __proto__ inside a value: the write is refused', () => {
    const { session, flush, live, problems } = open()
    session.x = JSON.parse('{"a":1,"__proto__":{"admin":true}}')
    expect(problems()).toMatchObject([{ code: 'RESERVED_KEY' }])
    flush()
    expect(session.x).toBe(undefined)
    expect(live().x).toBe(undefined)
  })

  it('constructor as a key', () => {
    const { session, flush } = open()
    session.counts = {}
    session.counts.constructor = { n: 1 }
    flush()
    session.counts.constructor.n = 2
    const patches = flush()
    expect(patches).toEqual([{ op: 'replace', path: ['counts', 'constructor', 'n'], value: 2 }])
  })

  it('Object.assign', () => {
    const { session, flush, live } = open()
    Object.assign(session.user, { name: 'b', age: 4 })
    flush()
    expect(live().user).toEqual({ name: 'b', age: 4, tags: ['x', 'y'] })
  })

  it('Object.defineProperty with a value', () => {
    const { session, flush, live } = open()
    Object.defineProperty(session, 'dp', { value: { a: 1 }, enumerable: true, writable: true, configurable: true })
    flush()
    expect(live().dp).toEqual({ a: 1 })
  })

  it('a write through the value of a property descriptor', () => {
    const { session, flush } = open()
    const cart = Object.getOwnPropertyDescriptor(session, 'cart')!.value
    cart.total = 12
    const patches = flush()
    expect(patches.length).toBe(1)
  })

  it('frozen objects, which can be written to in the session', () => {
    const { session, flush, live } = open()
    session.fz = Object.freeze({ a: Object.freeze({ b: 1 }) })
    session.fz.a.b = 2
    flush()
    session.fz.a.c = 3
    flush()
    expect(live().fz).toEqual({ a: { b: 2, c: 3 } })
  })

  it('an object of the application without freezing it, and without writing to it after the save', () => {
    const { session, flush } = open()
    const defaults = { theme: 'l', o: { a: 1 } }
    session.prefs = defaults
    flush()
    session.prefs.theme = 'd'
    session.prefs.o.a = 2
    flush()
    expect(defaults).toEqual({ theme: 'l', o: { a: 1 } })
    expect(Object.isFrozen(defaults)).toBe(false)
  })

  it('writes after an attempt to freeze session data', () => {
    const { session, flush, live } = open()
    try {
      Object.freeze(session.user)
    } catch {}
    session.user.name = 'fr'
    flush()
    expect(live().user.name).toBe('fr')
  })

  it('writes to elements from for...of, forEach and find', () => {
    const { session, flush, live } = open()
    for (const item of session.cart.items) item.q++
    session.cart.items.forEach((item: Any) => {
      item.q++
    })
    session.cart.items.find((item: Any) => item.id === 2).q = 100
    flush()
    expect(live().cart.items.map((item: Any) => item.q)).toEqual([3, 100, 3])
  })

  it('elements of the session in indexOf and includes', () => {
    const { session } = open()
    const { items } = session.cart
    expect(items.indexOf(items[1])).toBe(1)
    expect(items.includes(items[2])).toBe(true)
    expect(session.cart).toBe(session.cart)
  })

  it('writes to an element that splice moved to another array', () => {
    const { session, flush, live } = open()
    session.done = []
    const [moved] = session.cart.items.splice(0, 1)
    session.done.push(moved)
    moved.q = 77
    flush()
    expect(live().done).toEqual([{ id: 1, q: 77 }])
  })
})

describe('session data looks like a plain object', () => {
  it('to JSON.stringify, Object.keys, spread, in and Object.entries', () => {
    const { session } = open()
    expect(plain(session)).toEqual(shop())
    expect(Object.keys(session)).toEqual(Object.keys(shop()))
    expect(plain({ ...session })).toEqual(shop())
    expect('cart' in session && !('zip' in session)).toBe(true)
    expect(Object.entries(session.user).length).toBe(2)
    expect(Array.isArray(session.list)).toBe(true)
    expect(plain([...session.list, 4])).toEqual([1, 2, 3, 4])
    expect(plain(session.list.concat([4]))).toEqual([1, 2, 3, 4])
    expect(Object.hasOwn(session.user, 'name')).toBe(true)
  })

  it('to util.inspect', () => {
    const { session } = open()
    const shown = inspect(session, { depth: 5 })
    expect(shown).toMatch(/name: 'a'/)
    expect(shown).not.toMatch(/scope_|proxyMap|\[\[/)
  })

  it('to a deep comparison', () => {
    const { session } = open()
    expect(plain(session.cart)).toEqual(shop().cart)
  })
})

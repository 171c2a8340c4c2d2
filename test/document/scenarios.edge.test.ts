import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Any, open, plain, shop } from './harness.js'

// The scenario matrix of the study; `flush` and `absorb` compare every step with a model of the store (see harness.ts).
const eq = (got: unknown, wanted: unknown) => expect(plain(got)).toEqual(plain(wanted))
const is = (got: unknown, wanted: unknown) => expect(got).toBe(wanted)
const ok = (value: unknown) => expect(value).toBeTruthy()

describe('edge cases', () => {
  it('sort/reverse', () => {
    const { session, flush, live } = open()
    session.list.reverse()
    session.list.sort()
    session.cart.items.reverse()
    flush()
    eq(
      live().cart.items.map((x: Any) => x.id),
      [3, 2, 1],
    )
  })

  it('length=0', () => {
    const { session, flush, live } = open()
    session.list.length = 0
    flush()
    eq(live().list, [])
    session.list.push(1)
    flush()
    eq(live().list, [1])
  })

  it('delete array index', () => {
    const { session, flush, live } = open()
    delete session.list[1]
    flush()
    eq(live().list, [1, null, 3])
  })

  it('sparse write', () => {
    const { session, flush, live } = open()
    session.list[5] = 6
    flush()
    eq(live().list, [1, 2, 3, null, null, 6])
  })

  it('delete + re-add', () => {
    const { session, flush, live } = open()
    delete session.user
    session.user = { name: 'n' }
    flush()
    eq(live().user, { name: 'n' })
    session.user.name = 'm'
    flush()
    eq(live().user, { name: 'm' })
  })

  it('nested replacement then edit', () => {
    const { session, flush, live } = open()
    session.cart = { items: [{ id: 8 }] }
    session.cart.items[0].q = 2
    flush()
    eq(live().cart, { items: [{ id: 8, q: 2 }] })
  })

  it('alias: both places see it, patches consistent', () => {
    const { session, flush, live } = open()
    session.b = session.cart
    session.b.total = 5
    flush()
    eq(live().cart.total, 5)
    eq(live().b.total, 5)
  })

  it('alias after flush: patches consistent with snapshot', () => {
    const { session, flush } = open()
    session.b = session.user
    flush()
    session.b.name = 'k'
    flush()
    session.user.name = 'l'
    flush()
  })

  it('same raw object twice', () => {
    const { session, flush, live } = open()
    const r = { v: 1 }
    session.p = r
    session.q = r
    flush()
    session.p.v = 2
    flush()
    is(live().p.v, 2)
  })

  it('cyclic assign is not made', () => {
    const { session, problems: told } = open()
    session.user.self = session
    expect(told()).toMatchObject([{ code: 'NOT_STORABLE' }])
    is(session.user.self, undefined)
  })

  it('cyclic raw is not assigned', () => {
    const { session, problems: told } = open()
    const r: Any = {}
    r.r = r
    session.x = r
    expect(told()).toMatchObject([{ code: 'NOT_STORABLE' }])
    is(session.x, undefined)
  })

  it('BigInt is not assigned', () => {
    const { session, problems: told } = open()
    session.x = { y: 1n }
    expect(told()).toMatchObject([{ code: 'NOT_STORABLE' }])
    is(session.x, undefined)
  })

  it('Date: usable until flush, string in patch', () => {
    const { session, flush } = open()
    session.at = new Date(0)
    is(session.at.getTime(), 0)
    const p = flush()
    eq(p[0]?.value, '1970-01-01T00:00:00.000Z')
  })

  it('Date mutated in place before flush', () => {
    const { session, flush, live } = open()
    session.at = new Date(0)
    session.at.setUTCFullYear(2020)
    flush()
    eq(live().at, '2020-01-01T00:00:00.000Z')
  })

  it('Map/Set/Buffer as JSON says', () => {
    const { session, flush } = open()
    session.m = new Map([[1, 2]])
    session.s = new Set([1])
    session.b = Buffer.from('a')
    const p = flush()
    eq(
      p.map((x) => plain(x.value)),
      [{}, {}, { type: 'Buffer', data: [97] }],
    )
  })

  it('class instance with toJSON', () => {
    const { session, flush } = open()
    class U {
      constructor(public n: string) {}
      hi() {
        return 1
      }
      toJSON() {
        return { n: this.n, j: 1 }
      }
    }
    session.u = new U('x')
    is(session.u.hi(), 1)
    const p = flush()
    eq(plain(p[0]?.value), { n: 'x', j: 1 })
    is(session.u.n, 'x')
  })

  it('undefined: key dropped on the wire', () => {
    const { session, flush } = open()
    session.n = undefined
    session.zz = undefined
    const p = flush()
    eq(plain(p), [{ op: 'remove', path: ['n'] }])
  })

  it('NaN/Infinity -> null', () => {
    const { session, flush } = open()
    session.n = NaN
    const p = flush()
    eq(plain(p), [{ op: 'replace', path: ['n'], value: null }])
    flush()
  })

  it('function value dropped', () => {
    const { session, flush } = open()
    session.f = () => 1
    const p = flush()
    eq(plain(p), [])
  })

  it('symbol key never in patches', () => {
    const { session, flush } = open()
    session[Symbol('k')] = 1
    const p = flush()
    eq(p, [])
  })

  it('__proto__ assignment does not pollute', () => {
    const { session, flush, problems: told } = open()
    // biome-ignore lint/suspicious/noProto: that is the attack
    session.__proto__ = { admin: true }
    expect(told()).toMatchObject([{ code: 'RESERVED_KEY' }])
    is(session.admin, undefined)
    is(({} as Any).admin, undefined)
    flush()
  })

  it('own __proto__ in assigned JSON is not honoured', () => {
    const { session, flush, live, problems: told } = open()
    session.x = JSON.parse('{"a":1,"__proto__":{"admin":true}}')
    expect(told()).toMatchObject([{ code: 'RESERVED_KEY' }])
    flush()
    is(session.x, undefined)
    is(live().x, undefined)
  })

  it('"constructor" as a data key round-trips', () => {
    const { session, flush } = open()
    session.counts = {}
    session.counts.constructor = { n: 1 }
    flush()
    session.counts.constructor.n = 2
    const p = flush()
    eq(p, [{ op: 'replace', path: ['counts', 'constructor', 'n'], value: 2 }])
  })

  it('Object.assign', () => {
    const { session, flush, live } = open()
    Object.assign(session.user, { name: 'b', age: 4 })
    flush()
    eq(live().user, { name: 'b', age: 4, tags: ['x', 'y'] })
  })

  it('Object.defineProperty data', () => {
    const { session, flush, live } = open()
    Object.defineProperty(session, 'dp', { value: { a: 1 }, enumerable: true, writable: true, configurable: true })
    flush()
    eq(live().dp, { a: 1 })
  })

  it('descriptor does not leak an untracked object', () => {
    const { session, flush } = open()
    const v = Object.getOwnPropertyDescriptor(session, 'cart')!.value
    v.total = 12
    const p = flush()
    eq(p.length, 1)
  })

  it('frozen input stays writable', () => {
    const { session, flush, live } = open()
    session.fz = Object.freeze({ a: Object.freeze({ b: 1 }) })
    session.fz.a.b = 2
    flush()
    session.fz.a.c = 3
    flush()
    eq(live().fz, { a: { b: 2, c: 3 } })
  })

  it('input object not frozen / not written by us', () => {
    const { session, flush } = open()
    const def = { theme: 'l', o: { a: 1 } }
    session.prefs = def
    flush()
    session.prefs.theme = 'd'
    session.prefs.o.a = 2
    flush()
    eq(def, { theme: 'l', o: { a: 1 } })
    ok(!Object.isFrozen(def))
  })

  it('Object.freeze(session.x) does not silently break writes', () => {
    const { session, flush, live } = open()
    try {
      Object.freeze(session.user)
    } catch {}
    session.user.name = 'fr'
    flush()
    eq(live().user.name, 'fr')
  })

  it('array iteration gives live elements', () => {
    const { session, flush, live } = open()
    for (const it of session.cart.items) it.q++
    session.cart.items.forEach((i: Any) => {
      i.q++
    })
    session.cart.items.find((x: Any) => x.id === 2).q = 100
    flush()
    eq(
      live().cart.items.map((x: Any) => x.q),
      [3, 100, 3],
    )
  })

  it('indexOf/includes with session element', () => {
    const { session } = open()
    const a = session.cart.items
    is(a.indexOf(a[1]), 1)
    ok(a.includes(a[2]))
    is(session.cart, session.cart)
  })

  it('splice returns usable elements; move between arrays', () => {
    const { session, flush, live } = open()
    session.done = []
    const [x] = session.cart.items.splice(0, 1)
    session.done.push(x)
    x.q = 77
    flush()
    eq(live().done, [{ id: 1, q: 77 }])
  })
})

describe('behaves as a plain object', () => {
  it('JSON/keys/spread/in/entries', () => {
    const { session } = open()
    const s = session
    eq(s, shop())
    eq(Object.keys(s), Object.keys(shop()))
    eq({ ...s }, shop())
    ok('cart' in s && !('zip' in s))
    is(Object.entries(s.user).length, 2)
    ok(Array.isArray(s.list))
    eq([...s.list, 4], [1, 2, 3, 4])
    eq(s.list.concat([4]), [1, 2, 3, 4])
    ok(Object.hasOwn(s.user, 'name'))
  })

  it('inspect readable', () => {
    const { session } = open()
    const o = inspect(session, { depth: 5 })
    expect(o).toMatch(/name: 'a'/)
    expect(o).not.toMatch(/scope_|proxyMap|\[\[/)
  })

  it('assert.deepEqual(session.cart, plain)', () => {
    const { session } = open()
    eq(session.cart, shop().cart)
  })
})

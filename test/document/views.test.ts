import { describe, expect, it, vi } from 'vitest'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { type Any, open, plain, shop } from './harness.js'

const reserved = (name: string) => expect.objectContaining({ code: 'RESERVED_KEY', message: expect.stringContaining(name) })

interface Author {
  name: string
}

function two(data: Any = shop()) {
  const onWrite = vi.fn()
  const onProblem = vi.fn()
  const ledger = new TrackedDocument<Author>(data, { onWrite, onProblem })
  const ann = { name: 'ann' }
  const bob = { name: 'bob' }
  const names = (sets: ReadonlySet<Author>[]) => sets.map((set) => [...set].map((author) => author.name).sort())
  const collect = () => {
    const { patches, by } = ledger.takeChanges()
    return patches.map((patch, i) => [patch.path.join('.'), ...(names(by)[i] as string[])])
  }
  return { ledger, onWrite, onProblem, ann, bob, a: ledger.view(ann) as Any, b: ledger.view(bob) as Any, collect }
}

describe('faces', () => {
  it('are the same each time, one for each author, over one state', () => {
    const { ledger, ann, a, b } = two()
    expect(ledger.view(ann)).toBe(a)
    expect(a).not.toBe(b)
    expect(a.cart).toBe(a.cart)
    expect(a.cart.items[0]).not.toBe(b.cart.items[0])
    a.cart.total = 7
    expect(b.cart.total).toBe(7)
  })

  it('tell whose write it was, also through nested references and array methods', () => {
    const { a, b, collect } = two()
    a.n = 2
    b.user.name = 'b'
    b.list.push(4)
    for (const item of a.cart.items.filter((item: Any) => item.id > 2)) item.q++
    expect(collect()).toEqual([
      ['n', 'ann'],
      ['user.name', 'bob'],
      ['list.3', 'bob'],
      ['cart.items.2.q', 'ann'],
    ])
    b.user.name = 'c'
    expect(collect()).toEqual([['user.name', 'bob']])
  })

  it('name everybody who wrote at the place, below it or above it', () => {
    const { a, b, collect } = two()
    a.n = 2
    b.n = 3
    a.user = { name: 'x', more: {} }
    b.user.more.y = 1
    const { list } = b
    list[0] = 5
    delete a.list
    const { cart } = a
    delete a.cart
    a.cart = cart
    b.cart.total = 1
    expect(collect()).toEqual([
      ['n', 'ann', 'bob'],
      ['user', 'ann', 'bob'],
      ['list', 'ann', 'bob'],
      ['cart.total', 'ann', 'bob'],
    ])
  })

  it('keep their authors through a failed save', () => {
    const { ledger, a, b, collect } = two()
    a.n = 2
    a.user.name = 'x'
    collect()
    b.n = 3
    b.cart.total = 1
    b.list.push(4)
    a.list.push(5)
    ledger.rollback()
    ledger.rollback()
    expect(collect()).toEqual([
      ['n', 'ann', 'bob'],
      ['user.name', 'ann'],
      ['cart.total', 'bob'],
      ['list.3', 'ann', 'bob'],
      ['list.4', 'ann', 'bob'],
    ])
  })

  it('take each other’s references as what they stand for', () => {
    const { a, b, ledger } = two()
    a.fav = b.cart.items[0]
    a.fav.q = 9
    expect(b.cart.items[0].q).toBe(9)
    expect(a.cart.items.indexOf(b.cart.items[1])).toBe(1)
    expect(ledger.snapshot().fav).toEqual({ id: 1, q: 9 })
  })

  it('copy references of another ledger', () => {
    const one = two()
    const other = two()
    one.a.user = other.a.user
    one.a.all = [other.a]
    one.ledger.takeChanges()
    one.a.user.name = 'changed'
    other.a.user.tags.push('z')
    expect(other.a.user.name).toBe('a')
    expect(plain(one.a.user)).toEqual({ name: 'changed', tags: ['x', 'y'] })
    expect(plain(one.a.all)).toEqual([shop()])
  })
})

describe('onWrite', () => {
  it('is called for each effective write, with its author', () => {
    const { a, b, ann, bob, onWrite, ledger } = two()
    a.n = 1
    a.list.splice(1, 0)
    a.list.splice()
    a.list.push()
    delete a.nothing
    a.list.length = 3
    Object.assign(a, { user: a.user })
    const none: Any[] = []
    a.none = none
    onWrite.mockClear()
    a.none.pop()
    a.none.reverse()
    a.none.fill(1)
    expect(onWrite).not.toHaveBeenCalled()
    b.n = 2
    a.list.splice(1)
    a.list.splice(0, 1, 7)
    delete b.user
    a.list.length = 0
    expect(onWrite.mock.calls.flat()).toEqual([bob, ann, ann, bob, ann])
    ledger.takeChanges()
    none.push(1)
    ledger.scanRawObjects()
    expect(onWrite).toHaveBeenCalledTimes(6)
    expect(onWrite).toHaveBeenLastCalledWith(ann)
  })

  it('is not called for what others wrote', () => {
    const { a, onWrite, ledger } = two()
    a.user = { name: 'a', tags: ['x', 'y'] }
    onWrite.mockClear()
    ledger.rebase({ ...shop(), user: { name: 'b' } })
    ledger.discard()
    expect(onWrite).not.toHaveBeenCalled()
  })
})

describe('names of the host', () => {
  const fixed = { cookie: { path: '/' } }
  const names = new Set(['id', 'save', 'cookie'])
  const members = { has: (name: string) => names.has(name), get: (name: string, author: object) => [name, author] }
  class Session {
    touch() {}
  }

  it('are answered per face; the fixed ones are shown as own properties', () => {
    const data = { ...shop(), id: 'stored', cookie: 'stored' }
    const ledger = new TrackedDocument<Author>(data, { fixed, members, prototype: Session.prototype })
    const ann = { name: 'ann' }
    const session = ledger.view(ann) as Any
    expect(session).toBeInstanceOf(Session)
    expect(session.id).toEqual(['id', ann])
    expect(session.cookie).toEqual(['cookie', ann])
    expect('id' in session && 'cookie' in session && 'touch' in session && 'n' in session).toBe(true)
    expect('other' in session || Symbol.iterator in session).toBe(false)
    expect(Object.keys(session)).toEqual(['cookie', 'n', 'cart', 'user', 'list'])
    expect({ ...session }).toMatchObject({ n: 1, cookie: ['cookie', ann] })
    expect(JSON.parse(JSON.stringify(session))).toEqual({ cookie: { path: '/' }, ...shop() })
    expect(session.toJSON()).toEqual({ cookie: { path: '/' }, ...shop() })
    expect(ledger.snapshot()).toEqual(shop())
    expect(Object.getOwnPropertyDescriptor(session, 'id')).toBeUndefined()
    session.touch = 'data'
    expect(ledger.takeChanges().patches).toEqual([{ op: 'add', path: ['touch'], value: 'data' }])
  })

  it('cannot be written, and are ignored in what others wrote', () => {
    const { session, document: ledger, flush, problems: told } = open(shop(), { fixed, members })
    session.id = 1
    delete session.save
    Object.defineProperty(session, 'cookie', { value: 1, enumerable: true })
    expect(told()).toEqual([reserved('id'), reserved('save'), reserved('cookie')])
    session.user.id = 'fine'
    expect(flush()).toHaveLength(1)
    const user = { ...shop().user, id: 'fine' }
    expect(ledger.rebase({ ...shop(), user, id: 1, cookie: {} } as Any).patches).toEqual([])
    expect(ledger.rebase({ ...shop(), user, n: 2, cookie: {} } as Any).patches).toHaveLength(1)
    expect(session.cookie).toEqual(['cookie', expect.anything()])
    expect(Object.hasOwn(ledger.snapshot(), 'cookie')).toBe(false)
  })

  it('may be fixed without being a member', () => {
    const { session, problems: told } = open({}, { fixed })
    session.cookie = 1
    expect(session.cookie).toBe(fixed.cookie)
    expect(told()).toEqual([reserved('cookie')])
  })

  it('may be read-only, or take what changes nothing', () => {
    const set = (name: string, value: unknown) => (name === 'id' ? 'readonly' : value === 1 ? 'ignored' : 'refused')
    const { session, problems: told } = open({}, { fixed, members: { ...members, set } })
    expect(() => (session.id = 1)).toThrow(TypeError)
    expect(() => delete session.id).toThrow(TypeError)
    session.cookie = 1
    expect(told()).toEqual([])
    session.cookie = 2
    expect(told()).toEqual([reserved('cookie')])
  })
})

describe('raw references', () => {
  it('are followed at every level, by identity', () => {
    const { session, flush, live, document: ledger } = open()
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const box = (session.box ??= { list: [{ v: 1 }, { v: 2 }], sub: { a: 1, b: 2 } } as Any)
    const second = session.box.list[1]
    box.list.unshift({ v: 0 })
    box.list.reverse()
    delete box.sub.a
    box.sub.c = { deep: [] }
    box.sub.c.deep.push(1)
    flush()
    expect(ledger.hasRawObjects).toBe(true)
    second.v = 22
    expect(session.box.list[0]).toBe(second)
    expect(live().box).toEqual({ list: [{ v: 22 }, { v: 1 }, { v: 0 }], sub: { b: 2, c: { deep: [1] } } })
    box.list.push(3)
    expect(flush()).toEqual([
      { op: 'add', path: ['box', 'list', 3], value: 3 },
      { op: 'replace', path: ['box', 'list', 0, 'v'], value: 22 },
    ])
  })

  it('and the session may both be written', () => {
    const { session, flush, live } = open({})
    const raw: Any = { list: ['a'], gone: 1 }
    session.raw = raw
    session.raw.list.push('tracked')
    raw.list.push('raw')
    delete session.raw.gone
    delete raw.gone
    session.raw.x = 1
    raw.y = 2
    flush()
    expect(live().raw).toEqual({ list: ['a', 'tracked', 'raw'], x: 1, y: 2 })
  })

  it('may hold session data and each other', () => {
    const { session, flush, live } = open()
    const raw: Any = { user: session.user, list: [] }
    session.raw = raw
    session.also = { raw }
    raw.list.push(session.cart.items[0], raw.list.length)
    session.user.name = 'b'
    flush()
    expect(live().raw).toEqual({ user: { name: 'b', tags: ['x', 'y'] }, list: [{ id: 1, q: 1 }, 0] })
    expect(live().also.raw).toEqual(live().raw)
  })

  it('are found in the session by search', () => {
    const { session, flush } = open()
    const raw = { id: 9 }
    session.cart.items.push(raw)
    expect(session.cart.items.includes(raw)).toBe(true)
    flush()
    expect(session.cart.items.indexOf(raw)).toBe(3)
    expect(session.cart.items.lastIndexOf({ id: 9 })).toBe(-1)
    expect(session.list.includes(2, 1)).toBe(true)
  })

  it('keep what can be stored: what cannot is left out as a whole, and reported once', () => {
    const { a, ann, ledger, onProblem } = two()
    const problem = (at: string) => expect.objectContaining({ code: 'NOT_STORABLE', message: expect.stringContaining(at) })
    const raw: Any = { list: [1], kept: { x: 1 } }
    a.user.raw = raw
    raw.list.push(raw, 2)
    raw.kept.half = { y: 1, more: [1n] }
    raw.z = 3
    ledger.takeChanges()
    ledger.takeChanges()
    expect(onProblem.mock.calls.map((call) => call.slice(0, 2))).toEqual([
      [problem('user.raw.list[1]'), ann],
      [problem('user.raw.kept.half.more[0]'), ann],
    ])
    expect(plain(a.user.raw)).toEqual({ list: [1, 2], kept: { x: 1 }, z: 3 })
  })

  it('and those that are watched as well', () => {
    const { a, ann, ledger, onProblem } = two()
    const raw: Any = { list: [1] }
    a.user.raw = raw
    ledger.takeChanges()
    raw.big = 1n
    raw.y = 2
    raw.list.push(1n, 2)
    ledger.scanRawObjects()
    ledger.scanRawObjects()
    expect(onProblem.mock.calls.map(([{ message }, author]) => [message.split(':')[0], author])).toEqual([
      ['user.raw.big', ann],
      ['user.raw.list[1]', ann],
    ])
    expect(plain(a.user.raw)).toEqual({ list: [1, 2], y: 2 })
  })

  it('are not followed where they would look different each time', () => {
    const { session, document: ledger, flush, live } = open({})
    session.a = { toJSON: () => ({ x: { y: 1 } }) }
    session.b = Object.defineProperty({}, 'z', { get: () => ({ y: 1 }), enumerable: true })
    flush()
    ledger.scanRawObjects()
    expect(ledger.mayHaveChanges).toBe(false)
    expect(live()).toEqual({ a: { x: { y: 1 } }, b: { z: { y: 1 } } })
  })

  it('are folded in before an absorb and before a discard', () => {
    const { session, document: ledger, rebase: absorb, live } = open({})
    const raw: Any = { n: 1 }
    session.raw = raw
    raw.n = 2
    absorb({ other: 1 })
    expect(live()).toEqual({ raw: { n: 2 }, other: 1 })
    raw.n = 3
    ledger.discard()
    ledger.scanRawObjects()
    expect(live()).toEqual({ other: 1 })
    expect(ledger.hasChanges()).toBe(false)
  })
})

describe('arrays', () => {
  it('answer every method as native ones do', () => {
    const { session, flush, live } = open({ list: [3, 1, 2], items: [{ id: 2 }, { id: 1 }] })
    const { list, items } = session
    expect(list.sort()).toBe(list)
    expect(list.reverse()).toBe(list)
    expect(list.fill(0, 2)).toBe(list)
    expect(list.copyWithin(0, 1, 2)).toBe(list)
    expect([list.push(5, 6), list.unshift(7), list.pop(), list.shift()]).toEqual([5, 6, 6, 7])
    expect(list.splice(-2, 1)).toEqual([0])
    expect(() => list.sort('x')).toThrow(TypeError)
    expect(items.toSorted((a: Any, b: Any) => a.id - b.id)[0]).toBe(items[1])
    expect(items.toSpliced(0, 1)[0]).toBe(items[1])
    expect(items.with(0, 1)[1]).toBe(items[1])
    expect(items.at(-1)).toBe(items[1])
    expect(items.findLast(() => true)).toBe(items[1])
    expect(items.toReversed()[0]).toBe(items[1])
    expect([...items.entries()][1]).toEqual([1, items[1]])
    expect(items.flatMap((item: Any) => [item, item.id])[1]).toBe(2)
    if ('groupBy' in Object) expect((Object as Any).groupBy(items, (item: Any) => item.id)[1][0]).toBe(items[1])
    expect([items.push.name, items.includes.name]).toEqual(['push', 'includes'])
    expect(list.push.call([1], 2)).toBe(2)
    expect(list.includes.call([1], 1)).toBe(true)
    expect(items.splice(0, 1)[0].id).toBe(2)
    flush()
    expect(live()).toEqual({ list: [2, 2, 5], items: [{ id: 1 }] })
  })
})

describe('objects that inherit from session data', () => {
  it('get their own properties', () => {
    const { session, flush } = open()
    const child = Object.create(session.user)
    child.name = 'own'
    const inherited = Object.create(session)
    inherited.n = 5
    expect([child.name, session.user.name, inherited.n, session.n]).toEqual(['own', 'a', 5, 1])
    expect(flush()).toEqual([])
  })
})

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
  const document = new TrackedDocument<Author>(data, { onWrite, onProblem })
  const ann = { name: 'ann' }
  const bob = { name: 'bob' }
  const names = (sets: ReadonlySet<object>[]) => sets.map((set) => [...set].map((author) => (author as Author).name).sort())
  const takeChanges = () => {
    const { patches, by } = document.takeChanges()
    return patches.map((patch, i) => [patch.path.join('.'), ...(names(by)[i] as string[])])
  }
  return { document, onWrite, onProblem, ann, bob, a: document.view(ann) as Any, b: document.view(bob) as Any, takeChanges }
}

describe('views', () => {
  it('are the same each time, one for each author, over one state', () => {
    const { document, ann, a, b } = two()
    expect(document.view(ann)).toBe(a)
    expect(a).not.toBe(b)
    expect(a.cart).toBe(a.cart)
    expect(a.cart.items[0]).not.toBe(b.cart.items[0])
    a.cart.total = 7
    expect(b.cart.total).toBe(7)
  })

  it('record their author for each write, also through nested references and array methods', () => {
    const { a, b, takeChanges } = two()
    a.n = 2
    b.user.name = 'b'
    b.list.push(4)
    for (const item of a.cart.items.filter((item: Any) => item.id > 2)) item.q++
    expect(takeChanges()).toEqual([
      ['n', 'ann'],
      ['user.name', 'bob'],
      ['list.3', 'bob'],
      ['cart.items.2.q', 'ann'],
    ])
    b.user.name = 'c'
    expect(takeChanges()).toEqual([['user.name', 'bob']])
  })

  it('give each patch all authors who wrote at its path, below it or above it', () => {
    const { a, b, takeChanges } = two()
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
    expect(takeChanges()).toEqual([
      ['n', 'ann', 'bob'],
      ['user', 'ann', 'bob'],
      ['list', 'ann', 'bob'],
      ['cart.total', 'ann', 'bob'],
    ])
  })

  it('keep their authors through a failed save', () => {
    const { document, a, b, takeChanges } = two()
    a.n = 2
    a.user.name = 'x'
    takeChanges()
    b.n = 3
    b.cart.total = 1
    b.list.push(4)
    a.list.push(5)
    document.rollback()
    document.rollback()
    expect(takeChanges()).toEqual([
      ['n', 'ann', 'bob'],
      ['user.name', 'ann'],
      ['cart.total', 'bob'],
      ['list.3', 'ann', 'bob'],
      ['list.4', 'ann', 'bob'],
    ])
  })

  it('accept proxies of each other as the containers behind them', () => {
    const { a, b, document } = two()
    a.fav = b.cart.items[0]
    a.fav.q = 9
    expect(b.cart.items[0].q).toBe(9)
    expect(a.cart.items.indexOf(b.cart.items[1])).toBe(1)
    expect(document.snapshot().fav).toEqual({ id: 1, q: 9 })
  })

  it('copy proxies of another document', () => {
    const one = two()
    const other = two()
    one.a.user = other.a.user
    one.a.all = [other.a]
    one.document.takeChanges()
    one.a.user.name = 'changed'
    other.a.user.tags.push('z')
    expect(other.a.user.name).toBe('a')
    expect(plain(one.a.user)).toEqual({ name: 'changed', tags: ['x', 'y'] })
    expect(plain(one.a.all)).toEqual([shop()])
  })
})

describe('onWrite', () => {
  it('is called for each effective write, with its author', () => {
    const { a, b, ann, bob, onWrite, document } = two()
    a.n = 1
    a.list.splice(1, 0)
    a.list.splice(0, -1)
    a.list.splice()
    a.list.push()
    a.list.unshift()
    a.list.fill(1, 2, 2)
    delete a.nothing
    a.list.length = 3
    Object.assign(a, { user: a.user })
    expect(onWrite).not.toHaveBeenCalled()
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
    document.takeChanges()
    none.push(1)
    document.scanWatchedObjects()
    expect(onWrite).toHaveBeenCalledTimes(6)
    expect(onWrite).toHaveBeenLastCalledWith(ann)
  })

  it('is not called by a rebase', () => {
    const { a, onWrite, document } = two()
    a.user = { name: 'a', tags: ['x', 'y'] }
    onWrite.mockClear()
    document.rebase({ ...shop(), user: { name: 'b' } })
    document.discard()
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

  it('are answered for each view; the fixed ones are own properties', () => {
    const data = { ...shop(), id: 'stored', cookie: 'stored' }
    const document = new TrackedDocument<Author>(data, { fixed, members, prototype: Session.prototype })
    const ann = { name: 'ann' }
    const session = document.view(ann) as Any
    expect(session).toBeInstanceOf(Session)
    expect(session.id).toEqual(['id', ann])
    expect(session.cookie).toEqual(['cookie', ann])
    expect('id' in session && 'cookie' in session && 'touch' in session && 'n' in session).toBe(true)
    expect('other' in session || Symbol.iterator in session).toBe(false)
    expect(Object.keys(session)).toEqual(['cookie', 'n', 'cart', 'user', 'list'])
    expect({ ...session }).toMatchObject({ n: 1, cookie: ['cookie', ann] })
    expect(JSON.parse(JSON.stringify(session))).toEqual({ cookie: { path: '/' }, ...shop() })
    expect(session.toJSON()).toEqual({ cookie: { path: '/' }, ...shop() })
    expect(document.snapshot()).toEqual(shop())
    expect(Object.getOwnPropertyDescriptor(session, 'id')).toBeUndefined()
    session.touch = 'data'
    expect(document.takeChanges().patches).toEqual([{ op: 'add', path: ['touch'], value: 'data' }])
  })

  it('cannot be written, and a rebase ignores them', () => {
    const { session, document, flush, problems } = open(shop(), { fixed, members })
    session.id = 1
    delete session.save
    Object.defineProperty(session, 'cookie', { value: 1, enumerable: true })
    expect(problems()).toEqual([reserved('id'), reserved('save'), reserved('cookie')])
    session.user.id = 'fine'
    expect(flush()).toHaveLength(1)
    const user = { ...shop().user, id: 'fine' }
    expect(document.rebase({ ...shop(), user, id: 1, cookie: {} } as Any).patches).toEqual([])
    expect(document.rebase({ ...shop(), user, n: 2, cookie: {} } as Any).patches).toHaveLength(1)
    expect(session.cookie).toEqual(['cookie', expect.anything()])
    expect(Object.hasOwn(document.snapshot(), 'cookie')).toBe(false)
  })

  it('may be fixed without a member', () => {
    const { session, problems } = open({}, { fixed })
    session.cookie = 1
    expect(session.cookie).toBe(fixed.cookie)
    expect(problems()).toEqual([reserved('cookie')])
  })

  it('may be read-only, or ignore a write', () => {
    const set = (name: string, value: unknown) => (name === 'id' ? 'readonly' : value === 1 ? 'ignored' : 'refused')
    const { session, problems } = open({}, { fixed, members: { ...members, set } })
    expect(() => (session.id = 1)).toThrow(TypeError)
    expect(() => delete session.id).toThrow(TypeError)
    session.cookie = 1
    expect(problems()).toEqual([])
    session.cookie = 2
    expect(problems()).toEqual([reserved('cookie')])
  })
})

describe('objects that a handler assigned and still holds', () => {
  it('are scanned at every level, by identity', () => {
    const { session, flush, live, document } = open()
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const box = (session.box ??= { list: [{ v: 1 }, { v: 2 }], sub: { a: 1, b: 2 } } as Any)
    const second = session.box.list[1]
    box.list.unshift({ v: 0 })
    box.list.reverse()
    delete box.sub.a
    box.sub.c = { deep: [] }
    box.sub.c.deep.push(1)
    flush()
    expect(document.hasWatchedObjects).toBe(true)
    second.v = 22
    expect(session.box.list[0]).toBe(second)
    expect(live().box).toEqual({ list: [{ v: 22 }, { v: 1 }, { v: 0 }], sub: { b: 2, c: { deep: [1] } } })
    box.list.push(3)
    expect(flush()).toEqual([
      { op: 'add', path: ['box', 'list', 3], value: 3 },
      { op: 'replace', path: ['box', 'list', 0, 'v'], value: 22 },
    ])
  })

  it('can be written to beside the session', () => {
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

  it('are found in the session by indexOf and includes', () => {
    const { session, flush } = open()
    const raw = { id: 9 }
    session.cart.items.push(raw)
    expect(session.cart.items.includes(raw)).toBe(true)
    flush()
    expect(session.cart.items.indexOf(raw)).toBe(3)
    expect(session.cart.items.lastIndexOf({ id: 9 })).toBe(-1)
    expect(session.list.includes(2, 1)).toBe(true)
  })

  it('are saved without what cannot be stored, which is reported once', () => {
    const { a, ann, document, onProblem } = two()
    const problem = (at: string) => expect.objectContaining({ code: 'NOT_STORABLE', message: expect.stringContaining(at) })
    const raw: Any = { list: [1], kept: { x: 1 } }
    a.user.raw = raw
    raw.list.push(raw, 2)
    raw.kept.half = { y: 1, more: [1n] }
    raw.z = 3
    document.takeChanges()
    document.takeChanges()
    expect(onProblem.mock.calls.map((call) => call.slice(0, 2))).toEqual([
      [problem('user.raw.list[1]'), ann],
      [problem('user.raw.kept.half.more[0]'), ann],
    ])
    expect(plain(a.user.raw)).toEqual({ list: [1, 2], kept: { x: 1 }, z: 3 })
  })

  it('are scanned without what cannot be stored, which is reported once', () => {
    const { a, ann, document, onProblem } = two()
    const raw: Any = { list: [1] }
    a.user.raw = raw
    document.takeChanges()
    raw.big = 1n
    raw.y = 2
    raw.list.push(1n, 2)
    document.scanWatchedObjects()
    document.scanWatchedObjects()
    expect(onProblem.mock.calls.map(([{ message }, author]) => [message.split(':')[0], author])).toEqual([
      ['user.raw.big', ann],
      ['user.raw.list[1]', ann],
    ])
    expect(plain(a.user.raw)).toEqual({ list: [1, 2], y: 2 })
  })

  it('are scanned in step with an array of which an element cannot be stored, or is stored as something else', () => {
    const { session, flush, live } = open({})
    const list: Any[] = ['a', 'b']
    session.list = list
    flush()
    list.unshift(1n)
    flush()
    list.shift()
    flush()
    expect(live().list).toEqual(['a', 'b'])
    list.push(new Date(0), undefined, { toJSON: () => 'json' })
    flush()
    list.push('end')
    flush()
    expect(live().list).toEqual(['a', 'b', '1970-01-01T00:00:00.000Z', null, 'json', 'end'])
    list.splice(2, 2)
    flush()
    expect(live().list).toEqual(['a', 'b', 'json', 'end'])
  })

  it('are scanned in step with an array that has one object several times, of which the session has one each', () => {
    const { session, flush, live } = open({})
    const twice = { n: 1 }
    const list: Any[] = [twice, twice]
    session.list = list
    flush()
    list.push('end')
    flush()
    expect(live().list).toEqual([{ n: 1 }, { n: 1 }, 'end'])
    list.splice(1, 2)
    flush()
    expect(live().list).toEqual([{ n: 1 }])
    list.push(session.list[0], session.list[0])
    flush()
    session.list[0].n = 2
    flush()
    expect(live().list).toEqual([{ n: 2 }, { n: 1 }, { n: 1 }])
    list.length = 1
    flush()
    expect(live().list).toEqual([{ n: 2 }])
  })

  it('are not scanned if a getter returns another object each time', () => {
    const { session, document, flush, live } = open({})
    session.a = { toJSON: () => ({ x: { y: 1 } }) }
    session.b = Object.defineProperty({}, 'z', { get: () => ({ y: 1 }), enumerable: true })
    flush()
    document.scanWatchedObjects()
    expect(document.mayHaveChanges).toBe(false)
    expect(live()).toEqual({ a: { x: { y: 1 } }, b: { z: { y: 1 } } })
  })

  it('are scanned before a rebase and before a discard', () => {
    const { session, document, rebase, live } = open({})
    const raw: Any = { n: 1 }
    session.raw = raw
    raw.n = 2
    rebase({ other: 1 })
    expect(live()).toEqual({ raw: { n: 2 }, other: 1 })
    raw.n = 3
    document.discard()
    document.scanWatchedObjects()
    expect(live()).toEqual({ other: 1 })
    expect(document.hasChanges()).toBe(false)
  })
})

describe('arrays of the session', () => {
  it('behave like native arrays in every method', () => {
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

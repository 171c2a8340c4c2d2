import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { type Any, open, plain, shop } from './harness.js'

// Values that JSON does not have. Removed, moved and aliased containers are in removed-and-moved-containers.test.ts.
const refused = (code: string, message: string | RegExp = '') =>
  expect.objectContaining({
    name: 'SharedSessionError',
    code,
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  })
const notStorable = (message: string | RegExp) => refused('NOT_STORABLE', message)

describe('Date, Map, Buffer, class instance', () => {
  it('stay as they are until the save, which makes JSON of them', () => {
    const { session, flush, live } = open()
    const at = new Date(0)
    session.at = at
    session.all = [new Map([[1, 2]]), Buffer.from('a'), Object(7), Object('s'), Object(true)]
    expect(session.at).toBe(at)
    expect(session.all[0].get(1)).toBe(2)
    expect(live().at).toBe('1970-01-01T00:00:00.000Z')
    at.setUTCFullYear(2020)
    flush()
    expect(session.at).toBe('2020-01-01T00:00:00.000Z')
    expect(plain(session.all)).toEqual([{}, { type: 'Buffer', data: [97] }, 7, 's', true])
  })

  it('keep the JSON that they had when they were assigned, if they can no longer be stored', () => {
    const onProblem = vi.fn()
    const { document, flush, live } = open(shop(), { onProblem })
    const author = {}
    class Thing {
      v: Any = 1
    }
    const thing = new Thing()
    const session = document.view(author) as Any
    session.cart.thing = thing
    thing.v = 1n
    flush()
    expect(live().cart.thing).toEqual({ v: 1 })
    expect(onProblem).toHaveBeenCalledExactlyOnceWith(notStorable('cart.thing.v: a BigInt'), author, 1)
  })

  it('are left out if toJSON returns undefined', () => {
    const { session, flush } = open({ list: [] })
    class Hidden {
      toJSON() {}
    }
    session.hidden = new Hidden()
    session.list.push(new Hidden())
    expect(flush()).toEqual([{ op: 'add', path: ['list', 0], value: null }])
    expect('hidden' in session).toBe(false)
  })
})

describe('undefined, function, NaN', () => {
  it('can be read until the save, which removes the key, or makes null of it in arrays', () => {
    const { session, flush, live } = open({ a: 1, b: [1, 2] })
    const f = () => 1
    Object.assign(session, { a: undefined, f, nan: Number.NaN, zero: -0 })
    session.b[0] = undefined
    session.b.push(f, Number.POSITIVE_INFINITY)
    session.b.length = 6
    session.b[7] = 1
    expect(session.f).toBe(f)
    expect(session.nan).toBeNaN()
    expect('a' in session).toBe(true)
    expect(live()).toEqual({ b: [null, 2, null, null, null, null, null, 1], nan: null, zero: 0 })
    flush()
    expect('a' in session || 'f' in session).toBe(false)
    expect(session.nan).toBeNull()
  })

  it('are there once in an array that the handler goes on with, also NaN', () => {
    const { session, flush, live, document } = open()
    const list: unknown[] = [1]
    session.list = list
    flush()
    list.push(Number.NaN)
    document.scanWatchedObjects()
    expect(session.list).toEqual([1, Number.NaN])
    list.push('x')
    document.scanWatchedObjects()
    expect(session.list).toEqual([1, Number.NaN, 'x'])
    list.splice(1, 1)
    flush()
    expect(live().list).toEqual([1, 'x'])
  })
})

describe('BigInt, cycle', () => {
  it('are not assigned: the error names the path, and the session stays unchanged', () => {
    const { session, flush, document, problems } = open()
    const cyclic: Any = { a: [{}] }
    cyclic.a[0].back = cyclic
    const attempts: [() => unknown, string | RegExp][] = [
      [() => Object.assign(session, { big: 1n }), /^big: a BigInt/],
      [() => (session.cart.items[2].price = 1n), /^cart\.items\[2\]\.price: a BigInt/],
      [() => session.cart.items.push({ id: 4 }, { price: [1n] }), /^cart\.items\[4\]\.price\[0\]: /],
      [() => session.cart.items.unshift({ price: 1n }), /^cart\.items\[0\]\.price: /],
      [() => session.cart.items.splice(-1, 1, { price: 1n }), /^cart\.items\[2\]\.price: /],
      [() => session.cart.items.splice(1, 0, 1, 1n), /^cart\.items\[2\]: /],
      [() => session.list.fill(1n), /^list\[0\]: /],
      [() => Object.defineProperty(session.user, 'a b', { value: { x: 1n }, enumerable: true }), /^user\["a b"\]\.x: /],
      [() => (session.user.self = session), /^user\.self: contains itself/],
      [() => (session.user.self = [session.user]), /^user\.self\[0\]: contains itself/],
      [() => (session.cyclic = cyclic), /^cyclic\.a\[0\]\.back: contains itself/],
      [
        () =>
          (session.map = new (class {
            big = Object(1n)
          })()),
        /^map\.big: a BigInt/,
      ],
      [
        () =>
          (session.set = new (class {
            self = this
          })()),
        /^set\.self: contains itself/,
      ],
    ]
    for (const [attempt, message] of attempts) {
      attempt()
      const errors = problems()
      expect(errors).toEqual([notStorable(message)])
      expect(errors).toMatchObject([{ cause: { stack: expect.stringContaining('non-json-values.test.ts') } }])
    }
    expect(document.mayHaveChanges).toBe(false)
    expect(document.snapshot()).toEqual(shop())
    expect(flush()).toEqual([])
  })

  it('are refused like values that throw when they are read, whose error is the cause', () => {
    const { session, problems } = open()
    const cause = new Error('no')
    const fail = () => {
      throw cause
    }
    const bad = [
      { toJSON: fail },
      Object.defineProperty({}, 'x', { get: fail, enumerable: true }),
      new (class {
        toJSON = fail
      })(),
    ]
    for (const value of bad) {
      session.user.x = { y: value }
      expect(problems()).toMatchObject([{ code: 'NOT_STORABLE', cause: { cause } }])
    }
    session.user.x = { y: bad[1] }
    expect(problems()).toEqual([notStorable('user.x.y.x: reading it threw')])
    const alias: Any = {}
    session.alias = alias
    alias.self = alias
    session.again = alias
    expect(problems()).toEqual([notStorable('again.self: contains itself')])
  })

  it('are refused like values that nest too deep', () => {
    const { session, live, flush, problems } = open()
    let deep: Any = {}
    for (let i = 0; i < 100_000; i++) deep = { deep }
    session.deep = deep
    expect(problems()).toEqual([notStorable(/^deep\.deep\..*\.\.\.: nested/)])
    session.deep = new (class {
      deep = deep
    })()
    expect(problems()).toEqual([notStorable('nested')])
    // JSON asks once.
    const endless = { toJSON: () => ({ ...endless, x: 1 }) }
    session.endless = endless
    expect(problems()).toEqual([])
    for (let i = 0; i < 1100; i++) session.chain = { chain: session.chain }
    expect(problems().at(-1)).toEqual(notStorable('nested'))
    let at = session
    for (let i = 0; i < 1100; i++) {
      at.down = {}
      at = at.down ?? {}
    }
    expect(problems().at(-1)).toEqual(notStorable('nested'))
    // A move makes it deeper, too.
    for (let i = 0; i < 1100; i++) {
      const { pile } = session
      session.pile = {}
      session.pile.pile = pile
    }
    expect(problems().at(-1)).toEqual(notStorable('nested'))
    flush()
    flush()
    expect(live()).toMatchObject({ n: 1, endless: { x: 1 } })
  })
})

describe('symbol key', () => {
  it('is local to the process', () => {
    const { session, flush, live } = open()
    const key = Symbol('k')
    const value = {}
    session.user[key] = value
    Object.defineProperty(session.user, Symbol.for('hidden'), { value: 1, configurable: true })
    expect(session.user[key]).toBe(value)
    expect(flush()).toEqual([])
    expect(live()).toEqual(shop())
    expect(delete session.user[key]).toBe(true)
  })
})

describe('__proto__', () => {
  it('is not written, alone or in a value, and is undefined when read; constructor is an ordinary key', () => {
    const { session, flush, live, problems } = open({ user: { a: 1 } })
    const key = '__proto__'
    session[key] = {}
    session.user[key] = {}
    Object.defineProperty(session.user, key, { value: 1 })
    delete session.user[key]
    expect(problems()).toEqual([
      refused('RESERVED_KEY', '__proto__'),
      refused('RESERVED_KEY', 'user.__proto__'),
      refused('RESERVED_KEY', 'user.__proto__'),
      refused('RESERVED_KEY', 'user.__proto__'),
    ])
    expect(session.user[key]).toBeUndefined()
    session.copy = JSON.parse('{"list":[{"__proto__":{"admin":1},"b":1}]}')
    expect(problems()).toEqual([refused('RESERVED_KEY', 'copy.list[0].__proto__')])
    const raw: Any = {}
    session.raw = raw
    raw.value = JSON.parse('{"__proto__":{"admin":1},"b":1}')
    session.copy = JSON.parse('{"list":[{"b":1}],"constructor":{"prototype":1}}')
    session.toString = 'x'
    flush()
    expect(live()).toEqual({
      user: { a: 1 },
      raw: {},
      copy: { list: [{ b: 1 }], constructor: { prototype: 1 } },
      toString: 'x',
    })
    const stored = new TrackedDocument(JSON.parse('{"__proto__":{"x":1},"user":{"__proto__":{"admin":1},"a":1}}'))
    expect(Object.keys((stored.snapshot() as Any).user)).toEqual(['a'])
    expect(Object.keys((stored.base() as Any).user)).toEqual(['a'])
    expect((stored.view({}) as Any).user.admin).toBeUndefined()
  })
})

describe('accessor, non-index key of an array, hidden property', () => {
  it('throw and say what to do', () => {
    const { session, flush, problems } = open()
    const define = (descriptor: PropertyDescriptor) => () => Object.defineProperty(session.user, 'x', descriptor)
    expect(define({ get: () => 1, enumerable: true })).toThrow(notStorable('user.x: JSON has no accessors; assign'))
    expect(define({ set: () => {} })).toThrow(notStorable('accessors'))
    expect(define({ value: 1, enumerable: false })).toThrow(notStorable('hidden'))
    expect(define({ value: 1, writable: false })).toThrow(notStorable('read-only'))
    session.list.name = 'x'
    session.list.length = -1
    session.list.length = { toString: 1 }
    expect(problems()).toEqual([
      notStorable('list.name: JSON would lose'),
      notStorable('list.length'),
      notStorable('list.length'),
    ])
    expect(() => delete session.list.length).toThrow(TypeError)
    define({ enumerable: true })()
    expect('x' in session.user).toBe(true)
    Object.defineProperty(session.user, 'name', { enumerable: true })
    Object.defineProperty(session.list, 'length', { value: 1, writable: true })
    expect(flush()).toEqual([
      { op: 'remove', path: ['list', 1] },
      { op: 'remove', path: ['list', 1] },
    ])
  })
})

describe('Object.freeze(session.x)', () => {
  it('throws, as sealing and changing the prototype do; frozen values that are assigned stay writable', () => {
    const { session, live } = open()
    expect(() => Object.freeze(session.user)).toThrow(notStorable('user: session data cannot be frozen'))
    expect(() => Object.preventExtensions(session)).toThrow(notStorable('the session: '))
    expect(() => Object.setPrototypeOf(session.user, null)).toThrow(notStorable('prototypes'))
    expect(Object.setPrototypeOf(session.user, Object.prototype)).toBe(session.user)
    session.user = Object.freeze({ tags: Object.freeze(['a']) })
    session.user.tags.push('b')
    expect(live().user).toEqual({ tags: ['a', 'b'] })
  })
})

describe('structuredClone', () => {
  it('is impossible for a proxy; snapshot() gives a plain copy', () => {
    const { session, document } = open()
    expect(() => structuredClone(session)).toThrow()
    const snapshot = document.snapshot() as Any
    snapshot.user.name = 'changed'
    expect(structuredClone(snapshot).user.name).toBe('changed')
    expect(session.user.name).toBe('a')
  })
})

describe('JSON.stringify', () => {
  it('sees the data; toJSON called by hand gives a copy', () => {
    const { session } = open()
    expect(JSON.parse(JSON.stringify(session))).toEqual(shop())
    expect(JSON.stringify(session.cart.items)).toBe(JSON.stringify(shop().cart.items))
    const copy = session.user.toJSON()
    copy.name = 'b'
    session.toJSON().user.name = 'c'
    expect(session.user.name).toBe('a')
    session.user.toJSON = 'data'
    expect(session.user.toJSON).toBe('data')
  })
})

describe('util.inspect', () => {
  it('is readable, with the fixed properties', () => {
    class Session {}
    const fixed = { cookie: { path: '/' } }
    const { session } = open(shop(), { prototype: Session.prototype, fixed })
    expect(inspect(session)).toMatch(/^Session \{\s+cookie: \{ path: '\/' \},\s+n: 1,/)
    // Node 26 says of every proxy that it is one.
    expect(inspect(session.user)).toMatch(/^(Proxy\()?\{ name: 'a', tags: \[ 'x', 'y' \] \}\)?$/)
    expect(new TrackedDocument({}).view({})).toEqual({})
  })
})

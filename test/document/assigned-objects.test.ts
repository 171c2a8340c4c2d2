import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Any, open, plain } from './harness.js'

// Within one turn a session behaves as a plain object does, whichever reference is used: the one that was assigned, or the one read back.

/** What handlers do, on a session and on a plain object. */
const HANDLERS: Record<string, (session: Any) => unknown> = {
  'push, then read': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const list = (session.list ??= [])
    list.push('x')
    return session.list.length
  },
  'push, then slice as a limit': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    for (const item of ['a', 'b', 'c']) (session.list ??= []).push(item)
    session.list = session.list.slice(-2)
    return [...session.list]
  },
  'push and shift as a limit': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const list = (session.log ??= [])
    for (let i = 0; i < 5; i++) {
      list.push(i)
      if (session.log.length > 3) session.log.shift()
    }
    return [list.length, session.log[0]]
  },
  'push, then filter': (session) => {
    const list: Any[] = []
    session.list = list
    list.push(1, 2, 3)
    session.list = session.list.filter((n: number) => n !== 2)
    list.push(4)
    return session.list
  },
  'a raw counter, then one of the session': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const c = (session.c ??= { n: 0 })
    c.n++
    session.c.n++
    c.n++
    return [c.n, session.c.n]
  },
  'have I seen it': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const seen = (session.seen ??= {})
    const news = ['a', 'b', 'a'].filter((id) => {
      const known = session.seen[id]
      seen[id] = true
      return !known
    })
    return news
  },
  'nested ??= chains': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    ;((session.a ??= {}).b ??= []).push(1)
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    ;((session.a ??= {}).b ??= []).push(2)
    return session.a.b.length
  },
  'an assignment of an assignment': (session) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the form applications use
    const todos = (session.todos = session.todos || [])
    todos.push(1)
    return session.todos
  },
  'an object that gets its content later': (session) => {
    const u: Any = {}
    session.u = u
    u.n = 5
    u.more = { list: [] }
    session.u.more.list.push(1)
    u.more.list.push(2)
    return [session.u.n, u.more.list, 'more' in session.u, Object.keys(session.u)]
  },
  'one object at two places': (session) => {
    const u: Any = { n: 1 }
    session.a = u
    session.b = { u }
    session.a.n++
    u.n++
    return [session.b.u.n, session.a.n]
  },
  'session data in an assigned object': (session) => {
    const order: Any = { user: session.user }
    session.order = order
    session.user.name = 'b'
    order.user.age = 3
    session.order.user.tags.push('z')
    return [session.user.age, order.user.name, session.order.user.tags]
  },
  'what is taken out goes on': (session) => {
    const list: Any[] = [{ n: 1 }, { n: 2 }]
    session.list = list
    const first = session.list.shift()
    first.n = 5
    list.push(first)
    session.last = session.list.pop()
    session.last.n++
    return [first.n, session.list.length, list.length, session.list.includes(list[0]), session.list.indexOf(session.list[0])]
  },
  'search, sort, spread and JSON': (session) => {
    const list: Any[] = [{ n: 2 }, { n: 1 }]
    session.list = list
    session.list.sort((a: Any, b: Any) => a.n - b.n)
    list.unshift({ n: 0 })
    return [
      [...session.list],
      { ...session },
      JSON.stringify(session),
      list.map((item) => item.n),
      session.list.findLast(Boolean),
    ]
  },
}

describe('a handler', () => {
  it.each(Object.entries(HANDLERS))('%s', (_, handler) => {
    const start = { user: { name: 'a', tags: ['x'] } }
    const model = plain(start)
    const { session, live, flush, problems } = open(plain(start))
    expect(plain(handler(session))).toEqual(plain(handler(model)))
    expect(live()).toEqual(plain(model))
    flush()
    expect(live()).toEqual(plain(model))
    expect(problems()).toEqual([])
  })

  it('may assign a frozen object: a reference to it in the session stays the same one when it is written to and saved', () => {
    const { session, flush, live } = open({})
    session.cart = Object.freeze({ items: Object.freeze([Object.freeze({ q: 1 })]) })
    const { cart } = session
    const [item] = cart.items
    item.q = 2
    cart.note = 'x'
    flush()
    expect(session.cart).toBe(cart)
    expect(session.cart.items[0]).toBe(item)
    item.q = 3
    expect(live().cart).toEqual({ items: [{ q: 3 }], note: 'x' })
  })

  it('may freeze an object before or after it assigns it: the session can be written to, the object cannot', () => {
    const { session, live, flush } = open({})
    const colors = Object.freeze(['red'])
    const cart: Any = { items: [], colors, deep: Object.freeze({ colors }) }
    session.cart = cart
    cart.items.push(1)
    session.cart.colors.push('blue')
    session.cart.deep.colors.push('green')
    session.cart.items.push(2)
    const late: Any = { sub: {} }
    session.late = late
    const { sub } = session.late
    Object.freeze(late)
    Object.freeze(late.sub)
    expect([session.late.sub, Object.getOwnPropertyDescriptor(session.late, 'sub')?.value]).toEqual([{}, {}])
    sub.x = 1
    session.late.y = 2
    flush()
    expect(live()).toEqual({
      cart: { items: [1, 2], colors: ['red', 'blue'], deep: { colors: ['red', 'green'] } },
      late: { sub: { x: 1 }, y: 2 },
    })
    expect([colors, late]).toEqual([['red'], { sub: {} }])
  })

  it('shares an object that it assigned to two sessions until the save, which gives each its own copy', () => {
    const one = open({})
    const two = open({})
    const prefs: Any = { theme: 'light', list: [] }
    one.session.prefs = prefs
    two.session.prefs = prefs
    one.session.prefs.theme = 'dark'
    expect([prefs.theme, two.session.prefs.theme]).toEqual(['dark', 'dark'])
    const held = one.session.prefs
    one.flush()
    two.flush()
    held.theme = 'blue'
    two.session.prefs.list.push(1)
    one.flush()
    two.flush()
    expect(prefs).toEqual({ theme: 'dark', list: [] })
    expect([one.live(), two.live()]).toEqual([{ prefs: { theme: 'blue', list: [] } }, { prefs: { theme: 'dark', list: [1] } }])
  })

  it('can put a copy of the session into the session, with an object in it that was assigned in the same turn', () => {
    const { session, flush, live } = open({})
    const held: Any = {}
    session.list = held
    session.list = { ...session }
    flush()
    held.later = 1
    flush()
    expect(live()).toEqual({ list: { list: { later: 1 } } })
  })

  it('can keep what it has read back through saves, failed saves and rebases', () => {
    const { session, document, flush, rebase, live } = open({})
    session.cart = { items: [{ id: 1 }] }
    const { cart } = session
    const [first] = session.cart.items
    document.takeChanges()
    document.rollback()
    cart.items.push({ id: 2 })
    flush()
    first.q = 1
    rebase({ cart: { items: [{ id: 1 }, { id: 2, q: 2 }] } })
    first.r = 1
    cart.n = 1
    flush()
    expect(cart).toBe(session.cart)
    expect(first).toBe(session.cart.items[0])
    expect(live()).toEqual({
      cart: {
        items: [
          { id: 1, q: 1, r: 1 },
          { id: 2, q: 2 },
        ],
        n: 1,
      },
    })
  })
})

type Pair = [live: Any, model: Any]

/** Runs commands on a session and on a plain object; every reference that either has is kept, and used again. */
function run(commands: readonly (readonly [number, number, number, number])[]): void {
  const start = { list: [1, { id: 'a' }], o: { p: { q: 1 } } }
  const model = plain(start) as Any
  const { session, flush, live, problems } = open(plain(start))
  const held: Pair[] = [[session, model]]
  const keys = ['list', 'o', 'p', 'k']
  let count = 0
  // An object that contains itself is not assigned; a plain one would be.
  const within = (value: Any, wanted: Any): boolean =>
    value === wanted || (typeof value === 'object' && value !== null && Object.values(value).some((item) => within(item, wanted)))
  const hold = (pair: Pair): void => {
    if (typeof pair[1] === 'object' && pair[1] !== null) held.push(pair)
  }
  for (const [what, a, b, c] of commands) {
    const [target, twin] = held[a % held.length] as Pair
    const key = Array.isArray(twin) ? String(b % (twin.length + 1)) : (keys[b % keys.length] as string)
    const make = (): Any => [{}, [], { p: [], k: 1 }, [{ k: 1 }], ++count][c % 5]
    const value = make()
    const put = (change: (on: Any, given: Any) => unknown): void => {
      const [given, its] = c % 2 === 0 ? [value, plain(value)] : (held[c % held.length] as Pair)
      if (within(its, twin) || its === model) return
      const results = [change(target, given), change(twin, its)]
      expect(plain([results[0]])).toEqual(plain([results[1]]))
      hold([given, its])
    }
    const both = (change: (on: Any) => unknown): void => {
      const results: Pair = [change(target), change(twin)]
      expect(plain([results[0]])).toEqual(plain([results[1]]))
      hold(results)
    }
    const isList = Array.isArray(twin)
    if (what === 0) both((on) => on[key])
    else if (what === 1) put((on, given) => (on[key] = given))
    else if (what === 2 && !isList) put((on, given) => (on[key] ??= given))
    else if (what === 3 && !isList) both((on) => delete on[key])
    else if (what === 4 && isList) put((on, given) => on.push(given))
    else if (what === 5 && isList) both((on) => on.shift())
    else if (what === 6 && isList) both((on) => on.filter((_: unknown, index: number) => index !== b % 3))
    else if (what === 7 && isList) both((on) => on.splice(b % 3, c % 3))
    else if (what === 8 && isList) put((on, given) => on.unshift(given))
    else if (what === 9) both((on) => (isList ? [...on] : { ...on }))
    else if (what === 10 && !isList) both((on) => (on.n = (on.n ?? 0) + 1))
    else if (what === 11 && isList) both((on) => void on.reverse())
    for (const [mine, its] of held) expect(JSON.stringify(mine)).toBe(JSON.stringify(its))
  }
  const expected = plain(model)
  expect(live()).toEqual(expected)
  flush()
  expect(live()).toEqual(expected)
  expect(problems()).toEqual([])
  // Aliases are two things from now on, and what the session has is the session's.
  for (const [mine, its] of held) if (!Array.isArray(its)) mine.later = 1
  flush()
}

describe('until the save a session and a plain object', () => {
  const command = fc.tuple(fc.nat(11), fc.nat(1000), fc.nat(1000), fc.nat(1000))

  it('look the same through every reference, whatever random operation is done through which of them', () => {
    fc.assert(fc.property(fc.array(command, { maxLength: 30 }), run), { numRuns: 300 })
  })
})

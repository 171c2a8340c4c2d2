import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { equal, type JsonObject } from '../../src/document/json.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import type { Any } from './harness.js'

/** A large session whose containers count every look at them. */
function counted(size: number) {
  let looks = 0
  const watch = (value: Any): Any => {
    if (typeof value !== 'object' || value === null) return value
    for (const key of Object.keys(value)) value[key] = watch(value[key])
    const count =
      (trap: string) =>
      (...args: Any[]) => {
        looks++
        return (Reflect as Any)[trap](...args)
      }
    return new Proxy(value, { get: count('get'), ownKeys: count('ownKeys'), has: count('has'), set: count('set') })
  }
  const users = Object.fromEntries(Array.from({ length: size }, (_, i) => [`u${i}`, { name: `n${i}`, tags: [1, 2, 3] }]))
  const data = { users: watch(users), cart: watch({ items: [{ id: 1, q: 1 }], total: 0 }), n: 1 } as JsonObject
  return {
    data,
    looks: () => {
      const seen = looks
      looks = 0
      return seen
    },
  }
}

/** How often the data is looked at by what `work` does, in a session of that size. */
function cost(size: number, work: (session: Any, ledger: TrackedDocument) => void, before: typeof work = () => {}): number {
  const { data, looks } = counted(size)
  const ledger = new TrackedDocument(data)
  const session = ledger.view({}) as Any
  before(session, ledger)
  looks()
  work(session, ledger)
  return looks()
}

const SMALL = 10
const LARGE = 1000

afterEach(() => {
  vi.restoreAllMocks()
})

describe('an event that modifies nothing', () => {
  it('looks at no data to say so', () => {
    const stringify = vi.spyOn(JSON, 'stringify')
    const ask = (_: Any, ledger: TrackedDocument) => {
      expect(ledger.mayHaveChanges).toBe(false)
      expect(ledger.hasRawObjects).toBe(false)
      expect(ledger.hasChanges()).toBe(false)
      ledger.scanRawObjects()
      expect(ledger.takeChanges().patches).toEqual([])
      ledger.rollback()
      ledger.discard()
    }
    expect(cost(LARGE, ask)).toBe(0)
    expect(stringify).not.toHaveBeenCalled()
  })

  it('costs what it reads, whatever the size', () => {
    const read = (session: Any, ledger: TrackedDocument) => {
      expect(session.cart.items[0].q).toBe(1)
      ledger.takeChanges()
    }
    expect(cost(LARGE, read)).toBe(cost(SMALL, read))
  })
})

describe('one write and its collect', () => {
  const writes: Record<string, (session: Any) => void> = {
    'a root scalar': (session) => {
      session.n = 2
    },
    'a nested scalar': (session) => {
      session.cart.items[0].q = 2
    },
    'an element': (session) => session.cart.items.push({ id: 2, q: 1 }),
    'a new container': (session) => {
      session.cart.note = { text: 'x', lines: [1, 2, { a: 1 }] }
    },
    'one of many keys': (session) => {
      session.users.u7.name = 'x'
    },
    'a move': (session) => {
      session.last = session.cart.items.pop()
    },
  }

  it.each(Object.entries(writes))('%s: costs the same in a session of any size, without serialising', (_, write) => {
    const stringify = vi.spyOn(JSON, 'stringify')
    const work = (session: Any, ledger: TrackedDocument) => {
      write(session)
      expect(ledger.mayHaveChanges).toBe(true)
      expect(ledger.hasChanges()).toBe(true)
      expect(ledger.takeChanges().patches.length).toBeGreaterThan(0)
    }
    const large = cost(LARGE, work)
    expect(large).toBe(cost(SMALL, work))
    expect(large).toBeLessThan(150)
    expect(stringify).not.toHaveBeenCalled()
  })

  it('does not look into the other elements of an array', () => {
    let looks = 0
    const element = () =>
      new Proxy({ id: 1, sub: { deep: 1 } } as Any, {
        get: (target, key) => {
          looks++
          return target[key]
        },
        ownKeys: (target) => {
          looks++
          return Reflect.ownKeys(target)
        },
      })
    const ledger = new TrackedDocument({ list: Array.from({ length: 1000 }, element) })
    const session = ledger.view({}) as Any
    session.list.shift()
    session.list.push({ id: 5 })
    session.list[500].sub.deep = 2
    expect(ledger.takeChanges().patches).toEqual([
      { op: 'remove', path: ['list', 0] },
      { op: 'add', path: ['list', 999], value: { id: 5 } },
      { op: 'replace', path: ['list', 500, 'sub', 'deep'], value: 2 },
    ])
    expect(looks).toBeLessThan(20)
  })
})

describe('watched raw objects', () => {
  const held: Any[] = []
  const assign = (count: number, size: number) => (session: Any) => {
    for (let i = 0; i < count; i++) {
      const raw = { list: Array.from({ length: size }, (_, n) => n) }
      held.push(raw)
      session[`raw${i}`] = raw
    }
  }

  /** How many slots one poll looks at, counted by what the raw arrays are asked for. */
  function polled(count: number, size: number): number {
    const ledger = new TrackedDocument({})
    const session = ledger.view({}) as Any
    let looks = 0
    const list = () =>
      new Proxy(Array(size).fill(0), {
        get: (target, key) => {
          looks++
          return Reflect.get(target, key)
        },
      })
    for (let i = 0; i < count; i++) {
      const raw = { list: list() }
      held.push(raw)
      session[`raw${i}`] = raw
    }
    ledger.takeChanges()
    looks = 0
    ledger.scanRawObjects()
    return looks
  }

  it('cost a bounded look, however many there are and however large', () => {
    expect(polled(1, 10)).toBeGreaterThan(0)
    expect(polled(1000, 10)).toBeLessThan(300)
    expect(polled(8, 1000)).toBeLessThan(3000)
    expect(polled(1, 100_000)).toBe(0)
  })

  it('are not kept alive once their handlers have ended', async () => {
    setFlagsFromString('--expose_gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const onProblem = vi.fn()
    const ledger = new TrackedDocument({}, { onProblem })
    const session = ledger.view({}) as Any
    session.raw = { list: [1] }
    const part = { n: 1 }
    session.whole = { part }
    ledger.takeChanges()
    expect(ledger.hasRawObjects).toBe(true)
    await new Promise(setImmediate)
    collectGarbage()
    part.n = 2
    ledger.scanRawObjects()
    expect(session.whole.part.n).toBe(2)
    expect(onProblem).not.toHaveBeenCalled()
    // What nobody holds any more is let go of: only the part that is still held here is left.
    expect((ledger as Any).state.rawObjects.all()).toHaveLength(1)
  })

  it('are let go of while a session is never saved, too', () => {
    const ledger = new TrackedDocument({})
    const session = ledger.view({}) as Any
    assign(200, 10)(session)
    // Between two saves others write, and the session is asked whether it has changed.
    expect(ledger.hasChanges()).toBe(true)
    const first = held.length - 200
    held[first].list.push(1)
    held.at(-1).list.push(1)
    ledger.scanRawObjects()
    expect(session.raw0.list).toHaveLength(10)
    expect(session.raw199.list).toHaveLength(11)
    expect(ledger.hasRawObjects).toBe(true)
  })
})

describe('rebase', () => {
  it('does no more than compare where others changed nothing', () => {
    const theirs = { n: 1, list: [{ id: 1 }] }
    const ledger = new TrackedDocument(structuredClone(theirs))
    const session = ledger.view({}) as Any
    session.list[0].id = 2
    const clone = vi.spyOn(Array.prototype, 'map')
    expect(ledger.rebase(theirs)).toEqual({ patches: [], conflicts: [], problems: [] })
    expect(clone).not.toHaveBeenCalled()
    expect(ledger.hasChanges()).toBe(true)
  })

  it.each(['users', 'list'])('walks over what others wrote once, with one change of theirs in %s and one of mine', (where) => {
    const { data, looks } = counted(LARGE)
    // The same objects as elements of an array.
    const theirs = { ...data, list: Object.values(data.users as JsonObject) } as Any
    const plain = JSON.parse(JSON.stringify(theirs))
    theirs.users.u7.name = 'x'
    theirs.cart.total = 5
    const ledger = new TrackedDocument(structuredClone(plain))
    const session = ledger.view({}) as Any
    session[where][Object.keys(session[where])[9] as string].name = 'mine'
    looks()
    for (const key of Object.keys(plain)) for (const [name, value] of Object.entries(plain[key])) equal(value, theirs[key][name])
    const once = looks()
    expect(ledger.rebase(theirs).patches).toHaveLength(3)
    expect(looks()).toBeLessThan(1.5 * once)
    expect(ledger.takeChanges().patches).toHaveLength(1)
  })
})

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { equal, type JsonObject } from '../../src/document/json.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import type { Any } from './harness.js'

/** A large session whose containers count every read. */
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

/** How often `work` reads the data, in a session of that size. */
function cost(size: number, work: (session: Any, document: TrackedDocument) => void, before: typeof work = () => {}): number {
  const { data, looks } = counted(size)
  const document = new TrackedDocument(data)
  const session = document.view({}) as Any
  before(session, document)
  looks()
  work(session, document)
  return looks()
}

const SMALL = 10
const LARGE = 1000

afterEach(() => {
  vi.restoreAllMocks()
})

describe('an event that modifies nothing', () => {
  it('reads no data to find that out', () => {
    const stringify = vi.spyOn(JSON, 'stringify')
    const ask = (_: Any, document: TrackedDocument) => {
      expect(document.mayHaveChanges).toBe(false)
      expect(document.hasWatchedObjects).toBe(false)
      expect(document.hasChanges()).toBe(false)
      document.scanWatchedObjects()
      expect(document.takeChanges().patches).toEqual([])
      document.rollback()
      document.discard()
    }
    expect(cost(LARGE, ask)).toBe(0)
    expect(stringify).not.toHaveBeenCalled()
  })

  it('costs what it reads, whatever the size', () => {
    const read = (session: Any, document: TrackedDocument) => {
      expect(session.cart.items[0].q).toBe(1)
      document.takeChanges()
    }
    expect(cost(LARGE, read)).toBe(cost(SMALL, read))
  })
})

describe('one write and its takeChanges', () => {
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
    const work = (session: Any, document: TrackedDocument) => {
      write(session)
      expect(document.mayHaveChanges).toBe(true)
      expect(document.hasChanges()).toBe(true)
      expect(document.takeChanges().patches.length).toBeGreaterThan(0)
    }
    const large = cost(LARGE, work)
    expect(large).toBe(cost(SMALL, work))
    expect(large).toBeLessThan(150)
    expect(stringify).not.toHaveBeenCalled()
  })

  it('reads no other elements of an array', () => {
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
    const document = new TrackedDocument({ list: Array.from({ length: 1000 }, element) })
    const session = document.view({}) as Any
    session.list.shift()
    session.list.push({ id: 5 })
    session.list[500].sub.deep = 2
    expect(document.takeChanges().patches).toEqual([
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

  /** How many values one scan reads, counted by the reads of the raw arrays. */
  function readsOfScan(count: number, size: number): number {
    const document = new TrackedDocument({})
    const session = document.view({}) as Any
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
    document.takeChanges()
    looks = 0
    document.scanWatchedObjects()
    return looks
  }

  it('cost a bounded scan, however many they are and however large', () => {
    expect(readsOfScan(1, 10)).toBeGreaterThan(0)
    expect(readsOfScan(1000, 10)).toBeLessThan(300)
    expect(readsOfScan(8, 1000)).toBeLessThan(3000)
    expect(readsOfScan(1, 100_000)).toBe(0)
  })

  it('are not kept alive once their handlers have ended', async () => {
    setFlagsFromString('--expose_gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const onProblem = vi.fn()
    const document = new TrackedDocument({}, { onProblem })
    const session = document.view({}) as Any
    session.raw = { list: [1] }
    const part = { n: 1 }
    session.whole = { part }
    document.takeChanges()
    expect(document.hasWatchedObjects).toBe(true)
    await new Promise(setImmediate)
    collectGarbage()
    part.n = 2
    document.scanWatchedObjects()
    expect(session.whole.part.n).toBe(2)
    expect(onProblem).not.toHaveBeenCalled()
    // The group of `raw` was dropped, because nothing references the object; that of `part` is left, because the test does.
    expect((document as Any).watchedObjects.groups).toHaveLength(1)
  })

  it('are dropped beyond the limit, also if the session is never saved', () => {
    const document = new TrackedDocument({})
    const session = document.view({}) as Any
    assign(200, 10)(session)
    // Another writer's save between two of this side calls hasChanges().
    expect(document.hasChanges()).toBe(true)
    const first = held.length - 200
    held[first].list.push(1)
    held.at(-1).list.push(1)
    document.scanWatchedObjects()
    expect(session.raw0.list).toHaveLength(10)
    expect(session.raw199.list).toHaveLength(11)
    expect(document.hasWatchedObjects).toBe(true)
  })
})

describe('rebase', () => {
  it('only compares if others changed nothing', () => {
    const theirs = { n: 1, list: [{ id: 1 }] }
    const document = new TrackedDocument(structuredClone(theirs))
    const session = document.view({}) as Any
    session.list[0].id = 2
    const clone = vi.spyOn(Array.prototype, 'map')
    expect(document.rebase(theirs)).toEqual({ patches: [], conflicts: [], problems: [] })
    expect(clone).not.toHaveBeenCalled()
    expect(document.hasChanges()).toBe(true)
  })

  it.each(['users', 'list'])('walks once over what others wrote, with one change of theirs in %s and one of mine', (where) => {
    const { data, looks } = counted(LARGE)
    // The same objects as elements of an array.
    const theirs = { ...data, list: Object.values(data.users as JsonObject) } as Any
    const plain = JSON.parse(JSON.stringify(theirs))
    theirs.users.u7.name = 'x'
    theirs.cart.total = 5
    const document = new TrackedDocument(structuredClone(plain))
    const session = document.view({}) as Any
    session[where][Object.keys(session[where])[9] as string].name = 'mine'
    looks()
    for (const key of Object.keys(plain)) for (const [name, value] of Object.entries(plain[key])) equal(value, theirs[key][name])
    const once = looks()
    expect(document.rebase(theirs).patches).toHaveLength(3)
    expect(looks()).toBeLessThan(1.5 * once)
    expect(document.takeChanges().patches).toHaveLength(1)
  })
})

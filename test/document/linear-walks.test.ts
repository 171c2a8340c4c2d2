import { afterEach, describe, expect, it } from 'vitest'
import { merge } from '../../src/document/merge.js'
import { StrategyTable } from '../../src/document/merge-strategy.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { type Any, plain } from './harness.js'

// A megabyte has room for 100,000 elements: what walks the whole array for each of its elements blocks the process. The steps are
// counted that the methods of arrays, their iterators and `Object.keys` take.

let steps = 0
const replaced: [target: Any, name: string, original: Any][] = []

function count(target: Any, name: string, wrap: (original: Any) => Any): void {
  const original = target[name]
  replaced.push([target, name, original])
  target[name] = wrap(original)
}

function startCounting(): void {
  steps = 0
  const list = Array.prototype
  for (const name of ['find', 'findLast', 'filter', 'some', 'every', 'map', 'flatMap', 'forEach']) {
    count(list, name, (original) => {
      return function (this: Any, callback: Any, ...rest: Any[]) {
        const counted = (...args: Any[]) => {
          steps++
          return callback(...args)
        }
        return original.call(this, counted, ...rest)
      }
    })
  }
  const { indexOf } = list
  count(list, 'slice', (original) => {
    return function (this: Any, ...args: Any[]) {
      const result = original.apply(this, args)
      steps += result.length
      return result
    }
  })
  for (const name of ['includes', 'indexOf', 'shift']) {
    count(list, name, (original) => {
      return function (this: Any, ...args: Any[]) {
        const found = name.endsWith('s') || name === 'indexOf' ? indexOf.apply(this, args as [Any]) : -1
        steps += found < 0 ? this.length : found + 1
        return original.apply(this, args)
      }
    })
  }
  for (const name of ['keys', 'values', 'entries']) {
    count(Object, name, (original) => (value: Any) => {
      const result = original(value)
      steps += result.length
      return result
    })
  }
  count(Object.getPrototypeOf([][Symbol.iterator]()), 'next', (original) => {
    return function (this: Any) {
      steps++
      return original.call(this)
    }
  })
}

function stopCounting(): void {
  for (const [target, name, original] of replaced.splice(0).reverse()) target[name] = original
}

afterEach(stopCounting)

interface Opened {
  document: TrackedDocument
  session: Any
  size: number
}

const elements = (size: number): Any[] => Array.from({ length: size }, (_, id) => ({ id, sub: { v: 1 } }))

/** @param prepare what comes before, which is not counted; it returns what is counted */
function stepsOf(size: number, prepare: (opened: Opened) => () => void, strategies?: StrategyTable): number {
  const users = Object.fromEntries(elements(size).map((user) => [`u${user.id}`, user]))
  const document = new TrackedDocument({ list: elements(size), users, done: [] } as Any, { strategies })
  const session = document.view({}) as Any
  // A handler has read all elements: only then there is anything to be found of them.
  const handler = [...session.list, ...Object.values(session.users)].map((element: Any) => element.sub)
  expect(handler).toHaveLength(2 * size)
  const work = prepare({ document, session, size })
  startCounting()
  work()
  stopCounting()
  return steps
}

function expectLinear(prepare: (opened: Opened) => () => void, strategies?: StrategyTable): void {
  const few = stepsOf(500, prepare, strategies)
  expect(few).toBeGreaterThan(0)
  expect(stepsOf(2000, prepare, strategies)).toBeLessThan(6 * few)
}

const save =
  (write: (session: Any, size: number) => void) =>
  ({ document, session, size }: Opened) => {
    write(session, size)
    return () => void document.takeChanges()
  }

describe('the save of', () => {
  const held: Any[] = []
  const cases: [name: string, write: (session: Any, size: number) => void][] = [
    ['a list replaced by a copy', (session) => (session.list = session.list.map((x: Any) => x))],
    [
      'a list whose elements had moved, replaced by a copy',
      (session) => {
        session.list.splice(0, 1)
        session.list = session.list.filter(() => true)
      },
    ],
    ['an object replaced by a copy', (session) => (session.users = { ...session.users })],
    ['a second list with the same elements', (session) => (session.done = [...session.list])],
    ['a second object with the same values', (session) => (session.more = { ...session.users })],
    ['elements that were moved to another list', (session) => session.done.push(...session.list.splice(1))],
    [
      'many objects that were pushed one by one',
      (session, size) => {
        for (let id = 0; id < size; id++) session.done.push({ id })
      },
    ],
    [
      'many objects that are held, and were assigned twice',
      (session, size) => {
        const objects = Array.from({ length: size }, (_, id) => ({ id }))
        held.push(objects)
        for (const object of objects) session.done.push(object)
        for (const object of objects) session.users[`u${object.id}`] = object
      },
    ],
    [
      'copies put in place of half of the elements, in another order',
      (session, size) => {
        const half = size / 2
        session.list.splice(0, half, ...plain(session.list.slice(0, half)).reverse())
      },
    ],
  ]

  it.each(cases)('%s walks it a few times', (_, write) => {
    expectLinear(save(write))
  })

  it('objects that were stored before, and are assigned again, walks them a few times', () => {
    expectLinear(({ document, session, size }) => {
      const objects = Array.from({ length: size }, (_, id) => ({ id }))
      held.push(objects)
      for (const object of objects) session.done.push(object)
      document.takeChanges()
      for (const object of objects) session.users[`u${object.id}`] = object
      return () => void document.takeChanges()
    })
  })
})

describe('a write to each element', () => {
  const writeToEach = (session: Any) => {
    for (const element of session.list) element.tags = ['x']
  }

  it('of a list whose elements had moved walks it a few times', () => {
    expectLinear(({ session }) => {
      session.list.splice(0, 1)
      return () => writeToEach(session)
    })
  })

  it('that was moved from another list walks it a few times', () => {
    expectLinear(({ session }) => {
      const moved = [...session.list]
      return () => {
        for (const element of moved) {
          session.done.push(element)
          session.done.at(-1).tags = ['x']
        }
      }
    })
  })

  it('that was moved to another object, and one that others removed, walks the object a few times', () => {
    expectLinear(({ document, session }) => {
      session.more = {}
      return () => {
        for (const key of Object.keys(session.users)) {
          session.more[key] = session.users[key]
          delete session.users[key]
          session.more[key].tags = ['x']
        }
        const { more: _, ...theirs } = document.base() as Any
        document.rebase({ ...theirs, users: {} })
      }
    })
  })

  it('that is frozen, of an assigned list whose elements had moved, walks it a few times', () => {
    expectLinear(({ session, size }) => {
      session.list = elements(size).map((element) => Object.freeze(element))
      for (const element of session.list) expect(element.sub.v).toBe(1)
      session.list.splice(0, 1)
      return () => writeToEach(session)
    })
  })

  it.each([1, 5])('of a queue that is worked off %i at a time walks it a few times', (batch) => {
    for (const replace of [false, true]) {
      expectLinear(({ session }) => {
        if (replace) session.list = session.list.map((element: Any) => Object.freeze(plain(element)))
        for (const element of session.list) expect(element.sub.v).toBe(1)
        return () => {
          while (session.list.length > 0) {
            for (let index = 0; index < batch; index++) session.list[index].result = { ok: true }
            session.list.splice(0, batch)
          }
        }
      })
    }
  })

  it('of a replaced list costs the same after many replacements', () => {
    const cost = (replacements: number) =>
      stepsOf(10, ({ document, session }) => {
        for (let i = 0; i < replacements; i++) {
          session.list = session.list.map((x: Any) => x)
          document.takeChanges()
        }
        return () => {
          writeToEach(session)
          document.takeChanges()
        }
      })
    expect(cost(100)).toBe(cost(20))
  })
})

describe('a rebase', () => {
  const rebase =
    (change: (theirs: Any, size: number) => void, write: (session: Any) => void = () => {}) =>
    ({ document, session, size }: Opened) => {
      const theirs = document.base() as Any
      change(theirs, size)
      write(session)
      return () => void document.rebase(theirs)
    }
  const editAll = (theirs: Any) => {
    for (const element of theirs.list) element.sub.v = 2
  }
  const replaceAll = (session: Any) => {
    for (const index of session.list.keys()) session.list[index] = { ...session.list[index], mine: true }
  }

  it('walks a few times over a list of which others changed each element', () => {
    expectLinear(rebase(editAll))
    expectLinear(rebase(editAll, (session) => session.list.push({ id: 'mine' })))
  })

  it('walks a few times over a list of which others removed the half', () => {
    expectLinear(
      rebase((theirs) => {
        theirs.list = theirs.list.filter(({ id }: Any) => id % 2 === 0)
      }),
    )
  })

  it('walks a few times over an object of which others removed the half', () => {
    expectLinear(
      rebase((theirs) => {
        theirs.users = Object.fromEntries(Object.entries(theirs.users).filter(([, { id }]: Any) => id % 2 === 0))
      }),
    )
  })

  it('walks a few times over a list of which I replaced each element, and others changed each', () => {
    expectLinear(rebase(editAll, replaceAll))
  })

  it('walks a few times over a list of which I removed half of the elements, and others changed each', () => {
    expectLinear(rebase(editAll, (session) => session.list.splice(0, session.list.length / 2)))
  })

  it('walks a few times over a list of equal values in another order', () => {
    expectLinear(({ document, session, size }) => {
      session.list = [1, ...Array(size).fill(0), 2]
      document.takeChanges()
      const theirs = document.base() as Any
      theirs.list.reverse()
      return () => void document.rebase(theirs)
    })
  })

  it('walks a few times over a list with a strategy for each element, whatever it returns', () => {
    const write = (session: Any) => {
      for (const element of session.list) element.mine = true
    }
    for (const result of [{ id: 1 }, 5, undefined]) {
      expectLinear(rebase(editAll, write), StrategyTable.of({ 'list.*': () => result }))
    }
  })

  it('looks at what is in nested arrays as often, however deep it is', () => {
    const BULK = 2000
    const nested = (depth: number, last: number, [before, after]: string[]): Any =>
      JSON.parse(
        `${`[${before}`.repeat(depth)}[${elements(BULK).map((each) => JSON.stringify(each))},${last}]${`${after}]`.repeat(depth)}`,
      )
    for (const [around, edges] of [
      [
        ['', ',1'],
        ['', ',2'],
      ],
      [
        ['1,', ',1'],
        ['2,', ',2'],
      ],
    ] as const) {
      const stepsAt = (depth: number, how: (data: Any[]) => void) => {
        const data = [
          { v: nested(depth, 0, around as Any) },
          { v: nested(depth, 1, edges as Any) },
          { v: nested(depth, 0, around as Any), mine: 1 },
        ]
        startCounting()
        how(data)
        stopCounting()
        return steps
      }
      const rebased = ([base, theirs]: Any[]) => void new TrackedDocument(base).rebase(theirs)
      const merged = ([base, theirs, mine]: Any[]) => void merge(base, theirs, mine)
      for (const how of [rebased, merged]) {
        const once = stepsAt(1, how)
        expect(stepsAt(100, how)).toBeLessThan(3 * once)
      }
    }
  })

  it('keeps what I appended, however much it is', () => {
    const document = new TrackedDocument({ list: [1, 2] })
    const session = document.view({}) as Any
    session.list = [1, 2, ...Array(200_000).fill(0)]
    document.takeChanges()
    document.rollback()
    document.rebase({ list: [0, 1, 2] })
    expect(session.list).toHaveLength(200_003)
  })
})

import { describe, expect, it } from 'vitest'
import { checkHistory } from './check.js'
import { type Change, type Doc, emptyDocument, type History, type Operation, type Place } from './history.js'
import { planClients } from './plan.js'
import { report } from './report.js'

/** An operation by hand: `[invoked, completed]`, or `[invoked]` for one that was not acknowledged. */
function op(time: [number, number?], changes: Change[], more: Partial<Operation> = {}): Operation {
  const [invoked, completed] = time
  const effects = completed === undefined ? undefined : changes.map(() => true)
  return {
    id: invoked,
    client: 'http0',
    via: 'http',
    by: 'http',
    process: 0,
    resave: false,
    saveAfter: undefined,
    before: 0,
    after: 0,
    changes,
    invoked,
    ...(completed !== undefined && { completed }),
    ...(effects && { effects }),
    ...more,
  }
}

const set = (value: string, name = 'k', container: Place['in'] = 'bag'): Change => ({
  do: 'set',
  place: { in: container, name },
  value,
})
const drop = (name = 'k', container: Place['in'] = 'bag'): Change => ({ do: 'delete', place: { in: container, name } })
const plus: Change = { do: 'increment', counter: 'a' }
const doc = (more: Doc = {}): Doc => ({ cookie: {}, ...emptyDocument(), ...more })
const read = (time: [number, number], seen: Doc, more: Partial<Operation> = {}): Operation => op(time, [], { seen, ...more })

function found(operations: Operation[], final: Doc | undefined, more: Partial<History> = {}): string[] {
  return checkHistory({ operations, final, ...more }).map(({ what }) => what)
}

const counts = (a: number): Doc => doc({ counters: { a, b: 0 } })

describe('the history checker, of keys', () => {
  it('keys that were set have to be there', () => {
    expect(found([op([0, 1], [set('v')])], doc({ bag: { k: 'v' } }))).toEqual([])
    expect(found([op([0, 1], [set('v')])], doc())).toEqual([expect.stringContaining('the store, at the end, lacks bag.k')])
    expect(found([op([0, 1], [set('v', 'k', 'top')])], doc())).toEqual([expect.stringContaining('lacks k')])
  })

  it('keys whose set was not acknowledged may be there or not', () => {
    expect(found([op([0], [set('v')])], doc())).toEqual([])
    expect(found([op([0], [set('v')])], doc({ bag: { k: 'v' } }))).toEqual([])
  })

  it('keys that were deleted have to be gone, unless set again', () => {
    const operations = [op([0, 1], [set('v')]), op([2, 3], [drop()])]
    expect(found(operations, doc())).toEqual([])
    expect(found(operations, doc({ bag: { k: 'v' } }))).toEqual([
      expect.stringContaining('operation 2 (http0, process 0) had deleted it'),
    ])
    expect(found([...operations, op([4, 5], [set('w')])], doc({ bag: { k: 'w' } }))).toEqual([])
    expect(found([...operations, op([4, 5], [set('w')])], doc())).toHaveLength(1)
    expect(found([...operations, op([4, 5], [set('w')])], doc({ bag: { k: 'v' } }))).toHaveLength(1)
  })

  it('a key may be there or not where its set and its delete overlapped, or the delete was not acknowledged', () => {
    for (const later of [op([1, 3], [drop()]), op([5], [drop()])]) {
      expect(found([op([0, 2], [set('v')]), later], doc())).toEqual([])
      expect(found([op([0, 2], [set('v')]), later], doc({ bag: { k: 'v' } }))).toEqual([])
    }
  })

  it('a key has to hold the later of two values', () => {
    const operations = [op([0, 1], [set('v')]), op([2, 3], [set('w')])]
    expect(found(operations, doc({ bag: { k: 'w' } }))).toEqual([])
    expect(found(operations, doc({ bag: { k: 'v' } }))).toHaveLength(1)
  })

  it('a key that no client has set is a violation', () => {
    expect(found([], doc({ bag: { k: 'v' } }))).toEqual([expect.stringContaining('bag.k, which nobody wrote')])
    expect(found([op([0, 1], [set('v')])], doc({ bag: { k: 'x' } }))).toEqual([
      expect.stringContaining('which nobody had written'),
    ])
  })
})

describe('the history checker, of elements of arrays', () => {
  const append = [op([0, 1], [set('v', 'x', 'words'), set('v', 'y', 'items')])]

  it('elements that were added have to be there exactly once', () => {
    expect(found(append, doc({ words: ['x'], items: [{ id: 'y', value: 'v' }] }))).toEqual([])
    expect(found(append, doc({ words: [], items: [{ id: 'y', value: 'v' }] }))).toEqual([
      expect.stringContaining('lacks words.x'),
    ])
    expect(found(append, doc({ words: ['x'] }))).toEqual([expect.stringContaining('lacks items.y')])
    const twice = doc({ words: ['x', 'x'], items: [{ id: 'y', value: 'v' }] })
    expect(found(append, twice)).toEqual([expect.stringContaining('words.x 2 times')])
  })

  it('elements whose add was not acknowledged may be there once, not twice', () => {
    const open = [op([0], [set('v', 'x', 'words')])]
    expect(found(open, doc())).toEqual([])
    expect(found(open, doc({ words: ['x'] }))).toEqual([])
    expect(found(open, doc({ words: ['x', 'x'] }))).toEqual([expect.stringContaining('2 times')])
  })

  it('elements that were removed have to stay away', () => {
    const removed = [op([0, 1], [set('v', 'x', 'words')]), op([2, 3], [drop('x', 'words')])]
    expect(found(removed, doc())).toEqual([])
    expect(found(removed, doc({ words: ['x'] }))).toHaveLength(1)
  })
})

describe('the history checker, of containers that each client makes where they are missing', () => {
  const both = [op([0, 2], [set('v', 'x', 'made3'), set('v', 'x', 'list3')]), op([1, 3], [set('w', 'y', 'made3')])]

  it('a container has to hold what each client has put there', () => {
    expect(found(both, doc({ made3: { inner: { x: 'v', y: 'w' } }, list3: ['x'] }))).toEqual([])
    expect(found(both, doc({ made3: { inner: { y: 'w' } }, list3: ['x'] }))).toEqual([expect.stringContaining('lacks made3.x')])
    expect(found(both, doc({ made3: { inner: { x: 'v' } }, list3: [] }))).toHaveLength(2)
    expect(found(both, doc({ made3: {} }))).toHaveLength(3)
    expect(found(both, doc({ made3: { inner: { x: 'v', y: 'w' } }, list3: ['x', 'x'] }))).toEqual([
      expect.stringContaining('list3.x 2 times'),
    ])
  })
})

describe('the history checker, of counters', () => {
  const added = (time: [number, number], value: number, client = 'http0'): Operation =>
    op(time, [plus], { via: 'update', effects: [value], client })

  it('a counter has to hold all increments that were acknowledged, and may hold others', () => {
    const operations = [added([0, 1], 1), added([2, 3], 2)]
    expect(found(operations, counts(2))).toEqual([])
    expect(found(operations, counts(1))).toEqual([
      expect.stringContaining('holds 1, after 2 acknowledged increments and 0 others'),
    ])
    expect(found(operations, counts(3))).toHaveLength(1)
    expect(found([...operations, op([4], [plus])], counts(3))).toEqual([])
    expect(found([...operations, op([4], [plus])], counts(4))).toHaveLength(1)
    expect(found(operations, doc({ counters: { b: 0 } }))).toHaveLength(1)
  })

  it('a counter that reaches one value twice is a violation', () => {
    const operations = [added([0, 2], 1), added([1, 3], 1, 'http1'), op([4], [plus])]
    expect(found(operations, counts(2))).toEqual([expect.stringContaining('both made it 1')])
  })

  it('a counter that goes back for one client is a violation', () => {
    const operations = [op([0, 9], [plus], { effects: [1] }), read([1, 2], counts(1), { client: 'b' })]
    expect(found([...operations, read([3, 4], counts(1), { client: 'b' })], counts(1))).toEqual([])
    expect(found([...operations, read([3, 4], counts(0), { client: 'b' })], counts(1))).toEqual([
      expect.stringContaining('went back from 1 to 0 for b'),
    ])
  })

  it('a counter that is read shows what was acknowledged before, and nothing that was not asked for yet', () => {
    expect(found([added([0, 1], 1), read([2, 3], counts(0), { client: 'b' })], counts(1))).toHaveLength(1)
    expect(found([read([0, 1], counts(1), { client: 'b' }), added([2, 3], 1)], counts(1))).toHaveLength(1)
    expect(found([added([0, 2], 1), read([1, 3], counts(0), { client: 'b' })], counts(1))).toEqual([])
  })
})

describe('the history checker, of reads', () => {
  const write = op([0, 1], [set('v')], { process: 1 })
  const final = doc({ bag: { k: 'v' } })

  it('a request has to see what any process has acknowledged', () => {
    expect(found([write, read([2, 3], final)], final)).toEqual([])
    expect(found([write, read([2, 3], doc())], final)).toEqual([
      expect.stringContaining('http0 (operation 2, process 0, http) lacks bag.k'),
    ])
  })

  it('a live session has to see what its own process has acknowledged', () => {
    expect(found([write, read([2, 3], doc(), { via: 'live', process: 0 })], final)).toEqual([])
    expect(found([write, read([2, 3], doc(), { via: 'live', process: 1 })], final)).toHaveLength(1)
  })

  it('a live session whose save has an unknown outcome shows nothing of others, until a later save succeeded', () => {
    const live = { via: 'live', process: 1 } as const
    const open = op([0], [set('a', 'own')], { ...live, error: 'timeout' })
    const written = { ...write, invoked: 1, completed: 2 }
    const sight = read([7, 8], doc({ bag: { own: 'a' } }), live)
    const next = (time: [number, number]): Operation => op(time, [set('b', 'next')], live)
    const two = doc({ bag: { own: 'a', k: 'v' } })
    const three = doc({ bag: { own: 'a', k: 'v', next: 'b' } })
    expect(found([open, written, sight], two)).toEqual([])
    // Acknowledged later: it may have been in doubt for a while.
    expect(found([open, written, sight, next([3, 9])], three)).toEqual([])
    const later = read([7, 8], doc({ bag: { own: 'a', next: 'b' } }), live)
    expect(found([open, written, next([3, 4]), later], three)).toEqual([expect.stringContaining('lacks bag.k')])
    // What its own sockets wrote is in it all the same.
    const again = op([5], [set('c', 'own')], live)
    expect(found([open, written, next([3, 4]), again, sight], three)).toEqual([
      expect.stringContaining('lacks bag.k'),
      expect.stringContaining('lacks bag.next'),
    ])
    expect(found([{ ...open, process: 0 }, written, sight], two)).toEqual([expect.stringContaining('lacks bag.k')])
    const counted = op([1, 2], [plus], { via: 'update', effects: [1], process: 1 })
    expect(found([open, counted, read([7, 8], doc(), live)], counts(1))).toEqual([])
    expect(found([counted, read([7, 8], doc(), live)], counts(1))).toHaveLength(1)
  })

  it('a live session in doubt shows what its process had acknowledged before, and the process after it knows no doubt', () => {
    const live = { via: 'live', process: 1, generation: 0 } as const
    const here = { process: 1, generation: 0 }
    const lacks = [expect.stringContaining('lacks bag.k')]
    const stale = read([7, 8], doc(), live)
    // Never acknowledged, or later; before what it may hide, or after it.
    for (const end of [[], [9]] as [number?][]) {
      const operations = (open: number, [from, to]: [number, number]): Operation[] => [
        op([open, ...end], [set('a', 'own')], { ...live, error: 'timeout' }),
        { ...write, ...here, invoked: from, completed: to },
        op([10], [set('c', 'other')]),
      ]
      const own = doc({ bag: { k: 'v', own: 'a' } })
      expect(found([...operations(3, [4, 5]), stale], own)).toEqual([])
      expect(found([...operations(3, [1, 5]), stale], own)).toEqual([])
      expect(found([...operations(3, [1, 2]), stale], own)).toEqual(lacks)
      expect(found([...operations(3, [4, 5]), { ...stale, generation: 1 }], own)).toEqual(lacks)
    }
    // What has changed nothing was not saved, and settles nothing.
    const nothing = op([6, 7], [{ do: 'delete', place: { in: 'bag', name: 'none' } }], { ...live, effects: [false] })
    const inDoubt = [op([3], [set('a', 'own')], { ...live, error: 'timeout' }), { ...write, ...here, invoked: 4, completed: 5 }]
    const later = read([8, 9], doc(), live)
    expect(found([...inDoubt, nothing, later], final)).toEqual([])
    expect(found([...inDoubt, { ...nothing, effects: [true] }, later], final)).toEqual(lacks)
    const counted = op([1, 2], [plus], { ...here, via: 'update', effects: [1] })
    const open = op([3], [set('a', 'own')], live)
    expect(found([counted, open, stale], counts(1))).toEqual([expect.stringContaining('shows 0, where 1 to 1 were possible')])
    expect(found([{ ...counted, invoked: 4, completed: 5 }, open, stale], counts(1))).toEqual([])
    // No process was reached: there is no write.
    const unreached = op([3], [set('a', 'own')], { via: 'live', process: 1 })
    expect(found([unreached, { ...write, ...here, invoked: 4, completed: 5 }, stale], final)).toEqual(lacks)
  })

  it('a read during a write may see the write or not', () => {
    expect(found([op([0, 3], [set('v')]), read([1, 2], doc())], final)).toEqual([])
    expect(found([op([0, 3], [set('v')]), read([1, 2], final)], final)).toEqual([])
  })

  it('a read that sees a later write is a violation', () => {
    expect(found([read([0, 1], final), op([2, 3], [set('v')])], final)).toHaveLength(1)
  })

  it('a delete that finds nothing counts as a read', () => {
    expect(found([write, op([2, 3], [drop()], { effects: [false] })], final)).toHaveLength(1)
    expect(found([op([0, 1], [drop()], { effects: [false] }), op([2, 3], [set('v')])], final)).toEqual([])
  })
})

describe('the history checker, of the session', () => {
  it('the session has to be there until it is destroyed, and not afterwards', () => {
    expect(found([], undefined)).toEqual([expect.stringContaining('does not hold the session')])
    expect(found([op([0], [set('v')], { error: 'the session was not found' })], doc())).toHaveLength(1)
    expect(found([], doc(), { destroyed: true, afterwards: undefined })).toEqual([])
    expect(found([], doc(), { destroyed: true, afterwards: { bag: {} } })).toEqual([
      expect.stringContaining('in the store again'),
    ])
  })
})

describe('the schedule of a torture run', () => {
  const schedule = (seed: number): unknown[] =>
    planClients(seed, 3, { http: 2, socket: 2, update: 2 }).map((plan) => Array.from({ length: 20 }, () => plan.next()))

  it('a schedule is repeated by its seed', () => {
    expect(schedule(5)).toEqual(schedule(5))
    expect(schedule(5)).not.toEqual(schedule(6))
  })

  it('the report names the schedule, with the operations of the first violation', () => {
    const history = { operations: [op([0, 1], [set('v')])], final: doc() }
    const options = { store: 'redis', seed: 5, processes: 3, seconds: 60, chaos: { kills: true } } as const
    const text = report({ history, violations: checkHistory(history), refusals: 0 }, options)
    expect(text).toContain('[0-1] operation 0: http0 on process 0, http by http: bag.k = v')
    expect(text).toContain('npm run torture -- --store redis --seed 5 --processes 3 --seconds 60')
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { equal, type JsonObject } from '../../src/document/json.js'
import { merge } from '../../src/document/merge.js'
import { StrategyTable } from '../../src/document/merge-strategy.js'
import { apply } from '../../src/document/patch.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { documents } from './documents.js'
import { type Any, plain } from './harness.js'

const rules = StrategyTable.of({ n: 'sum', 'stats.*': 'sum', 'slots.*': 'sum', 'items.*.n': 'sum' })

/** The places of the counters, and the ways in which applications count. */
const COUNTERS: ((doc: Any, by: number) => void)[] = [
  (doc, by) => {
    doc.n = (doc.n ?? 0) + by
  },
  (doc, by) => {
    doc.stats ??= {}
    doc.stats.a = (doc.stats.a ?? 0) + by
  },
  (doc, by) => {
    doc.stats = { ...doc.stats, a: (doc.stats?.a ?? 0) + by }
  },
  (doc, by) => {
    doc.slots[1] += by
  },
  (doc, by) => {
    doc.items.find(({ id }: Any) => id === 2).n += by
  },
]
const START = {
  slots: [0, 0],
  items: [
    { id: 1, n: 0 },
    { id: 2, n: 0 },
  ],
}
const zeros = (): Any => ({ ...plain(START), n: 0, stats: { a: 0 } })

/** What the store holds, and everybody who writes it. */
class World {
  stored: JsonObject = plain(START) as JsonObject
  readonly wanted = zeros()
  readonly tracked = [0, 1].map(() => new TrackedDocument(plain(START) as JsonObject, { strategies: rules }))
  readonly views: Any[] = this.tracked.map((document) => document.view({}))
  /** A request: what it had loaded, and what it has. */
  loaded: Any = plain(START)
  request: Any = plain(START)

  count(who: number, counter: number, by: number): void {
    COUNTERS[counter]!(this.views[who] ?? this.request, by)
    COUNTERS[counter]!(this.wanted, by)
  }

  /** @param fate of the save: it arrives, the store fails, or another writer is faster */
  save(who: number, fate: 'arrives' | 'fails' | 'late'): void {
    const document = this.tracked[who]
    if (!document) {
      this.saveRequest(fate)
      return
    }
    document.rebase(plain(this.stored))
    document.takeChanges()
    if (fate === 'arrives') this.stored = document.snapshot()
    else document.rollback()
    if (fate === 'late') this.interfere()
    if (fate === 'late') this.save(who, 'arrives')
  }

  hear(who: number): void {
    this.tracked[who]?.rebase(plain(this.stored))
  }

  private saveRequest(fate: string): void {
    const next = () => merge(this.loaded, this.request, this.stored, rules)
    next()
    if (fate === 'fails') return
    if (fate === 'late') this.interfere()
    this.stored = next().data
    this.loaded = plain(this.request)
  }

  private interfere(): void {
    const next: Any = plain(this.stored)
    COUNTERS[1]!(next, 100)
    COUNTERS[1]!(this.wanted, 100)
    this.stored = next
  }
}

describe("the strategy 'sum' in random runs", () => {
  it('is exact, whoever counts and however saves fail, lose a race and are repeated', () => {
    const who = fc.nat(2)
    const steps = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.tuple(fc.constant('count' as const), who, fc.nat(COUNTERS.length - 1), fc.integer({ min: -3, max: 3 })),
      },
      fc.tuple(fc.constant('save' as const), who, fc.constantFrom('arrives' as const, 'fails' as const, 'late' as const)),
      fc.tuple(fc.constant('hear' as const), who),
    )
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 30 }), (todo) => {
        const world = new World()
        for (const step of todo) {
          if (step[0] === 'count') world.count(step[1], step[2], step[3])
          else if (step[0] === 'save') world.save(step[1], step[2])
          else world.hear(step[1])
        }
        for (const writer of [0, 1, 2]) world.save(writer, 'arrives')
        const stored: Any = world.stored
        expect({ ...zeros(), ...stored, stats: { a: 0, ...stored.stats } }).toEqual(world.wanted)
        for (const [index, document] of world.tracked.entries()) {
          world.hear(index)
          expect(document.snapshot()).toEqual(stored)
          expect(document.hasChanges()).toBe(false)
        }
      }),
      { numRuns: 400 },
    )
  })
})

describe('strategies in random runs', () => {
  const both = (base: Any, mine: Any, theirs: Any, key: string) => !equal(base[key], mine[key]) && !equal(base[key], theirs[key])

  it("'whole' takes mine or theirs if both changed an object, never a mixture, and the only change otherwise", () => {
    fc.assert(
      fc.property(documents, documents, documents, (base, mine, theirs) => {
        const { data, patches, conflicts } = merge(base, mine, theirs, StrategyTable.of({ '*': 'whole' }))
        expect(apply(plain(theirs), patches)).toEqual(data)
        for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
          const reported = conflicts.some(({ path }) => path[0] === key)
          if (both(base, mine, theirs, key)) {
            expect([mine[key], theirs[key]]).toContainEqual(data[key])
            expect(reported).toBe(!equal(mine[key], theirs[key]))
          } else {
            expect(data[key]).toEqual(equal(base[key], mine[key]) ? theirs[key] : mine[key])
            expect(reported).toBe(false)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('a merge function decides exactly the values that both changed', () => {
    fc.assert(
      fc.property(documents, documents, documents, (base, mine, theirs) => {
        const decide = (b: Any, m: Any, t: Any) => ({ b: b ?? null, m: m ?? null, t: t ?? null })
        const { data, patches, conflicts } = merge(base, mine, theirs, StrategyTable.of({ '*': decide }))
        expect(apply(plain(theirs), patches)).toEqual(data)
        expect(conflicts).toEqual([])
        for (const key of new Set([...Object.keys(base), ...Object.keys(mine), ...Object.keys(theirs)])) {
          if (both(base, mine, theirs, key)) expect(data[key]).toEqual(decide(base[key], mine[key], theirs[key]))
          else expect(data[key]).toEqual(equal(base[key], mine[key]) ? theirs[key] : mine[key])
        }
      }),
      { numRuns: 500 },
    )
  })
})

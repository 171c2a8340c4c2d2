import { applyPatches, enablePatches, setAutoFreeze } from 'immer'
import type { JsonObject } from '../../src/document/json.js'
import { StrategyTable } from '../../src/document/merge-strategy.js'
import { apply, diff, type Patch } from '../../src/document/patch.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'

/**
 * Differential fuzzing: the same random operations on a document and on plain objects.
 *
 * `local`: there is no other writer, so the plain objects show at every moment what the live tree must be.
 * `remote`: another writer changes the stored document now and then; what the document merged is compared with what it promises.
 * `both`: the modes take turns.
 */
export type Mode = 'local' | 'remote' | 'both'

type Any = any
type Pair = [live: Any, plain: Any]

export interface Failure {
  seed: number
  run: number
  mode: Mode
  message: string
  trace: string[]
}

enablePatches()
setAutoFreeze(false)

export const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value))

/** Key order does not count, `undefined` does not exist. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same((a as Any)[key], (b as Any)[key]))
}

/** Whatever a strategy makes of a value, the base is theirs afterwards, and the patches lead there. */
const RULES = StrategyTable.of({
  '*': 'sum',
  k1: 'whole',
  'o.*': 'whole',
  'arr.*': (_base, mine, theirs) => [mine, theirs],
  'arr.*.k0': () => undefined,
  k2: (base, mine) => mine ?? base,
  '*.*.k3': 'sum',
})

/** mulberry32 */
function random(seed: number): () => number {
  let s = seed | 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const isContainer = (value: unknown): value is Any => typeof value === 'object' && value !== null

function contains(tree: unknown, wanted: unknown): boolean {
  return tree === wanted || (isContainer(tree) && Object.values(tree).some((value) => contains(value, wanted)))
}

function hasAlias(tree: unknown, seen = new Set<unknown>()): boolean {
  if (!isContainer(tree)) return false
  if (seen.has(tree)) return true
  seen.add(tree)
  return Object.values(tree).some((value) => hasAlias(value, seen))
}

/** `session.cart ??= {}` and something of one's own in it: an array, or an object with an array in it. */
function contribute(root: Any, key: string, item: string): void {
  if (/[02468]$/.test(key)) {
    root[key] ??= {}
    root[key][item] = 1
    root[key].deep ??= []
    root[key].deep.push(item)
  } else {
    root[key] ??= []
    root[key].push(item)
  }
}

/** What a container made by {@link contribute} has in it, in any order. */
function contents(made: Any): string[] {
  const { deep = [], ...rest } = Array.isArray(made) ? { deep: made } : made
  return [...Object.keys(rest), ...deep.map((item: unknown) => `deep ${JSON.stringify(item)}`)].sort()
}

class Run {
  readonly trace: string[] = []
  private readonly next: () => number
  private readonly document: TrackedDocument
  private readonly views: Any[]
  private base: JsonObject
  private plain: Any
  private held: Pair[] = []
  private names = 0
  /** Keys of the root at which both sides make the same container where there is none, and put something of their own into it. */
  private readonly made: string[] = []

  constructor(
    seed: number,
    private readonly run: number,
    private readonly remote: boolean,
  ) {
    this.next = random(seed * 100_003 + run)
    const start = {
      k0: this.value(),
      k1: this.value(),
      arr: [1, 2, { id: 'a' }, { id: 'b', z: [1] }],
      o: { k0: { k1: [] } },
    }
    this.base = copy(start) as JsonObject
    this.plain = copy(start)
    this.document = new TrackedDocument(copy(start) as JsonObject, {
      strategies: remote && this.next() < 0.5 ? RULES : undefined,
    })
    this.views = [{}, {}, {}].map((author) => this.document.view(author))
  }

  go(): void {
    for (let step = 0; step < 40; step++) {
      this.step()
      this.check()
    }
    this.takeChanges()
  }

  private int(below: number): number {
    return Math.floor(this.next() * below)
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)] as T
  }

  private value(depth = 0): Any {
    const x = this.next()
    if (x < 0.5 || depth > 2) return this.pick([this.int(5), this.pick(['a', 'b', 'c']), true, null, this.int(100)])
    if (x < 0.75) {
      const object: Any = this.next() < 0.7 ? { id: this.names++ } : {}
      for (let i = this.int(3); i > 0; i--) object[this.key()] = this.value(depth + 1)
      return object
    }
    return Array.from({ length: this.int(4) }, () => this.value(depth + 1))
  }

  private key(): string {
    return `k${this.int(4)}`
  }

  private walk(): Pair {
    let live = this.pick(this.views)
    let plain = this.plain
    while (this.next() < 0.75) {
      const keys = Object.keys(plain).filter((key) => isContainer(plain[key]))
      if (keys.length === 0) break
      const key = this.pick(keys)
      live = live[key]
      plain = plain[key]
    }
    return [live, plain]
  }

  private expect(what: string, got: unknown, wanted: unknown): void {
    if (!same(got, wanted)) throw new Error(`${what}: got ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`)
  }

  private check(): void {
    this.expect('base', this.document.base(), this.base)
    const live = this.document.snapshot()
    this.expect('live', live, copy(this.plain))
    const differs = !same(live, this.base)
    if (this.document.hasChanges() !== differs) throw new Error(`hasChanges() is ${!differs}`)
    if (differs && !this.document.mayHaveChanges) throw new Error('mayHaveChanges is false')
  }

  /** After an operation whose result only the document knows, the plain objects start again from its snapshot. */
  private resync(): void {
    this.plain = this.document.snapshot()
    this.held = []
  }

  private takeChanges(): void {
    const { patches } = this.document.takeChanges()
    this.verify(patches, this.base, this.document.snapshot())
    this.base = this.document.snapshot()
    // The structural difference is the oracle: where it sees none, there must be no patch.
    if (patches.length > 0 && !same(this.document.base(), this.base)) throw new Error('takeChanges did not move the base')
  }

  private verify(patches: Patch[], from: JsonObject, to: JsonObject): void {
    const wire = copy(patches)
    if (wire.length > 0 && diff(from, to).length === 0) throw new Error(`patches of nothing: ${JSON.stringify(wire)}`)
    this.expect('immer', applyPatches(from, wire as Any), to)
    this.expect('patches', apply(copy(from), wire), to)
  }

  private flush(): void {
    if (hasAlias(this.plain)) {
      const before = this.document.snapshot()
      const base = this.base
      if (this.next() < 0.3) {
        // A failed save: aliases are split, and the base is the old one all the same.
        this.document.takeChanges()
        this.document.rollback()
        this.expect('live after rollback', this.document.snapshot(), before)
        this.expect('base after rollback', this.document.base(), base)
      }
      this.takeChanges()
      this.resync()
      return
    }
    if (this.next() < 0.25) {
      this.document.takeChanges()
      const written = this.next() < 0.5
      if (written) this.write()
      this.document.rollback()
      this.check()
      if (this.next() < 0.5) return
      if (hasAlias(this.plain)) {
        this.flush()
        return
      }
    }
    this.takeChanges()
  }

  private discard(): void {
    this.document.discard()
    this.expect('discard', this.document.snapshot(), this.base)
    const held = this.held
    this.resync()
    // References taken before must go on working.
    for (const [live] of held) {
      if (Array.isArray(live)) live.push('after')
      else live.after = this.run
    }
    this.plain = this.document.snapshot()
  }

  private rebase(): void {
    const theirs = copy(this.base)
    if (this.made.length > 0 && this.next() < 0.5) {
      this.contributions(theirs)
      return
    }
    let target: Any = theirs
    while (this.next() < 0.7) {
      const keys = Object.keys(target).filter((key) => isContainer(target[key]))
      if (keys.length === 0) break
      target = target[this.pick(keys)]
    }
    for (let i = this.int(3) + 1; i > 0; i--) this.change(target)
    const clean = !this.document.hasChanges()
    this.rebaseOn(theirs)
    if (clean) this.expect('clean merge', this.document.snapshot(), this.base)
    const held = this.held
    this.resync()
    for (const [live] of held) {
      if (Array.isArray(live)) live.push('after')
      else live.after = this.run
    }
    this.plain = this.document.snapshot()
    if (this.next() < 0.6) this.takeChanges()
    this.plain = this.document.snapshot()
  }

  private rebaseOn(theirs: JsonObject): void {
    const before = this.base
    const { patches } = this.document.rebase(theirs)
    this.base = copy(theirs)
    this.verify(patches, before, this.base)
    this.expect('base after rebase', this.document.base(), this.base)
  }

  /** The other writer does nothing but put something of its own into the containers that both make: both sides keep all of it. */
  private contributions(theirs: Any): void {
    const key = this.pick(this.made)
    const item = `t${this.names++}`
    this.trace.push(`their ${item} in ${key}`)
    contribute(theirs, key, item)
    const expected = copy(this.plain)
    contribute(expected, key, item)
    this.rebaseOn(theirs)
    this.resync()
    this.expect(`what both put into ${key}`, contents(this.plain[key]), contents(expected[key]))
  }

  private create(): void {
    const key = this.made.length > 0 && this.next() < 0.6 ? this.pick(this.made) : `c${this.names++}`
    if (!this.made.includes(key)) this.made.push(key)
    const item = `m${this.names++}`
    this.trace.push(`my ${item} in ${key}`)
    for (const root of [this.pick(this.views), this.plain]) contribute(root, key, item)
  }

  private change(target: Any): void {
    if (Array.isArray(target)) {
      this.pick([
        () => target.push(this.value()),
        () => target.splice(this.int(target.length + 1), this.int(2), this.value()),
        () => target.shift(),
        () => target.reverse(),
        () => {
          if (target.length > 0) target[this.int(target.length)] = this.value()
        },
      ])()
    } else if (this.next() < 0.7) target[this.key()] = this.value()
    else delete target[this.key()]
  }

  private step(): void {
    if (hasAlias(this.plain) && this.next() < 0.5) {
      this.trace.push('flush alias')
      this.flush()
      return
    }
    const op = this.next()
    if (op < 0.08) {
      this.trace.push('flush')
      this.flush()
    } else if (op < 0.1) {
      this.trace.push('discard')
      this.discard()
    } else if (op < 0.17) this.held.push(this.walk())
    else if (op < 0.23 && this.remote && !hasAlias(this.plain)) {
      this.trace.push('rebase')
      this.rebase()
    } else if (op < 0.28) this.raw()
    else if (op < 0.33) this.create()
    else this.write()
  }

  /** A raw object is assigned and changed afterwards, as `const c = (session.x ??= {})` does. */
  private raw(): void {
    const [live, plain] = this.walk()
    if (Array.isArray(plain)) return
    const key = this.key()
    const raw = this.value()
    if (!isContainer(raw)) return
    this.trace.push(`raw ${key}`)
    live[key] = raw
    plain[key] = raw
    for (let i = this.int(3); i > 0; i--) this.change(this.pick([raw, ...Object.values(raw).filter(isContainer)]))
    this.document.scanWatchedObjects()
    // The oracle must not share the raw object with the document.
    if (contains(this.plain, plain)) this.replace(plain, key, copy(raw))
  }

  private replace(target: Any, key: string, value: unknown): void {
    target[key] = value
  }

  private write(): void {
    const [live, plain] = this.held.length > 0 && this.next() < 0.4 ? this.pick(this.held) : this.walk()
    if (Array.isArray(plain)) this.writeArray(live, plain)
    else this.writeObject(live, plain)
  }

  private writeObject(live: Any, plain: Any): void {
    const op = this.int(8)
    const key = this.key()
    const value = this.value()
    this.trace.push(`object ${op} ${key}`)
    if (op < 3) {
      live[key] = copy(value)
      plain[key] = copy(value)
    } else if (op === 3) {
      delete live[key]
      delete plain[key]
    } else if (op === 4) {
      Object.assign(live, { k1: 1, k2: copy(value) })
      Object.assign(plain, { k1: 1, k2: copy(value) })
    } else if (op === 5 && this.held.length > 0) this.attach(this.pick(this.held), [live, plain], key)
    else if (op === 6 && isContainer(plain[key])) {
      const moved: Pair = [live[key], plain[key]]
      delete live[key]
      delete plain[key]
      this.held.push(moved)
      this.attach(moved, this.walk(), 'mv')
    } else if (op === 7 && isContainer(plain[key]) && !hasAlias(this.plain)) {
      // Two places for one object.
      const [live2, plain2] = this.walk()
      if (!contains(plain[key], plain2) && contains(this.plain, plain)) this.put([live2, plain2], 'al', [live[key], plain[key]])
    }
  }

  private attach([live, plain]: Pair, to: Pair, key: string): void {
    if (contains(this.plain, plain) || contains(plain, to[1]) || !contains(this.plain, to[1])) return
    this.put(to, key, [live, plain])
  }

  private put([live, plain]: Pair, key: string, [value, plainValue]: Pair): void {
    if (Array.isArray(plain)) {
      live.push(value)
      plain.push(plainValue)
    } else {
      live[key] = value
      plain[key] = plainValue
    }
  }

  private writeArray(live: Any, plain: Any): void {
    const op = this.int(13)
    const value = this.value()
    const place = this.int(plain.length + 1)
    this.trace.push(`array ${op} ${place}`)
    const on = (change: (list: Any) => unknown) => {
      const result = change(live)
      const wanted = change(plain)
      if (typeof wanted === 'number') this.expect('result', result, wanted)
    }
    const order = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
    const removed = this.int(3)
    if (op === 0) on((list) => list.push(copy(value), 1))
    else if (op === 1) on((list) => list.pop())
    else if (op === 2) on((list) => list.shift())
    else if (op === 3) on((list) => list.unshift(copy(value)))
    else if (op === 4) on((list) => list.splice(place, removed, copy(value)))
    else if (op === 5) on((list) => list.sort(order))
    else if (op === 6) on((list) => list.reverse())
    else if (op === 7) on((list) => (list.length = place))
    else if (op === 8 && place < plain.length) on((list) => (list[place] = copy(value)))
    else if (op === 9) on((list) => ([list[0], list[place]] = [list[place] ?? null, list[0] ?? null]))
    else if (op === 10) on((list) => list.copyWithin(0, place, place + 1))
    else if (op === 11 && !isContainer(value)) on((list) => list.fill(value, place))
    else if (op === 12 && isContainer(plain[place])) {
      const [movedLive] = live.splice(place, 1)
      const [movedPlain] = plain.splice(place, 1)
      this.held.push([movedLive, movedPlain])
      this.attach([movedLive, movedPlain], this.walk(), 'mv')
    }
  }
}

/** One run; a failure says how to replay it. */
export function fuzzOne(seed: number, run: number, mode: Mode): Failure | undefined {
  const one = new Run(seed, run, mode === 'remote' || (mode === 'both' && run % 2 === 1))
  try {
    one.go()
    return undefined
  } catch (error) {
    const { message, stack } = error as Error
    const where = message.includes(': got') ? '' : String(stack).split('\n').slice(1, 6).join('\n')
    return { seed, run, mode, message: `${message}\n${where}`, trace: one.trace }
  }
}

export function describe({ seed, run, mode, message, trace }: Failure): string {
  return `${message}\n  ${trace.join(', ')}\n  replay: npm run fuzz -- --mode ${mode} --seed ${seed} --run ${run}`
}

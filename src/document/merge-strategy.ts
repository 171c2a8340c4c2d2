import { SharedSessionError } from '../errors.js'
import { formatPath, NotJsonError } from './errors.js'
import { ABSENT, clone, equal, isObject, type Path, sameKind } from './json.js'
import { toJson } from './to-json.js'

/** Two writers changed the same place. */
export interface Conflict {
  path: Path
  /**
   * `both-set`: both changed this value. `deleted-under-edit`: one removed what the other changed inside. `orphan-write`: something was
   * written, through a reference still held, to what another writer had removed.
   */
  kind: 'both-set' | 'deleted-under-edit' | 'orphan-write'
  /** The value both started from; `undefined` where there was none, as for the others. */
  base?: unknown
  mine?: unknown
  theirs?: unknown
  won: 'mine' | 'theirs'
}

/**
 * Makes one value of two. Called with copies, `undefined` for what is absent; what it returns becomes the value, `undefined` removes it.
 * The values are the application's, whose types are not known here: hence `any`.
 */
export type MergeFunction = (base: any, mine: any, theirs: any) => unknown

/** What becomes of a place that two writers have changed. */
export type MergeStrategy = 'last' | 'sum' | 'whole' | MergeFunction

/** A place that both have changed, as JSON; {@link ABSENT} for what is not there. */
export interface ConflictSite {
  path: Path
  base: unknown
  mine: unknown
  theirs: unknown
}

/** What a strategy made of a place. */
export interface Resolution {
  value: unknown
  conflict?: Conflict
}

/**
 * Asks a strategy. It may be asked again about its own result, with another `theirs`, when a save has to be done again: the base is then
 * what it was given as `theirs` before, so that nothing is counted twice.
 *
 * @param failed is told of a function that threw, or returned what cannot be stored
 * @returns `undefined` where the place is merged as any other
 */
export function resolveConflict(
  strategy: MergeStrategy,
  place: ConflictSite,
  failed: (error: SharedSessionError) => void,
): Resolution | undefined {
  const { path, base, mine, theirs } = place
  if (strategy === 'last') return undefined
  if (strategy === 'sum') return sum(base, mine, theirs)
  // Changed there and back: only they did.
  if (isSameJson(base, mine)) return { value: theirs }
  if (strategy === 'whole') {
    // Removed by them, or something else put in its place: what I wrote inside is gone, as anywhere.
    if (!sameKind(mine, theirs)) return undefined
    const before = base === ABSENT ? undefined : base
    return equal(mine, theirs)
      ? { value: mine }
      : { value: mine, conflict: { path, kind: 'both-set', base: before, mine, theirs, won: 'mine' } }
  }
  try {
    return { value: callMergeFunction(strategy, place) }
  } catch (cause) {
    const why = cause instanceof NotJsonError ? `returned what cannot be stored: ${cause.reason}` : 'threw an error (see cause)'
    failed(
      new SharedSessionError('MERGE_FAILED', `${formatPath(path)}: the merge function ${why}; the later change wins.`, { cause }),
    )
    return undefined
  }
}

export const isSameJson = (a: unknown, b: unknown): boolean => a === b || (a !== ABSENT && b !== ABSENT && equal(a, b))

function sum(base: unknown, mine: unknown, theirs: unknown): Resolution | undefined {
  const start = base === ABSENT ? 0 : base
  if (typeof start !== 'number' || typeof mine !== 'number' || typeof theirs !== 'number') return undefined
  const value = theirs + (mine - start)
  return Number.isFinite(value) ? { value } : undefined
}

function callMergeFunction(merge: MergeFunction, { path, base, mine, theirs }: ConflictSite): unknown {
  const [before, ours, others] = [base, mine, theirs].map((value) => (value === ABSENT ? undefined : clone(value)))
  const value = merge(before, ours, others)
  if (value === undefined) return ABSENT
  if (isObject(value) && typeof (value as Partial<Promise<unknown>>).then === 'function') {
    // Its failure would belong to nobody.
    ;(value as Promise<unknown>).then(undefined, () => undefined)
    throw new NotJsonError(path, 'a promise; it must not be async')
  }
  const image = toJson(value, [...path])
  if (image === ABSENT || (image === null && value !== null))
    throw new NotJsonError(path, `a ${typeof value} that JSON does not have`)
  return image
}

/** Strategies by path, as the option `merge` has them: `'cart.total'`, `'counters.*'`. */
export type MergeRules = Readonly<Record<string, MergeStrategy>>

interface Branch {
  strategy?: MergeStrategy
  below: Map<string, Branch>
  /** Below any key. */
  any?: Branch
}

/** Any one key or index. */
const ANY = Symbol('*')

/** Which strategy holds at a place. Where several paths fit, one that names a key wins over one with `*`, from the left. */
export class StrategyTable {
  private readonly root: Branch = { below: new Map() }

  private constructor(rules: MergeRules) {
    for (const [path, strategy] of Object.entries(rules)) {
      let branch = this.root
      for (const key of parsePath(path) as (string | typeof ANY)[]) {
        const known: Branch | undefined = key === ANY ? branch.any : branch.below.get(key)
        const next: Branch = known ?? { below: new Map() }
        if (key === ANY) branch.any = next
        else branch.below.set(key, next)
        branch = next
      }
      branch.strategy = strategy
    }
  }

  /** @param rules each of a path that {@link parsePath} can read; @returns `undefined` for none */
  static of(rules: MergeRules): StrategyTable | undefined {
    return Object.keys(rules).length > 0 ? new StrategyTable(rules) : undefined
  }

  for(path: Path): MergeStrategy | undefined {
    return this.branches(path).find(({ strategy }) => strategy)?.strategy
  }

  /** Is there a strategy for something inside that place? */
  hasBelow(path: Path): boolean {
    return this.branches(path).some(({ below, any }) => any || below.size > 0)
  }

  private branches(path: Path): Branch[] {
    let branches = [this.root]
    for (const key of path) {
      if (branches.length === 0) break
      branches = branches.flatMap(({ below, any }) => [below.get(String(key)), any]).filter((branch) => branch !== undefined)
    }
    return branches
  }
}

/**
 * The keys of a path in dots: `'cart.total'`. A backslash takes the next character for itself, as in `'hosts.example\\.org'`.
 *
 * @returns `undefined` for a path that names nothing
 */
export function parsePath(path: string): (string | typeof ANY)[] | undefined {
  // A key is anything but dots and backslashes, which are escaped.
  if (!/^(?:[^.\\]|\\.)+(?:\.(?:[^.\\]|\\.)+)*$/s.test(path)) return undefined
  const keys = path.match(/(?:[^.\\]|\\.)+/gs) as string[]
  return keys.map((key) => (key === '*' ? ANY : key.replace(/\\(.)/gs, '$1')))
}

import { SharedSessionError } from '../errors.js'
import { isThenable } from '../util/promises.js'
import { formatPath, NotJsonError } from './errors.js'
import { ABSENT, clone, equal, type Path, sameKind } from './json.js'
import { toJson } from './to-json.js'

/**
 * Two writers changed the same value:
 *
 * ```js
 * { path: ['cart', 'total'], kind: 'both-set', base: 0, mine: 5, theirs: 7, won: 'mine' }
 * ```
 */
export interface Conflict {
  path: Path
  /**
   * `both-set`: both changed this value. `deleted-under-edit`: one removed a container, and the other changed something inside. `orphan-write`:
   * one wrote, through a reference that is still held, to a container that the other had removed.
   */
  kind: 'both-set' | 'deleted-under-edit' | 'orphan-write'
  /** The value that both started from; `undefined` for no value, as in `mine` and `theirs`. */
  base?: unknown
  mine?: unknown
  theirs?: unknown
  won: 'mine' | 'theirs'
}

/**
 * Makes one value of two. It is called with copies, and `undefined` for an absent value. What it returns becomes the value; `undefined` removes it.
 * The values are the application's, whose types are not known here: hence `any`.
 */
export type MergeFunction = (base: any, mine: any, theirs: any) => unknown

/** What becomes of a value that two writers changed. */
export type MergeStrategy = 'last' | 'sum' | 'whole' | MergeFunction

/** Strategies by path, as the option `merge` takes them: `'cart.total'`, `'counters.*'`. */
export type MergeRules = Readonly<Record<string, MergeStrategy>>

/** A value that both changed, as JSON; {@link ABSENT} for no value. */
export interface ConflictSite {
  path: Path
  base: unknown
  mine: unknown
  theirs: unknown
}

/** What a strategy made of a {@link ConflictSite}. */
export interface Resolution {
  value: unknown
  conflict?: Conflict
}

/**
 * Calls a strategy. If a save has to be repeated, it is called with its own result as `mine` and another `theirs`. The base is then the `theirs` of the
 * call before, so nothing is counted twice.
 *
 * @param onFailure is called if a merge function threw, or returned what cannot be stored
 * @returns `undefined` if the value is merged without a strategy
 */
export function resolveConflict(
  strategy: MergeStrategy,
  site: ConflictSite,
  onFailure: (error: SharedSessionError) => void,
): Resolution | undefined {
  const { path, base, mine, theirs } = site
  if (strategy === 'last') return undefined
  if (strategy === 'sum') return sum(base, mine, theirs)
  // I put the value back: only they changed it.
  if (equal(base, mine)) return { value: theirs }
  if (strategy === 'whole') {
    // They removed it, or replaced it by something of another kind: then what I wrote inside is gone, as without a strategy.
    if (!sameKind(mine, theirs)) return undefined
    const before = base === ABSENT ? undefined : base
    return equal(mine, theirs)
      ? { value: mine }
      : { value: mine, conflict: { path, kind: 'both-set', base: before, mine, theirs, won: 'mine' } }
  }
  try {
    return { value: callMergeFunction(strategy, site) }
  } catch (cause) {
    const why = cause instanceof NotJsonError ? `returned what cannot be stored: ${cause.reason}` : 'threw an error (see cause)'
    onFailure(
      new SharedSessionError('MERGE_FAILED', `${formatPath(path)}: the merge function ${why}; the later change wins.`, { cause }),
    )
    return undefined
  }
}

function sum(base: unknown, mine: unknown, theirs: unknown): Resolution | undefined {
  const start = base === ABSENT ? 0 : base
  if (typeof start !== 'number' || typeof mine !== 'number' || typeof theirs !== 'number') return undefined
  const value = theirs + (mine - start)
  return Number.isFinite(value) ? { value } : undefined
}

function callMergeFunction(merge: MergeFunction, { path, base, mine, theirs }: ConflictSite): unknown {
  const [baseCopy, mineCopy, theirsCopy] = [base, mine, theirs].map((value) => (value === ABSENT ? undefined : clone(value)))
  const value = merge(baseCopy, mineCopy, theirsCopy)
  if (value === undefined) return ABSENT
  if (isThenable(value)) {
    // Its rejection would be unhandled.
    value.then(undefined, () => undefined)
    throw new NotJsonError(path, 'a promise; it must not be async')
  }
  const json = toJson(value, [...path])
  if (json === ABSENT || (json === null && value !== null)) {
    throw new NotJsonError(path, `a ${typeof value} that JSON does not have`)
  }
  return json
}

/** A key of a strategy's path: the strategy of the path that ends here, and the keys that may follow. */
interface Branch {
  strategy?: MergeStrategy
  below: Map<string, Branch>
  /** For any key. */
  any?: Branch
}

/** Any one key or index. */
const ANY = Symbol('*')

/** Strategies by path. If several paths match, the one wins that has a key where the other has `*`, compared from the left. */
export class StrategyTable {
  private readonly root: Branch = { below: new Map() }

  private constructor(rules: MergeRules) {
    for (const [path, strategy] of Object.entries(rules)) {
      let branch = this.root
      for (const key of parsePath(path) as (string | typeof ANY)[]) {
        const existing: Branch | undefined = key === ANY ? branch.any : branch.below.get(key)
        const next: Branch = existing ?? { below: new Map() }
        if (key === ANY) branch.any = next
        else branch.below.set(key, next)
        branch = next
      }
      branch.strategy = strategy
    }
  }

  /** @param rules by paths that {@link parsePath} can read @returns `undefined` if there are none */
  static of(rules: MergeRules): StrategyTable | undefined {
    return Object.keys(rules).length > 0 ? new StrategyTable(rules) : undefined
  }

  for(path: Path): MergeStrategy | undefined {
    return this.branches(path).find(({ strategy }) => strategy)?.strategy
  }

  /** Is there a strategy for anything inside the value at this path? */
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
 * The keys of a path with dots: `'cart.total'`. A backslash escapes the next character, as in `'hosts.example\\.org'`.
 *
 * @returns `undefined` for a path that is not valid
 */
export function parsePath(path: string): (string | typeof ANY)[] | undefined {
  // A key consists of escaped characters, and of others that are neither dots nor backslashes.
  if (!/^(?:[^.\\]|\\.)+(?:\.(?:[^.\\]|\\.)+)*$/s.test(path)) return undefined
  const keys = path.match(/(?:[^.\\]|\\.)+/gs) as string[]
  return keys.map((key) => (key === '*' ? ANY : key.replace(/\\(.)/gs, '$1')))
}

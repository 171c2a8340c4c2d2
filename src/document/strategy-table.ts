import type { Path } from './json.js'
import type { MergeStrategy } from './merge-strategy.js'

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

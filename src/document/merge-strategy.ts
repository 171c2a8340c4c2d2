import { SharedSessionError } from '../errors.js'
import type { Conflict } from './conflict.js'
import { formatPath, NotJsonError } from './errors.js'
import { ABSENT, clone, equal, isObject, type Path, sameKind } from './json.js'
import { toJson } from './to-json.js'

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

import fc from 'fast-check'
import { type Outcome, prepare, simulate } from './simulation.js'

/** How many simulations each part of the search may take. */
const MOST = 250

/** Looks for few operations of a seed that fail in the same way. @returns the last simulation that failed, with its log */
export function shrink(seed: number, count: number): Outcome {
  const { plan } = prepare(seed, count)
  const first = simulate(seed, count)
  const kind = kindOf(first.violation)
  let best = plan.map(({ number }) => number)
  let left = MOST
  const run = (numbers: readonly number[], keepsLog = false): Outcome =>
    simulate(
      seed,
      count,
      keepsLog,
      plan.filter(({ number }) => numbers.includes(number)),
    )
  const fails = (numbers: readonly number[]): boolean => {
    if (left-- <= 0 || numbers.length >= best.length || kindOf(run(numbers).violation) !== kind) return false
    best = [...numbers]
    return true
  }
  // What comes after the failure has no part in it. Then ever smaller parts are taken out, the last ones first.
  fails(plan.filter(({ at }) => at <= first.now).map(({ number }) => number))
  for (let part = best.length >> 1; part > 0 && left > 0; part >>= 1) {
    for (let from = best.length - part; from > -part && left > 0; from -= part) {
      const start = Math.max(0, from)
      fails([...best.slice(0, start), ...best.slice(from + part)])
    }
  }
  left = MOST
  const { counterexample } = fc.check(
    fc.property(fc.subarray(best), (some) => left-- <= 0 || kindOf(run(some).violation) !== kind),
    { examples: [[best]], numRuns: 1, seed: 1 },
  )
  return run(counterexample?.[0] ?? best, true)
}

/** A violation without the names and numbers of its simulation. */
function kindOf(violation: string | undefined): string | undefined {
  return violation?.replaceAll(/\b(s[\w-]{8}|n\d[a-z]|[ik]?\d+)/g, '').slice(0, 50)
}

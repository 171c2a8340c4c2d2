import { expect } from 'vitest'
import { report } from './report.js'
import { type Outcome, type RunOptions, run } from './run.js'

export const TIME_LIMIT = 120_000
/** `HISTORY_SEED=7` runs the schedule that a failure has named. */
export const seed = Number(process.env.HISTORY_SEED ?? Date.now() % 1_000_000)

/** Everything that was acknowledged is there, and enough was. */
export async function holds(options: RunOptions): Promise<Outcome> {
  const outcome = await run(options)
  const { history, violations } = outcome
  if (violations.length > 0) throw new Error(report(outcome, options))
  const refused = history.operations.filter(({ completed }) => completed === undefined)
  expect(refused.map(({ id, error }) => ({ id, error }))).toEqual([])
  // Otherwise the processes were not in each other's way, and the run shows little.
  if (options.processes > 1) expect(outcome.refusals).toBeGreaterThan(10)
  console.log(report(outcome, options))
  return outcome
}

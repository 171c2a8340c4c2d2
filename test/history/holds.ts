import { expect, it } from 'vitest'
import { loses } from './loses.js'
import { report } from './report.js'
import { type Outcome, type RunOptions, run } from './run.js'
import type { StoreName } from './stores.js'

export const TIME_LIMIT = 300_000
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

/** The checker is of use: it finds what a store loses that has only its `get` and `set`. One store of each kind of server shows it. */
export function losesWithoutDriver(store: StoreName, url: () => string): void {
  it(`${store}, three processes without its driver: the checker finds what was lost`, { timeout: TIME_LIMIT }, async () => {
    await loses({ store, url: url(), seed, processes: 3, steps: 10 })
  })
}

import { describe, expect, it } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { report } from './report.js'
import { type Outcome, type RunOptions, run } from './run.js'

const TIME_LIMIT = 60_000
/** `HISTORY_SEED=7` runs the schedule that a failure has named. */
const seed = Number(process.env.HISTORY_SEED ?? Date.now() % 1_000_000)

/** Everything that was acknowledged is there, and enough was. */
async function holds(options: RunOptions): Promise<Outcome> {
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

describe('one process on MemoryStore', () => {
  it(
    'everything acknowledged is there, once, for every reader, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    () => holds({ store: 'memory', seed, processes: 1, steps: 40 }),
  )

  it('with merge: false requests that overlap lose what others wrote, and the checker finds it', {
    timeout: TIME_LIMIT,
  }, async () => {
    const options = { store: 'memory', seed, processes: 1, steps: 15, merge: false } as const
    const outcome = await run({ ...options, clients: { http: 8, socket: 0, update: 0 } })
    expect(outcome.violations).not.toEqual([])
    expect(report(outcome, options)).toMatch(/lacks .*although operation \d+ .* had set it, acknowledged[\s\S]*--seed \d+/)
  })
})

await withService('Redis', startRedis, (redis) => {
  it(
    'three processes: everything acknowledged is there, once, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    () => holds({ store: 'redis', url: redis().url, seed, processes: 3, steps: 30 }),
  )
})

await withService('Postgres', startPostgres, (postgres) => {
  it(
    'three processes: everything acknowledged is there, once, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    () => holds({ store: 'postgres', url: postgres().url, seed, processes: 3, steps: 30 }),
  )
})

import { describe, expect, it } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { holds, losesWithoutDriver, seed, TIME_LIMIT } from './holds.js'
import { report } from './report.js'
import { run } from './run.js'

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

  losesWithoutDriver('redis', () => redis().url)
})

await withService('Postgres', startPostgres, (postgres) => {
  it(
    'three processes: everything acknowledged is there, once, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    () => holds({ store: 'postgres', url: postgres().url, seed, processes: 3, steps: 30 }),
  )

  losesWithoutDriver('postgres', () => postgres().url)
})

import { beforeAll, describe, expect, it } from 'vitest'
import { bundle } from './bundle.js'
import { MUTANTS } from './mutants/mutants.js'
import { FIRST_SEED_OF_RARE_ORDERS } from './rare.js'
import { runInWorkers, type Totals } from './workers.js'

/** Schedules of each kind, of which some find the mutant. */
const SCHEDULES = 15
const KINDS = [1, FIRST_SEED_OF_RARE_ORDERS]

let path: string

async function run(workers: number, all = true): Promise<{ failures: string[]; totals: Totals; progress: number[] }> {
  const failures: string[] = []
  const progress: number[] = []
  const totals = await runInWorkers(path, {
    ranges: KINDS.map((seed) => ({ seed, schedules: SCHEDULES })),
    operations: 100,
    all,
    workers,
    onFailure: (line) => failures.push(withoutCount(line)),
    onProgress: (done) => progress.push(done),
  })
  return { failures: failures.sort(), totals, progress }
}

describe('simulations in several processes', () => {
  beforeAll(async () => {
    const mutant = MUTANTS.find(({ name }) => name === 'an ack does not wait for its save')
    path = await bundle('workers', [mutant as (typeof MUTANTS)[number]])
  })

  it('find what one process finds, with the same digest', async () => {
    const one = await run(1)
    const two = await run(2)
    expect(one.failures.length).toBeGreaterThan(0)
    expect(two.failures).toEqual(one.failures)
    expect({ ...two.totals, seconds: 0 }).toEqual({ ...one.totals, seconds: 0 })
    expect(one.totals).toMatchObject({ done: 2 * SCHEDULES, failures: one.failures.length })
    expect([one.progress.length, two.progress.length]).toEqual([1, 2])
  }, 300_000)

  it('stop at the first failure, unless all are asked for', async () => {
    const { failures, totals } = await run(2, false)
    expect(failures.length).toBeGreaterThan(0)
    expect(totals.done).toBeLessThan(2 * SCHEDULES)
  }, 300_000)
})

/** How many schedules its process had done by then. */
function withoutCount(line: string): string {
  const { failed, violation } = JSON.parse(line)
  return `${failed} ${violation}`
}

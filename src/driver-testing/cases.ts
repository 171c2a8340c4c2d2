import { contentCases } from './content.js'
import type { Cases, DriverFixture } from './fixture.js'
import { idCases } from './ids.js'
import { lifeCases } from './life.js'
import { networkCases } from './network.js'
import { storeCases } from './store.js'
import { processCases, writingCases } from './writing.js'

/** One thing that a driver has to do. */
export interface DriverCase {
  readonly name: string
  /** Rejects with an `AssertionError` of node:assert where the driver does something else. */
  run(): Promise<void>
}

/**
 * What each driver has to do, for any test runner: `for (const { name, run } of cases(fixture)) it(name, run)`.
 * @param fixture the cases may run in any order, one after the other
 */
export function cases(fixture: DriverFixture): DriverCase[] {
  const { driver, store, network, second } = fixture
  const all: Cases = {
    ...writingCases(driver),
    ...(second && processCases(driver, second)),
    ...idCases(fixture),
    ...contentCases(fixture),
    ...lifeCases(fixture),
    ...(store && storeCases(driver, store)),
    ...(network && networkCases(driver, network)),
  }
  return Object.entries(all).map(([name, run]) => ({ name, run }))
}

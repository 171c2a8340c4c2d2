import type { StoreDriver } from '../store/drivers/store-driver.js'
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
  const all = named(casesOf(fixture))
  if (!fixture.driver.readNow) return all
  const driver = withoutPromises(fixture.driver)
  return [...all, ...named(casesOf({ ...fixture, driver }), ', without a promise')]
}

function casesOf(fixture: DriverFixture): Cases {
  const { driver, store, network, second } = fixture
  return {
    ...writingCases(driver),
    ...(second && processCases(driver, second)),
    ...idCases(fixture),
    ...contentCases(fixture),
    ...lifeCases(fixture),
    ...(store && storeCases(driver, store)),
    ...(network && networkCases(driver, network)),
  }
}

function named(all: Cases, suffix = ''): DriverCase[] {
  return Object.entries(all).map(([name, run]) => ({ name: name + suffix, run }))
}

/** As the library uses a driver that has `readNow`: that in place of `read`, and `writeNow`, if it is there, in place of `write`. */
function withoutPromises(driver: StoreDriver): StoreDriver {
  const { readNow, writeNow } = driver
  const replaced: Partial<StoreDriver> = {
    ...(readNow && { read: async (sid) => readNow.call(driver, sid) }),
    ...(writeNow && { write: async (sid, next, expected) => writeNow.call(driver, sid, next, expected) }),
  }
  return new Proxy({} as StoreDriver, {
    get(_target, name) {
      const member: unknown = Reflect.get(name in replaced ? replaced : driver, name)
      // The driver's own members may need it as `this`.
      return typeof member === 'function' ? member.bind(driver) : member
    },
  })
}

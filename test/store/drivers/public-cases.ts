import { describe, it } from 'vitest'
import { cases, type DriverFixture } from '../../../src/driver-testing/index.js'

/**
 * The cases of the public contract.
 * @param fixture is asked when a test runs
 * @param members which members it has, beside the driver
 */
export function publicCases(fixture: () => DriverFixture, members: readonly Member[]): void {
  const driver = { readNow() {} }
  const all = { driver, store: {}, left: async () => 0, network: { delayRequest() {} }, second: {}, foldsCase: true }
  const parts = Object.fromEntries(members.map((member) => [member, all[member]]))
  describe('the cases for drivers of others', () => {
    // Their names depend on the members alone.
    for (const { name } of cases({ driver: {}, ...parts } as never)) {
      // The case of two processes is the same, with the writers on two drivers.
      if ('second' in parts && name === 'loses nothing where eight write at once') continue
      it(name, async () => {
        await cases(fixture())
          .find((each) => each.name === name)!
          .run()
      })
    }
  })
}

/** `driver`: it reads without a promise. */
type Member = 'store' | 'left' | 'network' | 'second' | 'foldsCase' | 'driver'

export const WITH_SERVER = ['store', 'left', 'network', 'second'] as const

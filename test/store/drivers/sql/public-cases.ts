import { describe, it } from 'vitest'
import { cases, type DriverFixture } from '../../../../src/driver-testing/index.js'

/** The cases of the public contract. The fixture is asked when a test runs. */
export function publicCases(fixture: () => DriverFixture): void {
  // Their names do not depend on the driver: it is asked for when a case runs.
  const names = cases({ driver: {} as never, store: {} as never, network: { delayRequest() {} } as never, left: async () => 0 })
  describe('the cases for drivers of others', () => {
    for (const { name } of names) {
      it(name, async (test) => {
        const found = cases(fixture()).find((each) => each.name === name)
        if (found) await found.run()
        else test.skip()
      })
    }
  })
}

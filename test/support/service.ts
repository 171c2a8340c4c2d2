import { afterAll, beforeAll, describe } from 'vitest'

/** What a suite needs of a server that it starts. */
interface Stoppable {
  stop(): Promise<void>
}

/**
 * A suite that needs a server. Where the server cannot be had the suite fails in CI, and is skipped with a message elsewhere.
 * @param start starts the server
 * @param suite is given a function that returns the started server, for hooks and tests
 */
export async function withService<T extends Stoppable>(
  name: string,
  start: () => Promise<T>,
  suite: (service: () => T) => void,
): Promise<void> {
  const [outcome] = await Promise.allSettled([start()])
  const service = (): T => {
    if (outcome.status === 'fulfilled') return outcome.value
    throw new Error(`${name} could not be started, and CI runs no less than everything`, { cause: outcome.reason })
  }
  if (outcome.status === 'rejected' && !process.env.CI) {
    console.log(`SKIPPED: ${name} could not be started. ${outcome.reason.message}`)
    describe.skip(name, () => suite(service))
    return
  }
  describe(name, () => {
    beforeAll(() => void service())
    afterAll(() => service().stop())
    suite(service)
  })
}

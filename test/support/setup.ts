import { afterAll, afterEach, beforeEach, expect, vi } from 'vitest'
import { checkWarnings, warningsOf, watchConsole } from './warnings.js'

// A test process runs one file after the other, as loading Express, Socket.IO and the databases' clients takes most of the time of a
// small file. What is ours is loaded anew for each file, so that none meets what another left in it. What is built is loaded once, by Node.
vi.resetModules()
vi.useRealTimers()
vi.unstubAllGlobals()

// A test may replace the timers.
const { setImmediate } = globalThis

watchConsole()

beforeEach(async () => {
  warningsOf(expect.getState().currentTestName ?? 'no test')
  // No test depends on which one has warned before it.
  const { warnedTopics } = await import('../../src/debug.js')
  warnedTopics.clear()
})

// The first `afterEach` is the last to run: what closes the applications comes before.
afterEach(failForWarnings)
afterAll(failForWarnings)

async function failForWarnings(): Promise<void> {
  // Node hands a warning out in the next tick.
  await new Promise((resolve) => setImmediate(resolve))
  const problem = checkWarnings()
  if (problem) throw new Error(problem)
}

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RevalidationTimer } from '../../src/session/revalidation-timer.js'
import { deferred } from '../support/wait.js'

describe('the revalidation timer', () => {
  it('does not check a session that was read or written lately, and checks one that was not', async () => {
    let readings = 0
    const checked = deferred<number>()
    const timer = new RevalidationTimer(
      {
        expires: undefined,
        get lastStoreContactMs() {
          readings++
          return readings < 3 ? Date.now() : 0
        },
        async revalidate() {
          checked.resolve(readings)
        },
      },
      10,
    )
    timer.start()
    expect(await checked.promise).toBe(3)
    timer.stop()
  })

  it('that is stopped during a check stays stopped', async () => {
    let checks = 0
    const asking = deferred()
    const answer = deferred()
    const timer = new RevalidationTimer(
      {
        expires: Date.now(),
        lastStoreContactMs: 0,
        revalidate() {
          checks++
          asking.resolve()
          return answer.promise
        },
      },
      5,
    )
    timer.start()
    await asking.promise
    timer.stop()
    answer.resolve()
    const other = deferred()
    const control = new RevalidationTimer(
      { expires: undefined, lastStoreContactMs: 0, revalidate: async () => other.resolve() },
      20,
    )
    control.start()
    await other.promise
    control.stop()
    expect(checks).toBe(1)
  })
})

describe('a session is looked up when its life is over:', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 0 })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  /** When the store is read in the first second, in ms after the expiry: it has the session longer than that. */
  async function readsOf(maxAge: number): Promise<number[]> {
    const expires = Date.now() + maxAge
    const reads: number[] = []
    const revalidate = async (): Promise<void> => void reads.push(Date.now() - expires)
    const timer = new RevalidationTimer({ expires, lastStoreContactMs: 0, revalidate }, false)
    timer.start()
    await vi.advanceTimersByTimeAsync(maxAge + 1000)
    timer.stop()
    return reads
  }

  it.each([100, 1001, 5003, 20_001, 20_005, 60_007, 3_600_011])('%i ms from now, once', async (maxAge) => {
    expect(await readsOf(maxAge)).toEqual([50])
  })
})

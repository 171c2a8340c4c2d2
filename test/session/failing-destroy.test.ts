import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { closeApps } from '../support/app.js'
import { turns, visited } from '../support/live.js'
import { until } from '../support/wait.js'

/** The pauses that were waited, in ms. */
const pauses: number[] = []

vi.mock('node:timers/promises', async (original) => ({
  ...(await original<object>()),
  setTimeout: (ms: number, value: unknown) => {
    pauses.push(ms)
    return new Promise((resolve) => setImmediate(resolve, value))
  },
}))

afterEach(closeApps)
afterAll(() => vi.doUnmock('node:timers/promises'))

/** Logs in while the store can destroy nothing, so many times. */
async function regenerated(failures: number) {
  pauses.length = 0
  const { browser, store, sid } = await visited()
  for (let failure = 0; failure < failures; failure++) store.fail('destroy', undefined, sid)
  await browser.get('/regenerate')
  const waited = (): number => pauses.reduce((sum, ms) => sum + ms, 0)
  return { store, sid, waited }
}

// Its pauses are those of the sources.
describe.skipIf(process.env.TEST_BUILT)('a session that regenerate() could not destroy', () => {
  it('the old session is destroyed when the store can do it after minutes', async () => {
    const { store, sid, waited } = await regenerated(30)
    await until(() => store.stored(sid) === undefined)
    expect(waited()).toBeGreaterThan(120_000)
  })

  it('the old session lives on if the store cannot do it for longer than about four minutes', async () => {
    const { store, sid, waited } = await regenerated(1000)
    await until(() => waited() > 160_000)
    await turns(1000)
    const tries = store.count('destroy')
    expect(waited()).toBeLessThan(360_000)
    await turns(1000)
    expect(store.count('destroy')).toBe(tries)
    expect(store.stored(sid)).toMatchObject({ user: 'ada' })
  })
})

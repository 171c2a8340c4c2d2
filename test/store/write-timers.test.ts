import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { closeApps } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { live } from '../support/live.js'

afterEach(closeApps)

it('writes to a store that compares share a timer', async () => {
  const timeout = 77_777
  const shared = { driver: sample(), bus: false, retry: { timeout } } as const
  const { app, client } = await live({ store: new DriverStore(), shared })
  const timers = vi.spyOn(globalThis, 'setTimeout')
  onTestFinished(() => timers.mockRestore())
  for (let n = 0; n < 20; n++) await client.emitWithAck('set', 'n', n)
  expect(app.shared.stats().writes).toBeGreaterThanOrEqual(20)
  const times = timers.mock.calls.map(([, ms = 0]) => ms).filter((ms) => ms > timeout - 1000 && ms <= timeout)
  expect(times.length).toBeLessThan(10)
})

import { MemoryStore } from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { collect, live, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** A bus that is there if it says so. Counts its calls. */
function optionalBus(answer: () => Promise<boolean>, more: object = {}) {
  const calls = { isAvailable: 0, close: 0 }
  const end = new MemoryBus().end()
  const bus = Object.assign(end, more, {
    isAvailable() {
      calls.isAvailable++
      return answer()
    },
    close() {
      calls.close++
    },
  })
  return { bus, calls }
}

describe('a bus with isAvailable()', () => {
  it('whose start throws ends no process: there is no bus, and a warning', async () => {
    const unhandled = collect(process, 'unhandledRejection')
    const warnings = expectWarning('The bus could not be started')
    const start = (): void => {
      throw new Error('no permission')
    }
    const { bus, calls } = optionalBus(async () => true, { start })
    const { app, client } = await live({ store: new MemoryStore(), shared: { bus } })
    await until(() => warnings.length > 0)
    expect(warnings[0]).toContain('no permission')
    await client.emitWithAck('set', 'n', 1)
    await turns()
    expect(unhandled).toEqual([])
    expect(app.shared.stats().bus).toBe(false)
    expect(calls).toEqual({ isAvailable: 1, close: 1 })
  })

  it.each([
    ['says no', async () => false],
    ['rejects', () => Promise.reject(new Error('no server'))],
  ])('that %s is not asked again by a later call of sharedsession()', async (_name, answer) => {
    const { bus, calls } = optionalBus(answer)
    let session: any
    const app = await startApp({
      store: new MemoryStore(),
      shared: { bus },
      wrap: (given) => {
        session = given
        return given
      },
    })
    await until(() => calls.close === 1)
    sharedsession(session, { bus })
    await turns()
    expect(calls).toEqual({ isAvailable: 1, close: 1 })
    expect(app.shared.stats().bus).toBe(false)
  })
})

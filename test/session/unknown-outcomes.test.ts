import { Store } from 'express-session'
import { IndeterminateWriteError, type StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { QUICK, tab } from '../support/live.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

/** Its driver is in place of its methods. */
class DriverStore extends Store {
  get(): void {}
  set(): void {}
  destroy(): void {}
}

const NEVER = new Promise<never>(() => undefined)

it('a request’s write whose first answer was lost and whose second never comes shows up in live sessions, although a read fails', async () => {
  let failsFrom = Number.POSITIVE_INFINITY
  let writes = 0
  let failedReads = 0
  const driver = sample((_rows, { read, write, readMany }): Partial<StoreDriver> => {
    const fails = (): boolean => writes >= failsFrom + 2 && failedReads++ < 2
    return {
      async write(...args) {
        writes++
        if (writes === failsFrom + 1) {
          await write(...args)
          throw new IndeterminateWriteError(new Error('the connection was lost'))
        }
        return writes === failsFrom + 2 ? NEVER : write(...args)
      },
      async read(sid) {
        if (fails()) throw new Error('down')
        return read(sid)
      },
      async readMany(sids) {
        if (fails()) throw new Error('down')
        return (readMany as NonNullable<typeof readMany>)(sids)
      },
    }
  })
  const app = await startApp({
    store: new DriverStore(),
    shared: { driver, retry: QUICK, revalidate: false, touch: false },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { socket, session } = await tab(app, browser)
  failsFrom = writes
  const heard = next(socket, 'session:changed', ({ keys }: any) => keys.includes('theme'))
  await browser.get('/set?theme=dark')
  expect(await heard).toMatchObject({ keys: ['theme'] })
  expect(session).toMatchObject({ user: 'ada', theme: 'dark' })
  expect(failedReads).toBeGreaterThan(1)
})

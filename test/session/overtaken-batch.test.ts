import type { StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import type { Bus, BusListener } from '../../src/bus.js'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { tab, turns } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

const WAYS = {
  async 'a commit that then fails'({ socket, session }: Awaited<ReturnType<typeof tab>>) {
    const failed = next(socket, 'session:error')
    session.color = 'red'
    expect(await failed).toMatchObject({ code: 'SAVE_FAILED' })
  },
  async 'reload()'({ session }: Awaited<ReturnType<typeof tab>>) {
    await session.reload()
  },
}

it.each(Object.entries(WAYS))('a batch takes no live session back that has been read since, by %s', async (_name, readAgain) => {
  const [read, goOn] = [deferred(), deferred()]
  let isDown = false
  let listener: BusListener | undefined
  const bus: Bus = {
    start(given) {
      listener = given
    },
    subscribe: () => undefined,
    unsubscribe: () => undefined,
    publish: () => undefined,
    close: () => undefined,
  }
  let isHeld = false
  const driver = sample((_rows, { write, readMany }): Partial<StoreDriver> => {
    return {
      async readMany(sids) {
        const found = await (readMany as NonNullable<typeof readMany>)(sids)
        if (isHeld) {
          read.resolve()
          await goOn.promise
        }
        return found
      },
      async write(...args) {
        const answer = await write(...args)
        // It has refused, and told what it holds. Then it cannot be reached any more.
        if (isHeld && answer.written === false) isDown = true
        else if (isDown) throw new Error('down')
        return answer
      },
    }
  })
  const retry = { attempts: 1, minDelay: 1, maxDelay: 1, timeout: 5000 }
  const app = await startApp({ store: new DriverStore(), shared: { driver, bus, revalidate: false, touch: false, retry } })
  const other = await startApp({ store: new DriverStore(), shared: { driver, bus: false, touch: false } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const opened = await tab(app, browser)
  const { session } = opened
  isHeld = true
  listener?.gap()
  await read.promise
  await other.shared.update(sidOf(browser), (draft: any) => {
    draft.theme = 'dark'
  })
  await readAgain(opened)
  expect(session).toMatchObject({ theme: 'dark' })
  goOn.resolve()
  await turns(20)
  expect(session).toMatchObject({ theme: 'dark' })
})

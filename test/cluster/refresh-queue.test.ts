import type { StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { collectGarbage } from '../support/garbage.js'
import { tab, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { sidOf } from '../support/sid.js'
import { deferred, until } from '../support/wait.js'

afterEach(closeApps)

it('what was read for sockets that have gone since is older than what the next socket has read', async () => {
  const [read, goOn] = [deferred(), deferred()]
  let isHeld = false
  const driver = sample((_rows, { readMany }): Partial<StoreDriver> => {
    return {
      async readMany(sids) {
        const found = await (readMany as NonNullable<typeof readMany>)(sids)
        if (isHeld) {
          isHeld = false
          read.resolve()
          await goOn.promise
        }
        return found
      },
    }
  })
  const bus = new MemoryBus()
  const end = bus.end()
  const node = (own: ReturnType<MemoryBus['end']>) =>
    startApp({
      store: new DriverStore(),
      shared: { driver, bus: Object.assign(own, { isPublic: true }), revalidate: false },
      wire: (io, shared) => void shared.attach(io).of('/idle'),
    })
  const [one, two] = [await node(end), await node(bus.end())]
  const browser = one.browser()
  await browser.get('/set?user=ada')
  const sid = sidOf(browser)
  // No handler there has the session, so that nothing holds it.
  const client = await browser.connect({ namespace: '/idle' })
  await until(() => end.topics.size === 1)
  isHeld = true
  const write = (theme: string) =>
    two.shared.update(sid, (draft: any) => {
      draft.theme = theme
    })
  await write('dark')
  await read.promise
  client.disconnect()
  await until(() => one.shared.stats().sockets === 0)
  await collectGarbage()
  await write('light')
  const { session } = await tab(one, browser)
  expect(session.theme).toBe('light')
  goOn.resolve()
  await turns()
  expect(session.theme).toBe('light')
})

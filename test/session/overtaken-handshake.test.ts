import type { StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { tab, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { sidOf } from '../support/sid.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

it('what a handshake has read in the turn of its session does not take back a live session that another handshake has opened since', async () => {
  const holds = [1, 2].map(() => ({ read: deferred(), goOn: deferred() }))
  let held: typeof holds = []
  const plain = sample()
  const driver: StoreDriver = {
    ...plain,
    async read(sid) {
      const hold = held.shift()
      const found = await plain.read(sid)
      hold?.read.resolve()
      await hold?.goOn.promise
      return found
    },
  }
  const options = { bus: false as const, revalidate: false as const, touch: false }
  const app = await startApp({
    store: new DriverStore(),
    shared: { ...options, driver },
    wire: (io, shared) => shared.attach(io),
  })
  const other = await startApp({ store: new DriverStore(), shared: { ...options, driver: plain } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const [first, second] = holds as [(typeof holds)[0], (typeof holds)[0]]
  held = [first]
  const client = browser.open()
  const connected = next(client, 'connect')
  await first.read.promise
  // It has to read again, in the turn of the session: a request has saved it meanwhile.
  await browser.get('/set?color=red')
  held = [second]
  first.goOn.resolve()
  await second.read.promise
  await other.shared.update(sidOf(browser), (draft: any) => {
    draft.theme = 'dark'
  })
  const { session } = await tab(app, browser)
  expect(session).toMatchObject({ color: 'red', theme: 'dark' })
  second.goOn.resolve()
  await connected
  await turns(20)
  expect(session).toMatchObject({ color: 'red', theme: 'dark' })
})

it('what a handshake has read shows in a live session that lags far behind, although a message has come meanwhile', async () => {
  const [read, goOn, refreshed] = [deferred(), deferred(), deferred()]
  let isHeld = false
  const plain = sample()
  const driver: StoreDriver = {
    ...plain,
    async read(sid) {
      const found = await plain.read(sid)
      if (!isHeld) return found
      isHeld = false
      read.resolve()
      await goOn.promise
      return found
    },
    async readMany(sids) {
      await refreshed.promise
      return (plain.readMany as NonNullable<StoreDriver['readMany']>)(sids)
    },
  }
  const bus = new MemoryBus()
  const options = { revalidate: false as const, touch: false }
  const app = await startApp({ store: new DriverStore(), shared: { ...options, driver, bus: bus.end() } })
  const other = await startApp({ store: new DriverStore(), shared: { ...options, driver: plain, bus: bus.end() } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const before = await tab(app, browser)
  const late: (() => void)[] = []
  bus.weather = (deliver) => void late.push(deliver)
  // More commits than a history names: it does not tell that what is read is newer.
  for (let n = 1; n <= 9; n++)
    await other.shared.update(sidOf(browser), (draft: any) => {
      draft.n = n
    })
  isHeld = true
  const connecting = tab(app, browser)
  await read.promise
  late.at(-1)?.()
  await turns()
  goOn.resolve()
  const { session } = await connecting
  expect(session).toMatchObject({ user: 'ada', n: 9 })
  expect(before.session).toMatchObject({ n: 9 })
  refreshed.resolve()
})

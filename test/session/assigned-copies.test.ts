import type { StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { tab } from '../support/live.js'
import { deferred } from '../support/wait.js'

afterEach(closeApps)

it('a socket that assigns a copy keeps what update() of another node has acknowledged, inside the object and the array', async () => {
  let sent: ReturnType<typeof deferred<void>> | undefined
  const written = deferred<void>()
  const driver = sample((_, { write }): Partial<StoreDriver> => {
    return {
      async write(...args) {
        const first = sent
        sent = undefined
        first?.resolve()
        // The other node's write comes before.
        if (first) await written.promise
        return write(...args)
      },
    }
  })
  const shared = { driver, revalidate: false, touch: false } as const
  const app = await startApp({ store: new DriverStore(), shared })
  const other = await startApp({ store: new DriverStore(), shared })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { client, socket } = await tab(app, browser)
  const { session, sessionID: sid } = socket.handshake as any
  await other.shared.update(sid, (draft: any) => {
    Object.assign(draft, { cart: { items: ['tea'], total: 1 }, seen: { a: 1 } })
  })
  await session.reload()
  socket.on('copies', (ack: () => void) => {
    const { cart, seen } = session
    session.cart = { ...cart, items: [...cart.items, 'cup'] }
    session.seen = { ...seen, mine: 1 }
    ack()
  })
  const conflicts: unknown[] = []
  for (const each of [app, other]) each.shared.events.on('session:conflict', (conflict) => conflicts.push(conflict))
  const first = deferred<void>()
  sent = first
  const acked = client.emitWithAck('copies')
  await first.promise
  await other.shared.update(sid, (draft: any) => {
    draft.cart.items.unshift('pot')
    draft.cart.total = 2
    draft.seen.theirs = 1
  })
  written.resolve()
  await acked
  const { cart, seen } = JSON.parse((await driver.read(sid))!.text)
  expect({ cart, seen }).toEqual({ cart: { items: ['pot', 'tea', 'cup'], total: 2 }, seen: { a: 1, mine: 1, theirs: 1 } })
  expect(session.cart).toEqual(cart)
  expect(conflicts).toEqual([])
})

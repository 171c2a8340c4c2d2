import type { StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import { encodeMessage } from '../../src/cluster/message.js'
import type { Bus } from '../../src/index.js'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { tab, visited } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { sidOf } from '../support/sid.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

it('a read that began before another node has rotated the session does not take back what that node says of the end', async () => {
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
  const node = () =>
    startApp({
      store: new DriverStore(),
      shared: { driver, bus: Object.assign(bus.end(), { isPublic: true }), revalidate: false },
    })
  const [one, two] = [await node(), await node()]
  const browser = one.browser()
  await browser.get('/set?user=ada')
  const sid = sidOf(browser)
  const { socket } = await tab(one, browser)
  isHeld = true
  await two.shared.update(sid, (draft: any) => {
    draft.theme = 'dark'
  })
  await read.promise
  const ended = next(socket, 'session:destroyed')
  const there = two.browser()
  there.cookie = browser.cookie
  await there.get('/regenerate')
  goOn.resolve()
  expect(await ended).toMatchObject({ reason: 'regenerated' })
})

it('the store moves while a rotation is said to be under way: what other nodes write is heard all the same', async () => {
  const driver = sample(() => ({}))
  const bus = new MemoryBus()
  const [end, other] = [bus.end(), bus.end()]
  const node = (bus: Bus) => startApp({ store: new DriverStore(), shared: { driver, bus, revalidate: false } })
  const [one, two] = [await node(end), await node(other)]
  const browser = one.browser()
  await browser.get('/set?user=ada')
  const { socket, session } = await tab(one, browser)
  const [topic] = end.topics
  const { messages } = one.shared.stats()
  bus.forge(topic as string, encodeMessage({ kind: 'end', reason: 'regenerated', answered: true }, 'another-process'))
  await until(() => one.shared.stats().messages > messages)
  end.moved()
  const changed = next(socket, 'session:changed')
  await two.shared.update(sidOf(browser), (draft: any) => {
    draft.theme = 'dark'
  })
  expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
  expect(session.theme).toBe('dark')
})

it('a regenerate() that failed when the last socket had left says nothing of how the session ends later', async () => {
  const { app, browser, store, sid } = await visited({
    wire: (io, shared) => void shared.attach(io).of('/idle'),
    routes: (site) => {
      // The browser keeps its cookie.
      site.get('/too-late', (req, res) => {
        res.flushHeaders()
        req.session.regenerate(() => res.end())
      })
    },
  })
  // No handler there has the session, so that nothing holds it.
  const client = await browser.connect({ namespace: '/idle' })
  store.fail('destroy', undefined, sid)
  store.pass('get', sid)
  const read = store.hold('get', { sid })
  await browser.get('/too-late')
  await read.called
  client.disconnect()
  await until(() => app.shared.stats().sockets === 0)
  read.release()
  await app.shared.flush()
  const { socket } = await tab(app, browser)
  const ended = next(socket, 'session:destroyed')
  store.gone(sid)
  await browser.get('/session')
  expect(await ended).toMatchObject({ reason: 'destroyed' })
})

import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn, sidOf, turnedAway } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

async function visitor(options: AppOptions = {}) {
  const store = new ControlledStore()
  let came = 0
  const app = await startApp({
    store,
    io: {
      allowRequest(_request, decide) {
        came++
        decide(null, true)
      },
    },
    ...options,
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  // The store is known from the first handshake on.
  await browser.connect()
  store.calls.length = 0
  const arrived = async (count: number): Promise<void> => {
    await until(() => came === count + 1)
    // Its cookie is read before its session.
    await turns()
  }
  return { app, store, browser, arrived, sid: sidOf(browser) }
}

describe('concurrent handshakes of one session', () => {
  it('asked for while a read is in flight share the next read, and each gets the session', async () => {
    const { app, store, browser, sid, arrived } = await visitor()
    const get = store.hold('get')
    const first = browser.open()
    await get.called
    const tabs = Array.from({ length: 9 }, () => browser.open())
    await arrived(10)
    get.release()
    await Promise.all([first, ...tabs].map((tab) => letIn(tab)))
    expect(store.count('get')).toBe(2)
    expect(app.shared.stats()).toMatchObject({ sessions: 1, sockets: 11 })
    for (const tab of tabs) expect(await tab.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(app.sockets.every((socket) => (socket.handshake as any).sessionID === sid)).toBe(true)
  })

  it('get a copy each: a middleware of one handshake does not write into that of another', async () => {
    const seen: string[][] = []
    const { store, browser, arrived } = await visitor({
      wrap: (session) => (req, res, done) =>
        session(req, res, (error) => {
          req.session?.cart?.items.push('apple')
          if (req.session?.cart) seen.push(req.session.cart.items)
          done(error)
        }),
      routes: (http) =>
        http.get('/cart', (req, res) => {
          req.session.cart = { items: [] }
          res.end()
        }),
    })
    await browser.get('/cart')
    store.calls.length = 0
    const get = store.hold('get')
    const first = browser.open()
    await get.called
    const tabs = Array.from({ length: 3 }, () => browser.open())
    await arrived(4)
    get.release()
    await Promise.all([first, ...tabs].map((tab) => letIn(tab)))
    expect(store.count('get')).toBe(2)
    expect(seen).toEqual(Array.from({ length: 4 }, () => ['apple']))
  })

  it('never get the result of a read that began before them', async () => {
    const { app, store, browser, arrived } = await visitor()
    const get = store.hold('get', { afterwards: true })
    const first = browser.open()
    await get.called
    store.foreign(sidOf(browser), { user: 'grace' })
    const second = browser.open()
    await arrived(2)
    get.release()
    await Promise.all([letIn(first), letIn(second)])
    expect(app.shared.snapshot(app.sockets.at(-1)!)).toMatchObject({ user: 'grace' })
  })

  it('fail together when their shared read fails, and the next handshake reads again', async () => {
    expectWarning('STORE_FAILED')
    const { store, browser } = await visitor()
    store.fail('get')
    await turnedAway(browser.open())
    await letIn(browser.open())
  })

  it('do not wait for the time limit of an earlier read whose answer is lost', async () => {
    const { store, browser } = await visitor({ shared: { retry: { timeout: 60_000 } } })
    store.hang('get')
    browser.open()
    await until(() => store.count('get') === 1)
    await letIn(browser.open())
  })

  it('do not delay an HTTP request, which reads on its own', async () => {
    const { store, browser } = await visitor()
    const get = store.hold('get')
    const tab = browser.open()
    await get.called
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
    get.release()
    await letIn(tab)
  })
})

import { Store } from 'express-session'
import { afterEach, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { next, until } from '../support/wait.js'
import { closeSites, type Site, startSite } from './site.js'

afterEach(async () => {
  closePages()
  await closeSites()
})

/** Its driver is in place of its methods. */
class DriverStore extends Store {
  get(): void {}
  set(): void {}
  destroy(): void {}
}

it.each([
  ['a write', (session: any) => Object.assign(session, { note: 1 }).save()],
  ['a read', (session: any) => session.reload()],
])('a tab reconnects when %s shows that another node has moved its session, and no message has', async (_what, use) => {
  const driver = sample()
  const node = (): Promise<Site> =>
    startSite({ store: new DriverStore(), shared: { driver, bus: false, revalidate: false, touch: false } })
  const [one, two] = [await node(), await node()]
  const browser = new CookieBrowser()
  const tab = await letIn(browser.open(one.url, { transports: ['websocket'] }))
  await tab.emitWithAck('add', 'x')
  // As of a request that was sent before the handshake was answered.
  const early = new CookieBrowser()
  await early.fetch(`${two.url}/add?item=a`, { method: 'POST' })
  browser.cookie = `${early.cookie}; ${browser.cookie}`
  expect(await browser.json(`${two.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  const { session } = one.sockets[0]!.handshake as any
  const ended = next(one.sockets[0]!, 'session:destroyed')
  use(session).catch(() => undefined)
  expect(await ended).toEqual({ reason: 'regenerated' })
  await until(() => one.sockets.length > 1)
  expect(await (await letIn(tab)).emitWithAck('get')).toMatchObject({ http: ['a'], socket: ['x'] })
})

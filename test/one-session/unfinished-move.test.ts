import { afterEach, expect, it } from 'vitest'
import type { StoreDriver } from '../../src/store/drivers/store-driver.js'
import { sample } from '../driver-testing/sample.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn } from '../support/handshake.js'
import { closeSites, type Site, startSite } from './site.js'

// A session is marked as moved, and its data is not joined to the other one yet. A handshake comes that was sent before its browser had that one’s cookie.

const SHARED = { revalidate: false, touch: false } as const

afterEach(async () => {
  closePages()
  await closeSites()
})

/** The cookies of the session of a browser's socket, which has written something, and of the session of its request. */
async function twoSessions({ url }: Site): Promise<{ socket: string; request: string }> {
  const [tab, page] = [new CookieBrowser(), new CookieBrowser()]
  const socket = await letIn(tab.open(url, { transports: ['websocket'] }))
  await socket.emitWithAck('add', 'x')
  socket.disconnect()
  await page.fetch(`${url}/add?item=a`, { method: 'POST' })
  return { socket: tab.cookie as string, request: page.cookie as string }
}

/** A tab connects with this cookie only. @returns the cookies that its browser has then */
async function connectWith(cookie: string, { url }: Site): Promise<string> {
  const browser = new CookieBrowser(cookie)
  await letIn(browser.open(url, { transports: ['websocket'] }))
  expect(browser.cookie).not.toBe(cookie)
  return browser.cookie as string
}

it('the next request joins a session that the store did not let be joined, also if a tab was given another one meanwhile', async () => {
  const store = new ControlledStore()
  const site = await startSite({ store, shared: SHARED })
  const { socket, request } = await twoSessions(site)
  const target = store.ids().find((sid) => store.stored(sid)?.http) as string
  const join = store.hold('set', { sid: target })
  const browser = new CookieBrowser(`${request}; ${socket}`)
  const early = browser.json(`${site.url}/session`)
  await join.called
  const cookies = await connectWith(socket, site)
  join.fail()
  expect(await early).not.toHaveProperty('socket')
  browser.cookie = `${request}; ${cookies}`
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  expect(browser.cookie).toBe(request)
})

it('the same where the tab has come to another node', async () => {
  const driver = sample()
  const { write } = driver
  const startNode = (own: StoreDriver): Promise<Site> =>
    startSite({ store: new DriverStore(), shared: { ...SHARED, driver: own, bus: false } })
  const [one, two] = [await startNode(driver), await startNode(driver)]
  const { socket, request } = await twoSessions(one)
  let isDown = false
  driver.write = async (sid, next, ...rest) => {
    if (isDown) throw new Error('down')
    const answer = await write.call(driver, sid, next, ...rest)
    isDown = next.text.includes('"movedTo"')
    return answer
  }
  const browser = new CookieBrowser(`${request}; ${socket}`)
  expect(await browser.json(`${one.url}/session`)).not.toHaveProperty('socket')
  expect(isDown).toBe(true)
  driver.write = write
  browser.cookie = `${request}; ${await connectWith(socket, two)}`
  expect(await browser.json(`${two.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  expect(browser.cookie).toBe(request)
})

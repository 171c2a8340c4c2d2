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

/** Two nodes that hear nothing of each other, and a browser with three sessions: that of its tab, and one of a request to each node. */
async function threeSessions(driver = sample()) {
  const node = (): Promise<Site> =>
    startSite({ store: new DriverStore(), shared: { driver, bus: false, revalidate: false, touch: false } })
  const [one, two] = [await node(), await node()]
  const tab = new CookieBrowser()
  const socket = await letIn(tab.open(one.url, { transports: ['websocket'] }))
  await socket.emitWithAck('add', 'x')
  socket.disconnect()
  const cookieOf = async ({ url }: Site): Promise<string> => {
    const browser = new CookieBrowser()
    await browser.fetch(`${url}/add?item=${url}`, { method: 'POST' })
    return browser.cookie
  }
  const [first, second] = [await cookieOf(one), await cookieOf(two)]
  /** What a request shows of the session whose cookie comes first. */
  const show = async ({ url }: Site, ...cookies: string[]): Promise<{ http: string[]; socket?: string[] }> => {
    const browser = new CookieBrowser()
    browser.cookie = cookies.join('; ')
    return (await browser.json(`${url}/session`)) as { http: string[]; socket?: string[] }
  }
  return { one, two, tab: tab.cookie, first, second, show }
}

it('a session that one node has moved is not moved to another session by the next one', async () => {
  const { one, two, tab, first, second, show } = await threeSessions()
  expect(await show(one, first, tab)).toMatchObject({ socket: ['x'] })
  expect(await show(two, second, tab)).not.toHaveProperty('socket')
  expect(await show(two, first)).toMatchObject({ socket: ['x'] })
})

it('the next node joins what was marked as moved and not joined', async () => {
  const driver = sample()
  const { write } = driver
  const { one, two, tab, first, second, show } = await threeSessions(driver)
  let isDown = false
  driver.write = async (sid, next, ...rest) => {
    if (isDown) throw new Error('down')
    const answer = await write.call(driver, sid, next, ...rest)
    isDown = next.text.includes('"movedTo"')
    return answer
  }
  expect(await show(one, first, tab)).not.toHaveProperty('socket')
  expect(isDown).toBe(true)
  driver.write = write
  expect(await show(two, second, tab)).not.toHaveProperty('socket')
  expect(await show(two, first)).toMatchObject({ socket: ['x'] })
})

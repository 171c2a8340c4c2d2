import { afterEach, expect, it, vi } from 'vitest'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn } from '../support/handshake.js'
import { closeSites, startSite } from './site.js'

afterEach(async () => {
  vi.restoreAllMocks()
  closePages()
  await closeSites()
})

it.each([
  ['that its cookie names', true],
  ['that its handshake has made', false],
])(
  'a tab reconnects when the session %s is destroyed before its socket comes, and has a session with a cookie then',
  async (_which, isStored) => {
    const site = await startSite()
    const options = { transports: ['websocket'] as 'websocket'[] }
    // From the first handshake on, sessions are read before it is answered.
    await letIn(new CookieBrowser().open(site.url, options))
    const browser = new CookieBrowser()
    if (isStored) await browser.fetch(`${site.url}/add?item=old`, { method: 'POST' })
    const tab = browser.open(site.url, { ...options, autoConnect: false })
    await new Promise((resolve) => tab.io.open(resolve))
    const { cookie } = browser
    expect(cookie).toBeDefined()
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    await letIn(tab.connect())
    await tab.emitWithAck('add', 'x')
    expect(browser.cookie).not.toBe(cookie)
    const found = await browser.json(`${site.url}/session`)
    expect(found).toMatchObject({ socket: ['x'] })
    expect(found).not.toHaveProperty('http')
    expect(browser.connections).toBe(1)
  },
)

it('a tab reconnects when its session is destroyed before its socket reads it, and has a session with a cookie then', async () => {
  const store = new ControlledStore()
  const site = await startSite({ store })
  const options = { transports: ['websocket'] as 'websocket'[] }
  await letIn(new CookieBrowser().open(site.url, options))
  const browser = new CookieBrowser()
  await browser.fetch(`${site.url}/add?item=old`, { method: 'POST' })
  const tab = browser.open(site.url, { ...options, autoConnect: false })
  await new Promise((resolve) => tab.io.open(resolve))
  // What the handshake has read is too old by now.
  const { now } = performance
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 2000)
  const get = store.hold('get')
  tab.connect()
  await get.called
  await site.shared.destroy(Object.keys((store as any).sessions)[0] as string)
  get.release()
  await letIn(tab)
  await tab.emitWithAck('add', 'x')
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ socket: ['x'] })
})

import { createHmac } from 'node:crypto'
import { afterEach, expect, it, vi } from 'vitest'
import { closeSites, startSite } from '../one-session/site.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn } from '../support/handshake.js'
import { next, until } from '../support/wait.js'

afterEach(async () => {
  vi.restoreAllMocks()
  closePages()
  await closeSites()
})

function handshakeCookie(sid: string): string {
  const signature = createHmac('sha256', 'secret').update(sid).digest('base64').replace(/=+$/, '')
  return `connect.sid.socket.${sid}=~${encodeURIComponent(`s:${sid}.${signature}`)}`
}

it('a connection whose browser has many cookies of sessions that are gone has one listener for all of them', async () => {
  const site = await startSite()
  const listeners = async (cookie?: string): Promise<number> => {
    await letIn(new CookieBrowser(cookie).open(site.url, { transports: ['websocket'] }))
    return (site.sockets.at(-1)!.conn as any).listenerCount('close')
  }
  const few = await listeners()
  const many = await listeners(Array.from({ length: 12 }, (_, index) => handshakeCookie(`gone-${index}`)).join('; '))
  expect(many).toBe(few)
})

it('a connection of an instance that was closed stays when its browser gets another session from another instance', async () => {
  const store = new ControlledStore()
  const [one, two] = [await startSite({ store }), await startSite({ store })]
  // From the first handshake on, sessions are read before it is answered.
  for (const { url } of [one, two]) await letIn(new CookieBrowser().open(url, { transports: ['websocket'] }))
  const browser = new CookieBrowser()
  await browser.fetch(`${one.url}/add?item=old`, { method: 'POST' })
  const { cookie } = browser
  store.gone(store.ids()[0] as string)
  await letIn(browser.open(one.url, { transports: ['websocket'] }))
  const { conn } = one.sockets.at(-1)!
  const listeners = (): number => (conn as any).listenerCount('close')
  const before = listeners()
  // A tab that comes soon after another one reconnects with its cookie.
  const { now } = performance
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 5000)
  const other = await letIn(new CookieBrowser(cookie).open(two.url, { transports: ['websocket'] }))
  await one.shared.close()
  const back = next(other, 'connect')
  await new CookieBrowser(cookie).fetch(`${two.url}/add?item=new`, { method: 'POST' })
  await back
  await until(() => two.sockets.filter(({ connected }) => connected).length === 2)
  expect(conn.readyState).toBe('open')
  expect(listeners()).toBeLessThan(before)
})

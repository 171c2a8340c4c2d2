import expressSession from 'express-session'
import type { Socket as Client } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import { CookieBrowser, closePages, TRANSPORTS, type Transports } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { next, until } from '../support/wait.js'
import { closeSites, type Site, shown, startSite } from './site.js'

afterEach(async () => {
  closePages()
  await closeSites()
})

/** A write of a tab that was acknowledged, however often it had to come again before. */
async function add(tab: Client, item: string): Promise<void> {
  await until(() =>
    tab
      .timeout(10_000)
      .emitWithAck('add', item)
      .catch(() => undefined),
  )
}

async function twoTabs(site: Site, transports: Transports) {
  const browser = new CookieBrowser()
  await browser.fetch(`${site.url}/add?item=old`, { method: 'POST' })
  const tabs = [browser.open(site.url, { transports }), browser.open(site.url, { transports })] as const
  await Promise.all(tabs.map(letIn))
  browser.connections = 0
  return { browser, tabs }
}

describe.each(TRANSPORTS)('tabs of a first visit that have only a handshake cookie, by %s', (_name, transports) => {
  it('are one session when both connect again at once after a restart, without an HTTP request', async () => {
    const before = await startSite()
    const browser = new CookieBrowser()
    const tab = await letIn(browser.open(before.url, { transports }))
    await add(tab, 'old')
    tab.disconnect()
    await before.close()
    expect(browser.cookie).toMatch(/^connect\.sid\.socket\.[^;]*$/)
    const site = await startSite()
    // Both handshakes carry the cookie of the session that is gone.
    const tabs = [browser.open(site.url, { transports }), browser.open(site.url, { transports })] as const
    await Promise.all(tabs.map(letIn))
    await add(tabs[0], 'x')
    await until(async () => (await shown(tabs[1])).socket?.includes('x'))
    expect((await browser.json(`${site.url}/session`)).socket).toEqual(['x'])
  })
})

describe.each(TRANSPORTS)('tabs of a lost session, by %s', (_name, transports) => {
  describe.each(['restarted', 'emptied', 'expired'])('row 3 and 5: two tabs are open and the session is lost: %s', (how) => {
    async function lose(options: { login: string }) {
      const store = new expressSession.MemoryStore()
      let site = await startSite({ store, ...(how === 'expired' && { session: { cookie: { maxAge: 4000 } } }) })
      const { browser, tabs } = await twoTabs(site, transports)
      const [first, second] = tabs
      const { port } = site
      if (how === 'restarted') {
        await site.close()
        site = await startSite({ port })
      } else if (how === 'emptied') {
        const ended = Promise.all(tabs.map((tab) => next(tab, 'disconnect')))
        store.clear()
        await ended
      } else await Promise.all(tabs.map((tab) => next(tab, 'disconnect')))
      await add(first, 'x')
      await until(async () => (await shown(second)).socket?.includes('x'))
      expect((await browser.json(`${site.url}/session`)).socket).toEqual(['x'])
      // A reload.
      first.disconnect()
      const reloaded = browser.open(site.url, { transports })
      await until(async () => (await shown(reloaded)).socket?.includes('x'))
      await browser.fetch(`${site.url}/login${options.login}`, { method: 'POST' })
      for (const tab of [reloaded, second]) await until(async () => (await shown(tab)).user === 'ada')
      expect((await shown(second)).http).toBeUndefined()
    }

    it('one tab gets what the other writes, HTTP shows it, a reload keeps it, a login is in both', () => lose({ login: '' }))
    it('a login that regenerates is in both tabs', () => lose({ login: '?regenerate' }))
  })

  it('row 4: after destroy() and a login without regenerate both tabs are on the new session, and nothing of the old one', async () => {
    const site = await startSite()
    const { browser, tabs } = await twoTabs(site, transports)
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    await browser.fetch(`${site.url}/login`, { method: 'POST' })
    for (const tab of tabs) await until(async () => (await shown(tab)).user === 'ada')
    for (const tab of tabs) expect((await shown(tab)).http).toBeUndefined()
    expect(browser.connections).toBeLessThanOrEqual(4)
    expect(await browser.json(`${site.url}/session`)).toMatchObject({ user: 'ada' })
  })

  it('row 4: after destroy() both tabs are on the new session also where they are back before the login', async () => {
    const site = await startSite()
    const { browser, tabs } = await twoTabs(site, transports)
    const back = Promise.all(tabs.map((tab) => next(tab, 'connect')))
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    await back
    await browser.fetch(`${site.url}/login`, { method: 'POST' })
    for (const tab of tabs) await until(async () => (await shown(tab)).user === 'ada')
    expect(browser.connections).toBeLessThanOrEqual(4)
  })

  it('row 4: after destroy() both tabs are on the new session also where they come back during the login, by a request with the old cookie', async () => {
    const site = await startSite()
    const { browser, tabs } = await twoTabs(site, transports)
    const back = Promise.all(tabs.map((tab) => next(tab, 'connect')))
    const dead = browser.cookie
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    const begun = next(site.http, 'request', ({ url }: any) => url.startsWith('/add'))
    const posted = browser.fetch(`${site.url}/add?item=new&slow`, { method: 'POST' })
    await begun
    await back
    expect(browser.cookie).toContain(dead)
    expect(browser.cookie).toContain('connect.sid.socket.')
    site.slow.resolve(undefined)
    await posted
    for (const tab of tabs) await until(async () => (await shown(tab)).http?.includes('new'))
    for (const tab of tabs) expect((await shown(tab)).http).toEqual(['new'])
    expect(browser.connections).toBeLessThanOrEqual(4)
  })

  it('row 6: whoever has only the dead cookie never reaches the session that the browser then has', async () => {
    const site = await startSite()
    const { browser, tabs } = await twoTabs(site, transports)
    const thief = new CookieBrowser(browser.cookie)
    const before = thief.open(site.url, { transports })
    await letIn(before)
    await browser.fetch(`${site.url}/destroy`, { method: 'POST' })
    const during = new CookieBrowser(thief.cookie)
    const came = during.open(site.url, { transports })
    await browser.fetch(`${site.url}/login`, { method: 'POST' })
    for (const tab of tabs) await until(async () => (await shown(tab)).user === 'ada')
    const after = new CookieBrowser(thief.cookie?.split('; ').find((pair) => pair.startsWith('connect.sid=')))
    const late = after.open(site.url, { transports })
    for (const tab of [before, came, late]) {
      await until(async () => Array.isArray((await shown(tab)).socket) || (await add(tab, 'evil')))
      expect((await shown(tab)).user).toBeUndefined()
    }
    for (const each of [thief, during, after]) {
      expect((await each.json(`${site.url}/session`)).user).toBeUndefined()
    }
    expect((await browser.json(`${site.url}/session`)).socket).toBeUndefined()
    for (const tab of tabs) expect((await shown(tab)).socket).toBeUndefined()
  })

  it('row 8: a client that keeps no cookies has a session of its own and connects once, and explain() says why', async () => {
    const site = await startSite()
    const browser = new CookieBrowser()
    browser.blocks = true
    const tab = browser.open(site.url, { transports })
    await letIn(tab)
    const said = site.shared.explain(site.sockets[0]!)
    // A WebSocket's client sends nothing after its handshake that could show it.
    if (transports.includes('polling')) expect(said).toMatch(/did not send it back/)
    else expect(said).toMatch(/first contact/)
    await add(tab, 'x')
    expect(await browser.json(`${site.url}/session`)).not.toHaveProperty('socket')
    await add(tab, 'y')
    expect((await shown(tab)).socket).toEqual(['x', 'y'])
    expect(browser.connections).toBe(1)
  })

  it('row 9: with handshakeCookie: false no cookie is from us, and a login still reaches a tab by the next poll', async () => {
    const site = await startSite({ shared: { handshakeCookie: false } })
    const browser = new CookieBrowser()
    const tab = browser.open(site.url, { transports })
    await letIn(tab)
    await add(tab, 'x')
    expect(browser.cookie).toBeUndefined()
    await browser.fetch(`${site.url}/login`, { method: 'POST' })
    expect(browser.cookie).toMatch(/^connect\.sid=[^;]*$/)
    if (transports.includes('polling') && transports.length === 1) await until(async () => (await shown(tab)).user === 'ada')
  })
})

it.each(TRANSPORTS.filter(([, [first]]) => first === 'polling'))(
  'row 10: the first browser of a process is given its cookie with io.use(shared), by %s',
  async (_name, transports) => {
    const site = await startSite({ wire: 'use' })
    const browser = new CookieBrowser()
    const tab = browser.open(site.url, { transports })
    await letIn(tab)
    await add(tab, 'x')
    await until(() => browser.cookie)
    expect((await browser.json(`${site.url}/session`)).socket).toEqual(['x'])
    tab.disconnect()
    const reloaded = browser.open(site.url, { transports })
    expect((await (await letIn(reloaded)).emitWithAck('get')).socket).toEqual(['x'])
  },
)

it.each(TRANSPORTS)(
  'row 10: the first browser of a process that comes with the cookie of a session that is gone, with io.use(shared), by %s',
  async (_name, transports) => {
    const before = await startSite({ wire: 'use' })
    const { port } = before
    const { browser, tabs } = await twoTabs(before, transports)
    await before.close()
    const site = await startSite({ wire: 'use', port })
    await add(tabs[0], 'x')
    await until(async () => (await shown(tabs[1])).socket?.includes('x'))
    expect((await browser.json(`${site.url}/session`)).socket).toEqual(['x'])
    await browser.fetch(`${site.url}/login`, { method: 'POST' })
    for (const tab of tabs) await until(async () => (await shown(tab)).user === 'ada')
  },
)

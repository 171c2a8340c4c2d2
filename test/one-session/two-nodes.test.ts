import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import { CookieBrowser, closePages, TRANSPORTS, type Transports } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { startRedis } from '../support/redis.js'
import { redisNodes } from '../support/redis-nodes.js'
import { withService } from '../support/service.js'
import { until } from '../support/wait.js'
import { closeSites, type Site, shown, startSite } from './site.js'

await withService('Redis', startRedis, (redis) => {
  const onRedis = redisNodes(redis, () => {
    closePages()
    return closeSites()
  })

  async function node(wire: 'attach' | 'use' = 'attach'): Promise<Site> {
    return startSite({ store: new RedisStore({ client: await onRedis.client() }), wire, shared: { revalidate: false } })
  }

  describe.each(TRANSPORTS)('row 1 on two nodes, by %s', (_name, transports) => {
    it.each(['attach', 'use'] as const)(
      'a request to one and a handshake with the other become one session, with %s',
      async (wire) => {
        const [one, two] = [await node(wire), await node(wire)]
        if (wire === 'use') await letIn(new CookieBrowser().open(two.url, { transports }))
        const browser = new CookieBrowser()
        const posted = browser.fetch(`${one.url}/add?item=a&slow`, { method: 'POST' })
        const tab = await letIn(browser.open(two.url, { transports }))
        await tab.emitWithAck('add', 'x')
        one.slow.resolve(undefined)
        await posted
        // Round robin: the next request is for either.
        expect(await browser.json(`${one.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
        await until(async () => (await shown(tab)).http)
        expect(await shown(tab)).toMatchObject({ http: ['a'], socket: ['x'] })
        expect(browser.connections).toBeLessThanOrEqual(2)
      },
    )

    it('a tab that has written nothing comes to the session of the request as well', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      const posted = browser.fetch(`${one.url}/add?item=a&slow`, { method: 'POST' })
      const tab = await letIn(browser.open(two.url, { transports }))
      one.slow.resolve(undefined)
      await posted
      expect(await browser.json(`${one.url}/session`)).toMatchObject({ http: ['a'] })
      await until(async () => (await shown(tab)).http)
    })
  })

  it('row 3: a session that is gone from the store is the same for tabs on two nodes after the next request, and hears a login', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    await browser.fetch(`${one.url}/add?item=old`, { method: 'POST' })
    const transports: Transports = ['websocket']
    const options = { transports, reconnection: false }
    const tabs = [await letIn(browser.open(one.url, options)), await letIn(browser.open(two.url, options))]
    const dead = browser.cookie
    const gone = tabs.map((tab) => new Promise((resolve) => tab.once('disconnect', resolve)))
    await browser.fetch(`${one.url}/destroy`, { method: 'POST' })
    await Promise.all(gone)
    // Both at once: neither sends the cookie that the other one gets.
    for (const tab of tabs) tab.io.reconnection(true)
    await Promise.all(tabs.map((tab) => letIn(tab.connect())))
    expect(browser.cookie).toContain(dead)
    await browser.fetch(`${two.url}/login`, { method: 'POST' })
    for (const tab of tabs) await until(async () => (await shown(tab)).user === 'ada')
    expect((await shown(tabs[0])).http).toBeUndefined()
  })

  it('a request that was answered with the dead cookie on one node brings the tabs of the other along', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    await browser.fetch(`${one.url}/add?item=old`, { method: 'POST' })
    const tab = await letIn(browser.open(two.url, { transports: ['websocket'] }))
    const { cookie } = browser
    const ended = new Promise((resolve) => tab.once('disconnect', resolve))
    await browser.fetch(`${one.url}/destroy`, { method: 'POST' })
    await ended
    await letIn(tab)
    expect(browser.cookie).toContain('.socket.')
    // As one that was sent before the tab was back.
    const early = new CookieBrowser(cookie)
    await early.fetch(`${one.url}/login`, { method: 'POST' })
    const given = String(browser.cookie)
      .split('; ')
      .filter((pair) => !pair.startsWith('connect.sid='))
    browser.cookie = [early.cookie, ...given].join('; ')
    await until(async () => (await shown(tab)).user === 'ada')
  })

  it.each([
    ['another', 1],
    ['the same', 0],
  ])('a tab hears of a login on %s node that happens between its handshake and its connection', async (_which, at) => {
    const nodes = [await node(), await node()] as const
    const one = nodes[0]
    const browser = new CookieBrowser()
    await browser.fetch(`${one.url}/add?item=old`, { method: 'POST' })
    await browser.fetch(`${one.url}/destroy`, { method: 'POST' })
    const { cookie } = browser
    const tab = browser.open(one.url, { transports: ['websocket'], autoConnect: false })
    await new Promise((resolve) => tab.io.open(resolve))
    expect(browser.cookie).toContain('.socket.')
    // As a request that was sent before the handshake was answered.
    const early = new CookieBrowser(cookie)
    await early.fetch(`${nodes[at]!.url}/login`, { method: 'POST' })
    const given = String(browser.cookie)
      .split('; ')
      .filter((pair) => !pair.startsWith('connect.sid='))
    browser.cookie = [early.cookie, ...given].join('; ')
    tab.connect()
    await until(async () => (await shown(tab)).user === 'ada')
  })

  it('a tab goes on to hear of another node when the tab that was given the socket cookie has left', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    const first = await letIn(browser.open(two.url, { transports: ['websocket'] }))
    await first.emitWithAck('add', 'x')
    const second = await letIn(browser.open(two.url, { transports: ['websocket'] }))
    const closed = new Promise((resolve) => two.sockets[0]!.conn.once('close', resolve))
    first.disconnect()
    await closed
    await browser.fetch(`${one.url}/add?item=a`, { method: 'POST' })
    await until(async () => (await shown(second)).http)
    expect(await shown(second)).toMatchObject({ http: ['a'], socket: ['x'] })
  })

  it('a write that another node acknowledges while its session is moved is not lost', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    const tab = await letIn(browser.open(two.url, { transports: ['websocket'] }))
    await tab.emitWithAck('add', 0)
    const other = new CookieBrowser()
    await other.fetch(`${one.url}/add?item=a`, { method: 'POST' })
    browser.cookie = `${other.cookie}; ${browser.cookie}`
    const acknowledged = [0]
    let isOver = false
    const writing = (async () => {
      for (let item = 1; !isOver; item++) {
        const ack = await tab
          .timeout(500)
          .emitWithAck('add', item)
          .catch(() => undefined)
        if (ack) acknowledged.push(item)
      }
    })()
    await until(() => acknowledged.length > 5)
    await Promise.all([one, two, one, two].map((site) => browser.fetch(`${site.url}/session`)))
    await until(async () => (await shown(tab)).http)
    isOver = true
    await writing
    const { socket, http } = await browser.json(`${one.url}/session`)
    expect(http).toEqual(['a'])
    expect(socket).toEqual(expect.arrayContaining(acknowledged))
    expect(new Set(socket).size).toBe(socket.length)
  })

  it('a request that had loaded a session on one node keeps its write although another moves the session meanwhile', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    const tab = await letIn(browser.open(one.url, { transports: ['websocket'] }))
    await tab.emitWithAck('add', 'x')
    const begun = new Promise((resolve) => two.http.on('request', ({ url }) => url?.startsWith('/add') && setImmediate(resolve)))
    const slow = browser.fetch(`${two.url}/add?item=late&slow`, { method: 'POST' })
    await begun
    const other = new CookieBrowser()
    await other.fetch(`${one.url}/add?item=a`, { method: 'POST' })
    browser.cookie = `${other.cookie}; ${browser.cookie}`
    expect(await browser.json(`${one.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
    two.slow.resolve(undefined)
    await slow
    const found = await browser.json(`${one.url}/session`)
    expect([...found.http].sort()).toEqual(['a', 'late'])
  })
})

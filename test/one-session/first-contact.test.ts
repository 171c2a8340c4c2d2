import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { MIRROR_EVENT } from '../../src/client/protocol.js'
import { CookieBrowser, closePages, TRANSPORTS, type Transports } from '../support/browser.js'
import { letIn, refused } from '../support/handshake.js'
import { startRedis } from '../support/redis.js'
import { redisNodes } from '../support/redis-nodes.js'
import { withService } from '../support/service.js'
import { next, until } from '../support/wait.js'
import { closeSites, type Site, type SiteOptions, shown, startSite } from './site.js'

const WEBSOCKET: { transports: Transports } = { transports: ['websocket'] }

// A session that a handshake has made, and that is not stored yet, on several nodes.
await withService('Redis', startRedis, (redis) => {
  const onRedis = redisNodes(redis, () => {
    closePages()
    return closeSites()
  })

  async function node({ shared, ...options }: SiteOptions = {}): Promise<Site> {
    return startSite({
      store: new RedisStore({ client: await onRedis.client() }),
      shared: { revalidate: false, ...shared },
      ...options,
    })
  }

  const sids = (...sites: Site[]): string[] =>
    sites.flatMap(({ sockets }) => sockets.filter(({ connected }) => connected).map(({ handshake }) => handshake.sessionID))
  /** Under load a node may be too late to store the session for the other one: then the tabs become one a moment later. */
  const untilOne = (...sites: Site[]): Promise<void> => {
    const of = (site: Site): boolean => sids(site).length === 1 && sids(site)[0] === sids(sites[0]!)[0]
    return until(() => sites.every(of))
  }
  const socketOf = (site: Site): Site['sockets'][number] => site.sockets.find(({ connected }) => connected)!
  const stored = async (): Promise<string[]> => ((await onRedis.command('KEYS', '*')) as string[]).map((key) => key.slice(5))

  describe.each(TRANSPORTS)('by %s', (_name, transports) => {
    it('a tab on another node has the session of the first tab, and both hear of each other', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      const first = await letIn(browser.open(one.url, { transports }))
      const second = await letIn(browser.open(two.url, { transports }))
      await untilOne(one, two)
      for (const [tab, item, other] of [
        [first, 'a', two],
        [second, 'b', one],
      ] as const) {
        const heard = next(socketOf(other), 'session:changed')
        await tab.emitWithAck('add', item)
        await heard
      }
      for (const tab of [first, second]) expect(await shown(tab)).toMatchObject({ socket: ['a', 'b'] })
      expect(await stored()).toContain(sids(one)[0])
    })

    it('a tab on another node that comes after a logout has the session of the tab that came first', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      await browser.fetch(`${one.url}/add?item=old`, { method: 'POST' })
      const options = { transports, reconnection: false }
      const tabs = [await letIn(browser.open(one.url, options)), await letIn(browser.open(two.url, options))]
      const gone = tabs.map((tab) => next(tab, 'disconnect'))
      await browser.fetch(`${one.url}/destroy`, { method: 'POST' })
      await Promise.all(gone)
      for (const tab of tabs) await letIn(tab.connect())
      await untilOne(one, two)
      await tabs[1]!.emitWithAck('add', 'x')
      await until(async () => (await shown(tabs[0])).socket)
      expect((await shown(tabs[0])).http).toBeUndefined()
      expect(await stored()).toContain(sids(one)[0])
    })
  })

  it('a tab that comes to another node before the first socket of the first tab has its session', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    const first = browser.open(one.url, { ...WEBSOCKET, autoConnect: false })
    await new Promise((resolve) => first.io.open(resolve))
    await letIn(browser.open(two.url, WEBSOCKET))
    await letIn(first.connect())
    await untilOne(one, two)
  })

  it('tabs that come to two other nodes at once have the session of the first tab', async () => {
    const [one, two, three] = [await node(), await node(), await node()]
    const browser = new CookieBrowser()
    await letIn(browser.open(one.url, WEBSOCKET))
    await Promise.all([two, three].map(({ url }) => letIn(browser.open(url, WEBSOCKET))))
    await untilOne(one, two, three)
    expect(await stored()).toContain(sids(one)[0])
  })

  it('what a socket has written and not saved yet stays unsaved, and is not lost', async () => {
    const [one, two] = [await node({ shared: { autoSave: false } }), await node({ shared: { autoSave: false } })]
    const browser = new CookieBrowser()
    const first = await letIn(browser.open(one.url, WEBSOCKET))
    await first.emitWithAck('add', 'unsaved')
    const second = await letIn(browser.open(two.url, WEBSOCKET))
    await untilOne(one, two)
    expect((await shown(second)).socket).toBeUndefined()
    expect(await shown(first)).toMatchObject({ socket: ['unsaved'] })
    const heard = next(socketOf(two), 'session:changed')
    await socketOf(one).handshake.session.save()
    await heard
    expect(await shown(second)).toMatchObject({ socket: ['unsaved'] })
  })

  describe('a session that has ended does not come back', () => {
    it.each([
      ['never stored', false],
      ['stored', true],
    ])('by a cookie of it: it was %s', async (_which, isStored) => {
      const one = await node({ shared: { onEnd: 'disconnect' } })
      const browser = new CookieBrowser()
      const first = await letIn(browser.open(one.url, WEBSOCKET))
      if (isStored) await first.emitWithAck('add', 'x')
      const [sid] = sids(one) as [string]
      const ended = next(first, 'disconnect')
      await socketOf(one).handshake.session.destroy()
      await ended
      // It has heard nothing.
      const two = await node()
      const second = await letIn(browser.open(two.url, WEBSOCKET))
      await second.emitWithAck('add', 'y')
      expect(await stored()).toEqual(sids(two))
      expect(sids(two)).not.toContain(sid)
      // The client has the cookie of the new session only.
      await letIn(browser.open(one.url, WEBSOCKET))
      await untilOne(one, two)
    })

    it('after its expiry', async () => {
      const session = { cookie: { maxAge: 500 } }
      const [one, two] = [await node({ session }), await node({ session })]
      const browser = new CookieBrowser()
      await letIn(browser.open(one.url, WEBSOCKET))
      const [sid] = sids(one) as [string]
      const expires = Number(socketOf(one).handshake.session.cookie.expires)
      await until(() => Date.now() > expires)
      const second = await letIn(browser.open(two.url, WEBSOCKET))
      await second.emitWithAck('add', 'y')
      expect(await stored()).toEqual(sids(two))
      expect(sids(two)).not.toContain(sid)
    })

    it('after a login that regenerates it', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      await letIn(browser.open(one.url, WEBSOCKET))
      const { cookie } = browser
      const [sid] = sids(one) as [string]
      await browser.fetch(`${one.url}/login?regenerate`, { method: 'POST' })
      const thief = new CookieBrowser(cookie)
      const stranger = await letIn(thief.open(two.url, WEBSOCKET))
      expect(await shown(stranger)).not.toHaveProperty('user')
      await stranger.emitWithAck('add', 'y')
      expect(await stored()).not.toContain(sid)
    })
  })

  describe('an HTTP request on another node', () => {
    it('that writes gives its session to a tab whose session is not stored', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      const first = await letIn(browser.open(one.url, WEBSOCKET))
      await browser.fetch(`${two.url}/add?item=a`, { method: 'POST' })
      await until(async () => (await shown(first)).http)
      await letIn(browser.open(two.url, WEBSOCKET))
      await untilOne(one, two)
    })

    it('that writes between the handshake of a tab and its first socket gives it its session', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      const first = browser.open(one.url, { ...WEBSOCKET, autoConnect: false })
      await new Promise((resolve) => first.io.open(resolve))
      const heard = next(one.shared.events, 'session:destroyed')
      await browser.fetch(`${two.url}/add?item=a`, { method: 'POST' })
      await heard
      first.connect()
      await until(async () => (await shown(first)).http)
      expect(await browser.json(`${one.url}/session`)).toMatchObject({ http: ['a'] })
    })

    it('that writes has the session of two tabs', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      const tabs = [await letIn(browser.open(one.url, WEBSOCKET)), await letIn(browser.open(two.url, WEBSOCKET))]
      await browser.fetch(`${two.url}/add?item=a`, { method: 'POST' })
      for (const tab of tabs) await until(async () => (await shown(tab)).http)
    })

    it('that writes nothing changes nothing', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      await letIn(browser.open(one.url, WEBSOCKET))
      const { cookie } = browser
      await browser.fetch(`${two.url}/session`)
      expect(browser.cookie).toBe(cookie)
      await letIn(browser.open(two.url, WEBSOCKET))
      await untilOne(one, two)
    })

    it('gives its session to the tabs where it stores each new session', async () => {
      const session = { saveUninitialized: true }
      const [one, two] = [await node({ session }), await node({ session })]
      const browser = new CookieBrowser()
      const tabs = [await letIn(browser.open(one.url, WEBSOCKET)), await letIn(browser.open(two.url, WEBSOCKET))]
      await untilOne(one, two)
      const other = new CookieBrowser()
      const alone = await letIn(other.open(one.url, WEBSOCKET))
      await other.fetch(`${two.url}/add?item=a`, { method: 'POST' })
      await until(async () => (await shown(alone)).http)
      for (const tab of tabs) expect((await shown(tab)).http).toBeUndefined()
    })
  })

  it.each([
    ['rolling', { rolling: true }],
    ['rolling, which ends', { rolling: true, cookie: { maxAge: 60_000 } }],
  ])('a request gives the browser a session cookie of a session that is not stored: %s', async (_which, session) => {
    const [one, two] = [await node({ session }), await node({ session })]
    const browser = new CookieBrowser()
    await letIn(browser.open(one.url, WEBSOCKET))
    await browser.fetch(`${one.url}/session`)
    expect(browser.cookie).toContain('connect.sid=')
    await letIn(browser.open(two.url, WEBSOCKET))
    await untilOne(one, two)
  })

  it('the nodes may sign with different secrets', async () => {
    const [one, two] = [await node({ session: { secret: ['a', 'b'] } }), await node({ session: { secret: ['b', 'a'] } })]
    const browser = new CookieBrowser()
    const first = await letIn(browser.open(one.url, WEBSOCKET))
    const second = await letIn(browser.open(two.url, WEBSOCKET))
    await untilOne(one, two)
    await browser.fetch(`${two.url}/add?item=a`, { method: 'POST' })
    for (const tab of [first, second]) await until(async () => (await shown(tab)).http)
  })

  it('a cookie with another signature is worth nothing', async () => {
    const [one, two] = [await node(), await node({ session: { secret: 'other' } })]
    const browser = new CookieBrowser()
    await letIn(browser.open(one.url, WEBSOCKET))
    await letIn(browser.open(two.url, WEBSOCKET))
    expect(sids(two)).not.toEqual(sids(one))
    expect(await stored()).toEqual([])
  })

  describe('with renew', () => {
    const shared = { publish: ({ http }: any) => ({ http }) }
    const tabOf = (browser: CookieBrowser, at: Site, renewsAt: Site): { socket: any; renewals(): number } => {
      const socket = browser.open(at.url, { ...WEBSOCKET, autoConnect: false })
      let renewals = 0
      const live = mirror(socket as never, {
        renew: () => {
          renewals++
          return browser.fetch(`${renewsAt.url}/renew`, { method: 'POST' })
        },
      })
      onRedis.atEnd(() => live.close())
      socket.connect()
      return { socket, renewals: () => renewals }
    }

    it.each([
      ['the same node', 0],
      ['another node', 1],
    ])('tabs on two nodes have one stored session: they renew it at %s', async (_which, at) => {
      const nodes = [await node({ shared }), await node({ shared })] as const
      const browser = new CookieBrowser()
      const first = tabOf(browser, nodes[0], nodes[at]!)
      await next(first.socket, 'connect')
      const second = tabOf(browser, nodes[1], nodes[at]!)
      await next(second.socket, 'connect')
      await untilOne(...nodes)
      expect(await stored()).toContain(sids(nodes[0])[0])
      expect([first.renewals(), second.renewals()]).toEqual([1, 0])
    })

    it('a tab that comes while another one renews has the session that is stored', async () => {
      const [one, two] = [await node({ shared }), await node({ shared })]
      const browser = new CookieBrowser()
      const first = await refusedTab(browser, one)
      const second = tabOf(browser, two, two)
      await next(second.socket, 'connect')
      await letIn(first.connect())
      await untilOne(one, two)
      expect(await stored()).toContain(sids(one)[0])
    })

    /** A tab that does not renew yet: the browser has the cookie of a session that is not stored. */
    async function refusedTab(browser: CookieBrowser, at: Site): Promise<any> {
      const socket = browser.open(at.url, { ...WEBSOCKET, auth: { [MIRROR_EVENT]: [0, 1] }, autoConnect: false })
      const refusal = refused(socket)
      socket.connect()
      expect((await refusal).data).toEqual({ code: 'RENEWAL_NEEDED' })
      await until(() => browser.cookie?.includes('.socket.'))
      return socket
    }
  })
})

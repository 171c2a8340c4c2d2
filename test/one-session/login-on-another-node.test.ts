import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { CookieBrowser, closePages, TRANSPORTS, type Transports } from '../support/browser.js'
import { letIn, sidOf } from '../support/handshake.js'
import { MemoryBus } from '../support/memory-bus.js'
import { startRedis } from '../support/redis.js'
import { redisNodes } from '../support/redis-nodes.js'
import { withService } from '../support/service.js'
import { deferred, next, until } from '../support/wait.js'
import { closeSites, type Site, shown, startSite } from './site.js'

const WEBSOCKET: { transports: Transports } = { transports: ['websocket'] }

await withService('Redis', startRedis, (redis) => {
  const onRedis = redisNodes(redis, () => {
    closePages()
    return closeSites()
  })

  async function node(shared: SharedSessionOptions = {}, wire: 'attach' | 'use' = 'attach'): Promise<Site> {
    const store = new RedisStore({ client: await onRedis.client() })
    return startSite({ store, wire, shared: { revalidate: false, ...shared } })
  }

  /** A guest's session is stored, and a login gives it another id. It is answered when `two.slow` is resolved. */
  async function guestLogsIn(two: Site, arrives?: Promise<unknown>) {
    const browser = new CookieBrowser()
    await browser.fetch(`${two.url}/add?item=guest`, { method: 'POST' })
    const guest = sidOf(browser)
    const posted = browser.fetch(`${two.url}/login?regenerate&slow`, { method: 'POST', ...(arrives && { arrives }) })
    await until(async () => !(await onRedis.command('EXISTS', `sess:${guest}`)))
    return { browser, posted }
  }

  describe.each(TRANSPORTS)('a tab connects to one node while another node answers the login, by %s', (_name, transports) => {
    it('and is held until the response has left', async () => {
      const [one, two] = [await node(), await node()]
      const { browser, posted } = await guestLogsIn(two)
      const handshake = next(one.io.engine as never, 'connection')
      const tab = browser.open(one.url, { transports })
      await handshake
      expect(browser.cookie).not.toContain('.socket.')
      two.slow.resolve(undefined)
      await posted
      expect((await (await letIn(tab)).emitWithAck('get')).user).toBe('ada')
      expect(browser.connections).toBe(1)
    })

    it('also where the response has left, and has not arrived', async () => {
      const [one, two] = [await node(), await node()]
      const arrives = deferred()
      const left = new Promise((resolve) => {
        two.http.on('request', ({ url }, response) => url?.startsWith('/login') && response.once('finish', resolve))
      })
      const { browser, posted } = await guestLogsIn(two, arrives.promise)
      two.slow.resolve(undefined)
      await left
      const handshake = next(one.io.engine as never, 'connection')
      const tab = browser.open(one.url, { transports })
      await handshake
      arrives.resolve()
      await posted
      expect((await (await letIn(tab)).emitWithAck('get')).user).toBe('ada')
      expect(browser.cookie).not.toContain('.socket.')
    })
  })

  it.each([
    ['handshakeCookie: false', { handshakeCookie: false }, 'attach'],
    ['io.use(shared)', {}, 'use'],
  ] as const)('a tab is held with %s as well', async (_name, shared, wire) => {
    const [one, two] = [await node(shared, wire), await node(shared, wire)]
    await letIn(new CookieBrowser().open(one.url, WEBSOCKET))
    const { browser, posted } = await guestLogsIn(two)
    const handshake = next(one.io.engine as never, 'connection')
    const tab = browser.open(one.url, WEBSOCKET)
    await handshake
    two.slow.resolve(undefined)
    await posted
    expect((await (await letIn(tab)).emitWithAck('get')).user).toBe('ada')
    expect(browser.connections).toBe(1)
  })

  it('a tab that was given a new session, as nobody has told of the login, reconnects when its response has left', async () => {
    const bus = new MemoryBus()
    bus.weather = (deliver) => {
      if (!bus.texts.at(-1)?.text.includes('"missing"')) deliver()
    }
    const [one, two] = [await node({ bus: bus.end() }), await node({ bus: bus.end() })]
    const { browser, posted } = await guestLogsIn(two)
    const tab = await letIn(browser.open(one.url, WEBSOCKET))
    expect((await tab.emitWithAck('get')).user).toBeUndefined()
    two.slow.resolve(undefined)
    await posted
    await until(async () => (await shown(tab)).user === 'ada')
  })

  it('tabs on two nodes share the new session after destroy(), without another request', async () => {
    const [one, two] = [await node(), await node()]
    const browser = new CookieBrowser()
    await browser.fetch(`${one.url}/add?item=old`, { method: 'POST' })
    const tabs = [await letIn(browser.open(one.url, WEBSOCKET)), await letIn(browser.open(two.url, WEBSOCKET))] as const
    await browser.fetch(`${one.url}/destroy`, { method: 'POST' })
    const add = async (tab: any, item: string): Promise<boolean> => {
      const ack = await tab
        .timeout(1000)
        .emitWithAck('add', item)
        .catch(() => undefined) // prettier-ignore
      return ack === 'ok'
    }
    await until(async () => (await shown(tabs[0])).http === undefined && (await add(tabs[0], 'x')))
    await until(async () => (await shown(tabs[1])).socket?.includes('x'))
    await until(() => add(tabs[1], 'y'))
    await until(async () => (await shown(tabs[0])).socket?.includes('y'))
    expect((await browser.json(`${one.url}/session`)).socket).toEqual(expect.arrayContaining(['x', 'y']))
  })

  it.each(['one', 'two'] as const)(
    'a request to node %s has what a tab has written, where the other handshake cookie is of a session that node one has not stored',
    async (which) => {
      const nodes = { one: await node(), two: await node() }
      const writer = new CookieBrowser()
      const tab = await letIn(writer.open(nodes.two.url, WEBSOCKET))
      await tab.emitWithAck('add', 'apple')
      // The first one by name counts.
      let idle = writer
      while (String(idle.cookie) >= String(writer.cookie)) {
        idle = new CookieBrowser()
        await letIn(idle.open(nodes.one.url, WEBSOCKET))
      }
      const browser = new CookieBrowser([idle.cookie, writer.cookie].join('; '))
      expect((await browser.json(`${nodes[which].url}/session`)).socket).toEqual(['apple'])
    },
  )
})

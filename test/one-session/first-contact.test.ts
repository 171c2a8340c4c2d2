import { RedisStore } from 'connect-redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { CookieBrowser, closePages, type Transports } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { next, until } from '../support/wait.js'
import { closeSites, type Site, type SiteOptions, startSite } from './site.js'

const TRANSPORTS: [string, Transports][] = [
  ['the default transports', ['polling', 'websocket']],
  ['polling only', ['polling']],
  ['WebSocket only', ['websocket']],
]
const WEBSOCKET: { transports: Transports } = { transports: ['websocket'] }

// A session that a handshake has made, and that is not stored yet, on several nodes.
await withService('Redis', startRedis, (redis) => {
  let direct: TestClient
  const ends: (() => unknown)[] = []
  beforeAll(async () => {
    direct = await nodeRedis(redis().port)
  })
  afterAll(() => direct.end())
  afterEach(async () => {
    closePages()
    await closeSites()
    for (const end of ends.splice(0)) await end()
    await direct.command('FLUSHALL')
  })

  async function node({ shared, ...options }: SiteOptions = {}): Promise<Site> {
    const { client, end } = await nodeRedis(redis().port)
    ends.push(end)
    return startSite({ store: new RedisStore({ client }), shared: { revalidate: false, ...shared }, ...options })
  }

  const shown = (tab: any): Promise<any> =>
    tab
      .timeout(1000)
      .emitWithAck('get')
      .catch(() => ({}))
  const sids = (...sites: Site[]): string[] =>
    sites.flatMap(({ sockets }) => sockets.filter(({ connected }) => connected).map(({ handshake }) => handshake.sessionID))
  const stored = async (): Promise<string[]> => ((await direct.command('KEYS', '*')) as string[]).map((key) => key.slice(5))

  describe.each(TRANSPORTS)('by %s', (_name, transports) => {
    it('a tab on another node has the session of the first tab, and both hear of each other', async () => {
      const [one, two] = [await node(), await node()]
      const browser = new CookieBrowser()
      const first = await letIn(browser.open(one.url, { transports }))
      const second = await letIn(browser.open(two.url, { transports }))
      expect(sids(two)).toEqual(sids(one))
      for (const [tab, item, other] of [
        [first, 'a', two],
        [second, 'b', one],
      ] as const) {
        const heard = next(other.sockets[0]!, 'session:changed')
        await tab.emitWithAck('add', item)
        await heard
      }
      for (const tab of [first, second]) expect(await shown(tab)).toMatchObject({ socket: ['a', 'b'] })
      expect(await stored()).toEqual(sids(one))
      expect(browser.connections).toBe(2)
    })
  })
})

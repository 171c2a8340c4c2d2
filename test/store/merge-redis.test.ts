import { RedisStore } from 'connect-redis'
import { afterEach, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { tab } from '../support/live.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis } from '../support/redis-clients.js'
import { withService } from '../support/service.js'

await withService('Redis', startRedis, (redis) => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    await closeApps()
    for (const end of ends.splice(0)) await end()
  })

  /** Two processes, as far as this library and Redis can tell. */
  async function pair() {
    const start = async () => {
      const { client, end } = await nodeRedis(redis().port)
      ends.push(end)
      const merge = { count: 'sum', tags: union } as const
      return startApp({
        store: new RedisStore({ client: client as any }),
        shared: { merge, autoSave: true },
        routes: (http) =>
          http.get('/count', (req, res) => {
            req.session.count = (req.session.count ?? 0) + 1
            res.json({})
          }),
      })
    }
    const [here, there] = [await start(), await start()]
    const browser = here.browser()
    await browser.get('/set?user=ada')
    const other = there.browser()
    other.cookie = browser.cookie
    return { here, there, browsers: [browser, other] }
  }
  const union = (_base: any, mine: any = [], theirs: any = []) => [...new Set([...theirs, ...mine])].sort()

  it('on Redis sums are exact and merge functions are called, however many sockets and requests of two processes write at once', async () => {
    const { here, there, browsers } = await pair()
    const tabs = [await tab(here, browsers[0]!), await tab(there, browsers[1]!)]
    const rounds = Array.from({ length: 20 }, (_, round) => round)
    await Promise.all(
      rounds.flatMap((round) => [
        ...tabs.map(async ({ session }, index) => {
          session.count = (session.count ?? 0) + 1
          session.tags = [...(session.tags ?? []), `${index}-${round}`]
          await session.save()
        }),
        ...browsers.map(async (browser) => expect((await browser.get('/count')).status).toBe(200)),
      ]),
    )
    const { body } = await browsers[0]!.get('/session')
    expect(body.count).toBe(80)
    expect(new Set(body.tags)).toEqual(new Set(rounds.flatMap((round) => [`0-${round}`, `1-${round}`])))
    for (const app of [here, there]) expect(app.shared.stats()).toMatchObject({ driver: 'redis' })
    expect(here.shared.stats().refusals + there.shared.stats().refusals).toBeGreaterThan(0)
  })
})

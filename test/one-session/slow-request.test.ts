import { RedisStore } from 'connect-redis'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, closeApps, startApp } from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { startRedis } from '../support/redis.js'
import { redisNodes } from '../support/redis-nodes.js'
import { withService } from '../support/service.js'
import { deferred, until } from '../support/wait.js'

const close = async () => {
  closePages()
  await closeApps()
}
afterEach(close)

async function started(
  session: object,
  wire: 'attach' | 'use',
  store?: any,
): Promise<{ app: App; began(): Promise<unknown>; end(): void }> {
  const began = deferred()
  const end = deferred()
  const app: App = await startApp({
    store,
    session: { cookie: { maxAge: 60_000 }, ...session },
    shared: { revalidate: false },
    before: (http) => void (wire === 'use' && http.use((req, res, after) => app.shared.cookies(req, res, after))),
    wire: (io, shared) => void (wire === 'attach' ? shared.attach(io) : io.use(shared)),
    routes: (http) =>
      void http.get('/slow', async (req, res) => {
        began.resolve()
        await end.promise
        res.cookie('theme', 'dark')
        if (req.query.write) req.session.late = true
        res.json({})
      }),
  })
  return { app, began: () => began.promise, end: end.resolve }
}

const namesOf = (response: Response): string[] => response.headers.getSetCookie().map((line) => line.split('=')[0]!)

describe.each(['attach', 'use'] as const)('a request that began before the login and ends after it, with %s', (wire) => {
  it.each([
    ['reads, with `rolling`', '/slow', { rolling: true }],
    ['writes', '/slow?write=1', {}],
  ])('%s: the browser stays logged in', async (_name, path, session) => {
    const { app, began, end } = await started(session, wire)
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?user=guest`)
    const slow = browser.fetch(app.url + path)
    await began()
    await browser.fetch(`${app.url}/regenerate`)
    end()
    expect(namesOf(await slow)).toEqual(['theme'])
    expect(await browser.json(`${app.url}/session`)).toMatchObject({ renewed: true })
  })

  it('the session has not ended: it gets its cookie, and so does the request that regenerates', async () => {
    const { app, began, end } = await started({ rolling: true }, wire)
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?user=guest`)
    const slow = browser.fetch(`${app.url}/slow`)
    await began()
    end()
    expect(namesOf(await slow)).toEqual(['theme', 'connect.sid'])
    expect(namesOf(await browser.fetch(`${app.url}/regenerate`))).toEqual(['connect.sid'])
  })
})

await withService('Redis', startRedis, (redis) => {
  const onRedis = redisNodes(redis, close)

  it('on another node than the login, which has a socket of the session', async () => {
    const store = async () => new RedisStore({ client: await onRedis.client() })
    const [one, two] = [
      await started({ rolling: true }, 'attach', await store()),
      await started({ rolling: true }, 'attach', await store()),
    ]
    const browser = new CookieBrowser()
    await browser.fetch(`${one.app.url}/set?user=guest`)
    const tab = await letIn(browser.open(two.app.url, { transports: ['websocket'], reconnection: false }))
    const slow = browser.fetch(`${two.app.url}/slow`)
    await two.began()
    await browser.fetch(`${one.app.url}/regenerate`)
    await until(() => !tab.connected)
    two.end()
    expect(namesOf(await slow)).toEqual(['theme'])
    expect(await browser.json(`${one.app.url}/session`)).toMatchObject({ renewed: true })
  })
})

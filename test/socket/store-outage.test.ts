import { RedisStore } from 'connect-redis'
import { afterEach, describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { closeApps, startApp } from '../support/app.js'
import { CookieBrowser, closePages, TRANSPORTS } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn } from '../support/handshake.js'
import { collect } from '../support/live.js'
import { startRedis } from '../support/redis.js'
import { redisNodes } from '../support/redis-nodes.js'
import { withService } from '../support/service.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { next, until } from '../support/wait.js'

afterEach(async () => {
  closePages()
  await closeApps()
})

describe.each(TRANSPORTS)('a client that connects while the store is down comes back by itself, by %s', (_name, transports) => {
  async function visited(wire: 'attach' | 'use', timeout = 5000) {
    const store = new ControlledStore()
    const app = await startApp({
      store,
      shared: { retry: { timeout } },
      wire: (io, shared) => void (wire === 'attach' ? shared.attach(io) : io.use(shared)),
    })
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?user=ada`)
    const errors = collect<any>(app.shared.events as never, 'session:error')
    return { app, store, browser, errors }
  }

  it.each(['attach', 'use'] as const)('the store reports errors, with %s', async (wire) => {
    const { app, store, browser, errors } = await visited(wire)
    store.down(new Error('ECONNREFUSED'))
    const client = browser.open(app.url, { transports })
    const refusals = collect(client, 'connect_error')
    await until(() => errors.length > 1)
    expect(client.active).toBe(true)
    store.up()
    await next(client, 'connect')
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(refusals).toEqual([])
    expect(errors[0]).toMatchObject({ code: 'STORE_FAILED', cause: { message: 'ECONNREFUSED' } })
  })

  it('the store does not answer', async () => {
    const { app, store, browser, errors } = await visited('attach', 20)
    store.hang('get')
    store.hang('get')
    const client = browser.open(app.url, { transports })
    const refusals = collect(client, 'connect_error')
    await next(client, 'connect')
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(refusals).toEqual([])
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['STORE_TIMEOUT']))
  })

  it("the store has emitted 'disconnect'", async () => {
    const { app, store, browser, errors } = await visited('use')
    store.emit('disconnect')
    const client = browser.open(app.url, { transports })
    const refusals = collect(client, 'connect_error')
    await until(() => errors.length > 0)
    store.emit('connect')
    await next(client, 'connect')
    expect(refusals).toEqual([])
  })
})

await withService('Redis', startRedis, (redis) => {
  const onRedis = redisNodes(redis, () => {
    closePages()
    return closeApps()
  })

  it.each(['is there and does not answer', 'is gone'])(
    'Redis %s: tabs that connect meanwhile are live when it is back',
    async (how) => {
      const proxy = await TcpProxy.start(redis().port)
      onRedis.atEnd(() => proxy.stop())
      const store = new RedisStore({ client: await onRedis.client(proxy.port) })
      const app = await startApp({
        store,
        shared: { retry: { timeout: 100 }, publish: ({ user }) => ({ user }) },
        wire: (io, shared) => void shared.attach(io),
        routes: (http) => void http.post('/renew', (req, res, after) => app.shared.renewal()(req, res, after)),
      })
      const browser = new CookieBrowser()
      await browser.fetch(`${app.url}/set?user=ada`)
      const open = await letIn(browser.open(app.url, { transports: ['websocket'] }))
      const errors = collect<any>(app.shared.events as never, 'session:error')
      if (how === 'is gone') proxy.down()
      else
        proxy.stall()
        // As a lost network: the client reconnects by itself.
      ;(open.io as any).engine.transport.ws.terminate()
      const renew = async () => void (await browser.fetch(`${app.url}/renew`, { method: 'POST' }))
      const tabs = [browser.open(app.url), browser.open(app.url, { transports: ['websocket'] })]
      const mirrors = [mirror<{ user: string }>(tabs[0]!, { renew }), mirror<{ user: string }>(tabs[1]!)]
      await until(() => errors.length > 2)
      if (how === 'is gone') proxy.up()
      else proxy.resume()
      await until(() => mirrors.every((live) => live.status === 'live') && open.connected)
      expect(mirrors.map((live) => live.get()?.user)).toEqual(['ada', 'ada'])
      for (const live of mirrors) live.close()
    },
  )
})

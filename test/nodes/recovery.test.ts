import { createAdapter } from '@socket.io/redis-streams-adapter'
import { RedisStore } from 'connect-redis'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { next, until } from '../support/wait.js'

const ends: (() => unknown)[] = []

afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0).reverse()) await end()
})

let groups = 0

await withService('Redis', startRedis, (redis) => {
  /** Nodes that keep what a client left behind in Redis, so that any of them can give it back. */
  async function nodes(): Promise<[App, App]> {
    const name = `recovery${++groups}`
    const apps: App[] = []
    for (const _node of ['one', 'two']) {
      const [adapter, sessions] = [await nodeRedis(redis().port), await nodeRedis(redis().port)]
      ends.push(
        () => adapter.client.close(),
        () => sessions.client.close(),
      )
      const own = {
        heartbeatInterval: 100,
        blockTimeInMs: 50,
        streamName: name,
        channelPrefix: name,
        sessionKeyPrefix: `${name}:`,
      }
      apps.push(
        await startApp({
          store: new RedisStore({ client: sessions.client, prefix: `${name}:session:` }),
          io: { adapter: createAdapter(adapter.client, own) as never, connectionStateRecovery: {} },
          wire: (io, shared) => void shared.attach(io),
        }),
      )
    }
    await until(async () => (await apps[0]!.io.of('/').adapter.serverCount()) === 2)
    return apps as [App, App]
  }

  /** A client of node one has lost its connection. @returns comes back to node two with what it knows */
  async function away(one: App, two: App, browser: Browser) {
    const client = await browser.connect()
    const [socket] = one.sockets as [Socket]
    socket.join('secret room')
    socket.data.secret = 'of ada'
    socket.emit('first')
    await next(client, 'first')
    const gone = next(socket, 'disconnect')
    client.io.engine.close()
    await gone
    one.io.to('secret room').emit('missed')
    const { _pid: pid, _lastOffset: offset } = client as any
    return async (received: string[]): Promise<TestClient> => {
      const there: Browser = Object.assign(two.browser(), { cookie: browser.cookie })
      const back = there.open({ auth: { pid, offset } })
      back.onAny((name) => received.push(name))
      await next(back, 'connect')
      return back
    }
  }

  describe('a client that comes back to another node', () => {
    it('a client that comes back to another node is recovered, and has its live session', async () => {
      const [one, two] = await nodes()
      const browser = one.browser()
      await browser.get('/set?user=ada')
      const back = await away(one, two, browser)
      await browser.get('/set?theme=dark')
      const received: string[] = []
      const client = await back(received)
      const [socket] = two.sockets as [Socket]
      expect([socket.recovered, socket.rooms.has('secret room'), socket.data]).toEqual([true, true, { secret: 'of ada' }])
      await until(() => received.includes('missed'))
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada', theme: 'dark' })
      await client.emitWithAck('set', 'cart', [1])
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', cart: [1] })
    })

    it('a client that comes back to another node is not recovered when its session has ended on the first', async () => {
      const [one, two] = await nodes()
      const browser = one.browser()
      await browser.get('/set?user=ada')
      const back = await away(one, two, browser)
      await browser.get('/destroy')
      const received: string[] = []
      const client = await back(received)
      const [socket] = two.sockets as [Socket]
      expect([socket.recovered, socket.rooms.has('secret room'), socket.data]).toEqual([false, false, {}])
      expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
      expect(received).not.toContain('missed')
    })
  })
})

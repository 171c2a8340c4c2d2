import { io as connect, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { next, until } from '../support/wait.js'
import { type Example, startExample } from './run.js'

/** What the example shows, by whichever way its nodes are connected. */
function describeCluster(name: string, start: () => Promise<Example>): void {
  describe(name, () => {
    let example: Example
    let cookie = ''
    const sockets: Socket[] = []

    beforeAll(async () => {
      example = await start()
    })

    afterEach(() => {
      for (const socket of sockets.splice(0)) socket.disconnect()
      cookie = ''
    })

    afterAll(async () => {
      expect((await example.stop()).errors).toBe('')
    })

    async function http(path: string, body: object = {}): Promise<void> {
      const headers = { cookie, connection: 'close', 'content-type': 'application/json' }
      const response = await fetch(`${example.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
      const set = response.headers.getSetCookie()[0]
      if (set) cookie = set.split(';')[0]!
      await response.text()
    }

    /** A socket on that node. */
    async function tab(wanted: (node: string) => boolean) {
      for (;;) {
        const socket = connect(example.url, {
          transports: ['websocket'],
          forceNew: true,
          extraHeaders: { cookie },
          reconnectionDelay: 50,
        })
        // A login gives the session a new id: as a browser does, each connection sends the cookie of that moment.
        Object.defineProperty(socket.io.opts.extraHeaders, 'cookie', { get: () => cookie })
        const live = mirror<{ user?: string; clicks: number; words: string[] }>(socket)
        const { name } = await next(socket, 'node')
        if (wanted(name)) {
          sockets.push(socket)
          return { socket, live, name: name as string }
        }
        socket.disconnect()
      }
    }

    /** Two tabs on different nodes, both of which listen. */
    async function tabs() {
      await http('/session')
      const one = await tab(() => true)
      const two = await tab((name) => name !== one.name)
      let word = 0
      let heard = 0
      two.socket.on('changed', () => heard++)
      // Until then a message may have come too early.
      await until(async () => {
        await one.socket.emitWithAck('word', `${word++}`)
        return heard > 0
      })
      return [one, two] as const
    }

    it('a tab hears what another one writes on the other node, and what HTTP does', async () => {
      const [one, two] = await tabs()
      await one.socket.emitWithAck('click')
      await two.live.until(({ clicks }) => clicks === 1)
      await http('/login', { name: 'Ada' })
      await Promise.all([one, two].map(({ live }) => live.until(({ user }) => user === 'Ada')))
    })

    it('a logout ends the sockets on both nodes', async () => {
      const ended = (await tabs()).map(({ live }) => new Promise<void>((end) => live.listen((state) => state ?? end())))
      await http('/logout')
      await Promise.all(ended)
    })

    it('a killed node: its tab comes back with everything that was acknowledged', async () => {
      const [one] = await tabs()
      await one.socket.emitWithAck('click')
      const back = next(one.socket, 'disconnect').then(() => next(one.socket, 'connect'))
      one.socket.emit('kill')
      await back
      await until(() => one.live.status === 'live')
      expect(one.live.get()).toMatchObject({ clicks: 1 })
    })
  })
}

await withService('Redis', startRedis, (redis) => {
  describeCluster('the cluster on Redis', () => startExample('cluster/server.js', [], { REDIS_URL: redis().url }))
})

describeCluster('the cluster without Redis', () => startExample('cluster/server.js', ['--no-redis']))

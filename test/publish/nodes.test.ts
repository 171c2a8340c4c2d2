import { RedisStore } from 'connect-redis'
import { describe, expect, it } from 'vitest'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { startRedis } from '../support/redis.js'
import { redisNodes } from '../support/redis-nodes.js'
import { withService } from '../support/service.js'
import { next, until } from '../support/wait.js'
import { mirrored } from './mirror.js'

await withService('Redis', startRedis, (redis) => {
  const onRedis = redisNodes(redis, closeApps)

  async function node(shared: AppOptions['shared'] = {}): Promise<App> {
    return startApp({
      store: new RedisStore({ client: await onRedis.client() }),
      shared: {
        publish: (session) => ({ user: session.user, n: session.n, items: session.items }),
        revalidate: false,
        ...shared,
      },
    })
  }

  /** The same browser at another node. */
  function at(app: App, { cookie }: Browser): Browser {
    return Object.assign(app.browser(), { cookie })
  }

  async function two(shared: AppOptions['shared'] = {}) {
    const [one, other] = [await node(shared), await node(shared)]
    const here = one.browser()
    await here.get('/set?user=ada')
    return { one, other, here, there: at(other, here) }
  }

  describe.each<[string, AppOptions['shared']]>([
    ['the default options', {}],
    ['onChange: notify', { onChange: 'notify' }],
    ['merge: false', { merge: false }],
  ])('two nodes, with %s', (_name, shared) => {
    it('mirrors on both show the commits of sockets, requests and update(), each in one frame', async () => {
      const { one, here, there } = await two(shared)
      const [near, far] = [await mirrored(here), await mirrored(there)]
      expect(far.frames).toEqual(near.frames)
      await near.client.emitWithAck('set', 'n', 1)
      expect(near.state).toEqual({ user: 'ada', n: 1 })
      await far.when((state) => state.n === 1)
      await there.get('/set?user=bob&n=2&unpublished=1')
      await Promise.all([near, far].map((mirror) => mirror.when((state) => state.user === 'bob')))
      await one.shared.update(one.sockets[0]!, (draft: any) => Object.assign(draft, { items: ['tea'], n: 3 }))
      await Promise.all([near, far].map((mirror) => mirror.when((state) => state.n === 3)))
      expect(far.state).toEqual({ user: 'bob', n: 3, items: ['tea'] })
      expect(far.frames).toHaveLength(4)
      expect(far.tag).toBe(near.tag)
    })
  })

  it('a client that comes back to another node is told that it has missed nothing', async () => {
    const { here, there } = await two()
    const mirror = await mirrored(here)
    mirror.client.disconnect()
    const back = await mirrored(there, { before: mirror })
    expect(back.frames).toEqual([{ t: mirror.tag, n: (mirror.frames[0] as any).n }])
  })

  it('a client that comes back to a node where another tab was gets what it has missed', async () => {
    const { here, there } = await two()
    const [mirror, other] = [await mirrored(here), await mirrored(there)]
    await mirror.client.emitWithAck('set', 'items', 'x'.repeat(100))
    await other.when((state) => state.items)
    mirror.client.disconnect()
    await there.get('/set?n=1')
    await here.get('/set?n=2')
    await other.when((state) => state.n === '2')
    const back = await mirrored(there, { before: mirror })
    expect(back.frames).toEqual([
      {
        t: other.tag,
        f: mirror.tag,
        p: [
          [['n'], '1'],
          [['n'], '2'],
        ],
        n: expect.any(String),
      },
    ])
  })

  it('a restart of all nodes changes no tag', async () => {
    const { one, other, here } = await two()
    const mirror = await mirrored(here)
    await Promise.all([one.close(), other.close()])
    const back = await mirrored(at(await node(), here), { before: mirror })
    expect(back.frames).toEqual([expect.objectContaining({ t: mirror.tag })])
    expect(back.frames[0]).not.toHaveProperty('s')
  })

  it.each(['destroy', 'regenerate'])('a %s on one node is the last frame on the other', async (path) => {
    const { here, there } = await two()
    const far = await mirrored(there)
    const gone = next(far.client, 'disconnect')
    await here.get(`/${path}`)
    await gone
    expect(far.frames.slice(1)).toEqual([{ end: path === 'destroy' ? 'destroyed' : 'regenerated' }])
  })

  it('what was written while the bus was away is shown after it', async () => {
    const { here, there, other } = await two()
    const far = await mirrored(there)
    await onRedis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await here.get('/set?n=1')
    await far.when((state) => state.n === '1')
    await onRedis.command('SET', `sess:${other.sockets[0]!.handshake.sessionID}`, '{"cookie":{"path":"/"},"user":"eve"}')
    await other.shared.session(other.sockets[0]!).reload()
    await far.when((state) => state.user === 'eve')
    await until(() => other.shared.stats().sessions === 1)
  })
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import { Redis } from 'ioredis'
import { createClientPool, createSentinel } from 'redis'
import { afterEach, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { findProgram } from '../../support/debian.js'
import { Guarded, onFreePort } from '../../support/guarded.js'
import { tab } from '../../support/live.js'
import { startRedis } from '../../support/redis.js'
import { nodeRedis } from '../../support/redis-clients.js'
import { withService } from '../../support/service.js'
import { deferred, next, until } from '../../support/wait.js'

const ends: (() => unknown)[] = []

afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0)) await end()
})

/** A master, a replica, and a sentinel that watches them under the name `main`. */
async function startSentinel() {
  const master = await startRedis()
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)])
  const { command, end } = await nodeRedis(master.port)
  await until(async () => (await command('ROLE'))[2].length === 1)
  await end()
  const { binary, env } = await findProgram('redis', 'usr/bin/redis-server', [])
  const folder = mkdtempSync(join(tmpdir(), 'sharedsession-sentinel-'))
  const settings = join(folder, 'sentinel.conf')
  let port = 0
  const sentinel = await onFreePort((free) => {
    port = free
    // The sentinel writes to it as well.
    const watch = [`monitor main 127.0.0.1 ${master.port} 1`, 'down-after-milliseconds main 500'].map(
      (line) => `sentinel ${line}`,
    )
    const lines = [`port ${free}`, 'bind 127.0.0.1', `dir ${folder}`, ...watch]
    writeFileSync(settings, lines.join('\n'))
    return Guarded.start([binary, settings, '--sentinel'], { env, signal: 'KILL', ready: /\+monitor master main/ })
  })
  return {
    port,
    master,
    async stop() {
      await sentinel.kill()
      await replica.stop()
      await master.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

await withService('Redis Sentinel', startSentinel, (service) => {
  const shared = { revalidate: false as const, touch: false }

  it.each<[string, () => any]>([
    [
      'a sentinel of node-redis',
      () => createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: service().port }] }),
    ],
    ['a pool of node-redis', () => createClientPool({ url: service().master.url })],
  ])('%s: sessions are compared and set, and it is no bus', async (_what, create) => {
    const client = create()
    client.on('error', () => undefined)
    await client.connect()
    ends.push(() => client.destroy())
    const app = await startApp({ store: new RedisStore({ client }), shared })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { session } = await tab(app, browser)
    session.theme = 'dark'
    await session.save()
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark' })
    expect(app.shared.stats()).toMatchObject({ driver: 'redis', severalProcesses: true, bus: false })
  })

  it('a sentinel of node-redis: a save is merged, however often others have saved since', async () => {
    const client = createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: service().port }] })
    client.on('error', () => undefined)
    await client.connect()
    ends.push(() => client.destroy())
    const [loaded, goOn] = [deferred(), deferred()]
    const one = await startApp({
      store: new RedisStore({ client: client as never }),
      shared,
      routes(http) {
        http.get('/slow', async (req, res) => {
          loaded.resolve()
          await goOn.promise
          req.session.slow = true
          req.session.save((error) => res.json({ code: error?.code }))
        })
      },
    })
    const other = await node()
    const browser = one.browser()
    await browser.get('/set?user=ada')
    const slow = browser.get('/slow')
    await loaded.promise
    const elsewhere = Object.assign(other.browser(), { cookie: browser.cookie }) as Browser
    for (let n = 0; n < 10; n++) await elsewhere.get(`/set?n=${n}`)
    goOn.resolve()
    expect((await slow).body).toEqual({})
    expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', n: '9', slow: true })
  })

  async function node(): Promise<App> {
    const sentinels = [{ host: '127.0.0.1', port: service().port }]
    const client = new Redis({ sentinels, name: 'main', lazyConnect: true, sentinelRetryStrategy: () => 10 })
    client.on('error', () => undefined)
    await client.connect()
    ends.push(() => client.disconnect())
    return startApp({ store: new RedisStore8({ client }), shared: { ...shared, redis: client } })
  }

  it('ioredis with sentinels: nodes notify each other, also after a failover', async () => {
    const [one, other] = [await node(), await node()]
    const browser = one.browser()
    await browser.get('/set?user=ada')
    const { socket } = await tab(other, Object.assign(other.browser(), { cookie: browser.cookie }) as Browser)
    const heard = next(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await heard).toMatchObject({ keys: ['theme'], origin: 'remote' })

    const { command, end } = await nodeRedis(service().port)
    ends.push(end)
    await until(async () => (await command('SENTINEL', 'REPLICAS', 'main')).length === 1)
    await service().master.stop()
    const seen = next(socket, 'session:changed')
    await browser.get('/set?theme=light')
    expect(await seen).toMatchObject({ keys: ['theme'], origin: 'remote' })
  })
})

import { createAdapter } from '@socket.io/redis-adapter'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import expressSession from 'express-session'
import memorystore from 'memorystore'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { postgresBus } from '../src/index.js'
import { closeApps, startApp } from './support/app.js'
import { MemoryBus } from './support/memory-bus.js'
import { startPostgres } from './support/postgres.js'
import { startRedis } from './support/redis.js'
import { nodeRedis } from './support/redis-clients.js'
import { withService } from './support/service.js'
import { plainStore } from './support/stores.js'
import { until } from './support/wait.js'

afterEach(closeApps)

it('memorystore is of one process, as MemoryStore is', async () => {
  const { shared } = await startApp({ store: new (memorystore(expressSession))({}) })
  expect(shared.stats()).toMatchObject({ driver: 'memory', severalProcesses: false })
})

describe('stats() names the driver, the bus, and whether several processes are safe', () => {
  it('on MemoryStore: one process', async () => {
    const { shared } = await startApp()
    expect(shared.stats()).toMatchObject({ driver: 'memory', bus: false, severalProcesses: false })
  })

  it('on a store without compare-and-set: without a bus, and with an own one', async () => {
    const alone = await startApp({ store: plainStore() })
    await alone.browser().connect()
    expect(alone.shared.stats()).toMatchObject({ driver: 'generic', bus: false, severalProcesses: false })
    const { shared } = await startApp({ store: plainStore(), shared: { bus: new MemoryBus().end() } })
    expect(shared.stats()).toMatchObject({ driver: 'generic', bus: 'own', severalProcesses: false })
  })
})

await withService('Redis', startRedis, (redis) => {
  it('on Redis: by Redis, without a bus, and by socket.io’s adapter from the first socket on', async () => {
    const clients = await Promise.all([1, 2].map(() => nodeRedis(redis().port)))
    const [one, two] = clients.map(({ client }) => client)
    const own = await startApp({ store: new RedisStore({ client: one }) })
    expect(own.shared.stats()).toMatchObject({ driver: 'redis', bus: 'redis', severalProcesses: true })
    const silent = await startApp({ store: new RedisStore({ client: one }), shared: { bus: false } })
    expect(silent.shared.stats()).toMatchObject({ driver: 'redis', bus: false, severalProcesses: true })
    // Its client is hidden.
    const io = { adapter: createAdapter(one, two) }
    const hidden = await startApp({ store: new RedisStore8({ client: one }), io })
    expect(hidden.shared.stats()).toMatchObject({ driver: 'generic', bus: false, severalProcesses: false })
    await hidden.browser().connect()
    await until(() => hidden.shared.stats().bus === 'adapter')
    await closeApps()
    // close() waits for what the adapter has sent: it looks at no answer, so a client that is destroyed would make unhandled rejections.
    for (const { client } of clients) await client.close()
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  it('on Postgres: by postgresBus()', async () => {
    const pool = new pg.Pool({ connectionString: postgres().url, max: 2 })
    pool.on('error', () => undefined)
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
    const store = new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false })
    const { shared } = await startApp({ store, shared: { bus: postgresBus({ pool }) } })
    expect(shared.stats()).toMatchObject({ driver: 'postgres', bus: 'postgres', severalProcesses: true })
    await closeApps()
    await pool.end()
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { mongoUrl } from '../support/mongo.js'
import { MongoWireServer } from '../support/mongo-wire.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { watchErrorOutput } from '../support/warnings.js'

const SCRIPT = fileURLToPath(new URL('./exit-process.ts', import.meta.url))

async function exitOf(kind: string, url: string): Promise<unknown> {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, kind, url], { stdio: ['ignore', 'inherit', 'pipe'] })
  watchErrorOutput('the process', child)
  const [code] = await once(child, 'close')
  return code
}

await withService('Redis', startRedis, (redis) => {
  it.each(['node-redis', 'ioredis'])('the bus does not keep a process from exiting: %s', async (kind) => {
    expect(await exitOf(kind, redis().url)).toBe(0)
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  it('the bus does not keep a process from exiting: Postgres', async () => {
    expect(await exitOf('postgres', postgres().url)).toBe(0)
  })
})

it.each(['mongodb4', 'mongodb6', 'mongodb7'])('the bus does not keep a process from exiting: %s', async (kind) => {
  const server = await MongoWireServer.start({ isReplicaSet: true })
  expect(await exitOf(kind, mongoUrl(server.port))).toBe(0)
  await server.stop()
})

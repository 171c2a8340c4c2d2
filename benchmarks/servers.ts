import { startPostgres } from '../test/support/postgres.js'
import { startRedis } from '../test/support/redis.js'
import type { Urls } from './stores.js'

/** A Redis and a Postgres for a run. */
export async function startServers(): Promise<{ urls: Required<Urls>; stop(): Promise<void> }> {
  const redis = await startRedis()
  const postgres = await startPostgres().catch(async (error) => {
    await redis.stop()
    throw error
  })
  return {
    urls: { redis: redis.url, postgres: postgres.url },
    async stop() {
      await Promise.all([redis.stop(), postgres.stop()])
    },
  }
}

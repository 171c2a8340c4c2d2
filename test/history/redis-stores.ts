import { RedisStore } from 'connect-redis'
import connectRedis4 from 'connect-redis4'
import connectRedis5 from 'connect-redis5'
import connectRedis6 from 'connect-redis6'
import expressSession, { type Store } from 'express-session'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import redis3 from 'redis3'
import type { Reader } from './history.js'

/** They reconnect by themselves, and what fails meanwhile is reported to whoever asked. */
const ignored = (): void => undefined

async function nodeRedis(url: string) {
  const client = createClient({ url })
  client.on('error', ignored)
  await client.connect()
  return client
}

/** It calls back. */
async function nodeRedis3(url: string): Promise<any> {
  const client = redis3.createClient({ url, retry_strategy: () => 50 })
  client.on('error', ignored)
  await new Promise((resolve) => client.once('ready', resolve))
  return client
}

function ioRedis(url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => 50 })
  client.on('error', ignored)
  return client
}

export const REDIS_STORES = {
  redis: async (url) => new RedisStore({ client: await nodeRedis(url) }),
  'connect-redis-6': async (url) => new (connectRedis6(expressSession))({ client: await nodeRedis3(url) }),
  // With a client that answers both ways.
  'connect-redis-5': async (url) => new (connectRedis5(expressSession))({ client: ioRedis(url) }),
  'connect-redis-4': async (url) => new (connectRedis4(expressSession))({ client: await nodeRedis3(url) }),
} satisfies Record<string, (url: string) => Promise<Store>>

export type RedisStoreName = keyof typeof REDIS_STORES

export function isRedisStore(name: string): name is RedisStoreName {
  return name in REDIS_STORES
}

export async function readRedis(url: string): Promise<Reader> {
  const client = await nodeRedis(url)
  return {
    async read(sid) {
      const json = await client.get(`sess:${sid}`)
      return json === null ? undefined : JSON.parse(json)
    },
    close: async () => client.destroy(),
  }
}

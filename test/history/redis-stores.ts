import { RedisStore } from 'connect-redis'
import connectRedis4 from 'connect-redis4'
import connectRedis5 from 'connect-redis5'
import connectRedis6 from 'connect-redis6'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import expressSession, { type Store } from 'express-session'
import type { Redis } from 'ioredis'
import { createClient } from 'redis'
import { legacyRedis } from '../support/legacy-redis.js'
import type { Backend, Reader } from './history.js'

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
  const { default: redis3 } = await import('redis3')
  const client = redis3.createClient({ url, retry_strategy: () => 50 })
  client.on('error', ignored)
  await new Promise((resolve) => client.once('ready', resolve))
  return client
}

async function ioRedis(url: string): Promise<Redis> {
  const { Redis } = await import('ioredis')
  const client = new Redis(url, { retryStrategy: () => 50 })
  client.on('error', ignored)
  return client
}

async function readRedis(url: string): Promise<Reader> {
  const client = await nodeRedis(url)
  return {
    async read(sid) {
      const json = await client.get(`sess:${sid}`)
      return json === null ? undefined : JSON.parse(json)
    },
    close: async () => client.destroy(),
  }
}

const of = (open: Backend['open']): Backend => ({ open, read: readRedis })

/** connect-redis 8 does not show it. */
const hiddenClients = new WeakMap<Store, Redis>()

export const REDIS_STORES = {
  redis: of(async (url) => new RedisStore({ client: await nodeRedis(url) })),
  'connect-redis-10': of(async (url) => {
    // It needs Node 22.
    const { RedisStore: RedisStore10 } = await import('connect-redis10')
    return new RedisStore10({ client: await nodeRedis(url) })
  }),
  'connect-redis-8': {
    async open(url) {
      const client = await ioRedis(url)
      const store = new RedisStore8({ client })
      hiddenClients.set(store, client)
      return store
    },
    options: (store) => ({ redis: hiddenClients.get(store) }),
    read: readRedis,
  },
  'connect-redis-6': of(async (url) => new (connectRedis6(expressSession))({ client: await nodeRedis3(url) })),
  'connect-redis-6-legacy-mode': of(async (url) => {
    const { hostname, port } = new URL(url)
    return new (connectRedis6(expressSession))({ client: await legacyRedis(Number(port), hostname) })
  }),
  // With a client that answers both ways.
  'connect-redis-5': of(async (url) => new (connectRedis5(expressSession))({ client: await ioRedis(url) })),
  'connect-redis-4': of(async (url) => new (connectRedis4(expressSession))({ client: await nodeRedis3(url) })),
} satisfies Record<string, Backend>

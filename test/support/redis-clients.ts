import { once } from 'node:events'
import { promisify } from 'node:util'
import { Redis, type RedisOptions } from 'ioredis'
import { createClient } from 'redis'
import redis3 from 'redis3'

/** A connected client, whichever it is. */
export interface TestClient {
  // Of two libraries whose types have nothing in common.
  client: any
  command(...args: string[]): Promise<any>
  end(): Promise<unknown>
}

export async function nodeRedis(port: number): Promise<TestClient> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` })
  client.on('error', () => undefined)
  await client.connect()
  return { client, command: (...args) => client.sendCommand(args), end: async () => client.destroy() }
}

export async function ioRedis(port: number, options: RedisOptions = {}): Promise<TestClient> {
  const client = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 1, ...options })
  client.on('error', () => undefined)
  await client.connect()
  return { client, command: (name, ...args) => client.call(name!, ...args), end: async () => client.disconnect() }
}

/** It calls back. */
export async function nodeRedis3(port: number): Promise<TestClient> {
  const client = redis3.createClient({ port, host: '127.0.0.1', retry_strategy: () => 1 })
  client.on('error', () => undefined)
  await once(client, 'ready')
  const command = (name: string, args: string[]): Promise<any> => promisify(client.send_command.bind(client) as any)(name, args)
  return { client, command: (name, ...args) => command(name!, args), end: async () => client.end(true) }
}

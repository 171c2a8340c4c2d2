import { afterAll, afterEach, beforeAll } from 'vitest'
import { nodeRedis, type TestClient } from './redis-clients.js'

/**
 * For several nodes on one Redis, which is emptied after each test.
 * @param close ends what has a client; before that client ends
 */
export function redisNodes(redis: () => { port: number }, close: () => Promise<unknown>) {
  let direct: TestClient
  const ends: (() => unknown)[] = []
  beforeAll(async () => {
    direct = await nodeRedis(redis().port)
  })
  afterAll(() => direct.end())
  afterEach(async () => {
    await close()
    for (const end of ends.splice(0)) await end()
    await direct.command('FLUSHALL')
  })
  return {
    /** A client for a node, as connect-redis takes it. It ends with the test. @param port of a proxy */
    async client(port = redis().port): Promise<any> {
      const { client, end } = await nodeRedis(port)
      ends.push(end)
      return client
    },
    /** Called after `close`. */
    atEnd: (end: () => unknown): void => void ends.push(end),
    command: (...args: string[]): Promise<any> => direct.command(...args),
  }
}

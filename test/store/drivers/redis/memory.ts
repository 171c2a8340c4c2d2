import { RedisStore } from 'connect-redis'
import type { Store } from 'express-session'
import { afterEach, beforeAll, expect } from 'vitest'
import type { CompareAndSetDriver } from '../../../../src/store/drivers/snapshot-driver.js'
import type { Snapshot } from '../../../../src/store/snapshot.js'
import type { TestRedis } from '../../../support/redis.js'
import { nodeRedis, type TestClient } from '../../../support/redis-clients.js'
import { comparing } from '../fixture.js'

/** What Redis tests are made with: one per suite. */
export class RedisBench {
  /** A client of the test's own. */
  direct!: TestClient
  readonly #redis: () => TestRedis
  readonly #ends: (() => unknown)[] = []

  /** @param redis is asked when a test runs */
  constructor(redis: () => TestRedis) {
    this.#redis = redis
    beforeAll(async () => {
      this.direct = await nodeRedis(redis().port)
      return () => this.direct.end()
    })
    afterEach(async () => {
      for (const end of this.#ends.splice(0).reverse()) await end()
    })
  }

  /** Ended after the test, the last one first. */
  ends(end: () => unknown): void {
    this.#ends.push(end)
  }

  async connected(kind = nodeRedis, port = this.#redis().port): Promise<TestClient> {
    const client = await kind(port)
    this.ends(client.end)
    return client
  }

  /** The driver over a connect-redis 9 with such options. */
  async driverWith(options: Partial<ConstructorParameters<typeof RedisStore>[0]> = {}): Promise<CompareAndSetDriver> {
    return driverOf(new RedisStore({ client: (await this.connected()).client, ...options }))
  }

  /** ms that a key has left. */
  async left(key: string): Promise<number> {
    return Number(await this.direct.command('PTTL', key))
  }
}

/** @param redis the client, for a store that hides it */
export function driverOf(store: Store, redis?: unknown): CompareAndSetDriver {
  const driver = comparing(store, redis)
  expect(driver.name).toBe('redis')
  return driver
}

/** Creates a session that is not there. */
export async function create(driver: CompareAndSetDriver, sid: string, content: Snapshot): Promise<Snapshot> {
  const result = await driver.write(sid, content, undefined, 'exact')
  if (!result.written) throw new Error('It is there already')
  return result.current
}

import { createClient } from 'redis'

/** A client as node-redis 4 is one with `legacyMode`. */
export async function legacyRedis(port: number, host = '127.0.0.1'): Promise<any> {
  const inner = createClient({ url: `redis://${host}:${port}` })
  inner.on('error', () => undefined)
  await inner.connect()
  const names = ['get', 'del', 'expire', 'exists', 'eval', 'evalSha', 'mGet', 'subscribe', 'unsubscribe']
  const v4 = Object.fromEntries(names.map((name) => [name, (inner as any)[name].bind(inner)]))
  return {
    ...{ get: () => true, del: () => true, expire: () => true, eval: () => true, evalSha: () => true },
    options: { legacyMode: true },
    v4,
    duplicate({ legacyMode, ...options }: { legacyMode: boolean }) {
      if (legacyMode) throw new Error('it would call back')
      return inner.duplicate(options)
    },
    unref: () => inner.unref(),
    end: () => inner.destroy(),
  }
}

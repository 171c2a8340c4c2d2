import { Redis } from 'ioredis'
import { createClient } from 'redis'

type Callback = (error: unknown, reply?: unknown) => void

/** A client as node-redis 3 is one: its commands call back, and return no promise. */
export function callbackRedis(port: number): any {
  const inner = new Redis(port, '127.0.0.1')
  inner.on('error', () => undefined)
  const command =
    (name: string) =>
    (...args: unknown[]): boolean => {
      const done = args.pop() as Callback
      ;(inner as any)[name](...args).then((reply: unknown) => done(null, reply), done)
      return true
    }
  const names = ['get', 'set', 'del', 'expire', 'exists', 'eval', 'evalsha', 'mget', 'subscribe', 'unsubscribe', 'ping']
  return {
    ...Object.fromEntries(names.map((name) => [name, command(name)])),
    internal_send_command: () => true,
    options: {},
    on: inner.on.bind(inner),
    once: inner.once.bind(inner),
    duplicate: () => callbackRedis(port),
    unref: () => inner.stream?.unref(),
    end: () => inner.disconnect(),
  }
}

/** A client as node-redis 4 is one with `legacyMode`. */
export async function legacyRedis(port: number): Promise<any> {
  const inner = createClient({ url: `redis://127.0.0.1:${port}` })
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

import type { RedisStore } from 'connect-redis'

/** connect-redis 10; `undefined` below Node 22, which it needs. */
export const RedisStore10: typeof RedisStore | undefined =
  Number(process.versions.node.split('.')[0]) >= 22
    ? ((await import('connect-redis10')).RedisStore as unknown as typeof RedisStore)
    : undefined

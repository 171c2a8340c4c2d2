import expressSession from 'express-session'
import memoryStore from 'memorystore'
import fileStore from 'session-file-store'
import { describe, expect, it } from 'vitest'
import { isOpaque } from '../../src/store/drivers/opaque.js'

const Files = fileStore(expressSession)
const Memory = memoryStore(expressSession)
const files = (options: object) => new Files({ logFn: () => undefined, reapInterval: -1, ...options } as never)
const serializer = { stringify: JSON.stringify, parse: JSON.parse }

describe('a store whose sessions others are not to read', () => {
  it.each<[string, object]>([
    ['session-file-store with a secret', files({ secret: 'secret' })],
    ['session-file-store with an encoder', files({ encoder: (session: object) => JSON.stringify(session) })],
    ['memorystore with a serializer', new Memory({ serializer } as never)],
    ['one like connect-mongo with crypto', { options: { crypto: { secret: 'secret' } } }],
    ['one like connect-mongo with its own form', { options: { serialize: () => ({}) } }],
  ])('is recognised: %s', (_, store) => {
    expect(isOpaque(store)).toBe(true)
  })

  it.each<[string, object]>([
    ['MemoryStore', new expressSession.MemoryStore()],
    ['session-file-store', files({})],
    ['memorystore', new Memory({ checkPeriod: 86_400_000 })],
    ['one like connect-mongo', { options: { crypto: { secret: false, algorithm: 'aes-256-gcm' } }, crypto: null }],
  ])('is not: %s', (_, store) => {
    expect(isOpaque(store)).toBe(false)
  })
})

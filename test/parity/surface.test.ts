import expressSession, { type Store } from 'express-session'
import memoryStore from 'memorystore'
import { describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { MongoLikeStore } from '../support/stores.js'
import { sameSurface } from './surface.js'

const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }
const session = { cookie, user: 'ada' }

describe('the methods of MemoryStore, called by the application', () => {
  sameSurface(
    'with callbacks',
    () => new expressSession.MemoryStore(),
    async ({ call }) => [
      await call('get', 'nobody'),
      await call('set', 'one', session),
      await call('get', 'one'),
      await call('touch', 'one', session),
      await call('touch', 'nobody', session),
      await call('all'),
      await call('length'),
      await call('destroy', 'one'),
      await call('destroy', 'nobody'),
      await call('set', undefined, session),
      await call('get', undefined),
      await call('clear'),
    ],
  )

  sameSurface(
    'a session is kept as it was given, with or without a cookie',
    () => new expressSession.MemoryStore(),
    async ({ call, store }) => {
      await call('set', 'bare', { foo: 'bar' })
      await call('set', 'short', { cookie: { expires: '2100-01-01T00:00:00.000Z' } })
      await call('touch', 'short', { cookie: { expires: '2101-01-01T00:00:00.000Z' } })
      await call('set', 'empty', { cookie: {} })
      return [await call('get', 'bare'), await call('get', 'short'), await call('get', 'empty'), JSON.parse(store.sessions.bare)]
    },
  )
})

describe('a store that is written by its methods calls back with what it calls back with alone', () => {
  /** Says `null` where others say nothing. */
  class NullStore extends MongoLikeStore {
    override set(sid: string, value: any, callback: any): void {
      super.set(sid, value, () => callback?.(null))
    }
    override destroy(sid: string, callback: any): void {
      super.destroy(sid, () => callback?.(null))
    }
  }

  it.each<[string, () => Store]>([
    ['nothing', () => new MongoLikeStore()],
    ['null', () => new NullStore()],
    ['memorystore', () => new (memoryStore(expressSession))({ checkPeriod: 86_400_000 })],
  ])('%s', async (_name, open) => {
    const called = (store: any, method: string, ...args: unknown[]): Promise<unknown[]> =>
      new Promise((resolve) => store[method](...args, (...said: unknown[]) => resolve(said)))
    const scenario = async (store: Store) => [await called(store, 'set', 'one', session), await called(store, 'destroy', 'one')]
    const alone = await scenario(open())
    const store = open()
    const shared = sharedsession(expressSession({ secret: 's', store, resave: false, saveUninitialized: false }))
    expect(await scenario(store)).toEqual(alone)
    await shared.close()
  })
})

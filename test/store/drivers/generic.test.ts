import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import expressSession, { type Store } from 'express-session'
import memorystore from 'memorystore'
import fileStore from 'session-file-store'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MongoHabits } from '../../support/mongo-habits.js'
import { conformance } from './conformance.js'
import { checked, type Fixture, plainDriver } from './fixture.js'

const LruStore = memorystore(expressSession)
const FileStore = fileStore(expressSession)

const folder = mkdtempSync(join(tmpdir(), 'sharedsession-files-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A cookie's end, for stores whose sessions live by it. */
async function leftByCookie(store: Store, sid: string): Promise<number> {
  const found: any = await new Promise((resolve, reject) =>
    store.get(sid, (error, found) => (error ? reject(error) : resolve(found))),
  )
  return found.cookie.expires ? new Date(found.cookie.expires).getTime() - Date.now() : Number.POSITIVE_INFINITY
}

const STORES: [string, () => Store, Partial<Fixture>?][] = [
  ['a class that derives from MemoryStore', () => new (class extends expressSession.MemoryStore {})()],
  ['memorystore with a serializer', () => new LruStore({ serializer: { stringify: JSON.stringify, parse: JSON.parse } })],
  // Its ttl is its own, whatever the cookie says.
  [
    'session-file-store',
    () => new FileStore({ path: folder, retries: 0, reapInterval: -1, logFn: () => undefined }),
    { adds: ['__lastAccess'] },
  ],
  ['a store with the habits of connect-mongo', () => new MongoHabits(), { adds: ['lastModified'] }],
  ['a store without touch', () => Object.assign(new expressSession.MemoryStore(), { touch: undefined }) as never],
]

describe.each(STORES)('%s', (_name, makeStore, more) => {
  let fixture: Fixture

  beforeAll(() => {
    const store = makeStore()
    const left = async (sid: string): Promise<number> =>
      store instanceof MongoHabits ? store.rows.get(sid)!.expires - Date.now() : leftByCookie(store, sid)
    const plain = plainDriver(store)
    fixture = { driver: checked(plain), plain, store, left, ...more }
  })

  it('is driven by generic', () => {
    expect(fixture.plain).toMatchObject({ name: 'generic', compares: false })
  })

  conformance(() => fixture)
})

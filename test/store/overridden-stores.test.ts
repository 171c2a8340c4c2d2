import createSqliteStore from 'better-sqlite3-session-store'
import createMysqlStore from 'express-mysql-session'
import expressSession, { type Store } from 'express-session'
import type knex from 'knex'
import { afterAll, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSessionOptions } from '../../src/index.js'
import { type MongoServer, startMongo } from '../support/mongo.js'
import { withService } from '../support/service.js'
import { installSqlite } from '../support/sqlite-modules.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { connectMongo4OnClient4, connectMongo6, mongoDbSession } from './drivers/mongo/fixture.js'
import { knexStore } from './drivers/sql/knex-stores.js'
import { openSqliteSequelize, sequelizeStore } from './drivers/sql/sequelize-stores.js'

type Closing = { store: any; close?(): unknown }

const mongo: MongoServer = await startMongo()
const ends: (() => unknown)[] = []

afterAll(async () => {
  for (const end of ends) await end()
  await mongo.stop()
})

/** A store of each package that has a driver, on a database where one is needed to make it. */
const STORES: [name: string, open: () => Promise<Closing>][] = [
  ['connect-session-knex', async () => onKnex('sqlite3')],
  ['express-mysql-session', async () => ({ store: mysqlStore() })],
  [
    'connect-session-sequelize',
    async () => {
      const db = await openSqliteSequelize(':memory:')
      return { store: sequelizeStore(db), close: () => db.close() }
    },
  ],
  [
    'connect-sqlite3',
    async () => {
      const ConnectSqlite3 = (await installSqlite())('connect-sqlite3')(expressSession)
      const store = new ConnectSqlite3({ db: ':memory:', dir: '' })
      return { store, close: () => new Promise((resolve) => store.db.close(resolve)) }
    },
  ],
  ['better-sqlite3-session-store', async () => ({ store: await betterSqliteStore() })],
  ['connect-mongo', () => connectMongo6(mongo.port, {})],
  ['connect-mongo', () => connectMongo4OnClient4(mongo.port, {})],
  ['connect-mongodb-session', () => mongoDbSession(mongo.port, {})],
]

/** On a database that is never asked. */
function onKnex(dialect: string): Closing {
  const database = Object.assign(() => undefined, { client: { dialect }, schema: { hasTable: async () => true } })
  return { store: knexStore(database as unknown as ReturnType<typeof knex>) }
}

function mysqlStore(): Store {
  const connection = { query: async () => [[], []], execute: async () => [[], []] }
  const MysqlStore = createMysqlStore(expressSession as never) as any
  return new MysqlStore({ createDatabaseTable: false, clearExpired: false }, connection)
}

async function betterSqliteStore(): Promise<Store> {
  const Database = (await installSqlite())('better-sqlite3')
  const { setInterval } = globalThis
  // It removes what has expired by an interval that nobody can stop.
  globalThis.setInterval = (() => undefined) as never
  try {
    return new (createSqliteStore(expressSession))({ client: new Database(':memory:') }) as unknown as Store
  } finally {
    globalThis.setInterval = setInterval
  }
}

async function opened(open: () => Promise<Closing>): Promise<any> {
  const { store, close } = await open()
  if (close) ends.unshift(close)
  return store
}

/** The ways in which an application puts something of its own over one method of a store. */
const WAYS: [string, (store: any, method: string) => any][] = [
  [
    'a method on the store',
    (store, method) => {
      const before = store[method]
      store[method] = function (this: unknown, ...args: unknown[]) {
        return before.apply(this, args)
      }
      return store
    },
  ],
  [
    'a subclass',
    (store, method) => {
      const before = store[method]
      // Express-session's classes of old cannot be extended by `class` alone: what a subclass leaves behind is this chain.
      const prototype = Object.create(Object.getPrototypeOf(store), {
        [method]: {
          value(this: unknown, ...args: unknown[]) {
            return before.apply(this, args)
          },
        },
      })
      return Object.setPrototypeOf(store, prototype)
    },
  ],
  [
    'a proxy',
    (store, method) =>
      new Proxy(store, {
        get: (target, key) => (key === method ? (...args: unknown[]) => target[key](...args) : Reflect.get(target, key)),
      }),
  ],
]

/** Which driver a call of this package takes. */
async function driverOf(store: Store, options: SharedSessionOptions = {}): Promise<string> {
  const session = expressSession({ secret: 's', store, resave: false, saveUninitialized: false })
  const shared = sharedsession(session, { bus: false, ...options })
  const { driver } = shared.stats()
  await shared.close()
  return driver
}

await withService(
  'SQLite',
  async () => Object.assign(await installSqlite(), { stop: async () => undefined }),
  () => {
    describe.each(STORES)('%s', (name, open) => {
      it('has its driver, without a warning', async () => {
        expect(await driverOf(await opened(open))).toBe(name)
      })

      it.each(WAYS)(
        'with %s of the application’s is written by its methods, and one warning says what that costs',
        async (_way, over) => {
          const warnings = expectWarning('of its own, not those of')
          const before = warnings.length
          const store = over(await opened(open), 'set')
          expect(await driverOf(store)).toBe('generic')
          expect(await driverOf(store)).toBe('generic')
          await until(() => warnings.length > before)
          expect(warnings.slice(before)).toEqual([
            expect.stringMatching(new RegExp(`has set\\(\\) of its own, not those of ${name}.*two processes.*driver: '${name}'`)),
          ])
        },
      )

      it('is written past them where the application insists, and by them without a warning where it says so', async () => {
        const [, over] = WAYS[0]!
        const store = over(await opened(open), 'set')
        expect(await driverOf(store, { driver: name as 'connect-mongo' })).toBe(name)
        expect(await driverOf(store, { driver: 'generic' })).toBe('generic')
      })

      it('the driver of another package is refused', async () => {
        const other = name === 'connect-mongo' ? 'express-mysql-session' : 'connect-mongo'
        const store = await opened(open)
        await expect(driverOf(store, { driver: other })).rejects.toThrow(
          expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining(`needs a store of ${other}`) }),
        )
      })
    })
  },
)

describe('no warning is for a store', () => {
  it('that only has members of the same names', async () => {
    class Own extends expressSession.MemoryStore {
      client = { prepare: () => undefined }
      table = 'sessions'
      db = { all: () => undefined }
    }
    expect(await driverOf(new Own())).toBe('generic')
  })

  it('that no driver can write; insisting says why', async () => {
    const store = onKnex('mssql').store
    expect(await driverOf(store)).toBe('generic')
    await expect(driverOf(store, { driver: 'connect-session-knex' })).rejects.toThrow(
      /its driver can write, and this one is on a database \(mssql\)/,
    )
    const serializing = await opened(() => connectMongo6(mongo.port, { serialize: (session: unknown) => session } as never))
    expect(await driverOf(serializing)).toBe('generic')
  })
})

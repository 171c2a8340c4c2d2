import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import betterSqlite3SessionStore from 'better-sqlite3-session-store'
import { ConnectSessionKnexStore } from 'connect-session-knex'
import expressSession, { type Store } from 'express-session'
import knex from 'knex'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withService } from '../../../support/service.js'
import { installSqlite } from '../../../support/sqlite-modules.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture, newSid, snapshot } from '../fixture.js'
import { publicCases } from '../public-cases.js'
import { publicFixture } from './fixture.js'

/** A store over a file of its own, and what else the suites need. */
interface Opened {
  store: Store
  close(): Promise<unknown> | unknown
  left(sid: string): Promise<number>
}

const started = async () => Object.assign(await installSqlite(), { stop: async () => undefined })

await withService('SQLite', started, (load) => {
  const open: Record<string, (file: string) => Promise<Opened>> = {
    'connect-sqlite3': async (file) => {
      const { Database } = load()('sqlite3')
      const SqliteStore = load()('connect-sqlite3')(expressSession)
      const db = new Database(file)
      const store = new SqliteStore({ db })
      return {
        store,
        close: () => new Promise((resolve) => db.close(resolve)),
        left: (sid) =>
          new Promise((resolve) => {
            db.get('SELECT expired FROM sessions WHERE sid = ?', [sid], (_error: unknown, row: any) =>
              resolve(row.expired - Date.now()),
            )
          }),
      }
    },

    'better-sqlite3-session-store': async (file) => {
      const client = new (load()('better-sqlite3'))(file)
      const BetterStore = betterSqlite3SessionStore(expressSession as never) as unknown as new (options: object) => Store
      const intervals = intervalsOf(() => new BetterStore({ client }))
      return {
        store: intervals.made,
        close() {
          intervals.clear()
          client.close()
        },
        left: async (sid) => Date.parse(client.prepare('SELECT expire FROM sessions WHERE sid = ?').get(sid).expire) - Date.now(),
      }
    },

    'connect-session-knex with sqlite3': (file) => openKnex('sqlite3', file),
    'connect-session-knex with better-sqlite3': (file) => openKnex('better-sqlite3', file),
  }

  async function openKnex(client: 'sqlite3' | 'better-sqlite3', filename: string): Promise<Opened> {
    // knex looks for the bindings beside itself.
    const { default: Dialect } = await import(`knex/lib/dialects/${client}/index.js`)
    class Client extends Dialect {
      _driver(): unknown {
        return load()(client)
      }
    }
    const database = knex({ client: Client as never, connection: { filename }, useNullAsDefault: true })
    const store = new ConnectSessionKnexStore({ knex: database, cleanupInterval: 0 })
    await store.ready
    return {
      store,
      close: () => database.destroy(),
      left: async (sid) => Date.parse((await database('sessions').where({ sid }))[0].expired) - Date.now(),
    }
  }

  it.each<[string, (store: any, other: any) => void]>([
    [
      'connect-sqlite3',
      (store, { db }) => {
        store.db = db
      },
    ],
    [
      'better-sqlite3-session-store',
      (store, { client }) => {
        store.client = client
      },
    ],
    [
      'connect-session-knex with better-sqlite3',
      (store, { options }) => {
        store.options.knex = options.knex
      },
    ],
  ])('%s: a database that the application puts in place of the store’s is the one that is used', async (name, replace) => {
    const folder = mkdtempSync(join(tmpdir(), 'sharedsession-sqlite-'))
    const [one, two] = [await open[name]!(join(folder, 'one.db')), await open[name]!(join(folder, 'two.db'))]
    try {
      const driver = comparing(one.store)
      const sid = newSid()
      expect((await driver.write(sid, snapshot({ n: 1 }), undefined, 'exact')).written).toBe(true)
      replace(one.store, two.store)
      expect(await driver.read(sid)).toBeUndefined()
      expect((await driver.write(sid, snapshot({ n: 2 }), undefined, 'exact')).written).toBe(true)
      expect((await comparing(two.store).read(sid))?.data).toEqual({ n: 2 })
    } finally {
      await one.close()
      await two.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  describe.each(Object.keys(open))('%s', (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'sharedsession-sqlite-'))
    let opened: Opened
    let fixture: Fixture

    beforeAll(async () => {
      opened = await open[name]!(join(folder, 'sessions.db'))
      fixture = { driver: comparing(opened.store), store: opened.store, left: opened.left }
    })

    afterAll(async () => {
      await opened?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    it('is driven by its name', () => {
      expect(fixture.driver).toMatchObject({ name: name.split(' ')[0], compares: true })
    })

    conformance(() => fixture)
    // No answer can be lost: SQLite runs in this process, so a statement has been carried out when its call returns, and not at all when it throws.
    publicCases(() => publicFixture(opened.store, opened.left), ['store', 'left'])
  })
})

/** The store starts a timer that holds the process open, and shows it to nobody. */
function intervalsOf<T>(make: () => T): { made: T; clear(): void } {
  const { setInterval } = globalThis
  const timers: NodeJS.Timeout[] = []
  globalThis.setInterval = ((...args: Parameters<typeof setInterval>) => {
    const timer = setInterval(...args)
    timers.push(timer)
    return timer
  }) as typeof setInterval
  try {
    return { made: make(), clear: () => timers.forEach(clearInterval) }
  } finally {
    globalThis.setInterval = setInterval
  }
}

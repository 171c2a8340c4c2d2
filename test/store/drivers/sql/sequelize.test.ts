import type { Store } from 'express-session'
import type { Sequelize } from 'sequelize'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMariaDb } from '../../../support/mariadb.js'
import { startPostgres } from '../../../support/postgres.js'
import { withService } from '../../../support/service.js'
import { startSqlite } from '../../../support/sqlite-modules.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture, newSid, snapshot } from '../fixture.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'
import { publicFixture } from './fixture.js'
import { defineOwn, openSequelize, openSqliteSequelize, sequelizeStore } from './sequelize-stores.js'

type Server = { port: number; stop(): Promise<void> }

const SERVERS = [
  ['Postgres', 'postgres', startPostgres],
  ['MariaDB', 'mysql', startMariaDb],
] as const

for (const [name, dialect, start] of SERVERS) {
  await withService<Server>(name, start, (server) => {
    suite(dialect, async () => {
      const proxy = await TcpProxy.start(server().port)
      return { db: openSequelize(dialect, proxy.port), proxy, direct: openSequelize(dialect, server().port) }
    })
  })
}

await withService('SQLite', startSqlite, (sqlite) => {
  suite(undefined, async () => ({ db: await openSqliteSequelize(`${sqlite().url}-${newSid()}`) }))
})

/** @param dialect of a server */
function suite(
  dialect: 'postgres' | 'mysql' | undefined,
  open: () => Promise<{ db: Sequelize; proxy?: TcpProxy; direct?: Sequelize }>,
): void {
  describe.each(['its own model', 'a model of the application'])('connect-session-sequelize with %s', (model) => {
    let db: Sequelize
    let proxy: TcpProxy | undefined
    let direct: Sequelize | undefined
    let second: Store | undefined
    let store: ReturnType<typeof sequelizeStore>
    let fixture: Fixture
    const left = async (sid: string): Promise<number> =>
      (await store.sessionModel.findOne({ where: { sid } })).expires - Date.now()

    beforeAll(async () => {
      const opened = await open()
      db = opened.db
      proxy = opened.proxy
      direct = opened.direct
      const storeOn = (on: Sequelize) => sequelizeStore(on, model === 'its own model' ? {} : defineOwn(on))
      store = storeOn(db)
      second = direct && storeOn(direct)
      await store.sync()
      // A session of 1 MB is no `TEXT` of MySQL, which has 64 kB.
      if (db.getDialect() === 'mysql' && model === 'its own model') await db.query('ALTER TABLE Sessions MODIFY data LONGTEXT')
      fixture = { driver: comparing(store), store, left }
    })

    afterAll(async () => {
      await db?.close()
      await direct?.close()
      await proxy?.stop()
    })

    it('is driven by its name', () => {
      expect(fixture.driver).toMatchObject({ name: 'connect-session-sequelize', compares: true })
    })

    if (model !== 'its own model') {
      it('fills the columns of the application with each write', async () => {
        const sid = newSid()
        const row = async () => (await store.sessionModel.findOne({ where: { sid } })).user
        const first = await fixture.driver.write(sid, snapshot({ user: 'ada' }), undefined, 'exact')
        expect(await row()).toBe('ada')
        await fixture.driver.write(sid, snapshot({ user: 'grace' }), first.current, 'extend')
        expect(await row()).toBe('grace')
      })
    }

    conformance(() => fixture)
    const members = dialect ? WITH_SERVER : (['store', 'left'] as const)
    publicCases(() => publicFixture(store, left, proxy, second), dialect === 'mysql' ? [...members, 'foldsCase'] : members)
  })
}

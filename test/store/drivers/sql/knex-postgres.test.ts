import type { ConnectSessionKnexStore } from 'connect-session-knex'
import type { Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPostgres } from '../../../support/postgres.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture, newSid, snapshot } from '../fixture.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'
import { publicFixture } from './fixture.js'
import { knexStore, openKnex } from './knex-stores.js'

await withService('Postgres', startPostgres, (postgres) => {
  describe.each([
    ['the table that it makes', 'sessions', 'sid'],
    ['a table of its own with jsonb', 'Sessions $1 ü', 'session_id'],
  ])('connect-session-knex on Postgres, %s', (_title, tableName, sidFieldName) => {
    let proxy: TcpProxy
    let database: Knex
    let direct: Knex
    let store: ConnectSessionKnexStore
    let second: ConnectSessionKnexStore
    let fixture: Fixture
    const left = async (sid: string): Promise<number> => {
      const [row] = await database(tableName).where(sidFieldName, sid)
      return row.expired - Date.now()
    }

    beforeAll(async () => {
      proxy = await TcpProxy.start(postgres().port)
      database = openKnex('pg', proxy.port)
      if (sidFieldName !== 'sid') {
        await database.raw('CREATE TABLE ?? (?? varchar(255) PRIMARY KEY, sess jsonb NOT NULL, expired timestamptz NOT NULL)', [
          tableName,
          sidFieldName,
        ])
      }
      store = knexStore(database, { tableName, sidFieldName })
      await store.ready
      direct = openKnex('pg', postgres().port)
      second = knexStore(direct, { tableName, sidFieldName })
      fixture = { driver: comparing(store), store, roundTrips: () => proxy.roundTrips, left }
    })

    afterAll(async () => {
      await database?.destroy()
      await direct?.destroy()
      await proxy?.stop()
    })

    it('is driven by its name', () => {
      expect(fixture.driver).toMatchObject({ name: 'connect-session-knex', compares: true })
    })

    conformance(() => fixture)
    publicCases(() => publicFixture(store, left, proxy, second), WITH_SERVER)
  })

  it('in a table without a unique index on the ids no session is created: nothing would tell two creators apart', async () => {
    const database = openKnex('pg', postgres().port)
    await database.raw('CREATE TABLE loose (sid varchar(255) NOT NULL, sess json NOT NULL, expired timestamptz NOT NULL)')
    const driver = comparing(knexStore(database, { tableName: 'loose' }))
    const made = driver.write(newSid(), snapshot({ n: 1 }), undefined, 'exact')
    await expect(made).rejects.toMatchObject({ message: expect.stringContaining('no unique') })
    await database.destroy()
  })
})

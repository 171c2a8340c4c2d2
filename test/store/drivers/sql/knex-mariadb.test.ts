import type { ConnectSessionKnexStore } from 'connect-session-knex'
import type { Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMariaDb } from '../../../support/mariadb.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture } from '../fixture.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'
import { publicFixture } from './fixture.js'
import { knexStore, openKnex } from './knex-stores.js'

await withService('MariaDB', startMariaDb, (mariadb) => {
  describe.each([
    ['the table that it makes', 'sessions', 'sid', undefined],
    ['a column without case', 'own', 'session_id', 'longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci'],
    ['a column in UTF-16', 'own2', 'session_id', 'longtext CHARACTER SET utf16'],
  ])('connect-session-knex on MariaDB, %s', (_title, tableName, sidFieldName, type) => {
    let proxy: TcpProxy
    let database: Knex
    let direct: Knex
    let store: ConnectSessionKnexStore
    let second: ConnectSessionKnexStore
    let fixture: Fixture
    const left = async (sid: string): Promise<number> => {
      const [[row]] = await database.raw('SELECT CAST(expired AS CHAR) AS expired FROM ?? WHERE ?? = ?', [
        tableName,
        sidFieldName,
        sid,
      ])
      return new Date(`${row.expired.replace(' ', 'T')}Z`).getTime() - Date.now()
    }

    beforeAll(async () => {
      proxy = await TcpProxy.start(mariadb().port)
      database = openKnex('mysql2', proxy.port)
      if (type) {
        const columns = `?? varchar(255) PRIMARY KEY, sess ${type} NOT NULL, expired datetime NOT NULL`
        await database.raw(`CREATE TABLE ?? (${columns})`, [tableName, sidFieldName])
      }
      store = knexStore(database, { tableName, sidFieldName })
      await store.ready
      direct = openKnex('mysql2', mariadb().port)
      second = knexStore(direct, { tableName, sidFieldName })
      fixture = { driver: comparing(store), store, left }
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
    publicCases(() => publicFixture(store, left, proxy, second), [...WITH_SERVER, 'foldsCase'])
  })
})

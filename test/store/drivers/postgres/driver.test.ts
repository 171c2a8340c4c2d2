import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PostgresDriver } from '../../../../src/store/drivers/postgres/driver.js'
import { PostgresTable } from '../../../../src/store/drivers/postgres/table.js'
import { isWrite, networkOf } from '../../../support/driver-network.js'
import { startPostgres } from '../../../support/postgres.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture } from '../fixture.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'

const PgStore = connectPgSimple(expressSession)

await withService('Postgres', startPostgres, (postgres) => {
  describe.each(['json', 'jsonb'])('connect-pg-simple, %s column', (type) => {
    let proxy: TcpProxy
    let pool: pg.Pool
    let direct: pg.Pool
    let fixture: Fixture

    const storeOn = (on: pg.Pool) => new PgStore({ pool: on, tableName: `session "${type}" ü`, pruneSessionInterval: false })

    beforeAll(async () => {
      proxy = await TcpProxy.start(postgres().port)
      pool = new pg.Pool({ host: '127.0.0.1', port: proxy.port, user: 'test', database: 'postgres', max: 20 })
      // The server goes away in some cases.
      pool.on('error', () => undefined)
      await pool.query(
        `CREATE TABLE "session ""${type}"" ü" (sid varchar PRIMARY KEY, sess ${type} NOT NULL, expire timestamp(6) NOT NULL)`,
      )
      direct = new pg.Pool({ host: '127.0.0.1', port: postgres().port, user: 'test', database: 'postgres' })
      const store = storeOn(pool)
      fixture = {
        driver: comparing(store),
        store,
        roundTrips: () => proxy.roundTrips,
        async left(sid) {
          const { rows } = await pool.query(
            `SELECT extract(epoch FROM expire - now()::timestamp) * 1000 AS ms FROM ${(store as any).quotedTable()} WHERE sid = $1`,
            [sid],
          )
          return Number(rows[0].ms)
        },
      }
    })

    afterAll(async () => {
      await pool?.end()
      await direct?.end()
      await proxy?.stop()
    })

    it('is driven by postgres', () => {
      expect(fixture.driver).toMatchObject({ name: 'postgres', compares: true })
    })

    conformance(() => fixture)

    publicCases(() => {
      const driverOf = (store: object) => new PostgresDriver('postgres', PostgresTable.of(store)!)
      const [driver, second] = [driverOf(fixture.store), driverOf(storeOn(direct))]
      return { ...fixture, driver, second, network: networkOf(proxy, isWrite) }
    }, WITH_SERVER)
  })
})

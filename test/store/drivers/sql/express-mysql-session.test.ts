import expressMySqlSession from 'express-mysql-session'
import expressSession, { type Store } from 'express-session'
import { createPool as createCallbackPool, type PoolOptions } from 'mysql2'
import { createPool, type Pool, type PoolConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { IndeterminateWriteError } from '../../../../src/store/drivers/store-driver.js'
import { failure } from '../../../support/live.js'
import { startMariaDb } from '../../../support/mariadb.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { until } from '../../../support/wait.js'
import { conformance } from '../conformance.js'
import { comparing, type Fixture, newSid, snapshot } from '../fixture.js'
import { publicCases, WITH_SERVER } from '../public-cases.js'
import { publicFixture } from './fixture.js'

const MySqlStore = expressMySqlSession(expressSession as never) as unknown as new (
  options: object,
  pool: unknown,
) => Store & {
  onReady(): Promise<void>
  close(): Promise<void>
}

it('a table that could not be made: each call settles, with the answer of the server', async () => {
  const refusal = Object.assign(new Error('CREATE command denied'), { errno: 1142, sqlState: '42000' })
  const connection = { query: async (text: string) => (text.startsWith('CREATE') ? Promise.reject(refusal) : [[], []]) }
  const store = new MySqlStore({ clearExpired: false }, connection)
  const driver = comparing(store)
  expect(await failure(store.onReady())).toBe(refusal)
  expect(await driver.read(newSid())).toBeUndefined()
  expect(await comparing(store).read(newSid())).toBeUndefined()
})

const OWN = { tableName: 'own `table`', columnNames: { session_id: 'id', expires: 'end?', data: 'content' } }

await withService('MariaDB', startMariaDb, (mariadb) => {
  describe.each([
    ['the table that it makes', undefined, false],
    ['a table of its own, without case, and a pool with callbacks', OWN, true],
  ])('express-mysql-session, %s', (_title, schema, callbacks) => {
    let proxy: TcpProxy
    let direct: Pool
    let end: () => Promise<unknown>
    let store: Store
    let second: Store
    let fixture: Fixture
    const { tableName, columnNames } = schema ?? {
      tableName: 'sessions',
      columnNames: { session_id: 'session_id', expires: 'expires' },
    }
    const left = async (sid: string): Promise<number> => {
      const [rows] = await direct.query<any>('SELECT ?? AS expires FROM ?? WHERE ?? = ?', [
        columnNames.expires,
        tableName,
        columnNames.session_id,
        sid,
      ])
      return rows[0].expires * 1000 - Date.now()
    }

    beforeAll(async () => {
      proxy = await TcpProxy.start(mariadb().port)
      const options = { host: '127.0.0.1', user: 'test', database: 'test', connectionLimit: 20 }
      direct = createPool({ ...options, port: mariadb().port })
      if (schema) {
        const columns = '?? varchar(128) PRIMARY KEY, ?? int unsigned NOT NULL, ?? mediumtext COLLATE utf8mb4_general_ci'
        await direct.query(`CREATE TABLE ?? (${columns})`, [schema.tableName, 'id', 'end?', 'content'])
      }
      const pool = callbacks ? createCallbackPool({ ...options, port: proxy.port }) : createPool({ ...options, port: proxy.port })
      end = async () => (callbacks ? new Promise((resolve) => pool.end(resolve as never)) : pool.end())
      const made = new MySqlStore({ clearExpired: false, createDatabaseTable: !schema, ...(schema && { schema }) }, pool)
      await made.onReady()
      store = made
      second = new MySqlStore({ clearExpired: false, createDatabaseTable: false, ...(schema && { schema }) }, direct)
      fixture = { driver: comparing(store), store, left }
    })

    afterAll(async () => {
      await end?.()
      await direct?.end()
      await proxy?.stop()
    })

    it('is driven by its name', () => {
      expect(fixture.driver).toMatchObject({ name: 'express-mysql-session', compares: true })
    })

    conformance(() => fixture)
    publicCases(() => publicFixture(store, left, proxy, second), schema ? [...WITH_SERVER, 'foldsCase'] : WITH_SERVER)
  })

  it('a server that was not there when the table was to be made: sessions are stored as soon as it is', async () => {
    const options = { host: '127.0.0.1', user: 'test', database: 'test' }
    const earlier = new MySqlStore(
      { clearExpired: false, endConnectionOnClose: true },
      createPool({ ...options, port: mariadb().port }),
    )
    await earlier.onReady()
    await earlier.close()
    const proxy = await TcpProxy.start(mariadb().port)
    const pool = createPool({ ...options, port: proxy.port })
    try {
      proxy.down()
      const store = new MySqlStore({ clearExpired: false }, pool)
      expect(await failure(store.onReady())).toBeInstanceOf(Error)
      const driver = comparing(store)
      proxy.up()
      const sid = newSid()
      await until(() =>
        driver.read(sid).then(
          () => true,
          () => false,
        ),
      )
      expect(await driver.write(sid, snapshot({ n: 1 }), undefined, 'exact')).toMatchObject({ written: true })
    } finally {
      await pool.end()
      await proxy.stop()
    }
  })

  it.each<[string, PoolOptions, RegExp]>([
    ['has a full queue', { connectionLimit: 1, queueLimit: 1 }, /Queue limit/],
    ['has ended', {}, /Pool is closed/],
  ])('a write of a pool that %s was not sent, and is no write of unknown outcome', async (_what, options, message) => {
    const pool = createCallbackPool({ host: '127.0.0.1', user: 'test', database: 'test', port: mariadb().port, ...options })
    const store = new MySqlStore({ clearExpired: false }, pool)
    await store.onReady()
    const driver = comparing(store)
    const isFull = options.connectionLimit !== undefined
    const end = (): Promise<unknown> => new Promise((resolve) => pool.end(resolve as never))
    const connection = isFull ? await pool.promise().getConnection() : await end()
    const waiting = isFull ? pool.promise().query('SELECT 1') : undefined
    const error = await failure(driver.write(newSid(), snapshot({ n: 1 }), undefined, 'exact'))
    expect(error).not.toBeInstanceOf(IndeterminateWriteError)
    expect(error.message).toMatch(message)
    ;(connection as PoolConnection | undefined)?.release()
    await waiting
    if (isFull) await end()
  })
})

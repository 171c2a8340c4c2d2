import { inspect } from 'node:util'
import { ConnectSessionKnexStore } from 'connect-session-knex'
import expressMySqlSession from 'express-mysql-session'
import expressSession from 'express-session'
import knex, { type Knex } from 'knex'
import { createPool } from 'mysql2/promise'
import { DataTypes, type Sequelize } from 'sequelize'
import { afterEach, describe, expect, it } from 'vitest'
import type { StoreDriver } from '../../../../src/driver.js'
import { touch } from '../../../../src/driver-testing/fixture.js'
import { IndeterminateWriteError } from '../../../../src/store/drivers/store-driver.js'
import { failure } from '../../../support/live.js'
import { startMariaDb } from '../../../support/mariadb.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { comparing, newSid, plainDriver } from '../fixture.js'
import { sqlDriverOf } from './fixture.js'
import { knexStore, openKnex } from './knex-stores.js'
import { openSequelize, sequelizeStore } from './sequelize-stores.js'

const MySqlStore = expressMySqlSession(expressSession)

const text = (data: string): string => `{"cookie":{"originalMaxAge":null},${data}}`
const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)

const write = (driver: StoreDriver, sid: string, data: string, expected?: any) =>
  driver.write(sid, { text: text(data), expires: inHours(1), atLeast: true }, expected)

await withService('MariaDB', startMariaDb, (mariadb) => {
  const ends: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function mysqlStore(port: number, options: object = {}, flags: string[] = []) {
    const pool = createPool({ host: '127.0.0.1', port, user: 'test', database: 'test', flags })
    ends.push(() => pool.end())
    const store = new MySqlStore({ clearExpired: false, ...options }, pool)
    await store.onReady()
    return store
  }

  async function onKnex(port: number) {
    const database = openKnex('mysql2', port)
    ends.push(() => database.destroy())
    const store = knexStore(database, { tableName: 'knex_sessions' })
    await store.ready
    return store
  }

  async function onSequelize(port: number, options: object = {}) {
    const db = openSequelize('mysql', port)
    ends.push(() => db.close())
    const store = sequelizeStore(db, options)
    await store.sync()
    return store
  }

  const stores: [string, (port: number, options?: object) => Promise<any>, table: string, column: string][] = [
    ['express-mysql-session', mysqlStore, 'sessions', 'data'],
    ['connect-session-knex', onKnex, 'knex_sessions', 'sess'],
    ['connect-session-sequelize', onSequelize, 'Sessions', 'data'],
  ]

  describe.each(stores)('%s', (name, open, table, column) => {
    it('a session that another unique index refuses is an error, which shows no value, and not one that is there', async () => {
      const driver = sqlDriverOf(await open(mariadb().port))
      const pool = createPool({ host: '127.0.0.1', port: mariadb().port, user: 'test', database: 'test' })
      ends.push(() => pool.end())
      await pool.query(`ALTER TABLE ${table} ADD who varchar(99) AS (JSON_VALUE(${column}, '$.who')) PERSISTENT UNIQUE`)
      ends.push(() => pool.query(`ALTER TABLE ${table} DROP who`))
      const [sid, other] = [newSid(), newSid()]
      const taken = `"who":"secret ' for key "`
      await write(driver, sid, taken)
      for (const isThere of [false, true]) {
        const expected = await driver.read(other)
        expect(expected !== undefined).toBe(isThere)
        const error = await failure(write(driver, other, taken, expected))
        expect(error).not.toBeInstanceOf(IndeterminateWriteError)
        expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/secret/)
        expect(await write(driver, other, `"n":${Number(isThere)}`, expected)).toMatchObject({ written: true })
      }
      const held = { text: expect.stringContaining('secret') }
      expect(await write(driver, sid, '"n":2')).toMatchObject({ written: false, stored: held })
    })

    it('no error shows an id or what is in a session', async () => {
      const proxy = await TcpProxy.start(mariadb().port)
      ends.push(() => proxy.stop())
      const driver = sqlDriverOf(await open(proxy.port))
      const sid = newSid()
      await write(driver, sid, '"password":"secret"')
      const held = await driver.read(sid)
      const show = (error: unknown): string => inspect(error, { depth: 9, showHidden: true })
      const cut = proxy.cut('answer', (request) => request.includes('hidden'))
      const lost = await failure(write(driver, sid, '"hidden":"secret"', held))
      await cut
      const long = await failure(write(driver, sid, `"password":"secret${'x'.repeat(17 * 1024 * 1024)}"`, await driver.read(sid)))
      for (const error of [lost, long]) {
        expect(error).toBeInstanceOf(Error)
        expect(show(error)).not.toMatch(/secret/)
        expect(show(error)).not.toContain(sid)
      }
    })

    it('a touch to the end that the session has already finds the session', async () => {
      const driver = sqlDriverOf(await open(mariadb().port))
      const [sid, end] = [newSid(), inHours(1)]
      await write(driver, sid, '"n":1')
      for (let n = 0; n < 3; n++) expect(await touch(driver, sid, end)).toBe(true)
    })

    it('has the generic driver where a method is not its own', async () => {
      const store = await open(mariadb().port)
      const { set } = store
      store.set = function (this: object, ...args: unknown[]) {
        return set.apply(this, args)
      }
      expect(plainDriver(store).name).toBe('generic')
      delete store.set
      expect(sqlDriverOf(store).name).toBe(name)
      Object.setPrototypeOf(
        store,
        Object.create(Object.getPrototypeOf(store), {
          touch: {
            value() {
              throw new Error('not called')
            },
          },
        }),
      )
      expect(plainDriver(store).name).toBe('generic')
    })
  })

  it('a client that counts changed rows only: a touch to the same end finds the session', async () => {
    const driver = sqlDriverOf(await mysqlStore(mariadb().port, {}, ['-FOUND_ROWS']))
    const [sid, end] = [newSid(), inHours(1)]
    await write(driver, sid, '"n":1')
    for (let n = 0; n < 3; n++) expect(await touch(driver, sid, end)).toBe(true)
    expect(await touch(driver, newSid(), end)).toBe(false)
  })

  it.each(stores.filter(([name]) => name !== 'connect-session-knex'))(
    '%s with disableTouch: a touch tells, and leaves the end',
    async (_name, open) => {
      const driver = sqlDriverOf(await open(mariadb().port, { disableTouch: true }))
      const sid = newSid()
      expect(driver.touchDisabled).toBe(true)
      await write(driver, sid, '"n":1')
      expect(await touch(driver, sid, new Date(Date.now() - 10_000))).toBe(true)
      expect(await driver.read(sid)).toBeDefined()
      expect(await touch(driver, newSid(), inHours(1))).toBe(false)
    },
  )

  it('ids that a collation takes for the same are read as the store reads them', async () => {
    const driver = sqlDriverOf(await onKnex(mariadb().port))
    const sid = `a${newSid()}`
    await write(driver, sid, '"n":1')
    const [upper, lower] = (await driver.readMany?.([sid.toUpperCase(), sid]))!
    expect(upper).toEqual(lower)
    expect(await driver.read(sid.toUpperCase())).toEqual(lower)
  })

  it('a text that the model of Sequelize does not take was not sent: its outcome is known', async () => {
    const db = openSequelize('mysql', mariadb().port)
    ends.push(() => db.close())
    define(db, {}, { data: { type: DataTypes.TEXT, validate: { len: [0, 500] } } })
    const driver = sqlDriverOf(sequelizeStore(db, { table: 'Own' }))
    const refusal = await failure(write(driver, newSid(), `"n":"${'x'.repeat(500)}"`))
    expect(refusal).toMatchObject({ name: 'SequelizeValidationError' })
    expect(inspect(refusal)).not.toContain('xxx')
  })

  it.each<[string, (db: Sequelize) => unknown]>([
    ['hooks', (db) => define(db).beforeSave(() => undefined)],
    ['rows that stay when they are deleted', (db) => define(db, { paranoid: true })],
    ['an accessor', (db) => define(db, {}, { data: { type: DataTypes.TEXT, get: () => '{}' } })],
    ['a JSON column', (db) => define(db, {}, { data: { type: DataTypes.JSON } })],
    ['ids that need not be unique', (db) => define(db, {}, { sid: DataTypes.STRING })],
    [
      'ids that are unique together with something else',
      (db) => define(db, {}, { kind: { type: DataTypes.STRING, primaryKey: true } }),
    ],
  ])('a model with %s has the generic driver', async (_title, made) => {
    const db = openSequelize('mysql', mariadb().port)
    ends.push(() => db.close())
    made(db)
    expect(plainDriver(sequelizeStore(db, { table: 'Own' })).name).toBe('generic')
  })

  it.each<[string, (db: Sequelize) => unknown]>([
    ['a unique column', (db) => define(db, {}, { sid: { type: DataTypes.STRING, unique: true, field: 'session' } })],
    ['a unique index', (db) => define(db, { indexes: [{ unique: true, fields: ['sid'] }] }, { sid: DataTypes.STRING })],
  ])('a model whose ids are %s has its driver', async (_title, made) => {
    const db = openSequelize('mysql', mariadb().port)
    ends.push(() => db.close())
    made(db)
    expect(comparing(sequelizeStore(db, { table: 'Own' })).name).toBe('connect-session-sequelize')
  })

  function define(db: Sequelize, options: object = {}, attributes: object = {}) {
    const columns = { sid: { type: DataTypes.STRING, primaryKey: true }, expires: DataTypes.DATE, data: DataTypes.TEXT }
    return db.define('Own', { ...columns, ...attributes }, options)
  }
})

describe('a JSON column of MySQL, which has another text than was sent', () => {
  /** Answers as MySQL 8: it keeps JSON in its own form. */
  function onMySql8(): { statements: string[]; driver: StoreDriver } {
    const statements: string[] = []
    const database = knex({ client: 'mysql2' })
    const raw = async (statement: string): Promise<unknown> => {
      statements.push(statement)
      if (statement.includes('information_schema')) return [[{ type: 'json' }], []]
      if (statement.includes('AS JSON')) return [[{ token: 'of the server' }], []]
      return statement.startsWith('UPDATE') || statement.startsWith('INSERT') ? [{ affectedRows: 1 }] : [[], []]
    }
    const answering = Object.assign(() => undefined, { raw, client: database.client, schema: { hasTable: async () => true } })
    const store = new ConnectSessionKnexStore({ knex: answering as unknown as Knex, cleanupInterval: 0 })
    return { statements, driver: sqlDriverOf(store) }
  }

  it('the server is asked for the token, from the text alone', async () => {
    const { statements, driver } = onMySql8()
    const sid = newSid()
    expect(await write(driver, sid, '"n":1')).toMatchObject({ written: true, stored: { token: 'of the server' } })
    expect(await write(driver, sid, '"n":2', { text: '{}', token: 'of the server' })).toMatchObject({
      written: true,
      stored: { token: 'of the server' },
    })
    expect(statements.filter((each) => each.includes('information_schema'))).toHaveLength(1)
    expect(statements.filter((each) => each.includes('AS JSON')).every((each) => !each.includes('FROM'))).toBe(true)
  })
})

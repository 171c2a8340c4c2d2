import { inspect } from 'node:util'
import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CompareAndSetDriver } from '../../../../src/store/drivers/snapshot-driver.js'
import { IndeterminateWriteError } from '../../../../src/store/drivers/store-driver.js'
import type { Snapshot } from '../../../../src/store/snapshot.js'
import { failure } from '../../../support/live.js'
import { startPostgres } from '../../../support/postgres.js'
import { withService } from '../../../support/service.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { until } from '../../../support/wait.js'
import { aged, comparing, content, HOUR, newSid, snapshot } from '../fixture.js'

const PgStore = connectPgSimple(expressSession)
type Options = ConstructorParameters<typeof PgStore>[0]

const endless = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

await withService('Postgres', startPostgres, (postgres) => {
  let direct: pg.Pool
  let tables = 0

  beforeAll(() => {
    direct = new pg.Pool({ connectionString: postgres().url })
    return () => direct.end()
  })

  function poolAt(port: number, options?: string): pg.Pool {
    const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'test', database: 'postgres', ...(options && { options }) })
    pool.on('error', () => undefined)
    ends.push(() => pool.end())
    return pool
  }

  async function newTable(type = 'json', time = 'timestamp(6)'): Promise<string> {
    const tableName = `sessions_${++tables}`
    await direct.query(`CREATE TABLE ${tableName} (sid varchar PRIMARY KEY, sess ${type} NOT NULL, expire ${time} NOT NULL)`)
    return tableName
  }

  async function setup(options: Options & { port?: number; settings?: string; type?: string; time?: string } = {}) {
    const { port = postgres().port, settings, type, time, ...more } = options
    const tableName = options.tableName ?? (await newTable(type, time))
    const pool = poolAt(port, settings)
    const store = new PgStore({ pool, tableName, pruneSessionInterval: false, ...more })
    ends.push(() => store.close())
    const driver = comparing(store)
    expect(driver.name).toBe('postgres')
    return { driver, store, tableName, pool }
  }

  async function secondsLeft(table: string, sid: string): Promise<number> {
    const { rows } = await direct.query(
      `SELECT extract(epoch FROM expire - now()::timestamp) AS s FROM ${table} WHERE sid = $1`,
      [sid],
    )
    return Number(rows[0].s)
  }

  async function create(driver: CompareAndSetDriver, sid: string, content: Snapshot): Promise<Snapshot> {
    const result = await driver.write(sid, content, undefined, 'exact')
    expect(result.written).toBe(true)
    return result.current!
  }

  /** Resolves when a statement waits for a lock on the table. */
  const someoneWaits = (): Promise<void> =>
    until(async () => (await direct.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)).rows.length > 0)

  it.each<[string, pg.PoolConfig]>([
    ['has no connection left', { max: 1, connectionTimeoutMillis: 50 }],
    ['has ended', {}],
  ])('a write of a pool that %s was not sent, and is no write of unknown outcome', async (_what, options) => {
    const { tableName } = await setup()
    const pool = new pg.Pool({ connectionString: postgres().url, ...options })
    const store = new PgStore({ pool, tableName, pruneSessionInterval: false })
    const driver = comparing(store)
    const held = options.max ? await pool.connect() : await pool.end()
    const error = await failure(driver.write(newSid(), snapshot({ n: 1 }), undefined, 'exact'))
    expect(error).not.toBeInstanceOf(IndeterminateWriteError)
    expect(error.message).toMatch(/timeout exceeded|after calling end/)
    held?.release()
    if (options.max) await pool.end()
    store.close()
  })

  describe('another writer commits while the statement waits for the row', () => {
    async function race(change: (client: pg.PoolClient, table: string, sid: string) => Promise<unknown>, settings?: string) {
      const { driver, tableName } = await setup({ ...(settings && { settings }) })
      const sid = newSid()
      const current = await create(driver, sid, snapshot({ n: 1 }))
      const client = await direct.connect()
      await client.query('BEGIN')
      await change(client, tableName, sid)
      const result = driver.write(sid, snapshot({ n: 'mine' }), current, 'extend')
      await someoneWaits()
      await client.query('COMMIT')
      client.release()
      return { result: await result, driver, sid, current }
    }

    const overwrite = (client: pg.PoolClient, table: string, sid: string): Promise<unknown> =>
      client.query(`UPDATE ${table} SET sess = '{"cookie":{},"n":"theirs"}' WHERE sid = $1`, [sid])

    it('a refused write gets what is there now, not what the statement had seen at its start', async () => {
      const { result, driver, sid } = await race(overwrite)
      expect(result).toMatchObject({ written: false, current: { data: { n: 'theirs' } } })
      expect((await driver.write(sid, snapshot({ n: 'mine' }), result.current, 'extend')).written).toBe(true)
    })

    it('a refused write gets what is there now where transactions are repeatable reads', async () => {
      const { result } = await race(overwrite, '-c default_transaction_isolation=repeatable\\ read')
      expect(result).toMatchObject({ written: false, current: { data: { n: 'theirs' } } })
    })

    it('a session destroyed meanwhile is gone', async () => {
      const { result, driver, sid } = await race((client, table, id) => client.query(`DELETE FROM ${table} WHERE sid = $1`, [id]))
      expect(result).toEqual({ written: false, current: undefined })
      expect(await driver.read(sid)).toBeUndefined()
    })

    it('a touch meanwhile does not refuse the write, and its expiry is kept', async () => {
      const { result, driver, sid } = await race((client, table, id) =>
        client.query(`UPDATE ${table} SET expire = now() + interval '5 hours' WHERE sid = $1`, [id]),
      )
      expect(result.written).toBe(true)
      expect((await driver.read(sid))?.data).toEqual({ n: 'mine' })
      expect(await secondsLeft(`sessions_${tables}`, sid)).toBeGreaterThan(4.9 * 3600)
    })

    it('the write happens where the other writer restored the same content', async () => {
      const { result } = await race(async (client, table, id) => {
        const { rows } = await client.query(`SELECT sess::text AS sess FROM ${table} WHERE sid = $1`, [id])
        await overwrite(client, table, id)
        await client.query(`UPDATE ${table} SET sess = $1 WHERE sid = $2`, [rows[0].sess, id])
      })
      expect(result.written).toBe(true)
    })

    it('the second of two creators gets the session of the first', async () => {
      const { driver, tableName } = await setup()
      const sid = newSid()
      const client = await direct.connect()
      await client.query('BEGIN')
      await client.query(`INSERT INTO ${tableName} VALUES ($1, '{"cookie":{},"n":"theirs"}', now() + interval '1 hour')`, [sid])
      const result = driver.write(sid, snapshot({ n: 'mine' }), undefined, 'exact')
      await someoneWaits()
      await client.query('COMMIT')
      client.release()
      expect(await result).toMatchObject({ written: false, current: { data: { n: 'theirs' } } })
    })
  })

  describe('the lifetime of a session', () => {
    it('is the ttl of the store, in seconds, where the cookie has no expiry', async () => {
      const { driver, tableName } = await setup({ ttl: 100 })
      const sid = newSid()
      await create(driver, sid, snapshot({ n: 1 }, endless))
      expect(await secondsLeft(tableName, sid)).toSatisfy((s: number) => s > 90 && s <= 101)
    })

    it('is kept by a merging write, also in a column with a time zone', async () => {
      for (const settings of ['-c timezone=UTC', '-c timezone=Asia/Kolkata']) {
        const { driver, tableName } = await setup({ time: 'timestamptz', settings })
        const sid = newSid()
        const current = await create(driver, sid, snapshot({ n: 1 }, aged(2 * HOUR)))
        await driver.write(sid, snapshot({ n: 2 }, aged(1000)), current, 'extend')
        const { rows } = await direct.query(`SELECT extract(epoch FROM expire - now()) AS s FROM ${tableName}`)
        expect(Number(rows[0].s)).toSatisfy((s: number) => s > 7100 && s <= 7201)
      }
    })

    it('is not touched with disableTouch', async () => {
      for (const disableTouch of [true, false]) {
        const { driver, tableName } = await setup({ disableTouch })
        const sid = newSid()
        await create(driver, sid, snapshot({ n: 1 }))
        expect(await driver.touch(sid, snapshot({}, aged(2 * HOUR)))).toBe(true)
        expect((await secondsLeft(tableName, sid)) > 3700).toBe(!disableTouch)
        expect(await driver.touch(newSid(), snapshot({}))).toBe(false)
      }
    })

    it('is over when it expires, though the row is still there', async () => {
      const { driver, tableName } = await setup()
      const sid = newSid()
      const current = await create(driver, sid, snapshot({ n: 1 }))
      await direct.query(`UPDATE ${tableName} SET expire = now() - interval '1 second'`)
      expect(await driver.read(sid)).toBeUndefined()
      expect(await driver.touch(sid, snapshot({}))).toBe(false)
      expect(await driver.write(sid, snapshot({ n: 2 }), current, 'extend')).toEqual({ written: false, current: undefined })
      const again = await create(driver, sid, snapshot({ n: 3 }))
      expect(await driver.read(sid)).toEqual(again)
    })
  })

  it('a jsonb column is compared by content', async () => {
    const { driver, tableName } = await setup({ type: 'jsonb' })
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ zebra: 1, a: { zz: 1, b: 2 } }))
    await direct.query(`UPDATE ${tableName} SET sess = jsonb_set(sess, '{a}', '{"b":2,"zz":1}')`)
    const second = await driver.write(sid, snapshot({ zebra: 2 }), current, 'extend')
    expect(second.written).toBe(true)
    await direct.query(`UPDATE ${tableName} SET sess = jsonb_set(sess, '{zebra}', '3')`)
    expect(await driver.write(sid, snapshot({ n: 1 }), second.current, 'extend')).toMatchObject({
      written: false,
      current: { data: { zebra: 3 } },
    })
  })

  it('the driver lets the store create its table, in its schema', async () => {
    await direct.query('CREATE SCHEMA "of ours"')
    const { driver } = await setup({ tableName: 'made', schemaName: 'of ours', createTableIfMissing: true })
    const sid = newSid()
    await create(driver, sid, snapshot({ n: 1 }))
    expect((await direct.query('SELECT sid FROM "of ours".made')).rows).toEqual([{ sid }])
  })

  it('the driver leaves the methods of the store alone', async () => {
    const { store } = await setup()
    expect(Object.hasOwn(store, 'query')).toBe(false)
  })

  describe('errors', () => {
    it('are passed on where the table is missing', async () => {
      const { driver } = await setup({ tableName: 'nowhere' })
      await expect(driver.read('x')).rejects.toMatchObject({ code: '42P01' })
      await expect(driver.write('x', snapshot({}), undefined, 'extend')).rejects.toMatchObject({ code: '42P01' })
    })

    it('are passed on where jsonb cannot hold a value, and the old content stays', async () => {
      const { driver } = await setup({ type: 'jsonb' })
      const sid = newSid()
      const current = await create(driver, sid, snapshot({ n: 1 }))
      await expect(driver.write(sid, snapshot({ text: '\u0000' }), current, 'extend')).rejects.toMatchObject({ code: '22P05' })
      expect(content(await driver.read(sid))).toEqual(content(current))
    })

    it('show neither an id nor what is in a session', async () => {
      const { driver, tableName } = await setup({ type: 'jsonb' })
      await direct.query(`ALTER TABLE ${tableName} ADD CHECK (sess ->> 'password' IS NULL)`)
      const sid = newSid()
      const errors = [
        await failure(driver.write(sid, snapshot({ password: 'secret' }), undefined, 'exact')),
        await failure(driver.write(sid, snapshot({ secret: '\u0000' }), undefined, 'exact')),
      ]
      expect(errors).toMatchObject([{ code: '23514' }, { code: '22P05' }])
      for (const error of errors) {
        const shown = inspect(error, { depth: 9, showHidden: true })
        expect(shown).not.toMatch(/secret/)
        expect(shown).not.toContain(sid)
      }
    })

    it.each(['request', 'answer'] as const)('are passed on when the connection is lost before the %s', async (before) => {
      const proxy = await TcpProxy.start(postgres().port)
      ends.push(() => proxy.stop())
      const { driver } = await setup({ port: proxy.port })
      const sid = newSid()
      const current = await create(driver, sid, snapshot({ n: 1 }))
      const cut = proxy.cut(before, (request) => request.includes('UPDATE'))
      await expect(driver.write(sid, snapshot({ n: 2 }), current, 'extend')).rejects.toThrow()
      await cut
      expect((await driver.read(sid))?.data).toEqual({ n: before === 'request' ? 1 : 2 })
    })
  })

  it('a write waits while the server is paused, and the driver goes on after a restart', async () => {
    const { driver } = await setup()
    const sid = newSid()
    const current = await create(driver, sid, snapshot({ n: 1 }))
    postgres().pause()
    const writing = driver.write(sid, snapshot({ n: 2 }), current, 'extend')
    postgres().resume()
    const { written, current: second } = await writing
    expect(written).toBe(true)
    direct.on('error', () => undefined)
    await postgres().restart()
    expect(await (await setup({ tableName: `sessions_${tables}` })).driver.read(sid)).toEqual(second)
  })
})

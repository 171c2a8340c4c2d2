import connectPgSimple from 'connect-pg-simple'
import expressMySqlSession from 'express-mysql-session'
import expressSession, { type Store } from 'express-session'
import { BSON } from 'mongodb'
import { createPool, type Pool } from 'mysql2/promise'
import pg from 'pg'
import { DataTypes } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { dynamodbDriver } from '../../src/store/drivers/dynamodb/driver.js'
import { isContentRefusal } from '../../src/store/refused-content.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { startDynalite } from '../support/dynalite.js'
import { collect, failure, live, tab, turns } from '../support/live.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { open as openDynamoDb } from './drivers/dynamodb/fixture.js'
import { newSid } from './drivers/fixture.js'
import { openSequelize, sequelizeStore } from './drivers/sql/sequelize-stores.js'

const PgStore = connectPgSimple(expressSession)
const MySqlStore = expressMySqlSession(expressSession)

afterEach(closeApps)

/** What Postgres answers to JSON with `\u0000` for a jsonb column. */
const refusal = (): Error => Object.assign(new Error('unsupported Unicode escape sequence'), { code: '22P05' })

/** A visitor with two tabs. */
async function visitor(store: Store) {
  const app = await startApp({ store })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const [mine, other] = [await browser.connect(), await browser.connect()]
  const [socket] = app.sockets
  return { app, browser, mine, other, socket: socket!, session: app.shared.session(socket!) as Record<string, any> }
}

/** Writes what the store refuses, by a client, and says what came of it. */
async function refuse(store: Store, value: string) {
  const { app, browser, mine, other, socket, session } = await visitor(store)
  const told = collect(socket, 'session:error')
  const everywhere = collect(app.shared.events, 'session:error')
  const acked: string[] = []
  const before = app.shared.stats()
  mine.emit('set', 'note', value, (answer: string) => acked.push(answer))
  await next(socket, 'session:error')
  expect(told).toMatchObject([{ code: 'NOT_STORABLE', message: expect.stringMatching(/^note: /), cause: expect.any(Error) }])
  expect(everywhere).toHaveLength(1)
  const after = app.shared.stats()
  expect([after.writes - before.writes, after.retries]).toEqual([1, 0])
  expect(session).not.toHaveProperty('note')
  // The other tab's event comes in later, and so does this tab's next one: their acks would leave after that one's.
  expect(await other.emitWithAck('set', 'a', 1)).toBe('ok')
  expect(await mine.emitWithAck('set', 'b', 2)).toBe('ok')
  expect(acked).toEqual([])
  expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', a: 1, b: 2 })
  // It is reported once, as each write that was not made.
  expect(await failure(session.save())).toMatchObject({ code: 'NOT_STORABLE' })
  await session.save()
  await session.reload()
  expect(
    await failure(app.shared.update(sidOf(browser), (draft: any) => void Object.assign(draft, { note: value }))),
  ).toMatchObject({ code: 'NOT_STORABLE', message: expect.stringMatching(/^note: /) })
  await app.shared.close()
  expect(told).toHaveLength(1)
}

await withService('Postgres', startPostgres, (postgres) => {
  let pool: pg.Pool
  const tableName = 'refusing'

  beforeAll(async () => {
    pool = new pg.Pool({ host: '127.0.0.1', port: postgres().port, user: 'test', database: 'postgres' })
    await pool.query(`CREATE TABLE ${tableName} (sid varchar PRIMARY KEY, sess jsonb NOT NULL, expire timestamp(6) NOT NULL)`)
  })
  afterAll(() => pool.end())

  const open = (): Store => new PgStore({ pool, tableName, pruneSessionInterval: false })

  it('a jsonb column, \\u0000: the write is taken back, and all other writes go on', async () => {
    await refuse(open(), 'a\u0000b')
  })

  it('a jsonb column, half of a surrogate pair: the same', async () => {
    await refuse(open(), 'a\ud800b')
  })

  it('by a store with methods of its own, which has no driver: the same', async () => {
    expectWarning('set() of its own')
    class Own extends PgStore {
      override set(...args: any[]): void {
        ;(super.set as (...args: any[]) => void)(...args)
      }
    }
    const { mine, socket } = await visitor(new Own({ pool, tableName, pruneSessionInterval: false }))
    mine.emit('set', 'note', '\u0000')
    expect(await next(socket, 'session:error')).toMatchObject({ code: 'NOT_STORABLE' })
    expect(await mine.emitWithAck('set', 'b', 2)).toBe('ok')
  })

  it('a request gets the error of the store, as without this package', async () => {
    const app = await startApp({
      store: open(),
      routes: (http) =>
        http.get('/poison', (req, res) => {
          req.session.note = '\u0000'
          req.session.save((error) => {
            delete req.session.note
            res.json({ code: error?.code })
          })
        }),
    })
    expect((await app.browser().get('/poison')).body).toEqual({ code: '22P05' })
  })
})

await withService('MariaDB', startMariaDb, (mariadb) => {
  let pool: Pool

  beforeAll(async () => {
    pool = createPool({ host: '127.0.0.1', port: mariadb().port, user: 'test', database: 'test' })
    await pool.query(
      'CREATE TABLE short (session_id VARCHAR(128) COLLATE utf8mb4_bin PRIMARY KEY, expires INT UNSIGNED NOT NULL, data VARCHAR(500))',
    )
  })
  afterAll(() => pool.end())

  const open = (): Store =>
    new MySqlStore({ clearExpired: false, createDatabaseTable: false, schema: { tableName: 'short' } }, pool)

  it('a text that is too long for the column is taken back', async () => {
    await refuse(open(), 'x'.repeat(500))
  })

  it('a cookie whose end the column cannot hold is taken back too', async () => {
    const { mine, socket, session } = await visitor(open())
    session.cookie.expires = new Date(8.64e15)
    expect(await next(socket, 'session:error')).toMatchObject({
      code: 'NOT_STORABLE',
      message: expect.stringMatching(/^cookie: /),
    })
    expect(await mine.emitWithAck('set', 'b', 2)).toBe('ok')
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  it('a text that a model of Sequelize does not take is taken back', async () => {
    const db = openSequelize('postgres', postgres().port)
    db.define('Short', {
      sid: { type: DataTypes.STRING, primaryKey: true },
      expires: DataTypes.DATE,
      data: { type: DataTypes.TEXT, validate: { len: [0, 500] } },
    })
    const store = sequelizeStore(db, { table: 'Short' })
    await store.sync()
    await refuse(store, 'x'.repeat(500))
    await db.close()
  })
})

it('DynamoDB: an item that is too large is a refusal, and its table is fit for another', async () => {
  const server = await startDynalite()
  const store = await openDynamoDb(server.port)
  const driver = dynamodbDriver(store)
  const write = (data: string) =>
    driver.write(newSid(), { text: JSON.stringify({ cookie: {}, data }), expires: undefined, atLeast: false }, undefined)
  expect(isContentRefusal(await failure(write('x'.repeat(500_000))))).toBe(true)
  expect(await write('x')).toMatchObject({ written: true })
  store.client.destroy()
  await server.stop()
})

describe('a store that refuses what was written', () => {
  it('what was written meanwhile is kept, and saved', async () => {
    const { store, socket, session, sid, client } = await live()
    const told = collect(socket, 'session:error')
    const set = store.hold('set')
    session.note = 'refused'
    await set.called
    const acked = client.emitWithAck('set', 'kept', 1)
    await until(() => session.kept)
    set.fail(refusal())
    await next(socket, 'session:error')
    // One socket has both writes: its ack may be missing, and the write is not.
    await until(() => store.stored(sid)?.kept)
    expect(store.stored(sid)).toMatchObject({ user: 'ada', kept: 1 })
    expect(store.stored(sid)).not.toHaveProperty('note')
    expect(told).toMatchObject([{ code: 'NOT_STORABLE' }])
    acked.catch(() => undefined)
  })

  it('only the sockets whose writes they were are told, and an ack of another one is sent', async () => {
    const { app, browser, store, socket, session } = await live()
    const other = await tab(app, browser)
    const told = [socket, other.socket].map((each) => collect(each, 'session:error'))
    const changed = collect(socket, 'session:changed')
    const set = store.hold('set')
    session.note = 'refused'
    await set.called
    const acked = other.client.emitWithAck('set', 'kept', 1)
    await until(() => session.kept)
    set.fail(refusal())
    expect(await acked).toBe('ok')
    expect(told.map((errors) => errors.map(({ code }) => code))).toEqual([['NOT_STORABLE'], []])
    // The first socket's session has become what it was, and then has the other's write.
    expect(changed.map(({ keys, origin }) => [keys, origin])).toEqual([
      [['note'], 'remote'],
      [['kept'], 'socket'],
    ])
    await other.session.save()
  })

  it('save() rejects with it, once, and the next one saves', async () => {
    expectWarning('NOT_STORABLE')
    const { store, session, sid } = await live({ shared: { autoSave: false } })
    store.fail('set', refusal())
    session.note = 'refused'
    session.list = [1]
    expect(await failure(session.save())).toMatchObject({
      code: 'NOT_STORABLE',
      message: expect.stringMatching(/^note, list: /),
    })
    expect(session).not.toHaveProperty('list')
    session.list = [2]
    await session.save()
    expect(store.stored(sid)).toMatchObject({ list: [2] })
  })

  it('a session that is not stored yet becomes empty again, and is stored with its next write', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    const client = await app.browser().connect()
    const [socket] = app.sockets
    store.fail('set', refusal())
    client.emit('set', 'note', 'refused')
    expect(await next(socket!, 'session:error')).toMatchObject({ code: 'NOT_STORABLE' })
    expect({ ...(await client.emitWithAck('get')), cookie: undefined }).toEqual({ cookie: undefined })
    expect(await client.emitWithAck('set', 'kept', 1)).toBe('ok')
    const { cookie, ...stored } = store.stored(socket!.handshake.sessionID)!
    expect(stored).toEqual({ kept: 1 })
  })

  it('a listener of session:error that writes the same again does not loop for ever', async () => {
    const { app, store, socket, session } = await live()
    const errors = collect(app.shared.events, 'session:error')
    for (let time = 0; time < 1000; time++) store.fail('set', refusal())
    socket.on('session:error', () => {
      session.note = `refused ${errors.length}`
    })
    session.note = 'refused'
    await until(() => errors.length > 1)
    let seen = -1
    await until(async () => {
      const settled = seen === errors.length
      seen = errors.length
      await turns(50)
      return settled
    })
    expect(errors.length).toBeLessThan(100)
  })

  it('without merging the session becomes what is stored', async () => {
    const { store, socket, session, sid, client } = await live({ shared: { merge: false } })
    store.fail('set', refusal())
    client.emit('set', 'note', 'refused')
    await next(socket, 'session:error')
    expect(await client.emitWithAck('set', 'kept', 1)).toBe('ok')
    expect(session).not.toHaveProperty('note')
    expect(store.stored(sid)).toMatchObject({ user: 'ada', kept: 1 })
  })
})

describe('isContentRefusal()', () => {
  const of = (properties: object): Error => Object.assign(new Error('an error'), properties)

  it.each<[string, object]>([
    ['Postgres, \\u0000', { code: '22P05' }],
    ['Postgres, by Sequelize', { cause: of({ code: '22P02' }) }],
    ['Postgres, a CHECK', { code: '23514' }],
    ['Postgres, a jsonb value that is too large', { code: '54000' }],
    ['MySQL, a JSON column', { code: 'ER_INVALID_JSON_TEXT', errno: 3140, sqlState: '22032' }],
    ['MySQL, another character set', { code: 'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD', errno: 1366, sqlState: 'HY000' }],
    ['MySQL, max_allowed_packet', { code: 'ER_NET_PACKET_TOO_LARGE', errno: 1153, sqlState: '08S01' }],
    ['SQLite', { code: 'SQLITE_TOOBIG' }],
    ['MongoDB, the server', { name: 'MongoServerError', code: 10_334 }],
  ])('%s', (_, properties) => {
    expect(isContentRefusal(of(properties))).toBe(true)
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a duplicate', of({ code: '23505' })],
    ['a lost connection', of({ code: 'ECONNRESET', errno: -104 })],
    ['a disk that is full', of({ code: '53100' })],
    ['a deadlock of MySQL', of({ errno: 1213, sqlState: '40001' })],
    ['another refusal of DynamoDB', of({ name: 'ValidationException', message: 'The provided key element does not match' })],
    ['an interrupted write of MongoDB', of({ name: 'MongoServerError', code: 91 })],
  ])('not %s', (_, error) => {
    expect(isContentRefusal(error)).toBe(false)
  })

  it("MongoDB's client: names of keys", () => {
    const thrown = (document: object): unknown => {
      try {
        return BSON.serialize(document, { checkKeys: true })
      } catch (error) {
        return error
      }
    }
    expect(isContentRefusal(thrown({ 'a\u0000b': 1 }))).toBe(true)
    expect(isContentRefusal(thrown({ $set: 1 }))).toBe(true)
  })
})

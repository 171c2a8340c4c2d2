import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { IndeterminateWriteError } from '../../../../src/driver.js'
import { touch } from '../../../../src/driver-testing/fixture.js'
import { mongoStore } from '../../../../src/store/drivers/mongo/index.js'
import type { NextSession, StoreDriver, StoredSession } from '../../../../src/store/drivers/store-driver.js'
import { type Doc, MongoWireServer } from '../../../support/mongo-wire.js'
import { TcpProxy } from '../../../support/tcp-proxy.js'
import { HOUR, newSid, plainDriver } from '../fixture.js'
import {
  connectMongo4OnClient4,
  connectMongo5OnClient6,
  connectMongo6,
  connectMongo6OnClient7,
  isWrite,
  mongoDbSession,
  type Options,
} from './fixture.js'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const inHours = (hours: number): Date => new Date(Date.now() + hours * HOUR)
const textOf = (n: number): string => JSON.stringify({ cookie: { originalMaxAge: HOUR, expires: inHours(1), path: '/' }, n })
const next = (n: number, expires: Date | undefined = inHours(1)) => ({ text: textOf(n), expires, atLeast: true })

type Started = { driver: StoreDriver; server: MongoWireServer; store: any; proxy: TcpProxy; document(sid: string): Doc }

async function start(
  options: Options = {},
  settings: Parameters<typeof MongoWireServer.start>[0] = {},
  open = connectMongo6,
): Promise<Started> {
  const server = await MongoWireServer.start(settings)
  ends.unshift(() => server.stop())
  const proxy = await TcpProxy.start(server.port)
  ends.unshift(() => proxy.stop())
  const { store, close } = await open(proxy.port, options)
  ends.unshift(close)
  const document = (sid: string): Doc => [...server.data.documents('sessions').values()].find(({ _id }) => String(_id) === sid)!
  return { driver: mongoStore(store)!.driver(), server, store, proxy, document }
}

async function created(driver: StoreDriver, sid: string, text: NextSession = next(1)): Promise<StoredSession> {
  const answer = await driver.write(sid, text, undefined)
  if (!answer.written) throw new Error('not created')
  return answer.stored ?? { text: text.text }
}

const failure = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => undefined,
    (error) => error,
  )

describe('an error of a write', () => {
  it.each<[string, Doc]>([
    ['the document is too large', { code: 10_334 }],
    ['a validator refuses it', { code: 121 }],
    ['the user has no right', { code: 13 }],
  ])('is passed on where the server has refused: %s', async (_what, answer) => {
    const { driver, server } = await start()
    const sid = newSid()
    const held = await created(driver, sid)
    server.fail('findAndModify', answer)
    expect(await failure(driver.write(sid, next(2), held))).toMatchObject(answer)
    expect(await driver.read(sid)).toEqual(held)
  })

  it.each([connectMongo6, connectMongo4OnClient4])('does not show what is in the session: %o', async (open) => {
    const { driver, server } = await start({}, {}, open)
    const sid = newSid()
    const held = await created(driver, sid)
    server.fail('findAndModify', { code: 121, errInfo: { details: { consideredValue: 'secret' } }, keyValue: { _id: sid } })
    const error = await failure(driver.write(sid, next(2), held))
    expect(error).toMatchObject({ code: 121 })
    const shown = inspect(error, { depth: 9, showHidden: true })
    expect(shown).not.toMatch(/secret/)
    expect(shown).not.toContain(sid)
  })

  it.each([connectMongo6, mongoDbSession])('of a touch, a destroy or a read does not show it either: %o', async (open) => {
    const { driver, server, store } = await start({}, {}, open)
    const sid = newSid()
    await created(driver, sid)
    const told: unknown[] = []
    store.on('error', (error: unknown) => told.push(error))
    const calls: [command: string, call: () => Promise<unknown>][] = [
      ['update', () => touch(driver, sid, inHours(2))],
      ['delete', () => driver.destroy(sid)],
      ['find', () => driver.read(sid)],
      ['find', () => driver.readMany!([sid])],
    ]
    for (const [command, call] of calls) {
      server.fail(command, { code: 121, errInfo: { details: { consideredValue: 'secret' } }, keyValue: { _id: sid } })
      const error = await failure(call())
      expect(error).toMatchObject({ code: 121 })
      const shown = inspect([error, told], { depth: 9, showHidden: true })
      expect(shown).not.toMatch(/secret/)
      expect(shown).not.toContain(sid)
    }
  })

  it.each<[string, Doc]>([
    ['a server that names the fields', { keyPattern: { 'session.user': 1 }, keyValue: { 'session.user': 'secret' } }],
    ['an older one', {}],
  ])('is passed on where another unique index refuses a new session: %s', async (_what, more) => {
    const errmsg = 'E11000 duplicate key error collection: test.sessions index: session.user_id_1 dup key: { : "secret" }'
    for (const settings of [{}, { takesPipelines: false }]) {
      const { driver, server } = await start({}, settings)
      await created(driver, newSid())
      for (const command of ['findAndModify', 'update']) server.fail(command, { code: 11_000, errmsg, ...more })
      const error = await failure(driver.write(newSid(), next(1), undefined))
      expect(error).toMatchObject({ code: 11_000, message: expect.stringContaining('session.user_id_1') })
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/secret/)
    }
  })

  it.each<[string, Doc]>([
    ['a server that names the fields', { keyPattern: { _id: 1 } }],
    ['an older one', { errmsg: 'E11000 duplicate key error collection: test.sessions index: _id_ dup key: { : "a" }' }],
    ['the oldest', { errmsg: 'E11000 duplicate key error index: test.sessions.$_id_ dup key: { : "a" }' }],
  ])('is a refusal where the session was created meanwhile: %s', async (_what, more) => {
    const { driver, server } = await start()
    server.fail('findAndModify', { code: 11_000, ...more })
    expect(await driver.write(newSid(), next(1), undefined)).toEqual({ written: false })
  })

  it('is passed on where nothing was sent', async () => {
    const { driver, server } = await start({ stringify: false })
    const before = server.commands.length
    const error = await failure(driver.write(newSid(), { ...next(1), text: '{"cookie":{},"a\\u0000b":1}' }, undefined))
    expect(error).not.toBeInstanceOf(IndeterminateWriteError)
    expect(error.name).toBe('BSONError')
    expect(server.commands.length).toBe(before)
  })

  it.each<[string, Doc, boolean]>([
    [
      'a write concern that was waited for in vain',
      { ok: 1, writeConcernError: { code: 64, errmsg: 'waiting timed out' } },
      true,
    ],
    ['a server that is shutting down', { ok: 0, code: 91 }, true],
    ['a primary that has stepped down', { code: 189 }, false],
    ['a server that is not the primary', { code: 10_107 }, false],
    ['an error that the server calls temporary', { code: 4711, errorLabels: ['RetryableWriteError'] }, false],
  ])('tells nothing: %s', async (_what, answer, isDone) => {
    for (const open of [connectMongo6, connectMongo6OnClient7, connectMongo4OnClient4]) {
      const { driver, server } = await start({}, {}, open)
      const sid = newSid()
      const held = await created(driver, sid)
      server.fail('findAndModify', answer, isDone)
      const after = next(2)
      expect(await failure(driver.write(sid, after, held))).toBeInstanceOf(IndeterminateWriteError)
      expect((await driver.read(sid))?.text).toBe(isDone ? after.text : held.text)
    }
  })

  it('tells nothing where no server was found: a write may have been sent to one that is gone', async () => {
    const { driver, proxy } = await start()
    const sid = newSid()
    const held = await created(driver, sid)
    proxy.down()
    expect(await failure(driver.write(sid, next(2), held))).toBeInstanceOf(IndeterminateWriteError)
  })

  it('in a replica set: the client sends the write again, and it happens once', async () => {
    const { driver, server, proxy } = await start({}, { isReplicaSet: true })
    const sid = newSid()
    const held = await created(driver, sid)
    const cut = proxy.cut('answer', isWrite)
    expect(await driver.write(sid, next(2), held)).toMatchObject({ written: true })
    await cut
    expect(server.commands.filter(({ findAndModify }) => findAndModify).length).toBe(3)
  })
})

describe('a server whose updates take no pipelines', () => {
  const old = { takesPipelines: false }

  it('is asked once', async () => {
    const { driver, server } = await start({}, old)
    const sid = newSid()
    const held = await created(driver, sid)
    await driver.write(sid, next(2), held)
    expect(await driver.write(sid, next(3), held)).toEqual({ written: false })
    expect(await driver.write(sid, next(3), undefined)).toEqual({ written: false })
    expect(server.commands.filter(({ findAndModify }) => findAndModify).length).toBe(1)
  })

  it('is not what a server is that has taken one, or that failed', async () => {
    const { driver, server } = await start()
    const sid = newSid()
    server.fail('findAndModify', { code: 11_600 })
    expect(await failure(driver.write(sid, next(1), undefined))).toBeInstanceOf(IndeterminateWriteError)
    const held = await created(driver, sid)
    server.fail('findAndModify', { code: 9 })
    expect(await failure(driver.write(sid, next(2), held))).toMatchObject({ code: 9 })
    await driver.write(sid, next(3), held)
    expect(server.commands.some((each) => Object.keys(each)[0] === 'update')).toBe(false)
  })

  it('touches', async () => {
    for (const touchAfter of [0, 3600]) {
      const { driver, document } = await start({ touchAfter }, old)
      const sid = newSid()
      expect(await touch(driver, sid, inHours(2))).toBe(false)
      await created(driver, sid)
      const { expires } = document(sid)
      expect(await touch(driver, sid, inHours(2))).toBe(true)
      expect(document(sid).expires > expires).toBe(touchAfter === 0)
    }
  })
})

describe('the option touchAfter', () => {
  it('a touch soon after a write changes nothing, and tells whether the session is there', async () => {
    const { driver, server, document, store } = await start({ touchAfter: 3600, timestamps: true })
    const sid = newSid()
    expect(await touch(driver, sid, inHours(2))).toBe(false)
    await created(driver, sid)
    const before = { ...document(sid) }
    expect(before.lastModified).toBeInstanceOf(Date)
    expect(await touch(driver, sid, inHours(2))).toBe(true)
    expect(document(sid)).toEqual(before)
    store.options.touchAfter = 0.001
    document(sid).lastModified = new Date(0)
    const commands = server.commands.length
    expect(await touch(driver, sid, inHours(2))).toBe(true)
    expect(server.commands.length).toBe(commands + 1)
    expect(document(sid).expires > before.expires).toBe(true)
    expect(document(sid).lastModified.getTime()).toBeGreaterThan(0)
  })

  it('without it no document has lastModified', async () => {
    const { driver, document } = await start()
    const sid = newSid()
    await created(driver, sid)
    await touch(driver, sid, inHours(2))
    expect(document(sid)).not.toHaveProperty('lastModified')
  })

  it('each write sets lastModified, which is no part of the session', async () => {
    const { driver, document, store } = await start({ touchAfter: 3600 })
    const sid = newSid()
    const held = await created(driver, sid)
    document(sid).lastModified = new Date(0)
    await driver.write(sid, next(2), held)
    expect(document(sid).lastModified.getTime()).toBeGreaterThan(0)
    expect(JSON.parse((await driver.read(sid))!.text)).not.toHaveProperty('lastModified')
    const found: any = await new Promise((resolve) => store.get(sid, (_error: unknown, session: unknown) => resolve(session)))
    expect(found.lastModified).toEqual(document(sid).lastModified)
  })
})

it.each([{}, { takesPipelines: false }])('the option timestamps: %j', async (settings) => {
  const { driver, document } = await start({ timestamps: true }, settings)
  const sid = newSid()
  const held = await created(driver, sid)
  const { createdAt, updatedAt } = document(sid)
  expect([createdAt, updatedAt]).toEqual([expect.any(Date), expect.any(Date)])
  Object.assign(document(sid), { createdAt: new Date(1), updatedAt: new Date(1) })
  await driver.write(sid, next(2), held)
  expect(document(sid).createdAt).toEqual(new Date(1))
  expect(document(sid).updatedAt > new Date(1)).toBe(true)
  document(sid).updatedAt = new Date(1)
  await touch(driver, sid, inHours(2))
  expect(document(sid).updatedAt > new Date(1)).toBe(true)
  document(sid).expires = new Date(1)
  await created(driver, sid)
  expect(document(sid).createdAt).toEqual(new Date(1))
})

it.each<[Options, unknown]>([
  [{ writeOperationOptions: { w: 'majority', wtimeoutMS: 100 } }, { w: 'majority' }],
  [{ writeOperationOptions: { w: 0 } }, { w: 1 }],
  [{}, undefined],
])('the option writeOperationOptions: %j', async (options, expected) => {
  for (const settings of [{}, { takesPipelines: false }]) {
    const { driver, server } = await start({ touchAfter: 1, ...options }, settings)
    const sid = newSid()
    const held = await created(driver, sid)
    await driver.write(sid, next(2), held)
    await touch(driver, sid, inHours(1))
    await driver.destroy(sid)
    const writes = server.commands.filter((each) => each.findAndModify || each.update || each.delete)
    expect(writes.length).toBeGreaterThan(3)
    for (const { writeConcern } of writes) {
      if (expected) expect(writeConcern).toMatchObject(expected)
      else expect(writeConcern).toBeUndefined()
    }
  }
})

it('reads from the primary, whatever the client prefers', async () => {
  const { driver, server, store } = await start({}, { isReplicaSet: true })
  const { client } = store.options
  store.collectionP = Promise.resolve(client.db().collection('sessions', { readPreference: 'secondaryPreferred' }))
  await driver.read(newSid())
  await driver.readMany!([newSid()])
  expect(server.commands.slice(-2).map(({ $readPreference }) => $readPreference?.mode ?? 'primary')).not.toContain(
    'secondaryPreferred',
  )
})

it('a session without an end lives as long as the store lets it', async () => {
  for (const [open, options] of [
    [connectMongo6, { ttl: 7200 }],
    [mongoDbSession, { expires: 2 * HOUR }],
  ] as const) {
    const { driver, document } = await start(options, {}, open)
    const sid = newSid()
    await created(driver, sid, { ...next(1), expires: undefined })
    expect(Math.abs(document(sid).expires.getTime() - inHours(2).getTime())).toBeLessThan(60_000)
  }
})

it('reads many sessions by ids of another kind', async () => {
  const { driver } = await start({ transformId: (sid: string) => ({ id: sid }) })
  const sids = Array.from({ length: 150 }, newSid)
  for (const sid of sids.slice(1)) await created(driver, sid)
  const found = await driver.readMany!(sids)
  expect(found[0]).toBeUndefined()
  expect(found.filter(Boolean).length).toBe(149)
})

describe('the events of connect-mongo', () => {
  it('are emitted', async () => {
    const { driver, store } = await start()
    const sid = newSid()
    const heard: string[] = []
    for (const name of ['get', 'create', 'update', 'set', 'touch', 'destroy'])
      store.on(name, (id: string) => heard.push(`${name} ${id}`))
    const held = await created(driver, sid)
    await driver.write(sid, next(2), held)
    await driver.write(sid, next(3), held)
    await driver.read(sid)
    await touch(driver, sid, inHours(1))
    await driver.destroy(sid)
    await touch(driver, sid, inHours(1))
    expect(heard.map((each) => each.replace(` ${sid}`, ''))).toEqual([
      'create',
      'set',
      'update',
      'set',
      'get',
      'touch',
      'destroy',
    ])
  })

  it('a listener that throws does not undo what was written', async () => {
    const { driver, store } = await start()
    store.on('set', () => {
      throw new Error('by a listener')
    })
    const sid = newSid()
    const held = await created(driver, sid)
    expect(await driver.read(sid)).toEqual(held)
  })
})

describe('the events of a touch of connect-mongo', () => {
  it.each([{}, { takesPipelines: false }])('are those of the store: %j', async (settings) => {
    const { driver, store, document } = await start({ touchAfter: 3600 }, settings)
    const sid = newSid()
    await created(driver, sid)
    const heard: unknown[][] = []
    store.on('touch', (...args: unknown[]) => heard.push(args))
    expect(await touch(driver, sid, inHours(2))).toBe(true)
    expect(heard).toEqual([])
    document(sid).lastModified = new Date(0)
    expect(await touch(driver, sid, inHours(2))).toBe(true)
    expect(heard).toEqual([[sid, expect.objectContaining({ n: 1, cookie: expect.any(Object) })]])
    document(sid).expires = new Date(1)
    expect(await touch(driver, sid, inHours(2))).toBe(false)
    expect(heard).toHaveLength(1)
  })
})

it('connect-mongodb-session tells its listeners of errors, as its own methods do', async () => {
  const { driver, store, server } = await start({}, {}, mongoDbSession)
  const heard: unknown[] = []
  store.on('error', (error: unknown) => {
    heard.push(error)
    throw new Error('by a listener')
  })
  const sid = newSid()
  const held = await created(driver, sid)
  for (const [command, call] of [
    ['find', () => driver.read(sid)],
    ['find', () => driver.readMany?.([sid]) as Promise<unknown>],
    ['findAndModify', () => driver.write(sid, next(2), held)],
    ['update', () => touch(driver, sid, inHours(1))],
    ['delete', () => driver.destroy(sid)],
  ] as const) {
    server.fail(command, { code: 13 })
    const error = await failure(call())
    expect(error).toMatchObject({ code: 13 })
    expect(heard.splice(0)).toEqual([error])
  }
  expect(await driver.read(sid)).toEqual(held)
  expect(heard).toEqual([])
})

describe('documents', () => {
  it.each([
    ['connect-mongo', connectMongo5OnClient6, { stringify: false }],
    ['connect-mongodb-session', mongoDbSession, {}],
  ])('%s: are kept as the store keeps them', async (_title, open, options) => {
    const { driver, document, server, store } = await start(options, {}, open)
    const [sid, theirs] = [newSid(), newSid()]
    const expires = inHours(1)
    const cookie = { originalMaxAge: HOUR, expires, httpOnly: true, path: '/' }
    const data = { 2: 'b', 1: 'a', nested: { 'a.b': 1, $set: { n: null } }, reference: '$_id', list: [1, 'x'] }
    await driver.write(sid, { text: JSON.stringify({ cookie, ...data }), expires, atLeast: true }, undefined)
    expect(server.commands.map((each) => Object.keys(each)[0])).not.toContain('update')
    await new Promise((resolve) => store.set(theirs, store.createSession({}, { cookie, ...data }), resolve))
    const { sharedsession, ...kept } = document(sid).session.cookie
    expect(sharedsession).toEqual({ etag: expect.any(String) })
    expect(document(theirs).session).toMatchObject({ ...document(sid).session, cookie: kept })
    expect(kept.expires).toEqual(expires)
  })

  it('is refused after a write of express-session alone, which keeps no etag', async () => {
    const { driver, store } = await start({ stringify: false })
    const sid = newSid()
    const held = await created(driver, sid)
    const get = (): Promise<any> =>
      new Promise((resolve) => store.get(sid, (_error: unknown, session: unknown) => resolve(session)))
    const session = store.createSession({}, await get())
    await new Promise((resolve) => store.set(sid, Object.assign(session, { n: 'theirs' }), resolve))
    const answer: any = await driver.write(sid, next(2), held)
    expect(answer).toMatchObject({ written: false })
    expect(JSON.parse(answer.stored.text)).toMatchObject({ n: 'theirs' })
    expect(await driver.write(sid, next(3), answer.stored)).toMatchObject({ written: true })
    expect(await driver.write(sid, next(4), answer.stored)).toMatchObject({ written: false })
  })

  it('that are found where the store keeps texts are an error, as they are for the store', async () => {
    const { driver, document } = await start()
    const sid = newSid()
    const held = await created(driver, sid)
    document(sid).session = JSON.parse(held.text)
    await expect(driver.read(sid)).rejects.toThrow('no text')
  })
})

describe('has the generic driver', () => {
  it.each<[string, (store: any) => any]>([
    ['functions that serialize', (store) => Object.assign(store, { options: { ...store.options, serialize: JSON.stringify } })],
    [
      'a method that somebody has put over it',
      (store) => Object.assign(store, { set: (...args: any[]) => store.constructor.prototype.set.apply(store, args) }),
    ],
    [
      'a subclass',
      (store) =>
        Object.setPrototypeOf(
          store,
          class extends store.constructor {
            touch(...args: any[]) {
              super.touch(...args)
            }
          }.prototype,
        ),
    ],
  ])('connect-mongo with %s', async (_title, change) => {
    const { store } = await start()
    expect(plainDriver(change(store)).name).toBe('generic')
  })

  it('connect-mongodb-session with documents found in a way of its own', async () => {
    const { store } = await start({}, {}, mongoDbSession)
    expect(plainDriver(Object.assign(store, { _generateQuery: (id: string) => ({ _id: `app:${id}` }) })).name).toBe('generic')
  })

  it('connect-mongodb-session with ids in another field, or with a touch of its own', async () => {
    const { store } = await start({ idField: 'sid' }, {}, mongoDbSession)
    expect(plainDriver(store).name).toBe('generic')
    const { store: other } = await start({}, {}, mongoDbSession)
    expect(plainDriver(Object.assign(other, { touch: () => undefined })).name).toBe('generic')
  })
})

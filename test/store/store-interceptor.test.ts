import { EventEmitter } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import expressSession from 'express-session'
import { afterEach, describe, expect, it, vi } from 'vitest'
import sharedsession from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/sid.js'
import { plainStore } from '../support/stores.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

const sessionOn = (store: expressSession.Store) => expressSession({ secret: 's', store, resave: false, saveUninitialized: false })

/** All own properties, by descriptor; `generate` is express-session's, which every session() call puts there. */
function own(store: object): Record<PropertyKey, PropertyDescriptor> {
  const { generate, ...rest } = Object.getOwnPropertyDescriptors(store) as any
  return rest
}

/** The package once more, as when two packages of an application depend on it. */
async function secondCopy(): Promise<typeof import('../../src/index.js')> {
  vi.resetModules()
  if (!process.env.TEST_BUILT) return import('../../src/index.js')
  const require = createRequire(import.meta.url)
  const cached = Object.keys(require.cache).filter((path) => path.startsWith(resolve('dist')))
  for (const path of cached) delete require.cache[path]
  return require(resolve('dist/index.cjs'))
}

describe('the interception of a store', () => {
  it('puts own methods before inherited ones, and removes them on close()', async () => {
    const store = new expressSession.MemoryStore()
    const session = sessionOn(store)
    const before = own(store)
    const shared = sharedsession(session)
    expect(Object.keys(own(store)).toSorted()).toEqual(
      [...Object.keys(before), 'get', 'set', 'destroy', 'touch', 'clear', 'all', 'createSession', 'regenerate'].toSorted(),
    )
    await shared.close()
    expect(own(store)).toEqual(before)
    expect(
      Object.getOwnPropertySymbols(store)
        .map(String)
        .filter((name) => name.includes('sharedsession')),
    ).toEqual([])
    expect(store.get).toBe(expressSession.MemoryStore.prototype.get)
  })

  it('restores the own methods of the store with their descriptors', async () => {
    const store = plainStore()
    const accessor = { get: () => expressSession.MemoryStore.prototype.destroy, configurable: true, enumerable: true }
    Object.defineProperty(store, 'destroy', accessor)
    Object.defineProperty(store, 'get', { value: store.get, writable: false, configurable: true, enumerable: false })
    const session = sessionOn(store)
    const before = own(store)
    const shared = sharedsession(session)
    expect(own(store)).not.toEqual(before)
    await shared.close()
    expect(own(store)).toEqual(before)
  })

  it('adds no enumerable property to the store', () => {
    const store = new expressSession.MemoryStore()
    const session = sessionOn(store)
    const before = Object.keys(store)
    const shared = sharedsession(session)
    expect(Object.keys(store)).toEqual(before)
    return shared.close()
  })

  it('happens once for several calls of sharedsession(), and ends with the last close()', async () => {
    const store = new expressSession.MemoryStore()
    const session = sessionOn(store)
    const before = own(store)
    const first = sharedsession(session)
    const taken = own(store)
    const second = sharedsession(session, { autoSave: true })
    expect(own(store)).toEqual(taken)
    await first.close()
    await first.close()
    expect(own(store)).toEqual(taken)
    await second.close()
    expect(own(store)).toEqual(before)
  })

  it('happens once for two copies of this package, which see each other’s commits', async () => {
    const store = new expressSession.MemoryStore()
    const session = sessionOn(store)
    const before = own(store)
    const first = sharedsession(session)
    const taken = own(store)
    const copy = await secondCopy()
    expect(copy.default).not.toBe(sharedsession)
    const second = copy.default(session)
    expect(own(store)).toEqual(taken)
    const changed = next(second.events, 'session:changed')
    await new Promise((resolve) => store.set('sid', { cookie: { originalMaxAge: null }, a: 1 } as any, resolve))
    await first.update('sid', () => ({ a: 2 }))
    expect(await changed).toMatchObject({ keys: ['a'] })
    await first.close()
    expect(own(store)).toEqual(taken)
    await second.close()
    expect(own(store)).toEqual(before)
  })

  it('refuses a second call with other options per store, until the last close()', async () => {
    const session = sessionOn(new expressSession.MemoryStore())
    const first = sharedsession(session)
    expect(() => sharedsession(session, { merge: false })).toThrow(/with other values/)
    await first.close()
    await sharedsession(session, { merge: false }).close()
  })

  it('can be repeated after close()', async () => {
    const store = new expressSession.MemoryStore()
    const session = sessionOn(store)
    const before = own(store)
    for (let times = 0; times < 3; times++) await sharedsession(session).close()
    expect(own(store)).toEqual(before)
  })

  it('leaves generate alone: another session() call on the store overwrites it, and both work', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    const { generate } = store as any
    const genid = (): string => 'made by the second'
    expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false, genid })
    expect((store as any).generate).not.toBe(generate)
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    await client.emitWithAck('set', 'x', 1)
    expect(store.stored('made by the second')).toMatchObject({ user: 'ada', x: 1 })
  })
})

describe('close() of a store', () => {
  it('keeps a method that another library has put over ours, and ours under it passes everything on', async () => {
    const store = new ControlledStore()
    const shared = sharedsession(sessionOn(store), { retry: { timeout: 200 } })
    const calls: string[] = []
    for (const method of ['get', 'set', 'touch', 'destroy'] as const) {
      const ours = (store as any)[method]
      ;(store as any)[method] = (...args: unknown[]) => {
        calls.push(method)
        return ours(...args)
      }
    }
    await shared.close()
    const cookie = { originalMaxAge: null }
    const ask = (method: string, ...args: unknown[]): Promise<unknown> =>
      new Promise((resolve) => (store as any)[method](...args, (_error: unknown, value: unknown) => resolve(value)))
    await ask('set', 'sid', { cookie, a: 1 })
    expect(store.calls).toEqual([{ method: 'set', sid: 'sid' }])
    const found: any = await ask('get', 'sid')
    expect(found).toMatchObject({ a: 1 })
    store.foreign('sid', { b: 2 })
    await ask('set', 'sid', { ...found, c: 3 })
    expect(store.stored('sid')).toEqual({ cookie, a: 1, c: 3 })
    await ask('touch', 'sid', found)
    await ask('destroy', 'sid')
    expect(store.ids()).toEqual([])
    expect(calls).toEqual(['set', 'get', 'set', 'touch', 'destroy'])
    expect(store.get).not.toBe(ControlledStore.prototype.get)
    expect(Object.hasOwn(store, 'createSession')).toBe(false)
  })

  async function slow() {
    const arrived = deferred()
    const go = deferred()
    const store = new ControlledStore()
    const app = await startApp({
      store,
      routes: (http) =>
        http.get('/slow', async (req, res) => {
          arrived.resolve()
          await go.promise
          req.session.slow = 1
          res.json({})
        }),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const answer = browser.get('/slow')
    await arrived.promise
    return { app, store, browser, go: () => go.resolve(), answer, taken: () => Object.hasOwn(store, 'set') }
  }

  it('waits for the requests in flight, whose sessions stay protected', async () => {
    const { app, store, browser, go, answer, taken } = await slow()
    await app.shared.close()
    expect(taken()).toBe(true)
    store.foreign(sidOf(browser), { user: 'ada', foreign: 1 })
    go()
    await answer
    expect(store.stored(sidOf(browser))).toMatchObject({ user: 'ada', foreign: 1, slow: 1 })
    await until(() => !taken())
  })

  it('is cancelled by a new call of sharedsession() before the requests in flight have ended', async () => {
    const { app, store, browser, go, answer, taken } = await slow()
    await app.shared.close()
    const again = sharedsession(sessionOn(store))
    store.foreign(sidOf(browser), { user: 'ada', foreign: 1 })
    go()
    await answer
    expect(taken()).toBe(true)
    expect(store.stored(sidOf(browser))).toMatchObject({ user: 'ada', foreign: 1, slow: 1 })
    await again.close()
    await until(() => !taken())
  })

  it('allows a new call with other options while older requests are in flight', async () => {
    const { app, store, go, answer, taken } = await slow()
    await app.shared.close()
    const again = sharedsession(sessionOn(store), { onChange: 'notify' })
    go()
    await answer
    await new Promise((resolve) => store.set('sid', { cookie: {}, a: 1 }, resolve))
    expect(await again.update('sid', () => ({ a: 2 }))).toEqual({ a: 2 })
    await again.close()
    expect(taken()).toBe(false)
    await new Promise((resolve) => store.set('sid', { cookie: {}, a: 3 }, resolve))
    expect(store.stored('sid')).toMatchObject({ a: 3 })
  })

  it('does not wait for an aborted request', async () => {
    const store = new ControlledStore()
    const arrived = deferred()
    const app = await startApp({ store, routes: (http) => http.get('/never', () => arrived.resolve()) })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const aborting = new AbortController()
    const answer = fetch(`${app.url}/never`, { headers: { cookie: browser.cookie! }, signal: aborting.signal }).catch(
      () => undefined,
    )
    await arrived.promise
    await app.shared.close()
    expect(Object.hasOwn(store, 'set')).toBe(true)
    aborting.abort()
    await answer
    await until(() => !Object.hasOwn(store, 'set'))
  })

  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    it(`does not wait for sockets: ${transports.join(', then ')}`, async () => {
      const store = new ControlledStore()
      const app = await startApp({ store })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const client = await browser.connect({ transports })
      await client.emitWithAck('set', 'x', 1)
      await app.shared.close()
      await until(() => !Object.hasOwn(store, 'set'))
    })
  }

  it('waits for the requests of a plain HTTP server, too', async () => {
    const store = new ControlledStore()
    const session = sessionOn(store)
    const shared = sharedsession(session)
    const arrived = deferred()
    const go = deferred()
    const server = createServer((req: any, res: any) =>
      session(req, res, async () => {
        if (req.url === '/slow') {
          arrived.resolve()
          await go.promise
        }
        req.session.user = 'ada'
        res.end('ok')
      }),
    )
    server.listen(0, '127.0.0.1')
    await next(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const [line] = (await fetch(url)).headers.getSetCookie()
    const answer = fetch(`${url}/slow`, { headers: { cookie: line!.split(';')[0]! } })
    await arrived.promise
    await shared.close()
    expect(Object.hasOwn(store, 'set')).toBe(true)
    go.resolve()
    await (await answer).text()
    await until(() => !Object.hasOwn(store, 'set'))
    server.closeAllConnections()
    server.close()
  })

  it('does not wait for a response that had ended before its session was loaded', async () => {
    const store = new ControlledStore()
    const shared = sharedsession(sessionOn(store))
    const ended = Object.assign(new EventEmitter(), { writableFinished: true })
    ;(store as any).createSession({ sessionID: 'sid', res: ended }, { cookie: { originalMaxAge: null } })
    await shared.close()
    expect(Object.hasOwn(store, 'set')).toBe(false)
  })
})

describe('a store whose method fails', () => {
  async function start() {
    const store = new ControlledStore()
    const app = await startApp({
      store,
      shared: { retry: { timeout: 200 } },
      routes(http) {
        http.get('/save', (req, res) => {
          const answers: string[] = []
          req.session.n = 1
          req.session.save((error) => {
            answers.push(String(error?.code ?? error?.message))
            setImmediate(() => setImmediate(() => res.json({ answers })))
          })
        })
      },
    })
    app.http.use(
      (error: any, _req: any, res: any, _next: unknown) => void res.status(500).json({ error: error.code ?? error.message }),
    )
    const browser = app.browser()
    await browser.get('/set?user=ada')
    return { app, store, browser }
  }

  for (const [how, error] of Object.entries({ fail: 'the store failed', throw: 'the store threw', hang: 'STORE_TIMEOUT' })) {
    it(`get: ${how}: the request fails with that error, the next one works`, async () => {
      const { browser, store } = await start()
      store[how as 'fail' | 'throw' | 'hang']('get')
      expect(await browser.get('/session')).toMatchObject({ status: 500, body: { error } })
      expect((await browser.get('/session')).body).toMatchObject({ user: 'ada' })
    })
  }

  it('get: throwing after it had to wait for a save: the request fails with that error', async () => {
    const { app, browser, store } = await start()
    await browser.connect()
    const set = store.hold('set')
    ;(app.sockets[0]!.handshake as any).session.x = 1
    await set.called
    const answer = browser.get('/session')
    store.throw('get')
    set.release()
    expect(await answer).toMatchObject({ status: 500, body: { error: 'the store threw' } })
  })

  for (const [how, error] of Object.entries({ fail: 'the store failed', throw: 'the store threw' })) {
    it(`set: ${how}: the callback of save() gets the error, once; what it wrote is saved with the next save`, async () => {
      const { browser, store } = await start()
      store[how as 'fail' | 'throw']('set')
      expect((await browser.get('/save')).body).toEqual({ answers: [error] })
      expect(store.stored(sidOf(browser))).not.toHaveProperty('n')
      expect((await browser.get('/save')).body).toEqual({ answers: ['undefined'] })
      expect(store.stored(sidOf(browser))).toMatchObject({ n: 1 })
    })
  }

  it('set: never answered: the callback of save() gets OUTCOME_UNKNOWN; later saves fail until it is answered', async () => {
    const { app, browser, store } = await start()
    const set = store.hold('set')
    const { cookie } = store.stored(sidOf(browser))!
    const save = (data: object): Promise<any> =>
      new Promise((resolve) => app.store.set(sidOf(browser), { cookie, ...data } as any, resolve))
    expect(await save({ a: 1 })).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(await save({ a: 2 })).toMatchObject({ code: 'STORE_TIMEOUT' })
    set.release()
    expect(await save({ a: 3 })).toBeUndefined()
    expect(store.stored(sidOf(browser))).toMatchObject({ a: 3 })
    expect(store.count('set')).toBe(3)
  })

  it('the read before a write fails: the callback gets the error, and nothing is written', async () => {
    const { app, browser, store } = await start()
    const before = store.count('set')
    store.fail('get')
    const error = await new Promise<any>((resolve) => app.store.set(sidOf(browser), { cookie: {}, a: 1 } as any, resolve))
    expect(error.message).toBe('the store failed')
    expect(store.count('set')).toBe(before)
  })

  it('data that is no JSON: the callback of get gets the error', async () => {
    const store = plainStore()
    const broken = { cookie: {}, big: 1n }
    ;(store as any).get = async (_sid: string, callback: (error: unknown, found: unknown) => void) => callback(null, broken)
    const app = await startApp({ store })
    const error = await new Promise<any>((resolve) => app.store.get('sid', resolve as () => void))
    expect(error).toBeInstanceOf(TypeError)
  })
})

import type { Express } from 'express'
import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { sidOf } from '../support/sid.js'
import { FileLikeStore, MongoLikeStore, ObjectStore, plainStore, SelfCallingStore } from '../support/stores.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

const stores: Record<string, () => expressSession.Store> = {
  MemoryStore: () => new expressSession.MemoryStore(),
  'a store with connect-mongo’s habits': () => new MongoLikeStore(),
  'a store that returns the very object it keeps': () => new ObjectStore(),
  'a store that returns a shallow copy of what it keeps': () => new ObjectStore(true),
  'a store with ENOENT for what is missing, and no touch': () => new FileLikeStore(),
  'a store that calls its own methods': () => new SelfCallingStore(),
  'a store with own, async methods': plainStore,
}

for (const [name, make] of Object.entries(stores)) {
  describe(name, () => {
    async function start() {
      const arrived = deferred()
      const go = deferred()
      const store = make()
      const failures: unknown[] = []
      const app = await startApp({
        store,
        session: { cookie: { maxAge: 60_000 } },
        shared: { retry: { timeout: 1000 } },
        routes(http: Express) {
          http.get('/slow', async (req, res) => {
            arrived.resolve()
            await go.promise
            if (req.query.push) req.session.deep.list.push(req.query.push)
            res.json(req.session)
          })
        },
      })
      app.http.use((error: unknown, _req: unknown, _res: unknown, after: (error: unknown) => void) => {
        failures.push(error)
        after(error)
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const client = await browser.connect()
      await client.emitWithAck('set', 'deep', { list: ['first'] })
      const read = (): Promise<any> => new Promise((resolve) => app.store.get(sidOf(browser), (_error, found) => resolve(found)))
      return { app, store, browser, client, failures, arrived: arrived.promise, go: () => go.resolve(), read }
    }

    it('a slow request and a socket write at the same time: nothing is lost and nothing is doubled', async () => {
      const { browser, client, arrived, go, read, failures } = await start()
      const answer = browser.get('/slow?push=http')
      await arrived
      await client.emitWithAck('set', 'cart', [1])
      go()
      expect((await answer).status).toBe(200)
      expect(await read()).toMatchObject({ user: 'ada', deep: { list: ['first', 'http'] }, cart: [1] })
      expect((await client.emitWithAck('get')).deep).toEqual({ list: ['first', 'http'] })
      expect(failures).toEqual([])
    })

    it('a change that a request does not save is not seen by others', async () => {
      const { app, browser, read } = await start()
      const found = await read()
      found.deep.list.push('unsaved')
      expect((await browser.get('/session')).body.deep).toEqual({ list: ['first'] })
      expect(app.shared.snapshot(app.sockets[0]!)).toMatchObject({ deep: { list: ['first'] } })
    })

    it('a change that the live session does not save is not in the store', async () => {
      const { app, client, read } = await start()
      await client.emitWithAck('set', 'cart', { items: [] })
      const { session } = app.sockets[0]!.handshake as any
      await new Promise<void>((resolve) => {
        app.store.get(session.id, (_error, found: any) => {
          expect(found.cart.items).toEqual([])
          resolve()
        })
        session.cart.items.push(1)
      })
      await app.shared.flush()
      expect((await read()).cart.items).toEqual([1])
    })

    it('a request that only reads keeps the session alive, and ends normally after the session has ended', async () => {
      const { app, browser, arrived, go, read, failures } = await start()
      const answer = browser.get('/slow')
      await arrived
      const ended = next(app.sockets[0]!, 'session:destroyed')
      await app.shared.destroy(sidOf(browser))
      expect(await ended).toEqual({ reason: 'destroyed' })
      go()
      expect((await answer).status).toBe(200)
      expect(await read()).toBeFalsy()
      expect(failures).toEqual([])
    })

    it('a request that writes after the session has ended brings nothing back', async () => {
      const { app, browser, arrived, go, read, failures } = await start()
      const answer = browser.get('/slow?push=late')
      await arrived
      await app.shared.destroy(sidOf(browser))
      go()
      expect((await answer).status).toBe(200)
      expect(await read()).toBeFalsy()
      expect(failures).toEqual([])
    })

    it('a session is destroyed, and a new one begins', async () => {
      const { browser, read } = await start()
      await browser.get('/destroy')
      expect(await read()).toBeFalsy()
      await browser.get('/set?user=grace')
      expect(await read()).toMatchObject({ user: 'grace' })
    })
  })
}

it('a store that rejects instead of calling back fails the save, and nothing else', async () => {
  const app = await startApp({ store: plainStore() })
  const error = await new Promise<Error>((resolve) =>
    app.store.set('some', { cookie: { originalMaxAge: null }, reject: true } as any, resolve as () => void),
  )
  expect(error.message).toBe('rejected')
})

it('a touch that fails because the session is missing ends its sockets, and the request ends normally', async () => {
  const store = new MongoLikeStore()
  const arrived = deferred()
  const go = deferred()
  const app = await startApp({
    store,
    routes(http) {
      http.get('/slow', async (_req, res) => {
        arrived.resolve()
        await go.promise
        res.json({})
      })
    },
  })
  const failures: unknown[] = []
  app.http.use((error: unknown, _req: unknown, _res: unknown, after: (error: unknown) => void) => {
    failures.push(error)
    after(error)
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.connect()
  const ended = next(app.sockets[0]!, 'session:destroyed')
  const answer = browser.get('/slow')
  await arrived.promise
  store.sessions.clear()
  go.resolve()
  expect((await answer).status).toBe(200)
  expect(await ended).toEqual({ reason: 'destroyed' })
  expect(failures).toEqual([])
})

it('a store that changes the nested values it was given does not change the live session', async () => {
  const app = await startApp({
    store: new MongoLikeStore(),
    routes: (http) =>
      http.get('/deep', (req, res) => {
        req.session.deep = { list: [1] }
        res.json({})
      }),
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  await browser.get('/deep')
  expect((await client.emitWithAck('get')).deep).toEqual({ list: [1] })
})

it('a session that a request finds missing by ENOENT ends its idle sockets', async () => {
  const store = new FileLikeStore()
  const app = await startApp({ store })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.connect()
  const ended = next(app.sockets[0]!, 'session:destroyed')
  store.sessions.clear()
  await browser.get('/session')
  expect(await ended).toEqual({ reason: 'destroyed' })
})

it('a session that expires in a store that destroys it on reading ends as expired', async () => {
  const app = await startApp({ store: new SelfCallingStore(), session: { cookie: { maxAge: 300 } }, shared: { touch: false } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.connect()
  expect(await next(app.sockets[0]!, 'session:destroyed')).toEqual({ reason: 'expired' })
})

import type { Express } from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/sid.js'
import { pausing } from '../support/slow-routes.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

interface Context {
  app: App
  store: ControlledStore
  browser: Browser
  client: TestClient
  sid: string
  /** The live session in the view of a socket. */
  session: any
  arrived: Promise<void>
  go(): void
}

async function start(): Promise<Context> {
  const { arrived, go, here: pause } = pausing()
  const store = new ControlledStore()
  const app = await startApp({
    store,
    session: { cookie: { maxAge: 60_000 } },
    shared: { retry: { minDelay: 1, maxDelay: 1 } },
    routes(http: Express) {
      http.get('/slow-write', async (req, res) => {
        await pause()
        req.session.late = 1
        res.json({})
      })
      http.get('/slow-read', async (_req, res) => {
        await pause()
        res.json({})
      })
      http.get('/second-save', (req, res) => {
        req.session.first = 1
        req.session.save(async () => {
          await pause()
          req.session.late = 1
          req.session.save((error) => res.json({ error: error?.message }))
        })
      })
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  const { session } = app.sockets[0]!.handshake as any
  return { app, store, browser, client, sid: sidOf(browser), session, arrived, go }
}

/** How a session ends. */
const ends: Record<string, (context: Context) => unknown> = {
  'req.session.destroy()': ({ browser }) => browser.get('/destroy'),
  'session.destroy() of a socket': ({ session }) => session.destroy(),
  'store.destroy()': ({ app, sid }) => new Promise((resolve) => app.store.destroy(sid, resolve)),
  'shared.destroy()': ({ app, sid }) => app.shared.destroy(sid),
  'MemoryStore.clear()': ({ app }) => new Promise((resolve) => app.store.clear!(resolve as () => void)),
  'req.session.regenerate()': ({ app, browser }) => {
    const login = app.browser()
    login.cookie = browser.cookie
    return login.get('/regenerate')
  },
  expiry: ({ store, sid }) => {
    const { cookie, ...data } = store.stored(sid) ?? {}
    if (cookie) store.foreign(sid, { ...data, cookie: { ...cookie, expires: new Date(0).toISOString() } })
  },
  'another process': ({ store, sid }) => store.gone(sid),
}

/** Whoever still holds it: begins, and goes on when the session has ended, or is ending behind it. */
const writers: Record<string, (context: Context) => Promise<() => unknown>> = {
  async 'a socket’s pending save'({ store, session, app }) {
    const get = store.hold('get')
    session.late = 1
    await get.called
    return () => {
      get.release()
      return app.shared.flush()
    }
  },
  async 'a save in retry'({ store, session, app, sid }) {
    for (let times = 0; times < 2; times++) store.fail('set', undefined, sid)
    session.late = 1
    await until(() => app.shared.stats().retries > 0)
    return () => app.shared.flush()
  },
  async 'a touch of a socket'({ session, app }) {
    return () => {
      session.touch()
      return app.shared.flush()
    }
  },
  async 'a write of a socket afterwards'({ session, app }) {
    return async () => {
      session.late = 1
      await session.save().catch(() => undefined)
      return app.shared.flush()
    }
  },
  async 'an update() under way'({ store, app, sid }) {
    const get = store.hold('get')
    const update = app.shared.update(sid, (draft: any) => {
      draft.late = 1
    })
    await get.called
    return () => {
      get.release()
      return update.catch((error) => expect(error.code).toBe('SESSION_NOT_FOUND'))
    }
  },
  async 'an update() afterwards'({ app, sid }) {
    return () => expect(app.shared.update(sid, () => ({ late: 1 }))).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  },
  async 'a slow request that writes'({ browser, arrived, go }) {
    const answer = browser.get('/slow-write')
    await arrived
    return async () => {
      go()
      expect((await answer).status).toBe(200)
    }
  },
  async 'a slow request that only touches'({ browser, arrived, go }) {
    const answer = browser.get('/slow-read')
    await arrived
    return async () => {
      go()
      expect((await answer).status).toBe(200)
    }
  },
  async 'the second save of a request'({ browser, arrived, go }) {
    const answer = browser.get('/second-save')
    await arrived
    return async () => {
      go()
      expect(await answer).toMatchObject({ status: 200, body: {} })
    }
  },
}

/** These are in the session's queue, or wait for a job there, so the test cannot wait for their end first. */
const behind = new Set(['a socket’s pending save', 'an update() under way'])

/** Ends of which this process learns by its next read of the store: until then a write is an ordinary one. */
const unknown = new Set(['MemoryStore.clear()', 'expiry', 'another process'])

for (const [end, finish] of Object.entries(ends)) {
  describe(`a session ended by ${end} is not written back by`, () => {
    for (const [writer, begin] of Object.entries(writers)) {
      it(writer, async () => {
        if (writer === 'a write of a socket afterwards' && !unknown.has(end)) expectWarning('SESSION_ENDED')
        const context = await start()
        const goOn = await begin(context)
        const ended = Promise.resolve(finish(context))
        if (!behind.has(writer)) await ended
        await goOn()
        await ended
        await new Promise<void>((resolve) => context.app.store.get(context.sid, () => resolve()))
        expect(context.store.stored(context.sid)).toBeUndefined()
        // After regenerate() there is a new one, which has nothing of the old.
        for (const id of context.store.ids())
          expect(context.store.stored(id)).toEqual({ cookie: expect.anything(), renewed: true })
      })
    }
  })
}

it('a session that was never stored is stored by its first save', async () => {
  const store = new ControlledStore()
  const app = await startApp({ store })
  const client = await app.browser().connect()
  expect(store.ids()).toEqual([])
  await client.emitWithAck('set', 'first', 1)
  expect(store.stored((app.sockets[0]!.handshake as any).sessionID)).toMatchObject({ first: 1 })
})

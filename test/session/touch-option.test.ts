import { afterEach, describe, expect, it } from 'vitest'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/sid.js'
import { ObjectStore } from '../support/stores.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

const MINUTE = 60_000

interface Started {
  app: App
  store: ControlledStore
  browser: Browser
  sid: string
  /** When the stored session ends. */
  end(): number
}

/** A session of a minute, of which there are `left` ms left. */
async function start(left: number, shared: AppOptions['shared'] = {}): Promise<Started> {
  const store = new ControlledStore()
  const app = await startApp({ store, shared, session: { cookie: { maxAge: MINUTE } } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const sid = sidOf(browser)
  const { cookie } = store.stored(sid)!
  store.foreign(sid, { user: 'ada', cookie: { ...cookie, expires: new Date(Date.now() + left).toISOString() } })
  return { app, store, browser, sid, end: () => new Date(store.stored(sid)!.cookie.expires).getTime() }
}

/** Resolves when what was asked of the store for this session before has been done. */
const settled = ({ app, sid }: Started): Promise<void> => new Promise((resolve) => app.store.get(sid, () => resolve()))

describe('the option touch', () => {
  it('true: a message renews a session after a tenth of its time to live', async () => {
    const started = await start(MINUTE / 2)
    const client = await started.browser.connect()
    await client.emitWithAck('get')
    await settled(started)
    expect(started.end()).toBeGreaterThan(Date.now() + MINUTE * 0.9)
  })

  it('true: it does not touch a session that was touched just now', async () => {
    const started = await start(MINUTE)
    const client = await started.browser.connect()
    const touches = started.store.count('touch')
    for (let times = 0; times < 5; times++) await client.emitWithAck('get')
    await settled(started)
    expect(started.store.count('touch')).toBe(touches)
  })

  it('a number: at most once per so many ms', async () => {
    const started = await start(MINUTE, { touch: 1_000_000 })
    const client = await started.browser.connect()
    const touches = started.store.count('touch')
    for (let times = 0; times < 5; times++) await client.emitWithAck('get')
    await settled(started)
    expect(started.store.count('touch')).toBe(touches + 1)
  })

  it('false: a message does not renew it', async () => {
    const started = await start(MINUTE / 2, { touch: false })
    const end = started.end()
    const client = await started.browser.connect()
    await client.emitWithAck('get')
    await settled(started)
    expect(started.end()).toBe(end)
  })
})

describe('the expiry of a session, and its sockets', () => {
  it('a save does not shorten the time to live that a request has set meanwhile', async () => {
    const started = await start(MINUTE / 2, { touch: false })
    const client = await started.browser.connect()
    await started.browser.get('/session')
    const end = started.end()
    await client.emitWithAck('set', 'x', 1)
    expect(started.end()).toBeGreaterThanOrEqual(end)
  })

  it('session.touch() renews the session in the store; on a store without touch too', async () => {
    const store = new ObjectStore()
    const app = await startApp({ store, shared: { touch: false }, session: { cookie: { maxAge: MINUTE } } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const stored: any = store.sessions.get(sidOf(browser))
    const before = (stored.cookie.expires as Date).getTime()
    await browser.connect()
    const { session } = app.sockets[0]!.handshake as any
    session.touch()
    await new Promise<void>((resolve) => app.store.get(sidOf(browser), () => resolve()))
    const after: any = store.sessions.get(sidOf(browser))
    expect(after).not.toBe(stored)
    expect(after.user).toBe('ada')
    expect(after.cookie.expires.getTime()).toBeGreaterThanOrEqual(before)
  })

  it('session.touch() of a session that is not in the store does not store it, and ends its sockets', async () => {
    const store = new ObjectStore()
    const app = await startApp({ store, session: { cookie: { maxAge: MINUTE } } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    const ended = next(app.sockets[0]!, 'session:destroyed')
    store.sessions.clear()
    ;(app.sockets[0]!.handshake as any).session.touch()
    expect(await ended).toEqual({ reason: 'destroyed' })
    expect(store.sessions.size).toBe(0)
  })

  it('a failed session.touch() is not reported', async () => {
    const started = await start(MINUTE / 2)
    const client = await started.browser.connect()
    started.store.fail('touch')
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    await settled(started)
    expect(await client.emitWithAck('set', 'x', 1)).toBe('ok')
  })
})

describe('the expiry of a session, and HTTP requests', () => {
  it('a request that touches the session changes the expiry of the live session', async () => {
    const { app, store, browser, sid } = await start(MINUTE / 2, { touch: false })
    await browser.connect()
    const { session } = app.sockets[0]!.handshake as any
    expect(session.cookie.expires.getTime()).toBeLessThan(Date.now() + MINUTE * 0.6)
    await browser.get('/session')
    expect(session.cookie.expires.getTime()).toBe(new Date(store.stored(sid)!.cookie.expires).getTime())
    expect(session.cookie.expires.getTime()).toBeGreaterThan(Date.now() + MINUTE * 0.9)
  })

  it('a request that saves in the middle does not store an expiry that has passed', async () => {
    // connect-redis keeps the life beside the document: what is stored as its end may be long past.
    const store = new ObjectStore()
    const app = await startApp({
      store,
      session: { cookie: { maxAge: MINUTE } },
      routes: (http) =>
        http.get('/save', (req, res) => {
          req.session.x = 1
          req.session.save(() => res.json({ expires: (store.sessions.get(req.session.id) as any).cookie.expires.getTime() }))
        }),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const stored: any = store.sessions.get(sidOf(browser))
    stored.cookie.expires = new Date(Date.now() - 1000)
    stored.cookie.originalMaxAge = MINUTE
    expect((await browser.get('/save')).body.expires).toBeGreaterThan(Date.now())
  })

  it('a touch by a request that fails is reported as without this package', async () => {
    const { app, store, browser } = await start(MINUTE)
    const session: any = await new Promise((resolve) =>
      (app.store as any).load(sidOf(browser), (_error: unknown, found: unknown) => resolve(found)),
    )
    store.fail('touch', new Error('down'))
    const error = await new Promise<any>((resolve) => app.store.touch!(sidOf(browser), session, resolve as () => void))
    expect(error.message).toBe('down')
  })
})

describe('an expiry that was moved to an earlier time ends the sockets then', () => {
  for (const [who, shorten] of Object.entries({
    'a socket': async ({ app }: Started) => {
      ;(app.sockets[0]!.handshake.session as any).cookie.maxAge = 100
    },
    'a request': async ({ browser }: Started) => {
      await browser.get('/short')
    },
  })) {
    it(`where ${who} shortens its life`, async () => {
      const store = new ControlledStore()
      const app = await startApp({
        store,
        routes: (http) =>
          http.get('/short', (req, res) => {
            req.session.cookie.maxAge = 100
            req.session.short = true
            res.json({})
          }),
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      await browser.connect()
      const ended = next(app.sockets[0]!, 'session:destroyed')
      await shorten({ app, store, browser, sid: sidOf(browser), end: () => 0 })
      expect(await ended).toEqual({ reason: 'expired' })
    })
  }
})

import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { collectGarbage } from '../support/garbage.js'
import { letIn, sidOf } from '../support/handshake.js'
import { collect, QUICK } from '../support/live.js'
import { slowRoute } from '../support/slow-routes.js'
import { FileLikeStore } from '../support/stores.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

/** A client whose first contact was a socket: it has its cookie, and nothing was stored yet. */
async function arrived(options: AppOptions = {}) {
  const store = new ControlledStore()
  const app: App = await startApp({ store, wire: (io, shared) => void shared.attach(io), ...options })
  const browser: Browser = app.browser()
  const client = browser.open()
  const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
  browser.cookie = pairOf(lines) as string
  return { app, store, browser, client, sid: sidOf(browser) }
}

describe('a session that is not stored yet', () => {
  it('is the session of a request, although it is stored while the store answers that it has none', async () => {
    const { store, browser, client, sid } = await arrived()
    const get = store.hold('get', { afterwards: true, sid })
    const answer = browser.get('/set?user=ada')
    await get.called
    await client.emitWithAck('set', 'cart', [1])
    get.release()
    expect((await answer).headers.getSetCookie()).toEqual([])
    expect(store.stored(sid)).toMatchObject({ user: 'ada', cart: [1] })
    expect(store.ids()).toEqual([sid])
  })

  it('is the session of another tab, although it is stored while the store answers that it has none', async () => {
    const { app, store, browser, client, sid } = await arrived()
    const get = store.hold('get', { afterwards: true, sid })
    const other = browser.open()
    await get.called
    await client.emitWithAck('set', 'cart', [1])
    get.release()
    await letIn(other)
    expect((app.sockets[1]!.handshake as any).sessionID).toBe(sid)
  })

  describe('whose first write has reached the store without an answer,', () => {
    async function unanswered() {
      const { app, store, sid } = await arrived({
        shared: { retry: { ...QUICK, attempts: 10 } },
      })
      const socket = app.sockets[0]!
      const session = app.shared.session(socket) as any
      collect(socket, 'session:error')
      const before = store.calls.length
      const first = store.hold('set', { afterwards: true, sid })
      session.list = ['tea']
      await first.called
      session.list.push('cup')
      const calls = () => store.calls.slice(before).map(({ method }) => method)
      return { app, store, sid, first, calls, isWhole: () => store.stored(sid)?.list.length > 1 }
    }

    it('is not merged with itself, although the read that would tell the outcome fails', async () => {
      const { app, store, sid, first, isWhole } = await unanswered()
      store.fail('get', undefined, sid)
      // It never arrives, and nor can the store be read when it is given up.
      const second = store.hold('set', { sid })
      first.fail()
      await second.called
      store.fail('get', undefined, sid)
      await until(isWhole)
      await app.shared.flush()
      expect(store.stored(sid)).toMatchObject({ list: ['tea', 'cup'] })
    })

    it('is not written again before a read has told the outcome, however often reads fail', async () => {
      const { store, sid, first, calls, isWhole } = await unanswered()
      for (let time = 0; time < 3; time++) store.fail('get', undefined, sid)
      first.fail()
      await until(isWhole)
      expect(calls()).toEqual(['set', 'get', 'get', 'get', 'get', 'set'])
    })

    it('is not written again before a read has told the outcome, where a read is not answered', async () => {
      const { store, sid, first, calls, isWhole } = await unanswered()
      store.fail('get', undefined, sid)
      store.hang('get', sid)
      first.fail()
      await until(isWhole)
      expect(calls()).toEqual(['set', 'get', 'get', 'get', 'set'])
    })

    it('is not written again before a read has told the outcome, where the write is not answered', async () => {
      const { store, sid, calls, isWhole } = await unanswered()
      for (let time = 0; time < 2; time++) store.fail('get', undefined, sid)
      await until(isWhole)
      expect(calls()).toEqual(['set', 'get', 'get', 'get', 'set'])
    })
  })

  it('is the session of a request, although the store calls what it has not an error', async () => {
    const { browser, client, sid } = await arrived({ store: new FileLikeStore() })
    expect((await browser.get('/set?user=ada')).headers.getSetCookie()).toEqual([])
    expect(sidOf(browser)).toBe(sid)
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })

  it.each(['/destroy', '/regenerate'])('does not come back after %s by a request that had it before', async (path) => {
    const loaded = deferred()
    const ended = deferred()
    const { app, store, browser, sid } = await arrived({
      routes: (http) =>
        http.get('/slow', async (req, res) => {
          loaded.resolve()
          await ended.promise
          req.session.user = 'ada'
          res.end()
        }),
    })
    const slow = Object.assign(app.browser(), { cookie: browser.cookie }).get('/slow')
    await loaded.promise
    await browser.get(path)
    ended.resolve()
    await slow
    expect(store.ids()).not.toContain(sid)
  })

  it('does not come back by a request that had it before, after its socket has stored it and gone, and another node has ended it', async () => {
    const {
      arrived: loaded,
      go,
      routes,
    } = slowRoute((req) => {
      req.session.user = 'ada'
    })
    const { app, store, browser, client, sid } = await arrived({ routes })
    const slow = browser.get('/slow')
    await loaded
    await client.emitWithAck('set', 'cart', [1])
    const gone = next(app.sockets[0]!, 'disconnect')
    client.disconnect()
    await gone
    app.sockets.length = 0
    await until(() => app.io.engine.clientsCount === 0)
    // Those of other clients take its place among the sessions that are remembered.
    await letIn(app.browser().open())
    await collectGarbage()
    store.gone(sid)
    go()
    await slow
    expect(store.ids()).not.toContain(sid)
  })

  it('is handed to a request without what is on its way to the store: that is written twice otherwise, if it does not get there', async () => {
    const loaded = deferred()
    const { app, store, browser, client, sid } = await arrived({
      routes: (http) =>
        http.get('/push', (req, res) => {
          loaded.resolve()
          req.session.items ??= []
          req.session.items.push('by the request')
          res.end()
        }),
    })
    const set = store.hold('set', { sid })
    client.emit('set', 'items', ['by the socket'])
    await set.called
    const answer = browser.get('/push')
    await loaded.promise
    set.fail()
    await answer
    await app.shared.flush()
    expect(store.stored(sid)?.items.sort()).toEqual(['by the request', 'by the socket'])
  })

  it('is touched by a request that has found it in the store after all', async () => {
    const genid = (req: { headers: object }): string => (req.headers as Record<string, string>)['x-user'] ?? 'ada'
    const { app, store, browser } = await arrived({ session: { genid: genid as never, cookie: { maxAge: 60_000 } } })
    store.foreign('ada', { user: 'ada', cookie: { path: '/', originalMaxAge: 60_000, expires: new Date(Date.now() + 1000) } })
    await browser.get('/session')
    expect(store.count('touch')).toBe(1)
    expect(app.shared.stats().sockets).toBe(1)
  })

  it('has its full time to live from its first save, however long its socket was connected before', async () => {
    const { store, client, sid } = await arrived({ session: { cookie: { maxAge: 10_000 } } })
    // Socket.IO's client would miss pings after 45 s.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 20_000 })
    onTestFinished(() => void vi.useRealTimers())
    await client.emitWithAck('set', 'user', 'ada')
    expect(Date.parse(store.stored(sid)?.cookie.expires)).toBe(Date.now() + 10_000)
  })

  it('keeps the expiry that a socket gave it', async () => {
    const { app, store, sid } = await arrived({ session: { cookie: { maxAge: 60_000 } } })
    const end = new Date(Date.now() + 5000)
    // In one save: a later one starts its life anew, as every request does.
    const session: any = app.shared.session(app.sockets[0]!)
    session.cookie.expires = end
    session.user = 'ada'
    await session.save()
    expect(store.stored(sid)?.user).toBe('ada')
    expect(store.stored(sid)?.cookie.expires).toBe(end.toISOString())
  })
})

describe('shared.explain()', () => {
  it('does not claim for another session that its cookie was sent with the handshake', async () => {
    const { app, browser, client } = await arrived({ shared: { onEnd: 'keep' } })
    await browser.get('/destroy')
    const arriving = next(app.io.of('/chat'), 'connection')
    client.io.socket('/chat', {}).connect()
    const socket = await arriving
    expect(socket.handshake.sessionID).not.toBe(sidOf(browser))
    expect(app.shared.explain(socket)).toContain('has ended (destroyed)')
  })
})

import type { Express } from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps, type TestClient } from '../support/app.js'
import { type Visited, visited } from '../support/live.js'
import { deferred, next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

interface Started extends Visited {
  client: TestClient
}

async function start(options: AppOptions = {}): Promise<Started> {
  const started = await visited(options)
  return { ...started, client: await started.browser.connect() }
}

/** What a client hears, in order. */
function heard(client: TestClient): string[] {
  const events: string[] = []
  client.onAny((event) => events.push(event))
  client.on('disconnect', () => events.push('disconnect'))
  return events
}

describe('a destroyed session', () => {
  it('ends its sockets with session:destroyed, then their connection', async () => {
    const { app, browser, client } = await start()
    const ended = next(app.sockets[0]!, 'session:destroyed')
    const gone = next(client, 'disconnect')
    await browser.get('/destroy')
    expect(await ended).toEqual({ reason: 'destroyed' })
    expect(await gone).toBe('transport close')
  })

  it('what listeners emit, also async ones, and what the destroy callback emits arrives before the end', async () => {
    const { app, browser, client } = await start({
      connection(socket) {
        socket.on('session:destroyed', async () => {
          socket.emit('listener')
          await new Promise(setImmediate)
          socket.emit('async listener')
        })
      },
      routes: (http: Express) =>
        http.get('/logout', (req, res) => {
          req.session.destroy(() => {
            app.io.emit('callback')
            res.json({})
          })
        }),
    })
    const events = heard(client)
    const gone = next(client, 'disconnect')
    await browser.get('/logout')
    await gone
    expect(events.toSorted()).toEqual(['async listener', 'callback', 'disconnect', 'listener'])
    expect(events.at(-1)).toBe('disconnect')
  })

  it('its client reconnects, to a new and empty session', async () => {
    const { app, browser, sid } = await start()
    const client = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
    const back = next(client, 'connect')
    await browser.get('/destroy')
    await back
    expect(await client.emitWithAck('get')).not.toHaveProperty('user')
    expect(app.sockets.at(-1)!.handshake).not.toMatchObject({ sessionID: sid })
  })

  it('ends the sockets of all its namespaces and of no other session', async () => {
    const { app, browser, client } = await start({
      wire: (io, shared) => {
        io.use(shared)
        io.of('/other').use(shared)
      },
    })
    const other = app.browser()
    await other.get('/set?user=grace')
    const stranger = await other.connect()
    const namespaced = await browser.connect({ namespace: '/other' })
    const gone = Promise.all([next(client, 'disconnect'), next(namespaced, 'disconnect')])
    await browser.get('/destroy')
    await gone
    expect(await stranger.emitWithAck('get')).toMatchObject({ user: 'grace' })
  })

  it('that was destroyed by a socket: the callback is called, and the ack that was sent first arrives', async () => {
    const { client, store, sid } = await start({
      connection(socket) {
        socket.on('logout', (ack) => (socket.handshake as any).session.destroy((error: unknown) => ack(String(error))))
      },
    })
    const gone = next(client, 'disconnect')
    expect(await client.emitWithAck('logout')).toBe('undefined')
    await gone
    expect(store.stored(sid)).toBeUndefined()
  })

  it('is reported once on shared.events, however often it is found missing', async () => {
    const { app, browser, sid } = await start()
    const reasons: string[] = []
    app.shared.events.on('session:destroyed', ({ reason }) => reasons.push(reason))
    await browser.get('/destroy')
    await app.shared.destroy(sid)
    await expect(app.shared.update(sid, () => {})).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
    expect(reasons).toEqual(['destroyed'])
  })

  it('whose id is stored again lives, and ends, again', async () => {
    const { app, browser, store, sid } = await start()
    const { cookie } = store.stored(sid) as any
    await browser.get('/destroy')
    await new Promise((resolve) => app.store.set(sid, { cookie, user: 'grace' } as any, resolve))
    expect((await browser.get('/session')).body.user).toBe('grace')
    const ended = next(app.shared.events, 'session:destroyed')
    await browser.get('/destroy')
    expect(await ended).toEqual({ reason: 'destroyed' })
  })
})

describe('a regenerated session', () => {
  async function login(options: AppOptions = {}) {
    const pause = deferred()
    const regenerated = deferred()
    const order: string[] = []
    const received: string[] = []
    const started = await start({
      ...options,
      routes: (http) =>
        http.get('/login', (req, res) => {
          res.on('finish', () => order.push('response'))
          req.session.regenerate(async () => {
            req.session.user = 'grace'
            regenerated.resolve()
            await pause.promise
            res.json({})
          })
        }),
      connection(socket) {
        socket.onAny((event) => received.push(event))
        socket.on('session:destroyed', ({ reason }) => order.push(reason))
        socket.on('disconnect', () => order.push('disconnect'))
      },
    })
    return { ...started, order, received, regenerated: regenerated.promise, answer: () => pause.resolve() }
  }

  it('its sockets end with the reason regenerated, after the response has left', async () => {
    const { app, browser, regenerated, answer, order } = await login()
    const disconnected = next(app.sockets[0]!, 'disconnect')
    const response = browser.get('/login')
    await regenerated
    // Long enough for a close that does not wait for the response: a whole request and a whole handshake of somebody else's.
    const other = app.browser()
    await other.get('/set?user=other')
    await other.connect()
    expect(order).toEqual(['regenerated'])
    answer()
    await Promise.all([response, disconnected])
    expect(order).toEqual(['regenerated', 'response', 'disconnect'])
  })

  it('events that the client still sends on the old session reach no listener', async () => {
    const { app, browser, client, regenerated, answer, received } = await login()
    const response = browser.get('/login')
    await regenerated
    client.emit('set', 'user', 'old')
    await next((app.sockets[0] as any).conn, 'packet', ({ type }: any) => type === 'message')
    answer()
    await response
    await next(client, 'disconnect')
    expect(received).toEqual([])
  })

  it('its client reconnects with the new cookie, to the new session', async () => {
    const { browser, client, regenerated, answer } = await login()
    const gone = next(client, 'disconnect')
    const response = browser.get('/login')
    await regenerated
    answer()
    await Promise.all([response, gone])
    expect(await (await browser.connect()).emitWithAck('get')).toMatchObject({ user: 'grace' })
  })

  it('with onEnd: keep for regenerated sessions, its sockets stay connected and their events are handled', async () => {
    expectWarning('SESSION_ENDED')
    const { browser, client, regenerated, answer, received } = await login({ shared: { onEnd: { regenerated: 'keep' } } })
    const response = browser.get('/login')
    await regenerated
    answer()
    await response
    client.emit('set', 'x', 1)
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(received).toEqual(['set', 'get'])
    expect((await browser.get('/session')).body).not.toHaveProperty('x')
  })
})

it('a session regenerated after the response has left ends its sockets at once', async () => {
  const { browser, client } = await start({
    routes: (http) =>
      http.get('/late', (req, res) => {
        res.on('close', () => req.session.regenerate(() => {}))
        res.json({})
      }),
  })
  const gone = next(client, 'disconnect')
  await browser.get('/late')
  await gone
}, 4000)

describe('an expired session', () => {
  it('ends idle sockets without any message', async () => {
    const { app, client } = await start({ session: { cookie: { maxAge: 300 } } })
    const gone = next(client, 'disconnect')
    expect(await next(app.sockets[0]!, 'session:destroyed')).toEqual({ reason: 'expired' })
    await gone
  })

  it('ends idle sockets when a request finds it missing', async () => {
    const { app, browser, store, sid } = await start()
    const ended = next(app.sockets[0]!, 'session:destroyed')
    store.gone(sid)
    await browser.get('/session')
    expect(await ended).toEqual({ reason: 'destroyed' })
  })

  it('a store that is down at the expiry of a session ends no socket', async () => {
    const { app, store, client } = await start({ session: { cookie: { maxAge: 300 } }, shared: { touch: false } })
    store.down()
    const reads = store.count('get')
    await new Promise<void>((resolve) => {
      const look = (): unknown => (store.count('get') > reads ? resolve() : setImmediate(look))
      look()
    })
    store.up()
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
    expect(app.shared.stats().sockets).toBe(1)
  })
})

describe('the option onEnd', () => {
  it('disconnect: the client stays away until the application connects it', async () => {
    const { browser } = await start({ shared: { onEnd: 'disconnect' } })
    const client = await browser.connect({ reconnection: true })
    const gone = next(client, 'disconnect')
    await browser.get('/destroy')
    expect(await gone).toBe('io server disconnect')
    expect(client.active).toBe(false)
  })

  it('keep: the socket stays; nothing it writes is saved', async () => {
    expectWarning('SESSION_ENDED')
    const { app, browser, client, store, sid } = await start({ shared: { onEnd: 'keep' } })
    const ended = next(app.sockets[0]!, 'session:destroyed')
    await browser.get('/destroy')
    await ended
    client.emit('set', 'x', 1)
    expect(await client.emitWithAck('get')).toMatchObject({ x: 1 })
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
  })

  it('per reason: the reasons that are not named keep the default', async () => {
    const { browser, client } = await start({ shared: { onEnd: { expired: 'keep' } } })
    const gone = next(client, 'disconnect')
    await browser.get('/destroy')
    expect(await gone).toBe('transport close')
  })
})

describe('MemoryStore.clear()', () => {
  it('ends idle sockets at once', async () => {
    const { app, client } = await start()
    const gone = next(client, 'disconnect')
    const ended = next(app.sockets[0]!, 'session:destroyed')
    await new Promise((resolve) => app.store.clear!(resolve as () => void))
    expect(await ended).toEqual({ reason: 'destroyed' })
    await gone
  })

  it('a save that had read the session before does not bring it back', async () => {
    const { app, client, store, sid } = await start()
    const get = store.hold('get', { afterwards: true })
    const gone = next(client, 'disconnect')
    client.emit('set', 'x', 1)
    await get.called
    await new Promise((resolve) => app.store.clear!(resolve as () => void))
    get.release()
    await gone
    expect(store.stored(sid)).toBeUndefined()
  })
})

describe('session.destroy()', () => {
  it('calls back with the error of a store that fails, and the sockets stay', async () => {
    const { browser, client, store } = await start()
    store.fail('destroy', new Error('down'))
    expect((await browser.get('/destroy')).body).toEqual({ error: 'down' })
    expect(await client.emitWithAck('set', 'x', 1)).toBe('ok')
  })

  it('ends the sockets where the store has destroyed the session, and its answer is lost', async () => {
    const { app, browser, store } = await start()
    const ended = next(app.sockets[0]!, 'session:destroyed')
    const destroy = store.hold('destroy', { afterwards: true })
    const answered = browser.get('/destroy')
    await destroy.called
    destroy.fail(new Error('lost'))
    expect((await answered).body).toEqual({ error: 'lost' })
    expect(await ended).toEqual({ reason: 'destroyed' })
  })

  it('calls back with the error of a store that throws', async () => {
    const { browser, store } = await start()
    store.throw('destroy', new Error('thrown'))
    expect((await browser.get('/destroy')).body).toEqual({ error: 'thrown' })
  })

  it('calls back with STORE_TIMEOUT where the store does not answer; a late answer ends the sockets after all', async () => {
    const { app, browser, client, store } = await start({ shared: { retry: { timeout: 200 } } })
    const destroy = store.hold('destroy')
    const ended = next(app.sockets[0]!, 'session:destroyed')
    expect((await browser.get('/destroy')).body.error).toMatch('did not answer a destroy within 200 ms')
    expect(client.connected).toBe(true)
    destroy.release()
    expect(await ended).toEqual({ reason: 'destroyed' })
  })

  it('during a save destroys after it, and the session is not written again', async () => {
    const { app, browser, client, store, sid } = await start()
    const set = store.hold('set')
    const gone = next(client, 'disconnect')
    client.emit('set', 'x', 1)
    await set.called
    const destroyed = app.shared.destroy(sid)
    ;(app.sockets[0]!.handshake as any).session.y = 2
    set.release()
    await Promise.all([destroyed, gone])
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
    expect((await browser.get('/session')).body).not.toHaveProperty('user')
  })

  it('during a save that is never answered destroys within the time limit, and again after the late save', async () => {
    expectWarning('OUTCOME_UNKNOWN')
    const { app, client, store, sid } = await start({ shared: { retry: { timeout: 200, attempts: 1 } } })
    const set = store.hold('set')
    const gone = next(client, 'disconnect')
    client.emit('set', 'x', 1)
    await set.called
    await app.shared.destroy(sid)
    expect(store.stored(sid)).toBeUndefined()
    await gone
    const found = new Promise((resolve) => app.store.get(sid, (_error, session) => resolve(session)))
    const saved = new Promise((resolve) =>
      app.store.set(sid, { cookie: { originalMaxAge: null }, made: 'later' } as any, resolve),
    )
    set.release()
    await found
    await saved
    expect(store.stored(sid)).toMatchObject({ made: 'later' })
    expect(store.stored(sid)).not.toHaveProperty('x')
    expect(store.count('destroy')).toBe(2)
  })

  it('during the first save of a session: the store has no session afterwards', async () => {
    const { app, store } = await start()
    const set = store.hold('set')
    const answer = app.browser().get('/set?user=grace')
    const sid = await set.called
    const destroyed = app.shared.destroy(sid)
    set.release()
    await Promise.all([answer, destroyed])
    expect(store.stored(sid)).toBeUndefined()
  })
})

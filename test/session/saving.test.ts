import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, failure, live, tab, turns } from '../support/live.js'
import { deferred, inSeconds, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

describe('saving with autoSave', () => {
  it('a write is saved without a call of save()', async () => {
    const { app, store, session, sid } = await live()
    session.theme = 'dark'
    await next(app.shared.events, 'session:saved')
    expect(store.stored(sid)).toMatchObject({ user: 'ada', theme: 'dark' })
  })

  it('writes of one tick are one save', async () => {
    const { app, store, session, sid } = await live()
    const sets = store.count('set')
    session.a = 1
    session.b = { c: [1] }
    session.b.c.push(2)
    delete session.user
    await app.shared.flush()
    expect(store.count('set') - sets).toBe(1)
    const { cookie: _, ...data } = store.stored(sid)!
    expect(data).toEqual({ a: 1, b: { c: [1, 2] } })
  })

  it('writes of several sockets in one tick are one save', async () => {
    const { app, store, browser, session, sid } = await live()
    const other = await tab(app, browser)
    const sets = store.count('set')
    session.a = 1
    other.session.b = 2
    await app.shared.flush()
    expect(store.count('set') - sets).toBe(1)
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
  })

  it('writes during a save gather for the next one: there are never two saves of a session at once', async () => {
    const { app, store, session, sid } = await live()
    const sets = store.count('set')
    const gets = store.count('get')
    const first = store.hold('set')
    session.list = [1]
    await first.called
    for (const item of [2, 3, 4]) {
      session.list.push(item)
      await turns()
    }
    expect(store.count('set') - sets).toBe(1)
    const second = store.hold('set')
    first.release()
    await second.called
    expect(store.stored(sid)!.list).toEqual([1])
    second.release()
    await app.shared.flush()
    expect([store.count('get') - gets, store.count('set') - sets]).toEqual([2, 2])
    expect(store.stored(sid)!.list).toEqual([1, 2, 3, 4])
  })

  it('a write between the read and the write of a save is in that save', async () => {
    const { app, store, session, sid } = await live()
    const sets = store.count('set')
    const read = store.hold('get')
    session.a = 1
    await read.called
    session.b = 2
    read.release()
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
    expect(store.count('set') - sets).toBe(1)
  })

  it('a save merges what another process has written meanwhile, and notifies of it as remote', async () => {
    const { app, store, socket, session, sid } = await live()
    const changes = collect(socket, 'session:changed')
    store.foreign(sid, { user: 'ada', theirs: { n: 1 } })
    session.mine = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ user: 'ada', mine: 1, theirs: { n: 1 } })
    expect(session).toMatchObject({ mine: 1, theirs: { n: 1 } })
    expect(changes).toMatchObject([{ origin: 'remote', keys: ['theirs'] }])
  })

  it('appends of two processes to one array are both kept, and deletes are changes', async () => {
    const { app, store, session, sid } = await live()
    session.list = [{ id: 1 }, { id: 2 }]
    await app.shared.flush()
    store.foreign(sid, { user: 'ada', list: [{ id: 1 }, { id: 2 }, { id: 3 }] })
    session.list.push({ id: 4 })
    delete session.user
    await app.shared.flush()
    const { list, ...rest } = store.stored(sid)!
    expect(list.map(({ id }: { id: number }) => id).sort()).toEqual([1, 2, 3, 4])
    expect(rest).not.toHaveProperty('user')
  })

  it('saves what is written at any depth through references that are kept, across saves', async () => {
    const { app, store, session, sid } = await live()
    session.a = { b: { c: [{ d: 1 }] } }
    const deep = session.a.b.c[0]
    await app.shared.flush()
    deep.d = 2
    deep.e = { f: [] }
    await app.shared.flush()
    deep.e.f.push('x')
    await app.shared.flush()
    expect(store.stored(sid)!.a).toEqual({ b: { c: [{ d: 2, e: { f: ['x'] } }] } })
  })

  it('saves what is written after an await and in a timer', async () => {
    const { app, store, session, sid } = await live()
    await Promise.resolve()
    session.awaited = true
    await next(app.shared.events, 'session:saved')
    const saved = next(app.shared.events, 'session:saved')
    setTimeout(() => {
      session.timer = true
    }, 1)
    await saved
    expect(store.stored(sid)).toMatchObject({ awaited: true, timer: true })
  })

  it('saves what connection and disconnect handlers write', async () => {
    const { app, store, client, sid } = await live({
      connection(socket) {
        const session = socket.handshake.session as Record<string, any>
        session.connected = true
        socket.on('disconnect', () => {
          session.left = true
        })
      },
    })
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ connected: true })
    client.disconnect()
    await until(() => store.stored(sid)?.left)
  })

  it('saves what a timer writes after the last socket is gone', async () => {
    const { app, store, client, socket, session, sid } = await live()
    const gone = next(socket, 'disconnect')
    client.disconnect()
    await gone
    session.late = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ late: 1 })
  })

  it('a socket that disconnects during its save loses nothing', async () => {
    const { app, store, client, socket, session, sid } = await live()
    const set = store.hold('set')
    session.a = 1
    await set.called
    session.b = 2
    const gone = next(socket, 'disconnect')
    client.disconnect()
    await gone
    set.release()
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
  })

  it('a change that is undone in the same tick makes no store call', async () => {
    const { app, store, session } = await live()
    const calls = store.calls.length
    session.user = 'bob'
    session.user = 'ada'
    session.extra = 1
    delete session.extra
    await app.shared.flush()
    expect(store.calls.length).toBe(calls)
  })

  it('assigning an equal value makes no store call, deeply', async () => {
    const { app, store, session } = await live()
    session.cart = { items: [{ sku: 1 }] }
    await app.shared.flush()
    const calls = store.calls.length
    session.user = 'ada'
    session.cart = { items: [{ sku: 1 }] }
    Object.assign(session.cookie, { httpOnly: session.cookie.httpOnly })
    await app.shared.flush()
    expect(store.calls.length).toBe(calls)
  })

  it('a write to the cookie is saved only if it changes the cookie', async () => {
    const { app, store, session, sid } = await live()
    session.cookie.maxAge = 60_000
    await app.shared.flush()
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(60)
    delete session.cookie.maxAge
    const calls = store.calls.length
    await app.shared.flush()
    expect(store.calls.length).toBe(calls)
  })

  it('a failed save of the cookie is tried again, merged with what others changed in it', async () => {
    const { app, store, session, sid } = await live()
    store.fail('set')
    session.cookie.maxAge = 60_000
    await app.shared.flush()
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(60)
    const { cookie, ...data } = store.stored(sid)!
    store.foreign(sid, { ...data, cookie: { ...cookie, sameSite: 'lax' } })
    session.cookie.maxAge = 90_000
    await app.shared.flush()
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(90)
    expect(store.stored(sid)!.cookie.sameSite).toBe('lax')
  })

  it("on a store that does not store touches, a save does not shorten the session's time to live", async () => {
    const { app, store, session, socket, sid } = await live({ session: { cookie: { maxAge: 60_000 } } })
    const { cookie, ...data } = store.stored(sid)!
    const touched = session.cookie.expires.getTime()
    store.foreign(sid, { ...data, cookie: { ...cookie, expires: new Date(touched - 30_000).toISOString() } })
    session.a = 1
    await app.shared.flush()
    expect(new Date(store.stored(sid)!.cookie.expires).getTime()).toBeGreaterThanOrEqual(touched)
    expect(app.shared.session(socket).cookie.expires!.getTime()).toBeGreaterThanOrEqual(touched)
  })
})

describe('the time to live of a session', () => {
  it("a shorter maximum age that a request chose is taken, and is not undone by a socket's save", async () => {
    const { app, store, browser, session, sid } = await live({
      session: { cookie: { maxAge: 600_000 } },
      routes: (http) =>
        http.get('/short', (req, res) => {
          req.session.cookie.maxAge = 60_000
          res.json({})
        }),
    })
    await browser.get('/short')
    expect(inSeconds(session.cookie.originalMaxAge)).toBe(60)
    session.a = 1
    await app.shared.flush()
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(60)
    expect(new Date(store.stored(sid)!.cookie.expires).getTime()).toBeLessThan(Date.now() + 61_000)
  })
})

describe('values that cannot be stored', () => {
  it('a BigInt or a cycle is not assigned: session:error has its path, and nothing is stored', async () => {
    const { app, store, socket, session, sid } = await live()
    const told = collect(socket, 'session:error')
    const before = store.stored(sid)
    session.cart = { total: 10n }
    const cycle: any = { inner: {} }
    cycle.inner.back = cycle
    session.cart = cycle
    expect(told).toEqual([])
    await app.shared.flush()
    expect(told).toMatchObject([
      {
        code: 'NOT_STORABLE',
        message: expect.stringContaining('cart.total'),
        cause: { stack: expect.stringContaining('saving.test') },
      },
      { code: 'NOT_STORABLE', message: expect.stringContaining('cart.inner.back') },
    ])
    expect(store.stored(sid)).toEqual(before)
  })

  it('a value that becomes impossible to store later is reported to its author, and does not stop the saves of others', async () => {
    const { app, store, socket, session, sid } = await live()
    const told = next(socket, 'session:error')
    const raw: any = { n: 1 }
    session.thing = raw
    raw.big = 1n
    session.other = 1
    await app.shared.flush()
    expect(await told).toMatchObject({ code: 'NOT_STORABLE', message: expect.stringContaining('thing') })
    expect(store.stored(sid)).toMatchObject({ thing: { n: 1 }, other: 1 })
  })
})

describe('a session that is too large', () => {
  it('is not saved, is reported at once, and is saved with the next write that makes it small enough', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { maxBytes: 1000 } })
    const told = next(socket, 'session:error')
    const gets = store.count('get')
    session.big = 'x'.repeat(2000)
    session.kept = 1
    expect(await told).toMatchObject({ code: 'TOO_LARGE' })
    expect(store.count('get') - gets).toBe(1)
    expect(store.stored(sid)).not.toHaveProperty('kept')
    expect(session).toMatchObject({ kept: 1 })
    delete session.big
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ kept: 1 })
  })
})

describe('saving without autoSave', () => {
  const manual = { shared: { autoSave: false } }

  it('nothing is saved until save()', async () => {
    const { app, store, session, sid } = await live(manual)
    const calls = store.calls.length
    session.a = { b: 1 }
    await turns()
    await app.shared.flush()
    expect(store.calls.length).toBe(calls)
    await session.save()
    expect(store.stored(sid)).toMatchObject({ a: { b: 1 } })
  })

  it('save() without unsaved writes makes no store call', async () => {
    const { store, session } = await live(manual)
    const calls = store.calls.length
    await session.save()
    expect(store.calls.length).toBe(calls)
  })

  it("save() in one socket saves what the session's other sockets wrote", async () => {
    const { app, store, browser, session, sid } = await live(manual)
    const other = await tab(app, browser)
    session.a = 1
    other.session.b = 2
    await other.session.save()
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
  })

  it('save() resolves when what was written before it is saved, and not for what was written after', async () => {
    const { store, session, sid } = await live(manual)
    const set = store.hold('set')
    session.a = 1
    const saved = session.save()
    await set.called
    session.b = 2
    set.release()
    await saved
    await turns()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
    expect(store.stored(sid)).not.toHaveProperty('b')
    // Otherwise it warns when the socket has left.
    await session.save()
  })

  it('save() stores a new session that nobody has modified, once', async () => {
    const { app, store } = await live(manual)
    const { session, socket } = await tab(app, app.browser())
    const sets = store.count('set')
    await Promise.all([session.save(), session.save()])
    expect(store.count('set') - sets).toBe(1)
    expect(store.stored(socket.handshake.sessionID)).toBeDefined()
    await session.save()
    expect(store.count('set') - sets).toBe(1)
  })
})

describe('saving a session that ends meanwhile', () => {
  it('save() rejects with SESSION_ENDED, before and after, and writes nothing', async () => {
    expectWarning('SESSION_ENDED')
    const { store, browser, session, sid } = await live({ shared: { autoSave: false, onEnd: 'keep' } })
    const read = store.hold('get', { sid })
    session.a = 1
    const saved = failure(session.save())
    await read.called
    store.gone(sid)
    read.release()
    expect((await saved).code).toBe('SESSION_ENDED')
    expect((await failure(session.save())).code).toBe('SESSION_ENDED')
    expect((await failure(session.reload())).code).toBe('SESSION_ENDED')
    await browser.get('/session')
    expect(store.stored(sid)).toBeUndefined()
  })

  it('a save that waits for its turn after a destroy writes nothing', async () => {
    const { app, store, browser, session, sid } = await live({ shared: { onEnd: 'keep' } })
    const destroy = store.hold('destroy')
    const answered = browser.get('/destroy')
    await destroy.called
    session.a = 1
    const saved = failure(session.save())
    destroy.release()
    expect((await saved).code).toBe('SESSION_ENDED')
    await answered
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
  })

  it('the first save of a new session that waits behind its destroy writes nothing', async () => {
    expectWarning('SESSION_ENDED')
    const { app, store } = await live({ shared: { onEnd: 'keep' } })
    const fresh = await tab(app, app.browser())
    const destroy = store.hold('destroy')
    const destroyed = fresh.session.destroy()
    await destroy.called
    fresh.session.a = 1
    const read = store.hold('get')
    const saved = failure(fresh.session.save())
    await turns()
    destroy.release()
    await destroyed
    read.release()
    expect((await saved).code).toBe('SESSION_ENDED')
    await app.shared.flush()
    expect(store.stored(fresh.socket.handshake.sessionID)).toBeUndefined()
  })

  it('a listener that ends the session during a save stops that save', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { onEnd: 'keep' } })
    const ended = deferred()
    socket.on('session:changed', () => {
      store.gone(sid)
      session.destroy().then(ended.resolve)
    })
    store.foreign(sid, { user: 'ada', theirs: 1 })
    session.mine = 1
    await ended.promise
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
  })
})

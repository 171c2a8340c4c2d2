import { inspect } from 'node:util'
import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, failure, live, tab, thrown, turns } from '../support/live.js'
import { deferred, inSeconds, next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const manual = { shared: { autoSave: false } }

/** Calls a member with a callback. @returns what the callback is given, and what the member returned */
function called(member: (callback: (...args: unknown[]) => void) => unknown): Promise<{ args: unknown[]; returned: unknown }> {
  return new Promise((resolve) => {
    const returned: unknown = member((...args) => resolve({ args, returned }))
  })
}

describe('the session as an object', () => {
  it('is an express-session Session by every look: instanceof, in, keys, spread, JSON, console.log', async () => {
    const { session, sid, socket } = await live()
    expect(session).toBeInstanceOf((expressSession as any).Session)
    expect(session.id).toBe(sid)
    expect(session.req).toBe(socket.request)
    expect('save' in session && 'cookie' in session && 'user' in session && !('nothing' in session)).toBe(true)
    expect(Object.keys(session)).toEqual(['cookie', 'user'])
    expect({ ...session }).toMatchObject({ user: 'ada' })
    expect(JSON.parse(JSON.stringify(session))).toMatchObject({ user: 'ada', cookie: { path: '/' } })
    expect(inspect(session)).toContain('ada')
    expect(inspect(session)).not.toContain(sid)
    expect(String(session)).toBe('[object Object]')
  })

  it("its members' names are refused with RESERVED_KEY; every other name is the application's", async () => {
    const { app, store, socket, session, sid } = await live()
    const told = collect(socket, 'session:error')
    for (const name of ['cookie', 'save', 'toString']) Object.assign(session, { [name]: 1 })
    await turns()
    expect(told.map(({ code, message }) => [code, message.split(':')[0]])).toEqual([
      ['RESERVED_KEY', 'cookie'],
      ['RESERVED_KEY', 'save'],
      ['RESERVED_KEY', 'toString'],
    ])
    // As on express-session's own object.
    for (const name of ['id', 'req']) expect(thrown(() => Object.assign(session, { [name]: 1 }))).toBeInstanceOf(TypeError)
    const { cookie } = session
    Object.assign(session, JSON.parse(JSON.stringify(session)), { n: 1 })
    expect(session.cookie).toBe(cookie)
    await turns()
    expect(told).toHaveLength(3)
    Object.assign(session, { update: '2020', members: 1, live: 2, sid: 3, pending: 4 })
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ update: '2020', members: 1, live: 2, sid: 3, pending: 4 })
  })
})

describe('save()', () => {
  it('calls back without arguments when it is saved, and returns the session', async () => {
    const { store, session, sid } = await live(manual)
    session.a = 1
    const { args, returned } = await called((done) => session.save(done))
    expect(args).toEqual([])
    expect(returned).toBe(session)
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('calls back with the error when it fails for good', async () => {
    expectWarning('SAVE_FAILED')
    const { store, session } = await live(manual)
    store.down()
    session.a = 1
    const { args } = await called((done) => session.save(done))
    expect(args).toMatchObject([{ code: 'SAVE_FAILED' }])
    store.up()
  })

  it('without a callback is a promise that never becomes an unhandled rejection', async () => {
    const unhandled = collect(process, 'unhandledRejection')
    const { app, store, socket, session } = await live(manual)
    store.down()
    session.a = 1
    const failed = next(socket, 'session:error')
    for (const name of ['save', 'reload', 'destroy', 'regenerate']) expect(session[name]()).toBeInstanceOf(Promise)
    session.save(null)
    await failed
    await turns()
    expect(unhandled).toEqual([])
    store.up()
    await app.shared.flush()
  })

  it("an exception in its callback is the application's, not an unhandled rejection of a promise", async () => {
    const { session } = await live(manual)
    const unhandled = collect(process, 'unhandledRejection')
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const caught = next(process, 'uncaughtException')
    session.save(() => {
      throw new Error("the application's")
    })
    expect(await caught).toMatchObject({ message: "the application's" })
    for (const listener of listeners) process.on('uncaughtException', listener)
    expect(unhandled).toEqual([])
  })
})

describe('reload()', () => {
  it('merges what the store holds, and calls back without arguments', async () => {
    const { store, session, sid } = await live(manual)
    const list = { id: 1 }
    store.foreign(sid, { user: 'bob', list: [list] })
    const { args, returned } = await called((done) => session.reload(done))
    expect(args).toEqual([])
    expect(returned).toBe(session)
    expect(session).toMatchObject({ user: 'bob', list: [list] })
  })

  it('with autoSave saves unsaved changes first', async () => {
    const { store, session, sid } = await live()
    store.foreign(sid, { user: 'ada', theirs: 1 })
    session.mine = 1
    await session.reload()
    expect(session).toMatchObject({ mine: 1, theirs: 1 })
    expect(store.stored(sid)).toMatchObject({ mine: 1, theirs: 1 })
  })

  it('without autoSave discards unsaved changes, nested ones and the cookie included', async () => {
    const { app, store, session, sid } = await live(manual)
    session.cart = { items: [1] }
    await session.save()
    const { items } = session.cart
    items.push(2)
    session.user = 'bob'
    session.extra = 1
    session.cookie.maxAge = 60_000
    const calls = store.count('set')
    await session.reload()
    expect(app.shared.snapshot(sid)).toEqual({ user: 'ada', cart: { items: [1] } })
    expect(session.cookie.originalMaxAge).toBeNull()
    expect(items).toEqual([1])
    await session.save()
    expect(store.count('set')).toBe(calls)
    items.push(3)
    await session.save()
    expect(store.stored(sid)!.cart).toEqual({ items: [1, 3] })
  })

  it('without autoSave discards what other sockets have not saved too: they are told, and their next save() rejects, once', async () => {
    const { app, store, browser, session, socket, sid } = await live(manual)
    const other = await tab(app, browser)
    const told = collect(other.socket, 'session:error')
    const toldCaller = collect(socket, 'session:error')
    session.mine = 1
    other.session.theirs = 1
    await session.reload()
    expect(app.shared.snapshot(sid)).toEqual({ user: 'ada' })
    const error = await failure(other.session.save())
    expect(error.code).toBe('SAVE_FAILED')
    expect(error.message).toContain('reload()')
    expect(told).toEqual([error])
    await session.save()
    other.session.later = 1
    await other.session.save()
    expect(store.stored(sid)).not.toHaveProperty('theirs')
    expect(store.stored(sid)).toMatchObject({ later: 1 })
    expect(toldCaller).toEqual([])
  })

  it('without autoSave takes nothing from another socket that has put back what was there', async () => {
    const { app, browser, session } = await live(manual)
    const other = await tab(app, browser)
    const told = collect(other.socket, 'session:error')
    other.session.user = 'bob'
    other.session.user = 'ada'
    await session.reload()
    await other.session.save()
    expect(told).toEqual([])
  })

  it('with autoSave fails where that save fails, and discards nothing', async () => {
    expectWarning('SAVE_FAILED')
    const { app, store, session, sid } = await live()
    store.down()
    session.mine = 1
    expect((await failure(session.reload())).code).toBe('SAVE_FAILED')
    store.up()
    expect(session.mine).toBe(1)
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ mine: 1 })
  })

  it('does not discard what a save() under way is to save', async () => {
    const { store, session, sid } = await live(manual)
    const read = store.hold('get')
    session.a = 1
    const saved = session.save()
    const reloaded = session.reload()
    await read.called
    read.release()
    await Promise.all([saved, reloaded])
    expect(store.stored(sid)).toMatchObject({ a: 1 })
    expect(session.a).toBe(1)
  })

  it('with autoSave keeps what is written while it reads', async () => {
    const { app, store, session, sid } = await live()
    const read = store.hold('get')
    const reloaded = session.reload()
    await read.called
    session.a = 1
    read.release()
    await reloaded
    expect(session.a).toBe(1)
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('of a session that is gone from the store fails with SESSION_NOT_FOUND, and ends it', async () => {
    const { store, session, socket, sid } = await live(manual)
    const ended = next(socket, 'session:destroyed')
    store.gone(sid)
    const { args } = await called((done) => session.reload(done))
    expect(args).toMatchObject([{ code: 'SESSION_NOT_FOUND' }])
    expect(await ended).toEqual({ reason: 'destroyed' })
  })

  it('of a session that was never stored fails with SESSION_NOT_FOUND, stores nothing and ends nothing', async () => {
    const { app, store } = await live()
    const { session, socket } = await tab(app, app.browser())
    const ended = collect(socket, 'session:destroyed')
    const sets = store.count('set')
    expect((await failure(session.reload())).code).toBe('SESSION_NOT_FOUND')
    expect(ended).toEqual([])
    expect(store.count('set')).toBe(sets)
  })

  it('that waits behind a destroy fails, also where the id is in the store again', async () => {
    for (const again of [false, true]) {
      const { app, store, session, sid } = await live({ shared: { autoSave: false, onEnd: 'keep' } })
      const destroy = store.hold('destroy')
      const destroyed = app.shared.destroy(sid)
      const read = store.hold('get')
      const reloaded = failure(session.reload())
      await destroy.called
      destroy.release()
      await destroyed
      await read.called
      if (again) store.foreign(sid, { user: 'eve' })
      read.release()
      expect((await reloaded).code).toBe(again ? 'SESSION_ENDED' : 'SESSION_NOT_FOUND')
      expect(session.user).toBe('ada')
    }
  })

  it('fails with STORE_FAILED and its cause when the store does', async () => {
    const { store, session } = await live(manual)
    const cause = new Error('down')
    store.fail('get', cause)
    expect(await failure(session.reload())).toMatchObject({ code: 'STORE_FAILED', cause })
    expect(session.user).toBe('ada')
  })
})

describe('shared.destroy()', () => {
  it('fails with STORE_FAILED and its cause when the store does', async () => {
    const { app, store, sid } = await live()
    const cause = new Error('down')
    store.fail('destroy', cause)
    expect(await failure(app.shared.destroy(sid))).toMatchObject({ code: 'STORE_FAILED', cause })
  })
})

describe('destroy()', () => {
  it('destroys, and calls back before its sockets are ended', async () => {
    const { store, session, socket, client, sid } = await live()
    const order: string[] = []
    const gone = next(client, 'disconnect')
    client.on('bye', () => order.push('bye'))
    client.on('disconnect', () => order.push('disconnect'))
    const { args, returned } = await called((done) =>
      session.destroy((error: unknown) => {
        socket.emit('bye')
        done(error)
      }),
    )
    expect(args).toEqual([undefined])
    expect(returned).toBe(session)
    await gone
    expect(order).toEqual(['bye', 'disconnect'])
    expect(store.stored(sid)).toBeUndefined()
  })

  it('called a second time resolves without a store call', async () => {
    const { app, store, session } = await live({ shared: { onEnd: 'keep' } })
    const ends = collect(app.shared.events, 'session:destroyed')
    await session.destroy()
    const calls = store.calls.length
    await session.destroy()
    expect(store.calls.length).toBe(calls)
    expect(ends).toEqual([{ reason: 'destroyed' }])
  })

  it('fails with STORE_FAILED and its cause when the store does, and the session goes on', async () => {
    const { app, store, session, sid } = await live()
    const cause = new Error('down')
    store.fail('destroy', cause)
    expect(await failure(session.destroy())).toMatchObject({ code: 'STORE_FAILED', cause })
    session.a = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('of a session that was never stored fails in the same way, and that session goes on', async () => {
    const { app, store } = await live()
    const { session, socket } = await tab(app, app.browser())
    const ends = collect(socket, 'session:destroyed')
    store.fail('destroy')
    expect((await failure(session.destroy())).code).toBe('STORE_FAILED')
    // What would look it up.
    await turns()
    session.a = 1
    await session.save()
    expect(store.stored(session.id)).toMatchObject({ a: 1 })
    expect(ends).toEqual([])
  })

  it('drops unsaved changes; later writes are not stored and throw nothing', async () => {
    expectWarning('SESSION_ENDED')
    const { app, store, session, sid } = await live({ shared: { onEnd: 'keep' } })
    session.a = 1
    await session.destroy()
    session.b = { c: 1 }
    session.b.c = 2
    session.touch()
    await app.shared.flush()
    expect(session).toMatchObject({ a: 1, b: { c: 2 } })
    expect(store.stored(sid)).toBeUndefined()
  })

  it('in a listener of session:changed, while a save is under way, waits for that save', async () => {
    const { app, store, browser, session, sid } = await live({ shared: { onEnd: 'keep' } })
    const other = await tab(app, browser)
    const destroyed = deferred()
    other.socket.on('session:changed', () => void other.session.destroy().then(destroyed.resolve))
    session.a = 1
    await destroyed.promise
    expect(store.stored(sid)).toBeUndefined()
  })
})

describe('touch() and resetMaxAge()', () => {
  it('return the session, and restart its time to live, in the store as well', async () => {
    const { store, session, sid } = await live({ session: { cookie: { maxAge: 60_000 } }, shared: { touch: false } })
    const { cookie, ...data } = store.stored(sid)!
    const before = new Date(cookie.expires).getTime()
    store.foreign(sid, { ...data, cookie: { ...cookie, expires: new Date(before - 30_000).toISOString() } })
    const touches = store.count('touch')
    const touch = store.hold('touch')
    expect(session.touch()).toBe(session)
    await touch.called
    touch.release()
    await session.reload()
    expect(store.count('touch') - touches).toBe(1)
    expect(new Date(store.stored(sid)!.cookie.expires).getTime()).toBeGreaterThanOrEqual(before)
    expect(session.resetMaxAge()).toBe(session)
  })

  it('of an unstored session make no store call, and a failing touch is not reported', async () => {
    const unhandled = collect(process, 'unhandledRejection')
    const { app, store, session } = await live()
    const fresh = await tab(app, app.browser())
    const calls = store.calls.length
    expect(fresh.session.touch()).toBe(fresh.session)
    await turns()
    expect(store.calls.length).toBe(calls)
    store.fail('touch')
    session.touch()
    await turns()
    expect(app.shared.stats().touches).toBeGreaterThan(0)
    expect(unhandled).toEqual([])
  })
})

describe('touch(), and a change of the cookie that is not saved', () => {
  const options = { session: { cookie: { maxAge: 60_000 } }, shared: { autoSave: false, touch: false as const } }
  const [HALF, DAY] = [30_000, 86_400_000]

  it('stores the time to live as it was, restarted, until the change is saved', async () => {
    const { app, store, session, sid } = await live(options)
    const { cookie, ...data } = store.stored(sid)!
    store.foreign(sid, { ...data, cookie: { ...cookie, expires: new Date(Date.now() + HALF).toISOString() } })
    session.cookie.maxAge = DAY
    session.touch()
    await app.shared.flush()
    expect(store.count('touch')).toBe(1)
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(60)
    const end = Date.parse(store.stored(sid)!.cookie.expires)
    expect(end).toBeGreaterThan(Date.now() + HALF)
    expect(end).toBeLessThanOrEqual(Date.now() + 60_000)
    await session.save()
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(86_400)
  })

  it('does not undo what a request has changed of the cookie since', async () => {
    const { app, store, session, browser, sid } = await live({
      ...options,
      routes: (http) =>
        http.get('/strict', (req, res) => {
          Object.assign(req.session.cookie, { sameSite: 'strict' })
          req.session.strict = true
          res.json({})
        }),
    })
    session.cookie.maxAge = DAY
    await browser.get('/strict')
    expect(session.cookie).toMatchObject({ sameSite: 'strict' })
    expect(inSeconds(session.cookie.originalMaxAge)).toBe(86_400)
    session.touch()
    await app.shared.flush()
    expect(store.stored(sid)!.cookie).toMatchObject({ sameSite: 'strict' })
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(60)
    await session.save()
    expect(store.stored(sid)!.cookie).toMatchObject({ sameSite: 'strict' })
    expect(inSeconds(store.stored(sid)!.cookie.originalMaxAge)).toBe(86_400)
  })
})

describe('an attribute of the cookie that the stored one has not', () => {
  it('is gone after a reload() that discards it, and no touch stores it', async () => {
    const { app, store, session, sid } = await live(manual)
    session.cookie.sameSite = 'strict'
    session.cookie.secure = true
    await session.reload()
    expect(session.cookie.sameSite).toBeUndefined()
    expect(session.cookie).toMatchObject({ path: '/', httpOnly: true })
    session.touch()
    await app.shared.flush()
    expect(store.count('touch')).toBe(1)
    const { cookie } = store.stored(sid)!
    expect(cookie).toMatchObject({ httpOnly: true, path: '/' })
    for (const name of ['sameSite', 'secure']) expect(cookie).not.toHaveProperty(name)
  })

  it('is gone when another process has removed it, and no touch brings it back', async () => {
    const { app, store, session, sid } = await live({
      ...manual,
      session: { cookie: { sameSite: 'strict', domain: 'localhost' } },
    })
    const { cookie, ...data } = store.stored(sid)!
    const { sameSite, ...others } = cookie
    expect(sameSite).toBe('strict')
    store.foreign(sid, { ...data, cookie: others })
    await session.reload()
    session.touch()
    await app.shared.flush()
    expect(store.count('touch')).toBe(1)
    expect(store.stored(sid)!.cookie).toMatchObject({ domain: 'localhost' })
    expect(store.stored(sid)!.cookie).not.toHaveProperty('sameSite')
  })
})

describe('a view of the session that is used after its socket has gone', () => {
  it('still writes, touches and saves', async () => {
    const { store, client, socket, session, sid } = await live(manual)
    const gone = next(socket, 'disconnect')
    client.disconnect()
    await gone
    const touch = store.hold('touch')
    session.touch()
    await touch.called
    touch.release()
    session.a = 1
    await session.save()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })
})

describe('regenerate()', () => {
  it('fails with REGENERATE_NEEDS_HTTP, by callback and as promise, and changes nothing', async () => {
    const { store, session, sid } = await live()
    const { args } = await called((done) => session.regenerate(done))
    expect(args).toMatchObject([{ code: 'REGENERATE_NEEDS_HTTP' }])
    expect((await failure(session.regenerate())).message).toContain('HTTP')
    expect(store.stored(sid)).toMatchObject({ user: 'ada' })
  })
})

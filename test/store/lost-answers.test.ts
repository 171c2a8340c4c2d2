import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps } from '../support/app.js'
import { collect, live, QUICK } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { slowRoute } from '../support/slow-routes.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const IMPATIENT = { ...QUICK, timeout: 30 }
const start = (retry = IMPATIENT, options: AppOptions = {}) => live({ ...options, shared: { retry } })

describe('a set whose answer never comes, on a generic store', () => {
  it('and that took effect: the session is read, nothing is applied twice, and later writes are saved', async () => {
    const { app, store, socket, session, sid } = await start()
    const error = next(socket, 'session:error')
    store.hold('set', { sid, afterwards: true })
    session.list = ['once']
    expect(await error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const sets = store.count('set')
    await next(app.shared.events, 'session:saved')
    expect(store.count('set')).toBe(sets)
    session.list.push('twice')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once', 'twice'])
  })

  it('and that did not take effect: its changes are saved then, automatically and once', async () => {
    const { app, store, socket, session, sid } = await start()
    const error = next(socket, 'session:error')
    store.hang('set', sid)
    session.list = ['once']
    await error
    await until(() => store.stored(sid)?.list)
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once'])
  })

  it('of a new session that a socket has made: it is saved then, automatically', async () => {
    expectWarning('OUTCOME_UNKNOWN')
    const { app, store } = await start()
    const client = await app.browser().connect()
    const session: any = app.shared.session(app.sockets.at(-1)!)
    store.hang('set', session.id)
    client.emit('set', 'user', 'grace')
    await until(() => store.stored(session.id)?.user)
    await app.shared.flush()
  })

  it('of a new session, whose first try had the same content: it arrives after all, and is put right', async () => {
    expectWarning('OUTCOME_UNKNOWN')
    const { app, store } = await start()
    await app.browser().connect()
    const session: any = app.shared.session(app.sockets.at(-1)!)
    const sid: string = session.id
    const first = store.hold('set', { sid, afterwards: true })
    const second = store.hold('set', { sid })
    // As some stores answer that there is nothing.
    store.fail('get', Object.assign(new Error('no such session'), { code: 'ENOENT' }), sid)
    const saved = next(app.shared.events, 'session:saved')
    session.list = ['once']
    await first.called
    first.fail()
    await second.called
    // By then the second try was given up, and a read has found what both have written.
    await saved
    session.list.push('twice')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once', 'twice'])
    second.release()
    await until(() => store.stored(sid)!.list.length === 1)
    await until(() => store.stored(sid)!.list.length === 2)
  })

  it('while the store cannot be read: the next write settles the outcome', async () => {
    const { app, store, socket, session, sid } = await start()
    const error = next(socket, 'session:error')
    store.hold('set', { sid, afterwards: true })
    session.list = ['once']
    await error
    store.fail('get')
    await next(app.shared.events, 'session:saved')
    session.list.push('twice')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once', 'twice'])
  })

  it('of a request: the next requests save', async () => {
    const { store, browser, sid } = await start()
    store.hang('set', sid)
    await browser.get('/set?a=1')
    await until(async () => {
      await browser.get('/set?b=1')
      return store.stored(sid)?.b
    })
    expect(store.stored(sid)).toMatchObject({ user: 'ada', b: '1' })
  })
})

describe('a set that reaches the store after it was given up on', () => {
  /** Undone is what was written meanwhile, in the turn in which the store carries it out. */
  async function late(options?: AppOptions) {
    // The store is asked once when the answer has come: a busy machine must not make that too late.
    const started = await start({ ...QUICK, timeout: 500 }, options)
    const { store, socket, session, sid } = started
    const error = next(socket, 'session:error')
    const set = store.hold('set', { sid })
    session.a = 1
    await error
    await until(() => store.stored(sid)?.a)
    return { ...started, set }
  }

  it('and undoes a later write: that is restored, and no change event is emitted', async () => {
    const { app, store, browser, socket, session, sid, set } = await late()
    session.b = 2
    await app.shared.flush()
    await browser.get('/set?c=3')
    const changes = collect(socket, 'session:changed')
    const undone = deferred()
    const put = Object.getPrototypeOf(Object.getPrototypeOf(store))
    const original = put.set
    put.set = function (...args: unknown[]) {
      original.apply(this, args)
      put.set = original
      undone.resolve()
    }
    set.release()
    await undone.promise
    expect(store.stored(sid)).not.toHaveProperty('b')
    await until(() => store.stored(sid)?.c)
    expect(store.stored(sid)).toMatchObject({ user: 'ada', a: 1, b: 2, c: '3' })
    await app.shared.flush()
    session.d = 4
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ user: 'ada', a: 1, b: 2, c: '3', d: 4 })
    expect(changes.filter((change: any) => change.origin === 'remote')).toEqual([])
  })

  it('and undoes a later write, and the store does not answer when that is restored: it is tried again, and later writes are saved', async () => {
    const { app, store, session, sid, set } = await late()
    session.b = 2
    await app.shared.flush()
    const restored = store.hold('set', { sid })
    set.release()
    await restored.called
    await until(() => store.stored(sid)?.b)
    session.c = 3
    await until(() => store.stored(sid)?.c)
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2, c: 3 })
  })

  it('and the session has ended since: it stays gone', async () => {
    const { app, store, sid, set } = await late()
    await app.shared.destroy(sid)
    const destroyed = store.count('destroy')
    set.release()
    await until(() => store.count('destroy') > destroyed && !store.stored(sid))
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
  })

  it.each(['a request that had loaded it', 'another request', 'update()'])(
    'and the session has ended since: %s, which meets it before the answer comes, does not keep it',
    async (who) => {
      const slow = slowRoute((req) => {
        if (who === 'a request that had loaded it') req.session.c = 1
      })
      const { app, store, browser, sid, set } = await late({ routes: slow.routes })
      const loaded = browser.get('/slow')
      await slow.arrived
      await app.shared.destroy(sid)
      const arrived = deferred<() => void>()
      const put = Object.getPrototypeOf(Object.getPrototypeOf(store))
      const original = put.set
      put.set = function (id: string, session: unknown, callback: () => void) {
        put.set = original
        original.call(this, id, session, () => arrived.resolve(callback))
      }
      set.release()
      const answerSet = await arrived.promise
      expect(store.stored(sid)).toMatchObject({ user: 'ada' })
      if (who === 'another request') {
        await browser.get('/set?b=1')
        expect(sidOf(browser)).not.toBe(sid)
      } else if (who === 'update()') {
        const updated = app.shared.update<any>(sid, (draft) => {
          draft.c = 1
        })
        await expect(updated).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
      }
      slow.go()
      await loaded
      answerSet()
      await until(() => store.stored(sid) === undefined)
    },
  )

  it.each(['nobody', 'a request that had loaded it', 'a new session of that id'])(
    'in time, but a destroy has not waited for it, and the store refuses that in its turn: it stays gone (meanwhile comes %s)',
    async (who) => {
      expectWarning('OUTCOME_UNKNOWN')
      const slow = slowRoute((req) => {
        req.session.c = 1
      })
      // Longer than the pause between two destroys.
      const { app, store, browser, session, sid } = await start({ ...QUICK, timeout: 1500 }, { routes: slow.routes })
      const loaded = browser.get('/slow')
      await slow.arrived
      const set = store.hold('set', { sid })
      session.a = 1
      await set.called
      await app.shared.destroy(sid)
      expect(store.count('destroy')).toBe(1)
      // In its turn, and at once after that: then there is a pause.
      for (let time = 0; time < 2; time++) store.fail('destroy', undefined, sid)
      set.release()
      await until(() => store.count('destroy') === 3)
      const { cookie } = store.stored(sid)!
      const isNew = who === 'a new session of that id'
      const stored = isNew && new Promise((resolve) => app.store.set(sid, { cookie, user: 'grace' } as any, resolve))
      if (who === 'a request that had loaded it') slow.go()
      await until(() => store.count('destroy') === 4)
      await stored
      slow.go()
      await loaded
      await app.shared.flush()
      expect(store.stored(sid)?.user).toBe(isNew ? 'grace' : undefined)
    },
  )

  it('and the session has ended since, and the store fails at that moment: it stays gone', async () => {
    const { app, store, sid, set } = await late()
    await app.shared.destroy(sid)
    const destroyed = store.count('destroy')
    store.fail('get')
    set.release()
    await until(() => store.count('destroy') > destroyed && !store.stored(sid))
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
  })

  it('and fails: the later write stays', async () => {
    const { app, store, session, sid, set } = await late()
    session.b = 2
    await app.shared.flush()
    const sets = store.count('set')
    set.fail()
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
    expect(store.count('set')).toBe(sets)
  })
})

describe('another store call whose answer never comes', () => {
  /** Until it is saved it is refused, because the call before has not been answered. */
  async function saved(session: any): Promise<void> {
    session.a = 1
    await until(() =>
      session.save().then(
        () => true,
        () => false,
      ),
    )
  }

  it('touch: later writes are saved', async () => {
    expectWarning('SAVE_FAILED')
    const { store, browser, session, sid } = await start()
    store.hang('touch', sid)
    expect((await browser.get('/session')).status).toBe(200)
    await saved(session)
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('touch, and the session ends meanwhile: a late touch does not bring it back', async () => {
    const { app, store, browser, sid } = await start()
    const touch = store.hold('touch', { sid })
    await browser.get('/session')
    await app.shared.destroy(sid)
    // At once, and when the touch is not waited for any more.
    await until(() => store.count('destroy') === 2)
    // As the touch of several stores does, which is their set.
    store.foreign(sid, { user: 'ada' })
    touch.release()
    await until(() => !store.stored(sid))
  })

  it('destroy: the session goes on as long as the store has it', async () => {
    expectWarning('SAVE_FAILED')
    const { app, store, session, sid } = await start()
    store.hang('destroy', sid)
    await expect(app.shared.destroy(sid)).rejects.toMatchObject({ code: 'STORE_TIMEOUT' })
    await saved(session)
    expect(store.stored(sid)).toMatchObject({ a: 1 })
    await app.shared.destroy(sid)
    expect(store.stored(sid)).toBeUndefined()
  })
})

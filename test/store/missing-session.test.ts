import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect, live, QUICK } from '../support/live.js'
import { next, until } from '../support/wait.js'

afterEach(closeApps)

/** Says that it has no session while it is out of order, as the Prisma store does. */
class ForgetfulStore extends ControlledStore {
  out = false
  /** Not a MemoryStore's: that one is never revalidated. */
  readonly sessions = {}
  /** How many reads it has answered with nothing. */
  missed = 0

  override get(sid: string, callback: (error: any, session?: any) => void): void {
    if (this.out) {
      this.missed++
      setImmediate(callback, null, undefined)
    } else super.get(sid, callback)
  }
}

async function start(options: AppOptions = {}) {
  const store = new ForgetfulStore()
  const shared = { retry: { ...QUICK, timeout: 2000 }, revalidate: 10, ...options.shared }
  const started = await live({ store, ...options, shared })
  return { ...started, store, ends: collect(started.socket, 'session:destroyed') }
}

describe('a generic store that does not find a stored session', () => {
  it('for a moment: its sockets stay, and their writes are saved', async () => {
    const { app, store, session, sid, ends } = await start()
    store.out = true
    await until(() => store.missed > 0)
    store.out = false
    session.a = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ user: 'ada', a: 1 })
    expect(ends).toEqual([])
  })

  it('when a socket saves: the store is read again and the session goes on', async () => {
    const { app, store, session, sid, ends } = await start({ shared: { revalidate: false } })
    store.out = true
    session.a = 1
    await until(() => store.missed > 0)
    store.out = false
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ user: 'ada', a: 1 })
    expect(ends).toEqual([])
  })

  it('when a request saves, without a socket: the store is read again and the session goes on', async () => {
    // Nothing but the request is to ask the store: reads are held and counted whoever asks.
    const { app, store } = await start({ shared: { revalidate: false } })
    const browser = app.browser()
    await browser.get('/set?user=grace')
    const get = store.hold('get')
    const answer = browser.get('/set?a=1')
    const sid = await get.called
    get.release()
    store.out = true
    await until(() => store.missed > 0)
    store.out = false
    expect((await answer).status).toBe(200)
    expect(store.stored(sid)).toMatchObject({ user: 'grace', a: '1' })
  })

  it('and fails to touch it: the session goes on', async () => {
    const { store, session, ends } = await start({ session: { cookie: { maxAge: 60_000 } }, shared: { revalidate: false } })
    const touch = store.hold('touch')
    session.touch()
    await touch.called
    store.out = true
    touch.fail()
    await until(() => store.missed > 1)
    store.out = false
    const gets = store.count('get')
    await until(() => store.count('get') > gets)
    await session.reload()
    expect(ends).toEqual([])
  })

  it('twice: the session has ended', async () => {
    const { store, socket, sid } = await start()
    const ended = next(socket, 'session:destroyed')
    const gets = store.count('get')
    store.gone(sid)
    expect(await ended).toEqual({ reason: 'destroyed' })
    expect(store.count('get') - gets).toBeGreaterThan(1)
  })

  it('and is then asked to destroy it: the session ends once, and at once for a writer', async () => {
    const { app, store, session, sid, socket } = await start()
    const ends = collect(app.shared.events, 'session:destroyed')
    store.out = true
    await until(() => store.missed > 0)
    const ended = next(socket, 'session:destroyed')
    await app.shared.destroy(sid)
    expect(await ended).toEqual({ reason: 'destroyed' })
    expect(ends).toEqual([{ reason: 'destroyed' }])
    store.out = false
    await expect(session.save()).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect(store.stored(sid)).toBeUndefined()
  })

  it('while another process writes it: the writes are merged', async () => {
    const { app, store, session, sid, ends } = await start()
    store.out = true
    await until(() => store.missed > 0)
    session.mine = 1
    store.foreign(sid, { user: 'ada', theirs: 2 })
    store.out = false
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ user: 'ada', mine: 1, theirs: 2 })
    expect(ends).toEqual([])
  })
})

describe('an announced end of a session is believed without a second read', () => {
  it('when it expires', async () => {
    // Long enough that it does not end before it is listened to.
    const { store, session, socket, sid } = await start({
      session: { cookie: { maxAge: 60_000 } },
      shared: { revalidate: false },
    })
    const ended = next(socket, 'session:destroyed')
    session.cookie.maxAge = 1000
    await session.save()
    store.gone(sid)
    expect(await ended).toEqual({ reason: 'expired' })
    const saved = store.calls.findLastIndex(({ method }) => method === 'set' || method === 'touch')
    expect(store.calls.slice(saved + 1)).toEqual([{ method: 'get', sid }])
  })

  it('after store.clear()', async () => {
    const { store, socket } = await start({ shared: { revalidate: false } })
    const gets = store.count('get')
    const ended = next(socket, 'session:destroyed')
    store.clear()
    expect(await ended).toEqual({ reason: 'destroyed' })
    expect(store.count('get') - gets).toBe(1)
  })
})

import { MemoryStore } from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { type App, type AppOptions, closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { collect, failure, live, QUICK, tab, turns, visited } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

const increment = (draft: any): void => {
  draft.n = (draft.n ?? 0) + 1
}

describe('update()', () => {
  it('of a visitor whose session is not stored yet: SESSION_NOT_FOUND, which says how to store it', async () => {
    const app = await startApp({
      routes: (http) =>
        http.get('/update', async (req, res) => {
          const { code, message } = await failure(app.shared.update(req, increment))
          req.session.n = 1
          await new Promise<void>((resolve) => req.session.save(() => resolve()))
          res.json({ code, message, saved: await app.shared.update(req, increment) })
        }),
    })
    const { body } = await app.browser().get('/update')
    expect(body).toMatchObject({ code: 'SESSION_NOT_FOUND', saved: { n: 2 } })
    expect(body.message).toMatch(/not stored yet: .*req\.session.*save\(\)/)
  })

  it('changes what the store holds, and resolves to the new data', async () => {
    const { app, store, session, sid } = await live()
    const result: any = await app.shared.update(sid, increment)
    expect(result).toEqual({ user: 'ada', n: 1 })
    expect(store.stored(sid)).toMatchObject({ n: 1 })
    expect(session.n).toBe(1)
    result.n = 99
    expect(session.n).toBe(1)
  })

  it('runs on what another process has written, and on what a socket wrote before', async () => {
    const { app, store, session, sid } = await live()
    store.foreign(sid, { user: 'ada', n: 5 })
    session.mine = 1
    expect(await app.shared.update(sid, increment)).toEqual({ user: 'ada', n: 6, mine: 1 })
    expect(store.stored(sid)).toMatchObject({ n: 6, mine: 1 })
  })

  it('takes any target: an id, a socket, a handshake, a payload', async () => {
    const { app, store, socket, sid } = await live()
    const change = next(app.shared.events, 'session:changed')
    await app.shared.update(socket.handshake, increment)
    await app.shared.update(await change, increment)
    expect(store.stored(sid)!.n).toBe(2)
    expect((await failure(app.shared.update({}, increment))).code).toBe('BAD_ARGUMENT')
  })

  it('without a recipe: BAD_ARGUMENT, whatever the target', async () => {
    const { app, socket } = await live()
    const update = app.shared.update as (...args: unknown[]) => Promise<unknown>
    for (const args of [['id'], [socket], ['id', {}], []]) {
      const error = await failure(update(...args))
      expect(error).toMatchObject({ code: 'BAD_ARGUMENT', message: expect.stringMatching(/recipe/) })
    }
  })

  it('a counter incremented from everywhere at once is exact', async () => {
    const { app, store, socket, sid } = await live()
    await Promise.all(Array.from({ length: 20 }, (_, i) => app.shared.update(i % 2 ? sid : socket, increment)))
    expect(store.stored(sid)!.n).toBe(20)
  })

  it('works on a new session that a socket has just written to', async () => {
    const { app } = await live()
    const { session, socket } = await tab(app, app.browser())
    session.n = 1
    expect(await app.shared.update(socket, increment)).toEqual({ n: 2 })
  })

  it('resolves to a copy that the caller may change', async () => {
    const { app, socket, session, sid } = await live({ shared: { onChange: 'notify' } })
    const changes = collect(socket, 'session:changed')
    const result: any = await app.shared.update(sid, increment)
    result.n = 99
    await session.reload()
    expect(session.n).toBe(1)
    expect(changes).toHaveLength(1)
  })

  it('what is published when the bus is there is what was committed, whatever the caller did with the copy', async () => {
    const bus = new MemoryBus()
    let there = (): void => undefined
    const isAvailable = (): Promise<boolean> =>
      new Promise((resolve) => {
        there = () => resolve(true)
      })
    const shared = { bus: Object.assign(bus.end(), { isAvailable }) }
    const { app, sid } = await live({ store: new MemoryStore(), shared })
    const result: any = await app.shared.update(sid, (draft: any) => {
      draft.list = ['committed']
    })
    result.list[0] = 'changed'
    expect(bus.texts).toEqual([])
    there()
    await until(() => bus.texts.some(({ text }) => text.includes('committed')))
    expect(JSON.stringify(bus.texts)).not.toContain('changed')
  })

  it('a recipe that changes nothing writes nothing', async () => {
    const { app, store, sid } = await live()
    const sets = store.count('set')
    expect(await app.shared.update(sid, () => undefined)).toEqual({ user: 'ada' })
    expect(store.count('set')).toBe(sets)
  })

  it('a recipe that returns data replaces the session, as in immer; the change is notified by key', async () => {
    const { app, store, socket, sid } = await live()
    const heard = next(socket, 'session:changed')
    expect(await app.shared.update(sid, () => ({ only: 1 }) as any)).toEqual({ only: 1 })
    expect((await heard).keys.sort()).toEqual(['only', 'user'])
    expect(store.stored(sid)).not.toHaveProperty('user')
    expect(store.stored(sid)).toHaveProperty('cookie.path')
  })

  it('rejects with SESSION_NOT_FOUND, and ends nothing that was never stored', async () => {
    const { app } = await live()
    const ends = collect(app.shared.events, 'session:destroyed')
    const fresh = await tab(app, app.browser())
    expect((await failure(app.shared.update('no-such-id', increment))).code).toBe('SESSION_NOT_FOUND')
    expect((await failure(app.shared.update(fresh.socket, increment))).code).toBe('SESSION_NOT_FOUND')
    await turns()
    expect(ends).toEqual([])
    expect(fresh.client.connected).toBe(true)
  })

  it('of a live session that is missing in the store ends it', async () => {
    const { app, store, socket, sid } = await live()
    const ended = next(socket, 'session:destroyed')
    store.gone(sid)
    expect((await failure(app.shared.update(sid, increment))).code).toBe('SESSION_NOT_FOUND')
    await ended
    expect(store.stored(sid)).toBeUndefined()
  })

  it('of a live session that another process has ended meanwhile rejects, on a store that compares', async () => {
    const store = new MemoryStore() as MemoryStore & { sessions: Record<string, string> }
    const app = await startApp({ store })
    const browser = app.browser()
    for (const recipe of [increment, () => undefined]) {
      await browser.get('/set?user=ada')
      await browser.connect()
      const socket = app.sockets.at(-1)!
      const ended = next(socket, 'session:destroyed')
      delete store.sessions[socket.handshake.sessionID]
      expect((await failure(app.shared.update(socket, recipe))).code).toBe('SESSION_NOT_FOUND')
      await ended
    }
    expect(Object.keys(store.sessions)).toEqual([])
  })

  it('rejects an async recipe, and writes nothing', async () => {
    const { app, store, sid } = await live()
    const unhandled = collect(process, 'unhandledRejection')
    const before = store.stored(sid)
    const error = await failure(
      app.shared.update(sid, (async (draft: any) => {
        draft.n = 1
        await null
        draft.n = 2
      }) as any),
    )
    expect(error).toMatchObject({ code: 'BAD_ARGUMENT', message: expect.stringContaining('async') })
    await turns()
    expect(unhandled).toEqual([])
    expect(store.stored(sid)).toEqual(before)
  })

  it('rejects with the error that the recipe throws, and writes nothing', async () => {
    const { app, store, sid } = await live()
    const cause = new Error('mine')
    const failed = failure(
      app.shared.update(sid, (draft: any) => {
        draft.n = 1
        throw cause
      }),
    )
    expect(await failed).toBe(cause)
    expect(store.stored(sid)).not.toHaveProperty('n')
    expect(await app.shared.update(sid, increment)).toMatchObject({ n: 1 })
  })

  it('rejects what is no session data, what JSON cannot hold, the name cookie, and what is too large', async () => {
    const { app, store, sid } = await live({ shared: { maxBytes: 1000 } })
    const before = store.stored(sid)
    const refused = async (recipe: (draft: any) => any) => (await failure(app.shared.update(sid, recipe))).code
    expect(await refused(() => 5)).toBe('BAD_ARGUMENT')
    expect(await refused(() => null)).toBe('BAD_ARGUMENT')
    expect(await refused(() => [1])).toBe('BAD_ARGUMENT')
    expect(await refused((draft) => void Object.assign(draft, { big: 1n }))).toBe('NOT_STORABLE')
    expect(await refused((draft) => void Object.assign(draft, { cookie: {} }))).toBe('RESERVED_KEY')
    expect(await refused((draft) => void Object.assign(draft, { long: 'x'.repeat(1000) }))).toBe('TOO_LARGE')
    expect(store.stored(sid)).toEqual(before)
  })

  it.each(['save', 'id', 'req', 'touch', 'hasOwnProperty'])('rejects the name %s, as a socket does', async (name) => {
    const { app, store, sid } = await live()
    const before = store.stored(sid)
    const recipe = (draft: any): void => void Object.assign(draft, { [name]: 1 })
    expect(await failure(app.shared.update(sid, recipe))).toMatchObject({
      code: 'RESERVED_KEY',
      message: `${name}: this name is reserved, use another one`,
    })
    expect(store.stored(sid)).toEqual(before)
  })

  it('goes on with a session that has such a name in the store already, and can remove it', async () => {
    const { app, store, sid } = await visited()
    store.foreign(sid, { ...store.stored(sid)!, save: { old: 1 } } as never)
    expect(await app.shared.update(sid, increment)).toEqual({ user: 'ada', n: 1, save: { old: 1 } })
    const remove = (draft: any): void => void delete draft.save
    expect(await app.shared.update(sid, remove)).toEqual({ user: 'ada', n: 1 })
    expect(store.stored(sid)).not.toHaveProperty('save')
  })

  it('rejects with STORE_FAILED when the store does', async () => {
    const { app, store, sid } = await live()
    const cause = new Error('down')
    store.fail('set', cause)
    expect(await failure(app.shared.update(sid, increment))).toMatchObject({ code: 'STORE_FAILED', cause })
  })

  it('rejects with OUTCOME_UNKNOWN where the store does not answer; listeners are notified when it does', async () => {
    const { app, store, session, sid } = await live({ shared: { retry: { ...QUICK, timeout: 30 } } })
    const set = store.hold('set')
    expect((await failure(app.shared.update(sid, increment))).code).toBe('OUTCOME_UNKNOWN')
    expect(session.n).toBeUndefined()
    set.release()
    await until(() => session.n === 1)
    expect(store.stored(sid)!.n).toBe(1)
  })
})

describe('update() given a request', () => {
  it('its req.session shows the result, together with its own changes', async () => {
    const { app, store, browser, sid } = await live({
      routes(http) {
        http.get('/update', async (req, res) => {
          req.session.mine = 1
          await app.shared.update(req, increment)
          res.json(req.session)
        })
      },
    })
    expect((await browser.get('/update')).body).toMatchObject({ user: 'ada', mine: 1, n: 1 })
    expect(store.stored(sid)).toMatchObject({ user: 'ada', mine: 1, n: 1 })
  })

  it('objects that the request has read from its session stay part of it', async () => {
    const { app, store, browser, session, sid } = await live({
      routes(http) {
        http.get('/update', async (req, res) => {
          const { cart } = req.session
          await app.shared.update(req, (draft: any) => void draft.cart.items.push('theirs'))
          cart.items.push('mine')
          res.json(req.session)
        })
      },
    })
    session.cart = { items: ['old'] }
    await app.shared.flush()
    expect((await browser.get('/update')).body.cart.items).toEqual(['old', 'theirs', 'mine'])
    expect(store.stored(sid)!.cart.items).toEqual(['old', 'theirs', 'mine'])
  })

  it("the request's save at its end undoes nothing that came after the update", async () => {
    const updated = deferred()
    const goOn = deferred()
    const { app, store, browser, session, sid } = await live({
      routes(http) {
        http.get('/update', async (req, res) => {
          await app.shared.update(req, increment)
          updated.resolve()
          await goOn.promise
          req.session.mine = 1
          res.json(req.session)
        })
      },
    })
    const answered = browser.get('/update')
    await updated.promise
    await app.shared.update(sid, increment)
    session.socket = 1
    delete session.user
    await app.shared.flush()
    goOn.resolve()
    await answered
    const { cookie: _, ...data } = store.stored(sid)!
    expect(data).toEqual({ n: 2, socket: 1, mine: 1 })
  })

  it('elements that the update added are not added again by the saves of the request', async () => {
    let between: unknown
    const { app, store, browser, session, sid } = await live({
      session: { resave: true },
      routes(http) {
        http.get('/update', async (req, res) => {
          const append = (draft: any) => void draft.list.push('same')
          const read = store.hold('get')
          const first = app.shared.update(req, append)
          await read.called
          req.session.mine = 1
          // What it is to save is taken now, before the update is shown.
          const saved = new Promise((resolve) => req.session.save(resolve))
          read.release()
          await Promise.all([first, saved])
          between = store.stored(sid)
          await app.shared.update(req, append)
          res.json(req.session)
        })
      },
    })
    session.list = []
    await app.shared.flush()
    expect((await browser.get('/update')).body).toMatchObject({ mine: 1, list: ['same', 'same'] })
    expect(between).toMatchObject({ mine: 1, list: ['same'] })
    expect(store.stored(sid)).toMatchObject({ mine: 1, list: ['same', 'same'] })
  })

  /** `/update` appends by an update, and asks for a save in the same tick, which waits behind the update. */
  async function appending(options: AppOptions): Promise<Pick<App, 'shared'> & { get(path: string): Promise<any> }> {
    const app = await startApp({
      ...options,
      routes: (http) =>
        http.get('/update', async (req, res) => {
          const updated = app.shared.update(req, (draft: any) => void draft.list.push('same'))
          req.session.mine = 1
          const saved = new Promise((resolve) => req.session.save(resolve))
          const [result] = await Promise.all([updated, saved])
          const stored = await new Promise<any>((resolve) => app.store.get(req.sessionID, (_error, found) => resolve(found)))
          res.json({ result: result.list, shown: req.session.list, stored: stored.list })
        }),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { session } = await tab(app, browser)
    session.list = []
    await app.shared.flush()
    return { shared: app.shared, get: async (path) => (await browser.get(path)).body }
  }

  it('a save that waits behind it does not make it a change of the request, where the store is written in the same turn', async () => {
    const { shared, get } = await appending({ store: new MemoryStore() })
    expect(shared.stats().driver).toBe('memory')
    expect(await get('/update')).toEqual({ result: ['same'], shown: ['same'], stored: ['same'] })
    expect(await get('/session')).toMatchObject({ mine: 1, list: ['same'] })
  })

  it('a save that waits behind it, and finds what another process has written since, does not undo it', async () => {
    let isOvertaken = false
    const driver = sample((rows, { write }) => ({
      async write(sid, next, expected, message) {
        const row = rows.get(sid)
        // The save expects what the update has written.
        if (row && !isOvertaken && expected?.text.includes('"same"')) {
          isOvertaken = true
          row.text = JSON.stringify({ ...JSON.parse(row.text), theirs: 1 })
        }
        return write(sid, next, expected, message)
      },
    }))
    const { get } = await appending({ store: new DriverStore(), shared: { driver } })
    expect(await get('/update')).toEqual({ result: ['same'], shown: ['same'], stored: ['same'] })
    expect(isOvertaken).toBe(true)
    expect(await get('/session')).toMatchObject({ mine: 1, theirs: 1, list: ['same'] })
  })

  it.each([
    ['frozen', () => Object.freeze({ items: Object.freeze(['old']) })],
    [
      'that JSON makes another object of',
      () => {
        const list = ['old']
        return { list, toJSON: () => ({ items: list }) }
      },
    ],
    ['whose toJSON() goes by nothing that it holds', () => ({ items: ['old'], toJSON: () => ({ items: ['old'] }) })],
  ])('shows the result in the place of an object %s, and does not reject after the commit', async (_name, newCart) => {
    const { app, store, browser, sid } = await visited({
      routes(http) {
        http.get('/update', async (req, res) => {
          req.session.cart = newCart()
          await new Promise((resolve) => req.session.save(resolve))
          await app.shared.update(req, (draft: any) => void draft.cart.items.push('new'))
          req.session.mine = 1
          res.json(req.session)
        })
      },
    })
    const { status, body } = await browser.get('/update')
    expect([status, body.cart]).toEqual([200, { items: ['old', 'new'] }])
    expect(store.stored(sid)).toMatchObject({ cart: { items: ['old', 'new'] }, mine: 1 })
  })

  it('a session that cannot be saved as it is does not show the result, and its save keeps it', async () => {
    const { app, store, browser, sid } = await visited({
      routes(http) {
        http.get('/update', async (req, res) => {
          Object.assign(req.session, { big: 1n })
          const result = await app.shared.update(req, increment)
          Object.assign(req.session, { big: 'one' })
          res.json(result)
        })
      },
    })
    expect(await browser.get('/update')).toMatchObject({ status: 200, body: { n: 1 } })
    expect(store.stored(sid)).toMatchObject({ n: 1, big: 'one' })
  })

  it('a request whose session was destroyed meanwhile gets SESSION_NOT_FOUND, and still ends', async () => {
    const { app, store, browser, sid } = await live({
      routes(http) {
        http.get('/update', async (req, res) => {
          await app.shared.destroy(req)
          const error = await failure(app.shared.update(req, increment))
          res.json({ code: error.code })
        })
      },
    })
    expect((await browser.get('/update')).body).toEqual({ code: 'SESSION_NOT_FOUND' })
    expect(store.stored(sid)).toBeUndefined()
  })
})

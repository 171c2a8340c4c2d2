import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type AppOptions, closeApps } from '../support/app.js'
import { collect, failure, turns } from '../support/live.js'
import { inSeconds } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { conflictsOf, type Merge, open, steps } from './merge-http-setup.js'

afterEach(closeApps)

describe("the merge strategy 'whole'", () => {
  const ada = { name: 'ada', roles: ['admin'] }
  const start = async (merge: Merge, routes?: AppOptions['routes']) => {
    const one = await open(merge, { ...(routes && { routes }) })
    one.session.user = structuredClone(ada)
    await one.session.save()
    return one
  }

  it('keeps a user and the roles of that user together, for sockets and for HTTP', async () => {
    const slow = steps((req) => {
      req.session.user.name = 'cleo'
    })
    const { app, session, store, sid, browser } = await start({ user: 'whole' }, slow.routes)
    const conflicts = conflictsOf(app)
    const theirs = { name: 'bob', roles: [] }
    session.user.roles.push('root')
    store.foreign(sid, { user: theirs })
    await session.save()
    const mine = { name: 'ada', roles: ['admin', 'root'] }
    expect(store.stored(sid)!.user).toEqual(mine)
    expect(conflicts).toEqual([{ path: ['user'], base: ada, mine, theirs, won: 'mine' }])

    const answer = browser.get('/steps')
    await slow.at(0)
    store.foreign(sid, { user: theirs })
    slow.go(0)
    await answer
    expect(store.stored(sid)!.user).toEqual({ ...mine, name: 'cleo' })
    expect(conflicts[1]).toEqual({ path: ['user'], base: mine, mine: { ...mine, name: 'cleo' }, theirs, won: 'mine' })
  })

  it('is needed: by default the user and the roles of two saves would be mixed', async () => {
    const { session, store, sid } = await start({})
    session.user.roles.push('root')
    store.foreign(sid, { user: { name: 'bob', roles: ['admin'] } })
    await session.save()
    expect(store.stored(sid)!.user).toEqual({ name: 'bob', roles: ['admin', 'root'] })
  })

  it('does not let an edit of the user undo a logout', async () => {
    const { app, session, store, sid, browser } = await start({ user: 'whole' })
    const conflicts = conflictsOf(app)
    const { user } = session
    user.name = 'late'
    await browser.get('/delete?key=user')
    expect(session.user).toBeUndefined()
    user.roles.push('lost')
    await session.save()
    expect(store.stored(sid)).not.toHaveProperty('user')
    expect(conflicts).toMatchObject([{ path: ['user'], mine: { name: 'late' }, won: 'theirs' }])
  })
})

describe('a function as merge strategy', () => {
  const union = (_base: any, mine: any = [], theirs: any = []) => [...new Set([...theirs, ...mine])]

  it('decides for sockets and for HTTP', async () => {
    const slow = steps((req) => {
      req.session.tags = ['http']
    })
    const { session, store, sid, browser } = await open({ tags: union }, { routes: slow.routes })
    const answer = browser.get('/steps')
    await slow.at(0)
    session.tags = ['socket']
    store.foreign(sid, { tags: ['foreign'] })
    await session.save()
    expect(session.tags).toEqual(['foreign', 'socket'])
    slow.go(0)
    await answer
    expect(store.stored(sid)!.tags).toEqual(['foreign', 'socket', 'http'])
    expect(session.tags).toEqual(['foreign', 'socket', 'http'])
  })

  it('that throws leaves the decision to the later save, and is reported on shared.events', async () => {
    const cause = new Error('a bug')
    const slow = steps((req) => {
      req.session.tags = 'http'
    })
    const merge = {
      tags: () => {
        throw cause
      },
    }
    const { app, session, store, sid, browser, socket } = await open(merge, { routes: slow.routes })
    const errors = collect(app.shared.events, 'session:error')
    const onSocket = collect(socket, 'session:error')
    const answer = browser.get('/steps')
    await slow.at(0)
    session.tags = 'mine'
    store.foreign(sid, { tags: 'theirs' })
    await session.save()
    expect(store.stored(sid)!.tags).toBe('mine')
    slow.go(0)
    await answer
    expect(store.stored(sid)!.tags).toBe('http')
    expect(errors).toMatchObject([1, 2].map(() => ({ code: 'MERGE_FAILED', cause, sessionID: sid })))
    expect(errors[0].message).not.toContain(sid)
    expect(onSocket).toEqual([])
    expect(app.shared.stats().conflicts).toBe(2)
  })

  it('that throws is a warning where nothing listens to shared.events', async () => {
    expectWarning(/MERGE_FAILED: tags: the merge function returned .* a promise/)
    const { session, store, sid } = await open({ tags: async () => 1 })
    session.tags = 'mine'
    store.foreign(sid, { tags: 'theirs' })
    await session.save()
    expect(store.stored(sid)!.tags).toBe('mine')
  })
})

describe('session:conflict', () => {
  it('is not emitted for the same value set by both', async () => {
    const { app, session, store, sid, browser } = await open({})
    const conflicts = conflictsOf(app)
    session.theme = { dark: true }
    store.foreign(sid, { theme: { dark: true } })
    await session.save()
    await browser.get('/set?user=bob')
    expect(conflicts).toEqual([])
  })

  it('reports late edits below a deleted parent, which wins: of a socket and of a request', async () => {
    const slow = steps((req) => {
      req.session.cart.total = 2
    })
    const { app, session, store, sid, browser } = await open({}, { routes: slow.routes })
    session.cart = { total: 1, deep: { x: 1 } }
    await session.save()
    const conflicts = conflictsOf(app)
    const answer = browser.get('/steps')
    await slow.at(0)
    session.cart.deep.x = 2
    await browser.get('/delete?key=cart')
    slow.go(0)
    await answer
    await session.save()
    expect(store.stored(sid)).not.toHaveProperty('cart')
    expect(conflicts).toMatchObject([
      { path: ['cart'], base: { total: 1 }, mine: { deep: { x: 2 } }, won: 'theirs' },
      { path: ['cart'], base: { total: 1 }, mine: { total: 2 }, won: 'theirs' },
    ])
  })

  it('of a deletion against an edit says which side was absent', async () => {
    const { app, session, store, sid } = await open({})
    const conflicts = conflictsOf(app)
    delete session.user
    store.foreign(sid, { user: 'theirs' })
    await session.save()
    expect(store.stored(sid)).not.toHaveProperty('user')
    expect(conflicts).toEqual([{ path: ['user'], base: 'ada', mine: undefined, theirs: 'theirs', won: 'mine' }])
  })

  it('is emitted once, and for a request only when its save has reached the store', async () => {
    const slow = steps((req) => {
      req.session.user = 'mine'
    })
    const { app, store, sid, browser, session } = await open({}, { routes: slow.routes })
    const conflicts = conflictsOf(app)
    const answer = browser.get('/steps')
    await slow.at(0)
    store.foreign(sid, { user: 'theirs' })
    store.fail('set')
    slow.go(0)
    await answer
    expect(store.stored(sid)!.user).toBe('theirs')
    expect(conflicts).toEqual([])

    session.cart = { n: 1 }
    await session.save()
    const held = session.cart
    await browser.get('/delete?key=cart')
    held.n = 2
    session.other = 1
    store.fail('set')
    await session.save()
    const late = (n: number) => ({ path: ['cart'], base: undefined, mine: { n }, theirs: undefined, won: 'theirs' })
    expect(conflicts).toEqual([late(2)])
    // Also where that leaves nothing to write, as it is known at once or seen in the store.
    held.n = 3
    await session.save()
    expect(conflicts).toEqual([late(2), late(3)])
    held.n = 4
    session.same = 1
    const { cookie: _, ...data } = store.stored(sid)!
    store.foreign(sid, { ...data, same: 1 })
    const writes = store.count('set')
    await session.save()
    expect(store.count('set')).toBe(writes)
    expect(conflicts).toEqual([late(2), late(3), late(4)])
  })

  it('is emitted for a place that update() and its own request have both changed', async () => {
    const slow = steps(async (req, { shared }) => {
      req.session.user = 'request'
      req.session.tags = 'request'
      await shared.update(req, (draft: any) => {
        draft.user = 'update'
        draft.tags = 'update'
      })
    })
    const { app, store, sid, browser } = await open(
      {
        tags: () => {
          throw new Error('a bug')
        },
      },
      { routes: slow.routes },
    )
    slow.app.shared = app.shared
    const conflicts = conflictsOf(app)
    const errors = collect(app.shared.events, 'session:error')
    slow.go(0)
    await browser.get('/steps')
    expect(store.stored(sid)).toMatchObject({ user: 'request', tags: 'request' })
    expect(conflicts).toEqual([
      { path: ['user'], base: 'ada', mine: 'request', theirs: 'update', won: 'mine' },
      { path: ['tags'], base: undefined, mine: 'request', theirs: 'update', won: 'mine' },
    ])
    expect(errors).toMatchObject([{ code: 'MERGE_FAILED' }])
  })
})

describe('merge: false', () => {
  it("a socket's save replaces the whole session", async () => {
    const { app, session, store, sid } = await open(false)
    const conflicts = conflictsOf(app)
    session.mine = 1
    store.foreign(sid, { user: 'theirs', cart: [1] })
    await session.save()
    const { cookie: _, ...data } = store.stored(sid)!
    expect(data).toEqual({ user: 'ada', mine: 1 })
    expect(session.user).toBe('ada')
    expect(conflicts).toEqual([])
    expect(app.shared.stats().merges).toBe(0)
  })

  it("a request's save replaces the whole session", async () => {
    const slow = steps((req) => {
      req.session.mine = 1
    })
    const { store, sid, browser } = await open(false, { routes: slow.routes })
    const answer = browser.get('/steps')
    await slow.at(0)
    store.foreign(sid, { user: 'theirs', cart: [1] })
    slow.go(0)
    await answer
    const { cookie: _, ...data } = store.stored(sid)!
    expect(data).toEqual({ user: 'ada', mine: 1 })
  })

  it('a live session with unsaved changes is notified of others’ and keeps its own state; one without takes them in', async () => {
    const { session, socket, store, sid, browser } = await open(false)
    const changes = collect(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(session.theme).toBe('dark')
    session.mine = 1
    await browser.get('/set?theme=light')
    expect(session.theme).toBe('dark')
    expect(changes.map(({ patches }) => patches[0].value)).toEqual(['dark', 'light'])
    await session.save()
    expect(store.stored(sid)).toMatchObject({ theme: 'dark', mine: 1 })
    // The notified change is part of the base now: nothing is left to take in.
    const { length } = store.calls
    await session.save()
    expect(store.calls).toHaveLength(length)
    await browser.get('/set?theme=light')
    expect(session.theme).toBe('light')
  })

  it('a save without changes of its own takes in what others wrote', async () => {
    const { session, store, sid } = await open(false, { shared: { onChange: 'notify' } })
    store.foreign(sid, { user: 'theirs' })
    session.cookie.maxAge = 100_000
    await session.save()
    expect(store.stored(sid)).toMatchObject({ user: 'theirs' })
    expect(inSeconds(store.stored(sid)?.cookie.originalMaxAge)).toBe(100)
    expect(session.user).toBe('theirs')
  })

  it('a session that has ended is not brought back', async () => {
    const { session, store, sid } = await open(false)
    session.mine = 1
    store.gone(sid)
    expect(await failure(session.save())).toMatchObject({ code: 'SESSION_ENDED' })
    await turns()
    expect(store.ids()).not.toContain(sid)
  })
})

describe('stats().merges', () => {
  it('counts the commits that were merged with those of others', async () => {
    const slow = steps(
      (req) => {
        req.session.mine = 1
      },
      (req) => new Promise<void>((done) => req.session.save(() => done())),
      (req) => new Promise<void>((done) => req.session.save(() => done())),
    )
    const { app, session, store, sid, browser } = await open({}, { routes: slow.routes })
    const merges = () => app.shared.stats().merges
    session.a = 1
    await session.save()
    await browser.get('/set?b=1')
    expect(merges()).toBe(0)
    session.a = 2
    await browser.get('/set?b=2')
    store.fail('set')
    await session.save()
    expect(merges()).toBe(1)
    const answer = browser.get('/steps')
    await slow.at(0)
    store.foreign(sid, { theirs: 1 })
    slow.go(0)
    slow.go(1)
    await slow.at(2)
    expect(merges()).toBe(2)
    // What writes nothing merges nothing.
    slow.go(2)
    await answer
    expect(merges()).toBe(2)
    store.foreign(sid, { theirs: 2 })
    await browser.get('/session')
    await session.save()
    expect(merges()).toBe(2)
  })
})

describe('the option merge', () => {
  const session = (store = new expressSession.MemoryStore()) =>
    expressSession({ secret: 's', resave: false, saveUninitialized: false, store })
  const calls = (first: any, second: any) => () => {
    const store = new expressSession.MemoryStore()
    sharedsession(session(store), { merge: first })
    sharedsession(session(store), { merge: second })
  }

  it.each([
    [{ '': 'sum' }, /merge takes paths like 'cart\.total' or 'counters\.\*'; it was given ''/],
    [{ 'a..b': 'sum' }, /it was given 'a\.\.b'/],
    [{ 'a\\': 'sum' }, /merge takes paths/],
    [{ 'cookie.path': 'last' }, /the cookie is express-session's/],
    [{ a: 'max' }, /merge\['a'\] takes 'last', 'sum', 'whole' or a function; it was given 'max'/],
    [{ a: null }, /given null/],
    [['a'], /merge takes false or an object/],
  ])('%j throws BAD_OPTION', (merge: any, message) => {
    const error = expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(message) })
    expect(() => sharedsession(session(), { merge })).toThrow(error)
  })

  it('merge is an option per store: the same strategies and the same functions, in any order, are the same option', () => {
    const mine = (_base: any, value: any) => value
    expect(calls({ a: 'sum', b: mine }, { b: mine, a: 'sum' })).not.toThrow()
    const bound = mine.bind(null)
    expect(calls({ a: bound }, { a: bound })).not.toThrow()
  })

  it.each([
    ['path', { a: 'sum' }, { b: 'sum' }],
    ['strategy', { a: 'sum' }, { a: 'whole' }],
    ['function', { a: () => 1 }, { a: () => 2 }],
    ['bound function', { a: ((x: any) => x).bind(null) }, { a: ((x: any) => x).bind(null) }],
    ['false', false, {}],
  ])('another %s throws', (_what, first, second) => {
    const error = expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining('per store') })
    expect(calls(first, second)).toThrow(error)
  })
})

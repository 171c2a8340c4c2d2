import { applyPatches, enablePatches } from 'immer'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, live, tab, turns } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

enablePatches()
afterEach(closeApps)

describe('session:changed', () => {
  it('notifies each socket and shared.events of what an HTTP request wrote', async () => {
    const { app, browser, socket, session, sid } = await live()
    const here = next(socket, 'session:changed')
    const everywhere = next(app.shared.events, 'session:changed')
    await browser.get('/set?theme=dark')
    const change = await here
    expect(change).toMatchObject({
      keys: ['theme'],
      patches: [{ op: 'add', path: ['theme'], value: 'dark' }],
      origin: 'http',
    })
    expect(change.session).toBe(session)
    expect(change.session.theme).toBe('dark')
    const other = await everywhere
    expect(other).toEqual({ keys: ['theme'], patches: change.patches, origin: 'http' })
    expect(other.sessionID).toBe(sid)
  })

  it('notifies a socket of what another socket wrote, and not of its own writes', async () => {
    const { app, browser, socket, session } = await live()
    const other = await tab(app, browser)
    const own = collect(socket, 'session:changed')
    const heard = next(other.socket, 'session:changed')
    session.n = 1
    expect(await heard).toMatchObject({ keys: ['n'], origin: 'socket', patches: [{ op: 'add', path: ['n'], value: 1 }] })
    await app.shared.flush()
    expect(own).toEqual([])
  })

  it("of two sockets that write in one tick, each is notified only of the other's writes", async () => {
    const { app, browser, socket, session } = await live()
    const other = await tab(app, browser)
    const first = collect(socket, 'session:changed')
    const second = collect(other.socket, 'session:changed')
    const all = collect(app.shared.events, 'session:changed')
    session.a = 1
    session.deep = { mine: 1 }
    other.session.b = 2
    await app.shared.flush()
    expect(first.map(({ keys }) => keys)).toEqual([['b']])
    expect(second.map(({ keys }) => keys)).toEqual([['a', 'deep']])
    expect(all.map(({ keys }) => [...keys].sort())).toEqual([['a', 'b', 'deep']])
  })

  it('notifies both sockets of a value that both wrote in one tick', async () => {
    const { app, browser, socket, session } = await live()
    const other = await tab(app, browser)
    const heard = [collect(socket, 'session:changed'), collect(other.socket, 'session:changed')]
    session.n = 1
    other.session.n = 2
    await app.shared.flush()
    expect(heard.map((changes) => changes.map(({ patches }) => patches[0].value))).toEqual([[2], [2]])
  })

  it('notifies all sockets of what shared.update() wrote, also the one whose handler called it', async () => {
    const { app, socket } = await live()
    const heard = next(socket, 'session:changed')
    await app.shared.update(socket, (draft: any) => {
      draft.n = 1
    })
    expect(await heard).toMatchObject({ keys: ['n'], origin: 'update' })
  })

  it('is emitted on shared.events for a session without sockets', async () => {
    const { app, sid } = await live()
    const stranger = app.browser()
    await stranger.get('/set?a=1')
    const heard = next(app.shared.events, 'session:changed')
    await stranger.get('/set?b=2')
    const change = await heard
    expect(change).toMatchObject({ keys: ['b'], origin: 'http' })
    expect(change.sessionID).not.toBe(sid)
  })

  it('is not emitted for a request that changes nothing, nor for a change of the cookie alone', async () => {
    const { app, browser, socket, session } = await live()
    const other = await tab(app, browser)
    const heard = [socket, other.socket, app.shared.events].map((emitter) => collect(emitter, 'session:changed'))
    await browser.get('/session')
    await browser.get('/set?user=ada')
    session.cookie.maxAge = 60_000
    await app.shared.flush()
    expect(heard).toEqual([[], [], []])
  })

  it('has patches that lead from state to state with immer.applyPatches, whoever wrote', async () => {
    const { app, store, browser, session, sid } = await live()
    let mirror: any = app.shared.snapshot(sid)
    app.shared.events.on('session:changed', ({ patches }) => {
      mirror = applyPatches(mirror, patches)
    })
    const steps: (() => unknown)[] = [
      () => Object.assign(session, { list: [{ id: 1 }, { id: 2 }, { id: 3 }], deep: { a: { b: [] } } }),
      () => browser.get('/set?theme=dark&list2=x'),
      () => session.list.splice(1, 1, { id: 4 }, { id: 5 }),
      () => session.deep.a.b.push('x', { 'a/b~c.d': 1 }),
      () => session.list.reverse(),
      () => store.foreign(sid, { ...app.shared.snapshot(sid), list: [{ id: 5 }, { id: 9 }] }),
      () => Object.assign(session.deep.a, { c: 1 }),
      () => browser.get('/delete?key=deep'),
      () => app.shared.update(sid, (draft: any) => void draft.list.unshift({ id: 0 })),
    ]
    for (const step of steps) {
      await step()
      await app.shared.flush()
      const { cookie: _, ...data } = store.stored(sid)!
      if (step !== steps[5]) expect(mirror).toEqual(data)
    }
    expect(mirror).toEqual(app.shared.snapshot(sid))
  })

  it('is emitted after the session has the change, and before the ack of the write is sent', async () => {
    const order: string[] = []
    const { app, browser, client } = await live()
    const other = await tab(app, browser)
    other.socket.on('session:changed', ({ session }) => order.push(`heard ${session.n}`))
    order.push(await client.emitWithAck('set', 'n', 1))
    expect(order).toEqual(['heard 1', 'ok'])
  })

  it('reports a remote change that a handshake or a reload has found', async () => {
    const { app, store, browser, socket, session, sid } = await live()
    const heard = collect(socket, 'session:changed')
    store.foreign(sid, { user: 'ada', a: 1 })
    await tab(app, browser)
    store.foreign(sid, { user: 'ada', a: 1, b: 2 })
    await session.reload()
    expect(heard).toMatchObject([
      { keys: ['a'], origin: 'remote' },
      { keys: ['b'], origin: 'remote' },
    ])
  })
})

describe("onChange: 'notify'", () => {
  const notify = { shared: { onChange: 'notify' as const } }

  it('HTTP and remote changes are notified once, and are not in the session until reload()', async () => {
    const { browser, socket, session } = await live(notify)
    const heard = collect(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(heard).toMatchObject([{ keys: ['theme'], origin: 'http' }])
    expect(session).not.toHaveProperty('theme')
    await browser.get('/set?lang=en')
    expect(heard[1]).toMatchObject({ keys: ['lang'] })
    await session.reload()
    expect(session).toMatchObject({ theme: 'dark', lang: 'en' })
    expect(heard).toHaveLength(2)
  })

  it('changes of others are not in the session until the next save of a write, which does not notify again', async () => {
    const { app, store, browser, socket, session, sid } = await live(notify)
    const heard = collect(socket, 'session:changed')
    await browser.get('/set?theme=dark')
    session.n = 1
    expect(session).not.toHaveProperty('theme')
    await app.shared.flush()
    expect(session).toMatchObject({ theme: 'dark', n: 1 })
    expect(store.stored(sid)).toMatchObject({ theme: 'dark', n: 1 })
    expect(heard).toHaveLength(1)
  })

  it('changes of others are not in the session until save(), also where there is nothing to save', async () => {
    const { store, browser, session } = await live(notify)
    await browser.get('/set?theme=dark')
    const sets = store.count('set')
    await session.save()
    expect(session.theme).toBe('dark')
    expect(store.count('set')).toBe(sets)
  })

  it("a socket's own writes are in the session at once", async () => {
    const { app, browser, session } = await live(notify)
    const other = await tab(app, browser)
    const heard = next(other.socket, 'session:changed')
    session.n = 1
    expect(other.session.n).toBe(1)
    await heard
  })

  it('a save that finds later changes notifies of those alone', async () => {
    const { app, store, browser, socket, session, sid } = await live(notify)
    const heard = collect(socket, 'session:changed')
    await browser.get('/set?a=1')
    store.foreign(sid, { user: 'ada', a: '1', b: 2 })
    session.mine = 1
    await app.shared.flush()
    expect(heard.map(({ keys, origin }) => [keys, origin])).toEqual([
      [['a'], 'http'],
      [['b'], 'remote'],
    ])
  })
})

describe('listeners of session events', () => {
  it('one that throws or rejects does not stop the others, and is a LISTENER_FAILED error of its socket', async () => {
    const { app, browser, socket } = await live()
    const other = await tab(app, browser)
    const cause = new Error('mine')
    const errors = collect(socket, 'session:error')
    const otherErrors = collect(other.socket, 'session:error')
    socket.on('session:changed', () => {
      throw cause
    })
    socket.on('session:changed', async () => {
      throw cause
    })
    const heard = [socket, other.socket, app.shared.events].map((emitter) => collect(emitter, 'session:changed'))
    await browser.get('/set?a=1')
    await until(() => errors.length === 2)
    expect(heard.map((changes) => changes.length)).toEqual([1, 1, 1])
    expect(errors.map(({ code, cause }) => [code, cause])).toEqual([
      ['LISTENER_FAILED', cause],
      ['LISTENER_FAILED', cause],
    ])
    expect(otherErrors).toEqual([])
  })

  it('one that throws while a save merges a remote change does not fail that save', async () => {
    const { app, store, socket, session, sid } = await live()
    const errors = collect(socket, 'session:error')
    socket.on('session:changed', () => {
      throw new Error('mine')
    })
    store.foreign(sid, { user: 'ada', theirs: 1 })
    session.mine = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ mine: 1, theirs: 1 })
    expect(errors.map(({ code }) => code)).toEqual(['LISTENER_FAILED'])
  })

  it('one on shared.events that throws or rejects does not stop the others, nor the save', async () => {
    expectWarning('LISTENER_FAILED')
    const { app, store, session, sid } = await live()
    const { events } = app.shared
    const errors = collect(events, 'session:error')
    events.on('session:changed', () => {
      throw new Error('mine')
    })
    events.on('session:saved', async () => {
      throw new Error('mine')
    })
    events.on('*', () => {
      throw new Error('mine')
    })
    const heard = collect(events, 'session:changed')
    session.n = 1
    await app.shared.flush()
    await turns()
    expect(heard).toHaveLength(1)
    expect(store.stored(sid)).toMatchObject({ n: 1 })
    expect(errors.map(({ code }) => code)).toContain('LISTENER_FAILED')
    expect(errors.filter(({ sessionID }) => sessionID === sid).length).toBe(errors.length)
  })

  it('that wake each other are stopped at the greatest depth, with LISTENER_LOOP; the last write is saved', async () => {
    const { app, store, browser, socket, session, sid } = await live()
    const other = await tab(app, browser)
    const errors = collect(socket, 'session:error')
    for (const each of [{ socket, session }, other]) {
      each.socket.on('session:changed', () => {
        each.session.n++
      })
    }
    session.n = 0
    await until(() => errors.length > 0)
    await app.shared.flush()
    await turns()
    expect(errors.map(({ code }) => code)).toEqual(['LISTENER_LOOP'])
    expect(session.n).toBeLessThan(20)
    expect(store.stored(sid)!.n).toBe(session.n)
    const n = session.n
    await browser.get('/set?quiet=1')
    await until(() => session.n > n)
  })

  it('that wake each other across awaits and timers are stopped as well', async () => {
    const { app, browser, socket, session } = await live()
    const other = await tab(app, browser)
    const errors = collect(socket, 'session:error')
    for (const each of [{ socket, session }, other]) {
      each.socket.on('session:changed', async () => {
        await new Promise((resolve) => setTimeout(resolve, 1))
        await app.shared.flush()
        each.session.n++
      })
    }
    session.n = 0
    await until(() => errors.length > 0)
    expect(errors.map(({ code }) => code)).toEqual(['LISTENER_LOOP'])
  })

  it('of session:saved that write again and again are stopped as well', async () => {
    const { app, session } = await live()
    const errors = collect(app.shared.events, 'session:error')
    app.shared.events.on('session:saved', () => {
      session.saves = (session.saves ?? 0) + 1
    })
    session.n = 1
    await until(() => errors.length > 0)
    await app.shared.flush()
    expect(errors.map(({ code }) => code)).toEqual(['LISTENER_LOOP'])
    expect(session.saves).toBeLessThan(20)
  })

  it('writes outside of listeners do not count towards the depth', async () => {
    const { app, browser, socket, session } = await live()
    const other = await tab(app, browser)
    const errors = collect(socket, 'session:error')
    const heard = collect(other.socket, 'session:changed')
    for (let n = 0; n < 30; n++) {
      session.n = n
      await app.shared.flush()
    }
    expect(heard).toHaveLength(30)
    expect(errors).toEqual([])
  })
})

describe('shared.events', () => {
  it('session:saved reports each save with its keys and patches, also that of a request', async () => {
    const { app, browser, session, sid } = await live()
    const saves = collect(app.shared.events, 'session:saved')
    session.a = 1
    session.b = 2
    await app.shared.flush()
    await browser.get('/set?c=3')
    expect(saves).toEqual([
      {
        keys: ['a', 'b'],
        patches: [
          { op: 'add', path: ['a'], value: 1 },
          { op: 'add', path: ['b'], value: 2 },
        ],
      },
      { keys: ['c'], patches: [{ op: 'add', path: ['c'], value: '3' }] },
    ])
    expect(saves.map(({ sessionID }) => sessionID)).toEqual([sid, sid])
  })

  it('session:conflict has the values of both writers, and which one won', async () => {
    const { app, store, session, sid } = await live()
    const conflict = next(app.shared.events, 'session:conflict')
    store.foreign(sid, { user: 'theirs' })
    session.user = 'mine'
    expect(await conflict).toEqual({ path: ['user'], base: 'ada', mine: 'mine', theirs: 'theirs', won: 'mine' })
    await app.shared.flush()
    expect(store.stored(sid)!.user).toBe('mine')
    expect(app.shared.stats().conflicts).toBe(1)
  })

  it("a payload's sessionID is a target, and is not enumerable", async () => {
    const { app, browser, socket, sid } = await live()
    const payloads = ['session:changed', 'session:saved'].map((event) => next(app.shared.events, event))
    await browser.get('/set?a=1')
    for (const payload of await Promise.all(payloads)) {
      expect(payload.sessionID).toBe(sid)
      expect(Object.keys(payload)).not.toContain('sessionID')
      expect(JSON.stringify(payload)).not.toContain(sid)
      expect(app.shared.snapshot(payload)).toMatchObject({ a: '1' })
      expect(app.shared.room(payload)).toBe(app.shared.room(socket))
    }
    const ended = next(app.shared.events, 'session:destroyed')
    const gone = deferred()
    socket.on('disconnect', () => gone.resolve())
    await app.shared.destroy(await payloads[0])
    expect((await ended).sessionID).toBe(sid)
    await gone.promise
  })
})

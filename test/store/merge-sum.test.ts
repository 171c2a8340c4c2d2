import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect } from '../support/live.js'
import { conflictsOf, open, secondProcess, steps } from './merge-http-setup.js'

afterEach(closeApps)

describe("the merge strategy 'sum'", () => {
  const counters = { count: 'sum', 'stats.*': 'sum' } as const

  it('is exact when two processes and a slow request count at the same time', async () => {
    const slow = steps((req) => {
      req.session.count = (req.session.count ?? 0) + 100
    })
    const here = await open(counters, { routes: slow.routes })
    const there = await secondProcess(here, counters)
    const conflicts = [...[here.app, there.app].map(conflictsOf)]
    const answer = here.browser.get('/steps')
    await slow.at(0)
    for (let times = 0; times < 10; times++) {
      for (const { session } of [here, there]) {
        session.count = (session.count ?? 0) + 1
        session.stats = { ...session.stats, visits: (session.stats?.visits ?? 0) + 1 }
      }
      // Both have counted before either saves.
      await here.session.save()
      await there.session.save()
    }
    slow.go(0)
    await answer
    expect(here.store.stored(here.sid)).toMatchObject({ count: 120, stats: { visits: 20 } })
    await there.session.reload()
    for (const { session } of [here, there]) expect(session).toMatchObject({ count: 120, stats: { visits: 20 } })
    expect(conflicts).toEqual([[], []])
  })

  it('shows the sum live before it is saved', async () => {
    const { session, socket, browser, store, sid } = await open(counters, {
      routes: (http) =>
        http.get('/ten', (req, res) => {
          req.session.count = (req.session.count ?? 0) + 10
          res.json({})
        }),
    })
    const changes = collect(socket, 'session:changed')
    session.count = 1
    await browser.get('/ten')
    expect(session.count).toBe(11)
    expect(store.stored(sid)!.count).toBe(10)
    await session.save()
    expect(store.stored(sid)!.count).toBe(11)
    await session.save()
    expect(store.stored(sid)!.count).toBe(11)
    // The one who counted has to hear of the sum as well: it is not what was written.
    expect(changes.map(({ patches }) => patches[0].value)).toEqual([10, 11])
  })

  it('never counts twice, whatever fails and whoever counts between the attempts', async () => {
    const { session, store, sid, app } = await open(counters)
    store.foreign(sid, { count: 5 })
    session.count = (session.count ?? 0) + 1
    store.fail('set')
    const first = store.hold('set')
    const saved = session.save()
    await first.called
    first.fail()
    const second = store.hold('get')
    await second.called
    store.foreign(sid, { count: 7 })
    second.release()
    await saved
    expect(store.stored(sid)!.count).toBe(8)
    expect(session.count).toBe(8)
    expect(app.shared.stats().retries).toBe(2)
  })

  it('adds what a request has added since its last save', async () => {
    const save = (req: any) => new Promise<void>((done) => req.session.save(() => done()))
    const add = (req: any) => {
      req.session.count = (req.session.count ?? 0) + 1
    }
    const slow = steps(add, save, add)
    const { store, sid, browser } = await open(counters, { routes: slow.routes })
    const answer = browser.get('/steps')
    slow.go(0)
    await slow.at(1)
    store.foreign(sid, { count: 5 })
    slow.go(1)
    await slow.at(2)
    expect(store.stored(sid)!.count).toBe(6)
    store.foreign(sid, { count: 10 })
    slow.go(2)
    await answer
    expect(store.stored(sid)!.count).toBe(11)
  })

  it('counts what a request added before and after its own update()', async () => {
    const slow = steps(
      (req) => {
        req.session.count = 1
      },
      async (req, { shared }) => {
        await shared.update(req, (draft: any) => {
          draft.count = (draft.count ?? 0) + 10
        })
        req.session.count++
      },
    )
    const { app, store, sid, browser } = await open(counters, { routes: slow.routes })
    slow.app.shared = app.shared
    const answer = browser.get('/steps')
    slow.go(0)
    slow.go(1)
    expect((await answer).body.count).toBe(12)
    expect(store.stored(sid)!.count).toBe(12)
  })
})

it("'sum' counts what a request had asked to save while its update() was under way", async () => {
  const work: Promise<unknown>[] = []
  const slow = steps(
    (req, { shared }) => {
      req.session.count = 1
      work.push(
        shared.update(req, (draft: any) => {
          draft.count = (draft.count ?? 0) + 10
        }),
      )
    },
    (req) => void work.push(new Promise((done) => req.session.save(() => done(store.stored(sid)!.count)))),
    () => Promise.all(work),
  )
  const { app, store, sid, browser } = await open({ count: 'sum' }, { routes: slow.routes })
  slow.app.shared = app.shared
  const answer = browser.get('/steps')
  await slow.at(0)
  const read = store.hold('get')
  slow.go(0)
  await read.called
  slow.go(1)
  await slow.at(2)
  read.release()
  slow.go(2)
  expect((await answer).body.count).toBe(11)
  expect(await work[1]).toBe(11)
  expect(store.stored(sid)!.count).toBe(11)
})

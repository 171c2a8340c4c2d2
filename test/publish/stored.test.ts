import type { Express } from 'express'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { turns } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { slowRoute } from '../support/slow-routes.js'
import { FileLikeStore } from '../support/stores.js'
import { until } from '../support/wait.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

const publish = (session: any) => ({ user: session.user, mine: session.mine, n: session.n })

async function started(
  shared: SharedSessionOptions = {},
  store = new ControlledStore(),
  routes: (http: Express) => void = () => undefined,
) {
  const app = await startApp({ store, shared: { publish, ...shared }, routes })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  return { app, browser, store, sid: sidOf(browser) }
}

describe.each<[string, SharedSessionOptions]>([
  ['the default options', {}],
  ['onChange: notify', { onChange: 'notify' }],
  ['merge: false', { merge: false }],
  ['no autoSave', { autoSave: false }],
])('a mirror shows what the store holds, with %s', (_name, shared) => {
  it('of a socket that has unsaved writes, too', async () => {
    const { app, browser } = await started(shared)
    const mirror = await mirrored(browser)
    const session = app.shared.session(app.sockets[0]!)
    await browser.get('/set?n=1')
    await mirror.when((state) => state.n === '1')
    if (shared.autoSave === false) (session as any).mine = 1
    await browser.get('/set?n=2')
    await mirror.when((state) => state.n === '2')
    expect(mirror.state).toEqual({ user: 'ada', n: '2' })
    const { state } = app.shared.published(app.sockets[0]!)
    expect(state).toEqual(mirror.state)
    ;(session as any).mine = 2
    await session.save()
    await mirror.when((state) => state.mine === 2)
    await app.shared.update(app.sockets[0]!, (draft: any) => Object.assign(draft, { n: 3 }))
    await mirror.when((state) => state.n === 3)
    const late = await mirrored(browser)
    expect(late.state).toEqual(mirror.state)
    expect(late.tag).toBe(mirror.tag)
  })
})

it('a socket that has used nothing follows the commits of others', async () => {
  const { browser, app } = await started()
  const mirror = await mirrored(browser)
  for (let n = 1; n < 5; n++) await browser.get(`/set?n=${n}`)
  await mirror.when((state) => state.n === '4')
  expect(mirror.frames).toHaveLength(5)
  expect(app.shared.stats().merges).toBe(0)
})

it('what a foreign process has written is shown when the store is read', async () => {
  const { app, browser, store, sid } = await started()
  const mirror = await mirrored(browser)
  store.foreign(sid, { user: 'eve' })
  await app.shared.session(app.sockets[0]!).reload()
  await mirror.when((state) => state.user === 'eve')
  store.foreign(sid, { user: 'mallory' })
  await browser.get('/session')
  expect((await mirrored(browser)).state).toEqual({ user: 'mallory' })
  await mirror.when((state) => state.user === 'mallory')
})

describe('a save that is under way', () => {
  it('is not shown before the store has it', async () => {
    const { app, browser, store } = await started()
    const other = await browser.connect()
    const set = store.hold('set')
    const acked = other.emitWithAck('set', 'n', 1)
    await set.called
    // Of this session nobody has a mirror yet.
    const mirror = await mirrored(browser)
    expect(mirror.state).toEqual({ user: 'ada' })
    expect(app.shared.published(app.sockets[0]!).state).toEqual({ user: 'ada' })
    set.release()
    await acked
    await mirror.when((state) => state.n === 1)
    expect(mirror.frames).toHaveLength(2)
  })

  it('is never shown if the store refuses it', async () => {
    const { app, browser, store } = await started({ retry: { attempts: 1, minDelay: 1, maxDelay: 1 } })
    const mirror = await mirrored(browser)
    app.shared.events.on('session:error', () => undefined)
    store.fail('set')
    mirror.client.emit('set', 'n', 1)
    await until(() => store.count('set') === 2)
    await turns()
    expect((await mirrored(browser)).state).toEqual({ user: 'ada' })
    await browser.get('/set?mine=1')
    await mirror.when((state) => state.mine === '1')
  })

  it('that an HTTP request has overtaken is shown after it', async () => {
    const slow = slowRoute((req) => {
      req.session.mine = '1'
    })
    const { browser, store } = await started({}, new ControlledStore(), slow.routes)
    const mirror = await mirrored(browser)
    const answered = browser.get('/slow')
    // It has loaded its session.
    await slow.arrived
    const set = store.hold('set')
    const acked = mirror.client.emitWithAck('set', 'n', 1)
    await set.called
    const saves = vi.spyOn(store, 'set')
    slow.go()
    await until(() => saves.mock.calls.length > 0)
    await turns()
    set.release()
    await Promise.all([acked, answered])
    await mirror.when((state) => state.mine)
    expect(mirror.state).toEqual({ user: 'ada', n: 1, mine: '1' })
    expect(mirror.frames.slice(1)).toMatchObject([{ p: [[['n'], 1]] }, { p: [[['mine'], '1']] }])
  })
})

it('a store without compare-and-set has mirrors as well', async () => {
  const { browser } = await started({}, new FileLikeStore() as never)
  const mirror = await mirrored(browser)
  await mirror.client.emitWithAck('set', 'n', 1)
  expect(mirror.state).toEqual({ user: 'ada', n: 1 })
  await browser.get('/set?mine=1')
  await mirror.when((state) => state.mine === '1')
})

it('a client without a session has an empty state, and follows its first save', async () => {
  const { app } = await started()
  const mirror = await mirrored(app.browser())
  expect(mirror.state).toEqual({})
  await mirror.client.emitWithAck('set', 'user', 'bob')
  expect(mirror.state).toEqual({ user: 'bob' })
})

it('a hundred commits at once lead to the last state', async () => {
  const { app, browser } = await started()
  const mirror = await mirrored(browser)
  await Promise.all(
    Array.from({ length: 100 }, (_, n) => app.shared.update(app.sockets[0]!, (draft: any) => Object.assign(draft, { n }))),
  )
  await mirror.when((state) => state.n === 99)
  expect(mirror.frames.length).toBeLessThanOrEqual(101)
})

import { afterEach, expect, it } from 'vitest'
import type { FullFrame } from '../../src/client/protocol.js'
import { type App, closeApps, startApp } from '../support/app.js'
import { turns } from '../support/live.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

const shared = {
  publish: (session: any) => ({ user: session.user, items: session.items ?? [], at: session.at }),
}

async function started(): Promise<App> {
  return startApp({ shared })
}

it('the first frame is the whole state, before the first event of the application', async () => {
  const app = await startApp({ shared, connection: (socket) => socket.emit('hello') })
  const browser = app.browser()
  await browser.get('/set?user=ada&secret=1')
  const order: string[] = []
  const client = browser.open({ auth: { 'session:mirror': [0, 0] } })
  client.onAny((name) => order.push(name))
  const mirror = await mirrored(browser)
  expect(mirror.frames).toEqual([
    { t: expect.stringMatching(/^[\w-]{12}$/), s: { items: [], user: 'ada' }, n: expect.stringMatching(/^[\w-]{12}$/) },
  ])
  expect(order).toEqual(['session:mirror', 'hello'])
})

it('changes of HTTP requests, of other tabs and of update() are deltas; each commit is one frame', async () => {
  const app = await started()
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const one = await mirrored(browser)
  const two = await mirrored(browser)
  await browser.get('/set?user=bob&at=now&unpublished=1')
  await one.when((state) => state.user === 'bob')
  expect(one.frames[1]).toEqual({ t: expect.any(String), f: (one.frames[0] as FullFrame).t, p: expect.any(Array) })
  expect(one.state).toEqual({ at: 'now', items: [], user: 'bob' })
  await two.client.emitWithAck('set', 'items', ['tea'])
  expect(two.state).toEqual({ at: 'now', items: ['tea'], user: 'bob' })
  await one.when((state) => state.items.length === 1)
  await app.shared.update(app.sockets[0]!, (draft: any) => {
    draft.items.push('cup')
    draft.at = 'then'
  })
  await one.when((state) => state.at === 'then')
  expect(one.state).toEqual({ at: 'then', items: ['tea', 'cup'], user: 'bob' })
  expect(one.frames).toHaveLength(4)
  expect(two.frames).toHaveLength(4)
})

it('a commit that changes nothing published sends nothing', async () => {
  const app = await started()
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { client, frames } = await mirrored(browser)
  await client.emitWithAck('set', 'other', 1)
  await browser.get('/set?more=1')
  await client.emitWithAck('get')
  expect(frames).toHaveLength(1)
})

it('a frame of a commit comes before the ack of the event that caused it', async () => {
  const app = await started()
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const mirror = await mirrored(browser)
  for (let n = 0; n < 20; n++) {
    const acks = [mirror.client.emitWithAck('set', 'at', n), mirror.client.emitWithAck('set', 'items', [n])]
    await acks[1]
    expect(mirror.state).toMatchObject({ at: n, items: [n] })
  }
})

it('sockets that have not asked get nothing', async () => {
  const app = await started()
  const browser = app.browser()
  const client = await browser.connect()
  let frames = 0
  client.on('session:mirror', () => frames++)
  await client.emitWithAck('set', 'at', 1)
  await turns()
  expect(frames).toBe(0)
})

import { afterEach, describe, expect, it } from 'vitest'
import type { FullFrame } from '../../src/client/protocol.js'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/sid.js'
import { next, until } from '../support/wait.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

async function visited(options: AppOptions = {}): Promise<{ app: App; browser: Browser }> {
  const app = await startApp({ ...options, shared: { publish: (session) => ({ user: session.user }), ...options.shared } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  return { app, browser }
}

describe.each(['websocket', 'polling'])('by %s', (transport) => {
  it('destroy() is the last frame of all tabs, before the connection is closed', async () => {
    const { app, browser } = await visited({
      connection: (socket) => socket.on('session:destroyed', () => socket.emit('bye')),
    })
    const tabs = [await mirrored(browser, { transports: [transport] }), await mirrored(browser, { transports: [transport] })]
    const order: string[] = []
    tabs[0]!.client.onAny((name) => order.push(name))
    tabs[0]!.client.on('disconnect', () => order.push('disconnect'))
    const gone = tabs.map(({ client }) => next(client, 'disconnect'))
    await browser.get('/destroy')
    await Promise.all(gone)
    for (const { frames } of tabs) expect(frames).toEqual([expect.objectContaining({ s: { user: 'ada' } }), { end: 'destroyed' }])
    expect(order).toEqual(['session:mirror', 'bye', 'disconnect'])
    expect(app.shared.stats().sockets).toBe(0)
  })

  it('after regenerate() the next connection begins with the new state', async () => {
    const { browser } = await visited()
    const before = await mirrored(browser, { transports: [transport] })
    const gone = next(before.client, 'disconnect')
    await browser.get('/regenerate')
    await gone
    expect(before.frames.at(-1)).toEqual({ end: 'regenerated' })
    const after = await mirrored(browser, { transports: [transport], held: before.tag! })
    expect(after.frames).toEqual([expect.objectContaining({ s: {} })])
    expect((after.frames[0] as FullFrame).n).not.toBe((before.frames[0] as FullFrame).n)
  })
})

it('a session that is gone from the store ends its mirrors', async () => {
  const store = new ControlledStore()
  const { app, browser } = await visited({ store })
  const mirror = await mirrored(browser)
  store.gone(sidOf(browser))
  const { session } = app.sockets[0]!.handshake
  await session.reload().catch(() => undefined)
  await until(() => mirror.frames.length === 2)
  expect(mirror.frames[1]).toEqual({ end: expect.stringMatching(/destroyed|expired/) })
})

it('with onEnd: keep, a question after the end is answered with the end', async () => {
  const { browser } = await visited({ shared: { onEnd: 'keep' } })
  const mirror = await mirrored(browser)
  const client = await browser.connect()
  await browser.get('/destroy')
  await until(() => mirror.frames.length === 2)
  mirror.client.emit('session:mirror', mirror.tag)
  await until(() => mirror.frames.length === 3)
  expect(mirror.frames.slice(1)).toEqual([{ end: 'destroyed' }, { end: 'destroyed' }])
  // A client that asks for the first time.
  client.emit('session:mirror', 0)
  expect(await next(client, 'session:mirror')).toEqual({ end: 'destroyed' })
})

it('a tab that was away when the session ended begins with the state of its new session', async () => {
  const { browser } = await visited()
  const before = await mirrored(browser)
  before.client.disconnect()
  await browser.get('/destroy')
  await browser.get('/set?user=bob')
  const after = await mirrored(browser, { held: before.tag! })
  expect(after.frames).toEqual([expect.objectContaining({ s: { user: 'bob' } })])
})

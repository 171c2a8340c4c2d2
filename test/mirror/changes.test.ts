import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { describeOnStores } from './world.js'

await describeOnStores('what the page is told', (world) => {
  beforeEach(() => world().post('/set?user=ada'))

  it.each([
    ['websocket', ['websocket']],
    ['polling', ['polling']],
    ['polling, then websocket', ['polling', 'websocket']],
  ])('the first state comes with the connection, before the first event of the application, by %s', async (_name, transports) => {
    const { live, socket, frames } = world().open(undefined, { transports })
    const sent: unknown[] = []
    socket.onAnyOutgoing((...packet) => sent.push(packet))
    await next(socket, 'hello')
    expect(live.get()).toEqual({ user: 'ada', items: [] })
    expect(live.status).toBe('live')
    expect(frames).toHaveLength(1)
    expect(sent).toEqual([])
  })

  it('a write by HTTP, by another tab, by update() and on another node reaches every tab', async () => {
    const { near, far } = world()
    const tabs = [await world().tab(near), await world().tab(near), await world().tab(far)]
    const all = (fits: Parameters<(typeof tabs)[0]['shows']>[0]) => Promise.all(tabs.map((tab) => tab.shows(fits)))
    await world().post('/set?user=grace')
    await all(({ user }) => user === 'grace')
    await tabs[0]!.socket.emitWithAck('add', 'milk')
    await all(({ items }) => items.length === 1)
    await tabs[2]!.socket.emitWithAck('add', 'bread')
    await all(({ items }) => items.length === 2)
    await world().update({ n: 1 }, far)
    await all(({ n }) => n === 1)
    for (const { live } of tabs) expect(live.get()).toEqual({ user: 'grace', items: ['milk', 'bread'], n: 1 })
  })

  it('all values of one commit arrive in one notification', async () => {
    const tabs = [await world().tab(world().near), await world().tab(world().far)]
    await world().update({ user: 'grace', n: 7, items: ['tea'] })
    for (const { states, shows } of tabs) {
      await shows(({ user }) => user === 'grace')
      expect(states).toEqual([{ user: 'grace', items: ['tea'], n: 7 }])
    }
  })

  it('a tab has its own write when the ack arrives', async () => {
    const { socket, live } = await world().tab()
    for (const item of ['milk', 'bread', 'eggs']) {
      expect(await socket.emitWithAck('add', item)).toBe('added')
      expect(live.get()?.items.at(-1)).toBe(item)
    }
  })

  it('parts that did not change are the same objects', async () => {
    await world().update({ items: ['milk'] })
    const { live, shows } = await world().tab()
    const { items } = live.get()!
    await world().update({ n: 1 })
    await shows(({ n }) => n === 1)
    expect(live.get()!.items).toBe(items)
  })

  it('a commit that changes nothing published sends nothing', async () => {
    const tabs = [await world().tab(world().near), await world().tab(world().far)]
    await world().update({ hidden: 'one' })
    await world().post('/set?hidden=two')
    await world().update({ n: 1 })
    for (const { frames, states, shows } of tabs) {
      await shows(({ n }) => n === 1)
      expect(frames).toHaveLength(1)
      expect(states).toHaveLength(1)
    }
  })

  it('fifty tabs: each commit is published once on a node', async () => {
    const { near } = world()
    const tabs = await Promise.all(Array.from({ length: 50 }, () => world().tab(near)))
    near.projections = 0
    for (let n = 1; n <= 5; n++) {
      await world().update({ n })
      await Promise.all(tabs.map((tab) => tab.shows((state) => state.n === n)))
    }
    expect(near.projections).toBe(5)
    for (const { frames, states } of tabs) {
      expect(frames).toHaveLength(5)
      expect(states.map((state) => state!.n)).toEqual([1, 2, 3, 4, 5])
    }
  })

  it('a tab that comes later, on either node, gets the state of then', async () => {
    const early = await world().tab()
    await early.socket.emitWithAck('add', 'milk')
    for (const shop of [world().near, world().far]) {
      const { live } = await world().tab(shop)
      expect(live.get()).toEqual(early.live.get())
    }
  })
})

await describeOnStores('what cannot be published', (world) => {
  beforeEach(() => world().post('/set?user=ada'))
  afterEach(() => vi.restoreAllMocks())

  it('publish throws: the last state stays and is stale, and the next commit heals', async () => {
    const { near } = world()
    const { live, states, socket } = await world().tab(near)
    const errors: string[] = []
    near.shared.events.on('session:error', ({ code }) => errors.push(code))
    near.fault = new Error('a mistake in publish')
    await socket.emitWithAck('add', 'milk')
    await until(() => live.status === 'stale')
    expect(live.get()).toEqual({ user: 'ada', items: [] })
    expect(states).toEqual([])
    expect(errors).toEqual(['PUBLISH_FAILED'])
    near.fault = undefined
    await socket.emitWithAck('add', 'bread')
    expect(live.get()).toEqual({ user: 'ada', items: ['milk', 'bread'] })
    expect(live.status).toBe('live')
  })

  it('a state that is too large: the last one stays and is stale, until one fits', async () => {
    const { near } = world()
    const { live, socket } = await world().tab(near)
    await world().update({ items: ['x'.repeat(70_000)] })
    await until(() => live.status === 'stale')
    await world().update({ n: 1 })
    await turns()
    expect(live.get()).toEqual({ user: 'ada', items: [] })
    await world().update({ items: [] })
    await until(() => live.status === 'live')
    await socket.emitWithAck('add', 'milk')
    expect(live.get()).toEqual({ user: 'ada', items: ['milk'], n: 1 })
  })
})

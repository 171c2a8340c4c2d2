import { beforeEach, expect, it } from 'vitest'
import { until } from '../support/wait.js'
import { describeOnStores, type Tab } from './world.js'

await describeOnStores('when the session ends', (world) => {
  let tabs: Tab[]
  beforeEach(async () => {
    await world().post('/set?user=ada')
    await world().update({ items: ['milk'] })
    const { near, far } = world()
    tabs = [await world().tab(near), await world().tab(near), await world().tab(far)]
  })

  it('regenerate() at a login: every tab drops the old state before it gets the new one, and mixes nothing', async () => {
    await world().post('/login?user=grace')
    for (const { shows, states } of tabs) {
      await shows(({ user }) => user === 'grace')
      expect(states).toEqual([undefined, { user: 'grace', items: ['milk'] }])
    }
  })

  it('destroy() at a logout: every tab drops the state, and comes to a new session', async () => {
    await world().post('/logout')
    for (const { shows, states } of tabs) {
      await shows(({ user }) => user === undefined)
      expect(states[0]).toBe(undefined)
      // Tabs of two nodes may get a session each at first, and one of both a moment later.
      for (const state of states.filter(Boolean)) expect(state).toEqual({ items: [] })
    }
  })

  it('destroy() by the server: the same', async () => {
    await world().far.shared.destroy(world().sid)
    for (const { shows, states } of tabs) {
      await shows(({ user }) => user === undefined)
      expect(states[0]).toBe(undefined)
      expect(JSON.stringify(states)).not.toContain('ada')
    }
  })

  it('the client knows of the end before its connection is closed', async () => {
    const seen: unknown[] = []
    tabs[0]!.socket.once('disconnect', () => seen.push(tabs[0]!.live.status, tabs[0]!.live.get()))
    await world().post('/logout')
    await until(() => seen.length > 0)
    expect(seen).toEqual(['switching', undefined])
  })

  it('a tab that was away at the logout drops the old state when it is back', async () => {
    const [asleep] = tabs as [Tab, ...Tab[]]
    asleep.socket.disconnect()
    await world().post('/logout')
    await world().post('/login?user=grace')
    asleep.socket.connect()
    await asleep.shows(({ user }) => user === 'grace')
    expect(asleep.states.filter(Boolean)).toEqual([{ user: 'grace', items: [] }])
  })

  it('two logins in a row: every tab ends at the second user', async () => {
    await Promise.all([world().post('/login?user=grace'), tabs[0]!.live.until(({ user }) => user === 'grace')])
    await world().post('/login?user=joan')
    for (const { shows, states } of tabs) {
      await shows(({ user }) => user === 'joan')
      // After the end of a session nothing of it is shown.
      const users = states.map((state) => state?.user)
      expect(users.lastIndexOf('grace')).toBeLessThan(users.indexOf('joan'))
      expect(users).not.toContain('ada')
    }
  })
})

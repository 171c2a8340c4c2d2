import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { Registry } from '../../src/session/registry.js'
import type { SessionReplica } from '../../src/session/replica.js'
import { MANAGER } from '../../src/store/other-stores.js'
import { closeApps } from '../support/app.js'
import { tab, visited } from '../support/live.js'
import { next, until } from '../support/wait.js'

afterEach(closeApps)

describe('the registry of replicas', () => {
  it('forgets a replica that nobody has seen when its last socket has gone, and goes on with one that an application may refer to', () => {
    const registry = new Registry()
    for (const isHeld of [false, true]) {
      const replica = { sid: `held: ${isHeld}`, isHeld } as SessionReplica
      registry.setPinned(replica, true)
      expect(registry.get(replica.sid)).toBe(replica)
      registry.setPinned(replica, false)
      expect(registry.get(replica.sid)).toBe(isHeld ? replica : undefined)
    }
  })

  it('gives a socket that looks at its session after it has left the replica of the others, or remembers its own', async () => {
    for (const hasOthers of [true, false]) {
      const { app, browser } = await visited({ wire: (io, shared) => void shared.attach(io) })
      // Here nobody looks at the session.
      const connected = next(app.io.of('/quiet'), 'connection')
      const client = await browser.connect({ namespace: '/quiet' })
      const left = await connected
      client.disconnect()
      await until(() => app.shared.stats().sockets === 0)
      const before = hasOthers ? await tab(app, browser) : undefined
      const late = app.shared.session(left) as Record<string, unknown>
      const { session } = before ?? (await tab(app, browser))
      late.n = 1
      expect(session.n).toBe(1)
      session.m = 2
      expect(late.m).toBe(2)
      await app.shared.flush()
    }
  })

  it('does not remember the replica of a socket that has left, when the session that it looked at has ended', async () => {
    const { app, store, browser, sid } = await visited({ wire: (io, shared) => void shared.attach(io) })
    const connected = next(app.io.of('/quiet'), 'connection')
    const client = await browser.connect({ namespace: '/quiet' })
    const left = await connected
    client.disconnect()
    await until(() => app.shared.stats().sockets === 0)
    const { socket } = await tab(app, browser)
    const late = app.shared.session(left)
    const ended = next(socket, 'session:destroyed')
    await browser.get('/destroy')
    await ended
    expect(app.shared.session(left)).toBe(late)
    const { registry } = (store as any)[MANAGER].manager as { registry: Registry }
    expect(registry.get(sid)).toBeUndefined()
  })

  it('holds replicas weakly, and a collected replica does not remove a newer one with the same id', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const registry = new Registry()
    const replica = (): SessionReplica => ({ sid: 'sid' }) as SessionReplica
    let collected = 0
    const seen = new FinalizationRegistry(() => {
      collected++
    })
    const add = (): void => {
      for (const sid of ['sid', 'other']) {
        const one = { ...replica(), sid } as SessionReplica
        registry.add(one)
        seen.register(one, undefined)
      }
    }
    add()
    const newer = replica()
    registry.add(newer)
    await until(() => {
      gc()
      return collected === 2
    })
    expect(registry.get('sid')).toBe(newer)
    expect(registry.get('other')).toBeUndefined()
  })
})

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { Registry } from '../../src/session/registry.js'
import type { SessionReplica } from '../../src/session/replica.js'
import { until } from '../support/wait.js'

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

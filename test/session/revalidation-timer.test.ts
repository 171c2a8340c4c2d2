import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { Registry } from '../../src/session/registry.js'
import type { SessionReplica } from '../../src/session/replica.js'
import { RevalidationTimer } from '../../src/session/revalidation-timer.js'
import { deferred, until } from '../support/wait.js'

describe('the vigil', () => {
  it('does not ask about a session that was read or written lately, and asks when it was not', async () => {
    let looks = 0
    const checked = deferred<number>()
    const vigil = new RevalidationTimer(
      {
        expires: undefined,
        get confirmedAt() {
          looks++
          return looks < 3 ? Date.now() : 0
        },
        async check() {
          checked.resolve(looks)
        },
      },
      10,
    )
    vigil.start()
    expect(await checked.promise).toBe(3)
    vigil.stop()
  })

  it('stopped while it asks, it stays stopped', async () => {
    let checks = 0
    const asking = deferred()
    const answer = deferred()
    const vigil = new RevalidationTimer(
      {
        expires: Date.now(),
        confirmedAt: 0,
        check() {
          checks++
          asking.resolve()
          return answer.promise
        },
      },
      5,
    )
    vigil.start()
    await asking.promise
    vigil.stop()
    answer.resolve()
    const other = deferred()
    const control = new RevalidationTimer({ expires: undefined, confirmedAt: 0, check: async () => other.resolve() }, 20)
    control.start()
    await other.promise
    control.stop()
    expect(checks).toBe(1)
  })
})

describe('the registry', () => {
  it('holds what nobody needs weakly, and a collected session does not take a newer one of its id along', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const registry = new Registry()
    const live = (): SessionReplica => ({ sid: 'sid' }) as SessionReplica
    let collected = 0
    const seen = new FinalizationRegistry(() => {
      collected++
    })
    const add = (): void => {
      for (const sid of ['sid', 'other']) {
        const one = { ...live(), sid } as SessionReplica
        registry.add(one)
        seen.register(one, undefined)
      }
    }
    add()
    const newer = live()
    registry.add(newer)
    await until(() => {
      gc()
      return collected === 2
    })
    expect(registry.get('sid')).toBe(newer)
    expect(registry.get('other')).toBeUndefined()
  })
})

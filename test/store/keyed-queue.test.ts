import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { KeyedQueue } from '../../src/store/keyed-queue.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/sid.js'
import { deferred } from '../support/wait.js'

afterEach(closeApps)

describe('the queue of each session', () => {
  it('does not block another session while a store call is not answered', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    const [ada, grace] = [app.browser(), app.browser()]
    await ada.get('/set?user=ada')
    await grace.get('/set?user=grace')
    const set = store.hold('set', { sid: sidOf(ada) })
    const held = ada.get('/set?x=1')
    await set.called
    await grace.get('/set?x=2')
    expect(store.stored(sidOf(grace))).toMatchObject({ x: '2' })
    expect(store.stored(sidOf(ada))).not.toHaveProperty('x')
    set.release()
    await held
    expect(store.stored(sidOf(ada))).toMatchObject({ x: '1' })
  })

  it('runs the jobs of one session one after the other, also after one that failed', async () => {
    const queue = new KeyedQueue()
    const order: string[] = []
    const open = deferred()
    const jobs = [
      queue.run('sid', 1000, async () => {
        order.push('first begins')
        await open.promise
        order.push('first ends')
        throw new Error('failed')
      }),
      queue.run('sid', 1000, async () => order.push('second')),
    ]
    await queue.run('other', 1000, async () => order.push('other'))
    open.resolve()
    await expect(jobs[0]).rejects.toThrow('failed')
    await jobs[1]
    expect(order).toEqual(['first begins', 'other', 'first ends', 'second'])
  })

  it('is removed when its jobs are done', async () => {
    const queue = new KeyedQueue()
    await Promise.all([queue.run('sid', 1000, async () => {}), queue.run('sid', 1000, async () => {})])
    await queue.idle('sid')
    expect(queue.busy('sid')).toBe(false)
    expect(queue.sids()).toEqual([])
  })

  it('gives up a job when nothing progresses, never runs it, and goes on with those behind it', async () => {
    const queue = new KeyedQueue()
    const answer = deferred()
    let ran = false
    await queue.run('sid', 20, async (hold) => hold(answer.promise))
    const job = (): Promise<void> =>
      queue.run('sid', 20, async () => {
        ran = true
      })
    const given = [job(), job(), job()]
    for (const promise of given) await expect(promise).rejects.toMatchObject({ code: 'STORE_TIMEOUT' })
    expect(queue.busy('sid')).toBe(true)
    const patient = queue.run('sid', undefined, async () => ran)
    answer.resolve()
    expect(await patient).toBe(false)
    await queue.idle('sid')
    expect(queue.busy('sid')).toBe(false)
    await job()
    expect(ran).toBe(true)
  })

  it('does not give up a job in a long queue that progresses', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const queue = new KeyedQueue()
    const jobs = Array.from({ length: 10 }, (_, index) =>
      queue.run('sid', 150, () => new Promise<number>((resolve) => setTimeout(resolve, 30, index))),
    )
    const results = Promise.allSettled(jobs)
    await vi.advanceTimersByTimeAsync(1000)
    expect(await results).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => ({ status: 'fulfilled', value })))
  })
})

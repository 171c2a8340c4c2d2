import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadline } from '../../src/util/deadline.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

let over: string[] = []
beforeEach(() => {
  over = []
})

/** Each test has a length of its own: those of one length share a timer. */
function begin(ms: number, name: string): Deadline {
  return new Deadline(ms, () => over.push(name))
}

describe('deadlines', () => {
  it('come in their order, each at its own moment', () => {
    begin(1000, 'a')
    vi.advanceTimersByTime(400)
    begin(1000, 'b')
    begin(500, 'short')
    vi.advanceTimersByTime(599)
    expect(over).toEqual(['short'])
    vi.advanceTimersByTime(1)
    expect(over).toEqual(['short', 'a'])
    vi.advanceTimersByTime(399)
    expect(over).toEqual(['short', 'a'])
    vi.advanceTimersByTime(1)
    expect(over).toEqual(['short', 'a', 'b'])
  })

  it.each([0, 1, 2])('do not come when they were cancelled, and the others do: number %i of three', (cancelled) => {
    const deadlines = ['a', 'b', 'c'].map((name) => begin(1001, name))
    deadlines[cancelled]!.cancel()
    deadlines[cancelled]!.cancel()
    begin(1001, 'd')
    vi.advanceTimersByTime(1001)
    expect(over).toEqual(['a', 'b', 'c', 'd'].filter((_, index) => index !== cancelled))
  })

  it('share one timer, which is gone some time after the last of them', () => {
    for (let time = 0; time < 10; time++) {
      begin(1002, 'cancelled').cancel()
      vi.advanceTimersByTime(10)
    }
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(1002)
    expect(vi.getTimerCount()).toBe(0)
    begin(1002, 'next')
    vi.advanceTimersByTime(1002)
    expect(over).toEqual(['next'])
  })

  it('may begin and cancel others when they come', () => {
    new Deadline(1003, () => {
      over.push('a')
      second.cancel()
      begin(1003, 'later')
    })
    const second = begin(1003, 'b')
    begin(1003, 'c')
    vi.advanceTimersByTime(1003)
    expect(over).toEqual(['a', 'c'])
    vi.advanceTimersByTime(1003)
    expect(over).toEqual(['a', 'c', 'later'])
  })

  it('come although their timer never did, as one of a clock that a test has put away', () => {
    begin(1004, 'lost')
    vi.clearAllTimers()
    vi.advanceTimersByTime(100_000)
    begin(1004, 'next')
    vi.advanceTimersByTime(1004)
    expect(over).toEqual(['lost', 'next'])
  })
})

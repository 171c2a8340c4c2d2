import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HandshakeHolds } from '../../src/session/handshake-holds.js'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

function started() {
  const ended: string[] = []
  return { ended, holds: new HandshakeHolds((sid) => void ended.push(sid)) }
}

describe('the subscription of a handshake', () => {
  it('ends when its socket has joined, once', () => {
    const { ended, holds } = started()
    const hold = holds.add('a')
    expect(ended).toEqual([])
    holds.release(hold)
    holds.release(hold)
    expect(ended).toEqual(['a'])
    vi.advanceTimersByTime(10_000)
    holds.close()
    expect(ended).toEqual(['a'])
  })

  it('of a handshake that came to nothing ends between two and four seconds later', () => {
    const { ended, holds } = started()
    holds.add('a')
    vi.advanceTimersByTime(1999)
    holds.add('b')
    vi.advanceTimersByTime(1)
    holds.add('c')
    expect(ended).toEqual([])
    vi.advanceTimersByTime(1999)
    expect(ended).toEqual([])
    vi.advanceTimersByTime(1)
    expect(ended).toEqual(['a', 'b'])
    vi.advanceTimersByTime(2000)
    expect(ended).toEqual(['a', 'b', 'c'])
  })

  it('that has ended so is not ended again by the socket that joins after all', () => {
    const { ended, holds } = started()
    const hold = holds.add('a')
    vi.advanceTimersByTime(4000)
    holds.release(hold)
    expect(ended).toEqual(['a'])
  })

  it('of two handshakes of a session end one by one', () => {
    const { ended, holds } = started()
    const [first, second] = [holds.add('a'), holds.add('a')]
    holds.release(second)
    expect(ended).toEqual(['a'])
    vi.advanceTimersByTime(4000)
    holds.release(first)
    expect(ended).toEqual(['a', 'a'])
  })

  it('has no timer when there is none, and ends with close()', () => {
    const { ended, holds } = started()
    expect(vi.getTimerCount()).toBe(0)
    holds.add('a')
    vi.advanceTimersByTime(2000)
    holds.add('b')
    expect(vi.getTimerCount()).toBe(1)
    holds.close()
    expect(ended.sort()).toEqual(['a', 'b'])
    expect(vi.getTimerCount()).toBe(0)
    holds.add('c')
    vi.advanceTimersByTime(6000)
    expect(ended).toContain('c')
    expect(vi.getTimerCount()).toBe(0)
  })
})

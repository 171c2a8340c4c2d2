import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { guess, mirror } from '../../src/client/index.js'
import { fakeSocket } from '../../src/client/testing/index.js'
import { turns } from '../support/live.js'
import { deferred, until } from '../support/wait.js'

// Node has locks of its own from 24 on, which need turns of the event loop.
beforeEach(() => void vi.stubGlobal('navigator', undefined))
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** Locks as a browser shares them among its tabs. */
function stubLocks() {
  let last: Promise<unknown> = Promise.resolve()
  vi.stubGlobal('navigator', {
    locks: {
      request(_name: string, work: () => unknown) {
        last = last.then(work, work)
        return last
      },
    },
  })
}

/** A tab whose server refuses it as long as the browser has no cookie. */
function tab(browser: { cookie: boolean }, renew: () => Promise<unknown>) {
  const { socket, server } = fakeSocket<{ a: number }>()
  server.publish({ a: 1 })
  let attempts = 0
  server.onconnect = () => {
    attempts++
    if (browser.cookie) server.connect()
    else server.refuse('RENEWAL_NEEDED')
  }
  const live = mirror<{ a: number }>(socket, { renew })
  return { socket, server, live, attempts: () => attempts }
}

describe('renew()', () => {
  it('is called when the browser has no stored session, and the socket then connects', async () => {
    const browser = { cookie: false }
    const { socket, live, attempts } = tab(browser, async () => {
      browser.cookie = true
    })
    const statuses: string[] = []
    live.statuses.listen((status) => statuses.push(status))
    socket.connect()
    expect(live.status).toBe('connecting')
    expect(await live.ready).toEqual({ a: 1 })
    expect(statuses).toEqual(['live'])
    expect(attempts()).toBe(2)
  })

  it('is awaited: the mirror is switching meanwhile, whatever a guess does', async () => {
    const browser = { cookie: true }
    const { promise, resolve } = deferred()
    const { socket, server, live } = tab(browser, async () => {
      await promise
      browser.cookie = true
    })
    socket.connect()
    server.end()
    browser.cookie = false
    socket.connect()
    expect(socket.active).toBe(false)
    await guess(live, () => undefined, Promise.resolve())
    expect(live.status).toBe('switching')
    server.publish({ a: 2 })
    resolve()
    expect(await live.until(({ a }) => a === 2)).toEqual({ a: 2 })
  })

  it('is called once for each try where it throws and there are locks', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    stubLocks()
    let calls = 0
    const { socket, live } = tab({ cookie: false }, () => {
      calls++
      throw new Error('of renew')
    })
    socket.connect()
    await turns()
    expect(calls).toBe(1)
    await vi.advanceTimersByTimeAsync(1000)
    expect(calls).toBe(2)
    live.close()
  })

  it('is called without a lock where the page is denied one', async () => {
    vi.stubGlobal('navigator', { locks: { request: () => Promise.reject(new DOMException('denied', 'SecurityError')) } })
    const browser = { cookie: false }
    let calls = 0
    const { socket, live } = tab(browser, async () => {
      calls++
      browser.cookie = true
    })
    socket.connect()
    expect(await live.ready).toEqual({ a: 1 })
    expect(calls).toBe(1)
  })

  it('is called by one tab at a time', async () => {
    stubLocks()
    const browser = { cookie: false }
    const calls: string[] = []
    const answers = [deferred(), deferred()]
    const tabs = answers.map(({ promise }, index) =>
      tab(browser, async () => {
        calls.push(`${index} begins with ${browser.cookie ? 'a' : 'no'} cookie`)
        await promise
        browser.cookie = true
        calls.push(`${index} ends`)
      }),
    )
    for (const { socket } of tabs) socket.connect()
    await turns()
    expect(calls).toEqual(['0 begins with no cookie'])
    for (const { resolve } of answers) resolve()
    for (const { live } of tabs) await live.ready
    await turns()
    expect(calls).toEqual(['0 begins with no cookie', '0 ends', '1 begins with a cookie', '1 ends'])
  })

  it.each([
    ['rejects, as offline', () => Promise.reject(new TypeError('Failed to fetch'))],
    ['gets an answer that is not ok', async () => ({ ok: false })],
    [
      'throws',
      () => {
        throw new Error('now')
      },
    ],
  ])('is tried again after a growing pause where it %s', async (_what, fail) => {
    vi.useFakeTimers()
    const browser = { cookie: false }
    const calls: number[] = []
    const started = Date.now()
    const { socket, live } = tab(browser, () => {
      calls.push((Date.now() - started) / 1000)
      if (calls.length < 7) return fail()
      browser.cookie = true
      return Promise.resolve({ ok: true })
    })
    socket.connect()
    while (calls.length < 7) await vi.advanceTimersToNextTimerAsync()
    while (live.status !== 'live') await vi.advanceTimersByTimeAsync(0)
    expect(calls).toEqual([0, 1, 3, 7, 15, 23, 31])
  })

  it('is given up where it helps three times nothing, as with cookies blocked', async () => {
    const renew = vi.fn(async () => undefined)
    const { socket, live } = tab({ cookie: false }, renew)
    socket.connect()
    await expect(live.ready).rejects.toMatchObject({ data: { code: 'RENEWAL_NEEDED' } })
    expect(renew).toHaveBeenCalledTimes(3)
    expect(live.status).toBe('ended')
  })

  it('is given up after three times where the server ends each session at once', async () => {
    const browser = { cookie: false }
    const renew = vi.fn(async () => {
      browser.cookie = true
    })
    const { socket, server, live } = tab(browser, renew)
    const { onconnect } = server
    server.onconnect = () => {
      onconnect()
      if (!socket.connected) return
      browser.cookie = false
      server.end()
      setImmediate(() => socket.connect())
    }
    socket.connect()
    await until(() => live.status === 'ended')
    expect(renew).toHaveBeenCalledTimes(3)
  })

  it('may be needed again later, with a fresh count where the connection has lasted some seconds', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const browser = { cookie: false }
    const renew = vi.fn(async () => {
      browser.cookie = true
    })
    const { socket, server, live } = tab(browser, renew)
    for (let time = 1; time <= 5; time++) {
      browser.cookie = false
      server.drop()
      socket.connect()
      await until(() => live.status === 'live')
      expect(renew).toHaveBeenCalledTimes(time)
      vi.setSystemTime(Date.now() + 6000)
    }
  })

  it('runs once at a time, and is not given up, where the application connects meanwhile', async () => {
    vi.useFakeTimers()
    const browser = { cookie: false }
    let isOnline = false
    const renew = vi.fn(async () => {
      if (!isOnline) throw new TypeError('Failed to fetch')
      browser.cookie = true
    })
    const { socket, live } = tab(browser, renew)
    socket.on('connect_error', () => setTimeout(() => socket.connect(), 1000))
    socket.connect()
    await vi.advanceTimersByTimeAsync(20_000)
    // At once, and after 1 s, 3 s, 7 s and 15 s.
    expect(renew).toHaveBeenCalledTimes(5)
    isOnline = true
    await vi.advanceTimersByTimeAsync(8000)
    expect(await live.ready).toEqual({ a: 1 })
    expect(renew).toHaveBeenCalledTimes(6)
  })

  it('connects no socket that the application is connecting', async () => {
    const answer = deferred()
    const { socket, server } = tab({ cookie: false }, () => answer.promise)
    socket.connect()
    server.onconnect = vi.fn()
    socket.connect()
    answer.resolve()
    await turns()
    expect(server.onconnect).toHaveBeenCalledTimes(1)
  })

  it('is not awaited for longer than ten seconds: the other tabs wait for it', async () => {
    vi.useFakeTimers()
    stubLocks()
    const browser = { cookie: false }
    const stuck = tab(browser, () => new Promise(() => {}))
    const other = tab(browser, async () => {
      browser.cookie = true
    })
    stuck.socket.connect()
    other.socket.connect()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await other.live.ready).toEqual({ a: 1 })
    stuck.live.close()
  })

  it('is awaited without the state of the session that has ended', async () => {
    const browser = { cookie: true }
    const answer = deferred()
    const { socket, server, live } = tab(browser, () => answer.promise)
    socket.connect()
    server.drop()
    expect([live.status, live.get()]).toEqual(['stale', { a: 1 }])
    browser.cookie = false
    socket.connect()
    expect([live.status, live.get()]).toEqual(['switching', undefined])
    browser.cookie = true
    server.publish({ a: 2 })
    answer.resolve()
    expect(await live.until(({ a }) => a === 2)).toEqual({ a: 2 })
  })

  it('leaves an embedded state in the page', async () => {
    const browser = { cookie: false }
    const answer = deferred()
    const { socket, server } = fakeSocket<{ a: number }>()
    server.onconnect = () => (browser.cookie ? server.connect() : server.refuse('RENEWAL_NEEDED'))
    const live = mirror<{ a: number }>(socket, { initial: { state: { a: 0 }, tag: 'tag' }, renew: () => answer.promise })
    socket.connect()
    expect([live.status, live.get()]).toEqual(['connecting', { a: 0 }])
    live.close()
  })

  it.each([
    ['while it is called', 1000, 2],
    ['while it waits for its next try', 500, 1],
  ])('is not called any more after close() %s, which connects the socket again', async (_when, at, calls) => {
    vi.useFakeTimers()
    const browser = { cookie: false }
    const answer = deferred()
    const renew = vi.fn(() => (renew.mock.calls.length > 1 ? answer.promise : Promise.reject(new Error('offline'))))
    const { socket, live, attempts } = tab(browser, renew)
    socket.connect()
    await vi.advanceTimersByTimeAsync(at)
    browser.cookie = true
    live.close()
    expect([socket.connected, attempts()]).toEqual([true, 2])
    // As an application does that has no use for either.
    socket.disconnect()
    answer.resolve()
    await vi.runAllTimersAsync()
    expect(renew).toHaveBeenCalledTimes(calls)
    expect([socket.active, attempts()]).toEqual([false, 2])
  })

  it('close() connects no socket that was refused, or is connecting', async () => {
    const blocked = tab({ cookie: false }, async () => undefined)
    blocked.socket.connect()
    await expect(blocked.live.ready).rejects.toMatchObject({ data: { code: 'RENEWAL_NEEDED' } })
    blocked.live.close()
    expect([blocked.socket.active, blocked.attempts()]).toEqual([false, 4])
    const answer = deferred()
    const renewed = tab({ cookie: false }, () => answer.promise)
    renewed.socket.connect()
    renewed.server.onconnect = vi.fn()
    answer.resolve()
    await until(() => renewed.socket.active)
    renewed.live.close()
    expect(renewed.server.onconnect).toHaveBeenCalledTimes(1)
  })

  it('is not called for other refusals, nor without the option', async () => {
    const renew = vi.fn(async () => undefined)
    const { server, live } = tab({ cookie: true }, renew)
    server.refuse('UNAUTHORIZED')
    await expect(live.ready).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } })
    expect(renew).not.toHaveBeenCalled()
    const { socket, server: other } = fakeSocket()
    const without = mirror(socket)
    other.refuse('RENEWAL_NEEDED')
    await expect(without.ready).rejects.toMatchObject({ data: { code: 'RENEWAL_NEEDED' } })
  })
})

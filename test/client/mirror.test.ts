import { afterEach, describe, expect, it, vi } from 'vitest'
import { guess, mirror } from '../../src/client/index.js'
import { fakeSocket } from '../../src/client/testing/index.js'
import { turns } from '../support/live.js'
import { lively, STATE, type State } from './support.js'

function collect<T>(store: { listen(listener: (value: T) => void): unknown }): T[] {
  const values: T[] = []
  store.listen((value) => values.push(value))
  return values
}

const outcome = (promise: Promise<unknown>) => promise.then(undefined, (error) => error.data?.code ?? error.code)

afterEach(() => {
  vi.restoreAllMocks()
})

describe('status', () => {
  it('goes from connecting to live, stale while disconnected, and live again', () => {
    const { socket, server } = fakeSocket<State>()
    server.publish(STATE)
    const live = mirror<State>(socket)
    const statuses = collect(live.statuses)
    expect(live.status).toBe('connecting')
    expect(live.get()).toBe(undefined)
    server.connect()
    expect(live.status).toBe('live')
    server.disconnect()
    expect([live.status, live.get()]).toEqual(['stale', STATE])
    server.connect()
    expect(statuses).toEqual(['live', 'stale', 'live'])
    expect(live.statuses.get()).toBe('live')
  })

  it('is switching after the end of the session, with no state of the one before, and live with the next', () => {
    const { server, live } = lively()
    const seen: unknown[] = []
    live.listen((state) => seen.push([live.status, state]))
    server.end('regenerated')
    expect([live.status, live.get()]).toEqual(['switching', undefined])
    server.publish({ items: [] })
    server.connect()
    expect(seen).toEqual([
      ['switching', undefined],
      ['live', { items: [] }],
    ])
    expect(server.questions.at(-1)?.held).toBe(0)
  })

  it('is ended when the server disconnects the socket after the end, and live when the page connects it again', () => {
    const { socket, server, live } = lively()
    server.end('destroyed', false)
    expect(live.status).toBe('ended')
    server.publish({ items: [] })
    socket.connect()
    expect([live.status, live.get()]).toEqual(['live', { items: [] }])
  })

  it('is stale when the server could not publish, until it can', () => {
    const { server, live } = lively()
    server.fail('PUBLISH_FAILED')
    expect([live.status, live.get()]).toEqual(['stale', STATE])
    server.publish({ items: ['milk'] })
    expect([live.status, live.get()]).toEqual(['live', { items: ['milk'] }])
  })

  it('stays connecting while a first connection fails, and is ended when the server refuses it', () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    socket.dispatch('connect_error', new Error('xhr poll error'))
    expect(live.status).toBe('connecting')
    server.refuse('UNAUTHORIZED')
    expect(live.status).toBe('ended')
  })

  it('is ended, and the state is gone, when the server refuses to let a socket back in', () => {
    const { server, live } = lively()
    guess(live, (state) => void state.items.push('milk'), new Promise(() => {}))
    server.disconnect()
    server.refuse('UNAUTHORIZED')
    expect([live.status, live.get()]).toEqual(['ended', undefined])
    server.publish({ items: ['other'] })
    server.connect()
    expect(server.questions.at(-1)?.held).toBe(0)
    expect([live.status, live.get()]).toEqual(['live', { items: ['other'] }])
  })

  it('is ended, and the embedded state is gone, when the server refuses the first connection', () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket, { initial: { state: STATE, tag: 'tag' } })
    server.refuse('UNAUTHORIZED')
    expect([live.status, live.get()]).toEqual(['ended', undefined])
  })

  it('is stale, with the state, where a connection fails on its way, or either side has disconnected the socket', () => {
    const { socket, server, live } = lively()
    server.disconnect()
    socket.dispatch('connect_error', new Error('xhr poll error'))
    expect([live.status, live.get()]).toEqual(['stale', STATE])
    server.connect()
    server.drop('io server disconnect', false)
    expect([live.status, live.get()]).toEqual(['stale', STATE])
    server.connect()
    socket.disconnect()
    expect([live.status, live.get()]).toEqual(['stale', STATE])
  })

  it('is connecting with an embedded state, which the first answer confirms', () => {
    const first = fakeSocket<State>()
    first.server.publish(STATE)
    mirror(first.socket)
    first.server.connect()
    const { t: tag } = first.server.sent[0] as { t: string }
    const { socket, server } = fakeSocket<State>()
    server.publish(STATE)
    const live = mirror<State>(socket, { initial: { state: structuredClone(STATE), tag } })
    const initial = live.get()
    expect([live.status, initial]).toEqual(['connecting', STATE])
    server.disconnect()
    expect(live.status).toBe('connecting')
    server.connect()
    expect(server.sent).toEqual([{ t: tag, n: expect.any(String) }])
    expect(live.status).toBe('live')
    expect(live.get()).toBe(initial)
    server.publish({ items: [] })
    expect(live.initial).toBe(initial)
  })
})

describe('ready', () => {
  it('resolves with the first state, and is the same promise ever after', async () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    server.connect()
    server.publish(STATE)
    server.publish({ items: [] })
    expect(await live.ready).toEqual(STATE)
    server.end()
    live.close()
    expect(await live.ready).toEqual(STATE)
  })

  it('resolves at once with an embedded state', async () => {
    const { socket } = fakeSocket<State>()
    expect(await mirror<State>(socket, { initial: { state: STATE, tag: 'tag' } }).ready).toEqual(STATE)
  })

  it.each([
    ['a refused handshake', 'UNAUTHORIZED', (server: any) => server.refuse('UNAUTHORIZED')],
    [
      'a server that publishes nothing',
      'NOT_PUBLISHED',
      (server: any) => {
        server.connect()
        server.fail('NOT_PUBLISHED')
      },
    ],
    ['close()', 'CLOSED', (_server: any, live: any) => live.close()],
  ])('rejects after %s, and is handled', async (_what, code, act) => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    act(server, live)
    // An unhandled rejection would fail the run.
    await turns()
    expect(await outcome(live.ready)).toBe(code)
  })

  it('waits while the server cannot publish', async () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    server.connect()
    server.fail('PUBLISH_FAILED')
    server.publish(STATE)
    expect(await live.ready).toEqual(STATE)
  })
})

describe('until()', () => {
  it('resolves now or later with the first state that fits', async () => {
    const { server, live } = lively()
    expect(await live.until((state) => state.items.length === 1)).toBe(live.get())
    const later = live.until((state) => state.items.length === 3)
    server.publish({ items: ['a', 'b'] })
    server.publish({ items: ['a', 'b', 'c'] })
    server.publish({ items: [] })
    expect(await later).toEqual({ items: ['a', 'b', 'c'] })
  })

  it('waits over the end of a session and a refused handshake', async () => {
    const { socket, server, live } = lively()
    const later = live.until((state) => state.user?.name === 'Bob')
    server.end('destroyed', false)
    server.refuse('UNAUTHORIZED')
    server.publish({ user: { name: 'Bob' }, items: [] })
    socket.connect()
    expect(await later).toEqual({ user: { name: 'Bob' }, items: [] })
  })

  it('rejects on close(), also where nobody handles it, and after it', async () => {
    const { live } = lively()
    const waiting = live.until((state) => state.items.length > 5)
    live.close()
    await turns()
    expect(await outcome(waiting)).toBe('CLOSED')
    expect(await outcome(live.until((state) => state.items.length > 5))).toBe('CLOSED')
  })

  it('rejects with what the function throws, now and later', async () => {
    const { server, live } = lively()
    const boom = Object.assign(new Error('boom'), { code: 'BOOM' })
    const throws = (state: State): boolean => {
      if (state.items.length !== 2) throw boom
      return false
    }
    expect(await outcome(live.until(throws))).toBe('BOOM')
    server.publish({ items: ['a', 'b'] })
    const later = live.until(throws)
    server.publish({ items: [] })
    expect(await outcome(later)).toBe('BOOM')
  })
})

describe('listeners', () => {
  it('hear later states, and with subscribe() the one of now', () => {
    const { server, live } = lively()
    const heard: unknown[] = []
    live.listen((state) => heard.push(['listen', state?.items]))
    const stop = live.subscribe((state) => heard.push(['subscribe', state?.items]))
    server.publish({ items: [] })
    stop()
    server.publish({ items: ['x'] })
    expect(heard).toEqual([
      ['subscribe', ['tea']],
      ['listen', []],
      ['subscribe', []],
      ['listen', ['x']],
    ])
  })

  it('may be added and removed while others are told', () => {
    const { server, live } = lively()
    const heard: string[] = []
    const stopFirst = live.listen(() => {
      heard.push('first')
      stopFirst()
      stopThird()
      live.listen(() => heard.push('late'))
    })
    live.listen(() => heard.push('second'))
    const stopThird = live.listen(() => heard.push('third'))
    server.publish({ items: [] })
    expect(heard).toEqual(['first', 'second'])
    server.publish({ items: ['x'] })
    expect(heard).toEqual(['first', 'second', 'second', 'late'])
  })

  it('may be one function twice', () => {
    const { server, live } = lively()
    let times = 0
    const listener = () => times++
    const stop = live.listen(listener)
    live.listen(listener)
    stop()
    stop()
    server.publish({ items: [] })
    expect(times).toBe(1)
  })

  it('that throw do not stop the others, nor the mirror', () => {
    const errors = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { server, live } = lively()
    live.listen(() => {
      throw new Error('of a listener')
    })
    const heard = collect(live)
    const statuses = collect(live.statuses)
    server.publish({ items: [] })
    server.disconnect()
    expect(heard).toEqual([{ items: [] }])
    expect(statuses).toEqual(['stale'])
    expect(server.questions).toHaveLength(1)
    expect(errors).toHaveBeenCalledWith(expect.objectContaining({ message: 'of a listener' }))
  })

  it('see all that one commit changed at once', () => {
    const { server, live } = lively()
    const names = live.select((state) => state.user?.name)
    const seen: unknown[] = []
    live.select((state) => state.items.length).listen((count) => seen.push([count, names.get(), live.get()?.items.length]))
    server.publish({ user: { name: 'Bob' }, items: [] })
    expect(seen).toEqual([[0, 'Bob', 0]])
  })
})

describe('select()', () => {
  it('is a store that notifies only when its part changes', () => {
    const { server, live } = lively()
    const counts = live.select((state) => state.items.length)
    const later = collect(counts)
    const all: unknown[] = []
    counts.subscribe((count) => all.push(count))
    server.publish({ ...STATE, user: { name: 'Bob' } })
    server.publish({ items: ['a', 'b'] })
    server.end()
    expect(later).toEqual([2, undefined])
    expect(all).toEqual([1, 2, undefined])
    expect(counts.get()).toBe(undefined)
  })

  it('of NaN does not notify as long as it is NaN', () => {
    const { server, live } = lively()
    const heard = collect(live.select(({ items }) => Number(items[0])))
    server.publish({ ...STATE, user: { name: 'Bob' } })
    server.disconnect()
    server.publish({ items: ['1'] })
    server.connect()
    server.publish({ items: ['x'] })
    expect(heard).toEqual([1, Number.NaN])
  })

  it('computes once for each state, and keeps what is equal', () => {
    const { server, live } = lively()
    const select = vi.fn((state: State) => state.items.map((item) => item.length))
    const lengths = live.select(select, (a, b) => a.join() === b.join())
    const before = lengths.get()
    expect(lengths.get()).toBe(before)
    expect(select).toHaveBeenCalledTimes(1)
    const heard = collect(lengths)
    server.publish({ items: ['abc'] })
    expect(lengths.get()).toBe(before)
    expect(heard).toEqual([])
    server.publish({ items: ['abcd'] })
    expect(heard).toEqual([[4]])
  })

  it('is not called without a state', () => {
    const { socket } = fakeSocket<State>()
    const select = vi.fn()
    expect(mirror<State>(socket).select(select).get()).toBe(undefined)
    expect(select).not.toHaveBeenCalled()
  })

  it('does not call equal() without two selections', () => {
    const { server, live } = lively()
    const equal = vi.fn((a: string[], b: string[]) => a.length === b.length)
    const items = live.select((state) => state.items, equal)
    collect(items)
    server.end()
    server.publish({ items: [] })
    server.connect()
    expect(items.get()).toEqual([])
    expect(equal).not.toHaveBeenCalled()
  })
})

describe('a state', () => {
  it('is frozen in development, and the embedded one of the page is not', () => {
    const { server, live } = lively()
    expect(() => live.get()!.items.push('x')).toThrow(TypeError)
    server.publish({ items: ['a'] })
    expect(Object.isFrozen(live.get()!.items)).toBe(true)
    const state = structuredClone(STATE)
    const { socket } = fakeSocket<State>()
    const initial = { state, tag: 'tag' }
    mirror<State>(socket, { initial })
    expect(mirror<State>(socket, { initial }).get()).toEqual(STATE)
    state.items.push('mine')
  })

  it('is not frozen in production', () => {
    vi.stubEnv('NODE_ENV', 'production')
    const { live } = lively()
    vi.unstubAllEnvs()
    expect(Object.isFrozen(live.get())).toBe(false)
  })
})

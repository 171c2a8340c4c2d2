import { afterEach, describe, expect, it, vi } from 'vitest'
import { guess, mirror } from '../../src/client/index.js'
import { fakeSocket } from '../../src/client/testing/index.js'
import { turns } from '../support/live.js'
import { deferred, until } from '../support/wait.js'

interface State {
  items: string[]
  user: { name: string }
}

const STATE: State = { items: ['tea'], user: { name: 'Ada' } }

function lively() {
  const { socket, server } = fakeSocket<State>()
  server.publish(STATE)
  const live = mirror<State>(socket)
  server.connect()
  const seen: unknown[] = []
  live.listen((state) => seen.push(state?.items.join()))
  const publish = (...items: string[]) => server.publish({ ...STATE, items })
  return { server, live, seen, publish }
}

const add = (item: string) => (state: State) => void state.items.push(item)
/** Changes nothing where the state has the write already. */
const addOnce = (item: string) => (state: State) => void (state.items.includes(item) || state.items.push(item))

afterEach(() => {
  vi.restoreAllMocks()
})

describe('guess()', () => {
  it('shows the recipe at once, and nothing twice when the state comes before the ack', async () => {
    const { live, seen, publish } = lively()
    const ack = deferred<string>()
    const result = guess(live, addOnce('milk'), ack.promise)
    expect(result).toBe(ack.promise)
    publish('tea', 'milk')
    ack.resolve('saved')
    expect(await result).toBe('saved')
    await turns()
    expect(live.get()!.items).toEqual(['tea', 'milk'])
    expect(seen).toEqual(['tea,milk'])
  })

  it('goes back when the write fails', async () => {
    const { live, seen } = lively()
    const before = live.get()!
    const ack = deferred()
    const result = guess(live, add('milk'), ack.promise)
    ack.reject(new Error('refused'))
    await expect(result).rejects.toThrow('refused')
    expect(seen).toEqual(['tea,milk', 'tea'])
    expect(live.get()).toEqual(before)
    expect(live.get()!.user).toBe(before.user)
  })

  it('takes a state that the recipe returns', () => {
    const { live } = lively()
    guess(live, (state) => ({ ...state, items: [] }), new Promise(() => {}))
    expect(live.get()).toEqual({ ...STATE, items: [] })
  })

  it('lays several recipes over each other, and over states that arrive between', async () => {
    const { live, publish } = lively()
    const [one, two] = [deferred(), deferred()]
    guess(live, add('one'), one.promise)
    guess(live, add('two'), two.promise)
    expect(live.get()!.items).toEqual(['tea', 'one', 'two'])
    publish('tea', 'other')
    await until(() => live.get()!.items.join() === 'tea,other,one,two')
    publish('tea', 'other', 'one')
    one.resolve()
    await until(() => live.get()!.items.join() === 'tea,other,one,two')
    two.resolve()
    await until(() => live.get()!.items.join() === 'tea,other,one')
  })

  it('shows nothing twice where the states of two writes come one by one', async () => {
    const { live, seen, publish } = lively()
    const [milk, salt] = [deferred(), deferred()]
    guess(live, addOnce('milk'), milk.promise)
    guess(live, addOnce('salt'), salt.promise)
    const shown = live.get()
    publish('tea', 'milk')
    milk.resolve()
    await turns()
    expect(live.get()).toBe(shown)
    publish('tea', 'milk', 'salt')
    salt.resolve()
    await turns()
    expect(live.get()).toBe(shown)
    expect(seen).toEqual(['tea,milk', 'tea,milk,salt'])
  })

  it('shows nothing twice where the state of the later write comes first', async () => {
    const { live, publish } = lively()
    const [bob, milk] = [deferred(), deferred()]
    const rename = ({ user }: State) => void Object.assign(user, { name: 'Bob' })
    guess(live, rename, bob.promise)
    const seen: unknown[] = []
    live.listen((state) => seen.push(state))
    guess(live, addOnce('milk'), milk.promise)
    const shown = live.get()
    publish('tea', 'milk')
    milk.resolve()
    await turns()
    expect(seen).toEqual([{ user: { name: 'Bob' }, items: ['tea', 'milk'] }])
    expect(live.get()).toBe(shown)
  })

  it('keeps the identity of what it shows where the server changes something else', async () => {
    const { server, live } = lively()
    guess(live, add('milk'), new Promise(() => {}))
    const { items } = live.get()!
    server.publish({ ...STATE, user: { name: 'Bob' } })
    await until(() => live.get()!.user.name === 'Bob')
    expect(live.get()!.items).toBe(items)
  })

  it('keeps what the recipe does not touch, and freezes what it makes', () => {
    const { live } = lively()
    const { user } = live.get()!
    const item = { name: 'mine' }
    guess(live, (state) => void (state.items as unknown[]).push(item), new Promise(() => {}))
    expect(live.get()!.user).toBe(user)
    expect(Object.isFrozen(live.get()!.items)).toBe(true)
    item.name = 'still mine'
  })

  it('does not change identity while only the status does', () => {
    const { server, live, seen } = lively()
    guess(live, add('milk'), new Promise(() => {}))
    const before = live.get()
    server.disconnect()
    server.connect()
    expect(live.get()).toBe(before)
    expect(seen).toEqual(['tea,milk'])
  })

  it('is gone when the session ends', async () => {
    const { server, live } = lively()
    guess(live, add('milk'), new Promise(() => {}))
    server.end()
    expect(live.get()).toBe(undefined)
    server.publish(STATE)
    server.connect()
    await turns()
    expect(live.get()).toEqual(STATE)
  })

  it('is gone when the socket comes back to another session', () => {
    const { server, live } = lively()
    guess(live, add('milk'), new Promise(() => {}))
    server.disconnect()
    server.session = 'another'
    server.publish({ ...STATE, items: ['x'] })
    server.connect()
    expect(live.get()!.items).toEqual(['x'])
  })

  it('is laid over an embedded state, and over the first one of the server', () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket, { initial: { state: STATE, tag: 'tag' } })
    guess(live, add('milk'), new Promise(() => {}))
    expect(live.get()!.items).toEqual(['tea', 'milk'])
    server.publish({ ...STATE, items: ['rice'] })
    server.connect()
    expect(live.get()!.items).toEqual(['rice', 'milk'])
  })

  it('leaves each state of the server in the page at once: the ack of another event may come next', () => {
    const { live, publish } = lively()
    guess(live, add('milk'), new Promise(() => {}))
    publish('tea', 'rice')
    expect(live.get()!.items).toEqual(['tea', 'rice', 'milk'])
  })

  it.each([
    ['number', 'push()', ({ items }: State) => items.push('milk'), ['tea', 'milk']],
    ['array', 'splice()', ({ items }: State) => items.splice(0, 1), []],
  ])('takes no %s that a recipe returns, as %s does in JavaScript', (_what, _of, recipe, items) => {
    const { live } = lively()
    guess(live, recipe as any, new Promise(() => {}))
    expect(live.get()).toEqual({ ...STATE, items })
  })

  it('waits for a first state', () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    guess(live, add('milk'), new Promise(() => {}))
    expect(live.get()).toBe(undefined)
    server.connect()
    server.publish(STATE)
    expect(live.get()!.items).toEqual(['tea', 'milk'])
  })

  it('leaves out a recipe that throws, and says so', () => {
    const errors = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { live, seen } = lively()
    guess(
      live,
      () => {
        throw new Error('of a recipe')
      },
      new Promise(() => {}),
    )
    expect(live.get()).toEqual(STATE)
    expect(seen).toEqual([])
    expect(errors).toHaveBeenCalledTimes(1)
  })
})

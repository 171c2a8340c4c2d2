import { describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { fakeSocket } from '../../src/client/testing/index.js'

interface State {
  user?: { name: string }
  items: string[]
}

const STATE: State = { user: { name: 'Ada' }, items: ['tea'] }

describe('socket.auth', () => {
  const question = { 'session:mirror': [0, 0] }

  it.each([
    ['undefined', undefined, {}],
    ['an object', { token: 1 }, { token: 1 }],
    ['a function', (send: (data: object) => void) => send({ token: 2 }), { token: 2 }],
  ])('%s is sent as it is, with the question', (_what, auth, sent) => {
    const { socket, server } = fakeSocket<State>()
    socket.auth = auth
    mirror(socket)
    expect(socket.auth).toBe(auth)
    server.connect()
    expect(server.auth).toEqual({ ...sent, ...question })
  })

  it('may be changed or replaced by the application', () => {
    const { socket, server } = fakeSocket<State>()
    socket.auth = { token: 1 }
    mirror(socket)
    ;(socket.auth as { token: number }).token = 2
    server.connect()
    expect(server.auth).toEqual({ token: 2, ...question })
    server.disconnect()
    socket.auth = { other: 3 }
    server.connect()
    expect(server.auth).toEqual({ other: 3, ...question })
  })

  it.each([
    [1, true, true],
    [0, true, false],
    [0, false, true],
  ])(
    'says %i to renewals where of two mirrors the first has %s and the second %s: none takes a renewal for a refusal',
    (says, ...can) => {
      const { socket, server } = fakeSocket<State>()
      for (const each of can) mirror<State>(socket, { renew: each ? async () => undefined : undefined })
      server.connect()
      expect(server.auth).toEqual({ 'session:mirror': [0, says] })
    },
  )

  it('says whether the page can renew', () => {
    const { socket, server } = fakeSocket<State>()
    mirror(socket, { renew: async () => undefined })
    server.connect()
    expect(server.auth).toEqual({ 'session:mirror': [0, 1] })
  })
})

describe('close()', () => {
  it('takes everything off the socket, which stays connected', () => {
    const { socket, server } = fakeSocket<State>()
    server.publish(STATE)
    const { packet } = socket
    const live = mirror<State>(socket)
    server.connect()
    live.close()
    expect(socket.connected).toBe(true)
    expect(socket.packet).toBe(packet)
    for (const event of ['session:mirror', 'connect', 'disconnect', 'connect_error']) expect(socket.listeners(event)).toEqual([])
    server.disconnect()
    server.connect()
    expect(server.auth).toEqual({})
    expect([live.status, live.get()]).toEqual(['stale', STATE])
  })

  it('of one of two mirrors leaves the other one its questions', () => {
    const { socket, server } = fakeSocket<State>()
    server.publish(STATE)
    const [first, second] = [mirror<State>(socket), mirror<State>(socket)]
    server.connect()
    expect([first.get(), second.get()]).toEqual([STATE, STATE])
    first.close()
    server.disconnect()
    server.publish({ items: [] })
    server.connect()
    expect([first.get(), second.get()]).toEqual([STATE, { items: [] }])
    second.close()
    server.disconnect()
    server.connect()
    expect(server.auth).toEqual({})
  })

  it.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 2, 0]], [[1, 0, 2]]])(
    'of several mirrors in the order %j leaves nothing on the socket',
    (order) => {
      const { socket } = fakeSocket<State>()
      const { packet } = socket
      const mirrors = order.map(() => mirror<State>(socket))
      for (const index of order) {
        expect(socket.packet).not.toBe(packet)
        mirrors[index]!.close()
        mirrors[index]!.close()
      }
      expect(socket.packet).toBe(packet)
    },
  )

  it.each([true, false])('in a listener leaves a mirror closed that hears of the same event later, with a state: %s', (has) => {
    const { socket, server } = fakeSocket<State>()
    server.publish(STATE)
    const [first, second] = [mirror<State>(socket), mirror<State>(socket)]
    if (has) server.connect()
    first.listen(() => second.close())
    if (has) server.publish({ items: [] })
    else server.connect()
    expect([second.status, second.get()]).toEqual(has ? ['stale', STATE] : ['ended', undefined])
  })

  it('where the socket is refused keeps the state, and starts no renewal', () => {
    const { socket, server } = fakeSocket<State>()
    server.publish(STATE)
    socket.on('connect_error', () => live.close())
    let renewals = 0
    const live = mirror<State>(socket, { renew: async () => renewals++ })
    server.connect()
    server.drop()
    server.refuse('RENEWAL_NEEDED')
    expect([live.status, live.get(), renewals]).toEqual(['stale', STATE, 0])
  })

  it('leaves nothing of a mirror on the socket where the next one is made before', () => {
    const { socket, server } = fakeSocket<State>()
    const { packet } = socket
    let live = mirror<State>(socket)
    // More than there may be calls in each other.
    for (let page = 0; page < 20_000; page++) {
      const last = live
      live = mirror<State>(socket)
      last.close()
    }
    server.connect()
    expect(server.questions).toEqual([{ held: 0, canRenew: 0 }])
    live.close()
    expect(socket.packet).toBe(packet)
  })

  it('leaves what others have put over it', () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    const { packet } = socket
    const sent: unknown[] = []
    socket.packet = (each) => {
      sent.push(each)
      packet.call(socket, each)
    }
    const { packet: over } = socket
    live.close()
    expect(socket.packet).toBe(over)
    server.connect()
    expect(sent).toEqual([{ type: 0 }])
    expect(server.auth).toEqual({})
  })

  it('ends without a state, may be called twice, and stops the notifications', () => {
    const { socket, server } = fakeSocket<State>()
    const live = mirror<State>(socket)
    live.close()
    live.close()
    expect(live.status).toBe('ended')
    const heard: unknown[] = []
    live.listen((state) => heard.push(state))
    server.publish(STATE)
    server.connect()
    expect(heard).toEqual([])
  })
})

it('a mirror that is made while its socket connects asks as soon as it is connected', () => {
  const { socket, server } = fakeSocket<State>()
  server.publish(STATE)
  let live: ReturnType<typeof mirror<State>> | undefined
  socket.auth = (send: (data: object) => void) => {
    send({})
    live = mirror<State>(socket)
  }
  server.connect()
  expect(server.auth).toEqual({})
  expect(live?.get()).toEqual(STATE)
  expect(server.questions).toEqual([{ held: 0 }])
})

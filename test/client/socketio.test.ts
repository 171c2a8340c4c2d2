import { afterEach, describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { CLIENTS, FrameServer, stopServers, untilTheEnd } from './support.js'

afterEach(stopServers)

const STATE = { t: 'tag000000001', s: { items: ['tea'] }, n: 'session00001' }
type State = { items: string[] }

describe.each(CLIENTS)('%s', (_name, connect) => {
  const open = (url: string, options = {}) => untilTheEnd(connect(url, { forceNew: true, ...options }))

  async function begin(options = {}) {
    const server = await FrameServer.start()
    server.state = STATE
    const socket = open(server.url, options)
    const live = mirror<State>(socket)
    await live.ready
    return { server, socket, live }
  }

  it('has its first state before the application has its first event', async () => {
    const server = await FrameServer.start()
    server.state = STATE
    const socket = open(server.url)
    const live = mirror<State>(socket)
    const status = new Promise((resolve) => socket.on('connect', () => resolve([live.status, live.get()])))
    expect(await live.ready).toEqual(STATE.s)
    expect(server.connections[0]!.question).toEqual([0, 0])
    expect(server.questions).toEqual([])
    await status
  })

  it.each([
    ['an object', { token: 1 }],
    ['a function', (send: (data: object) => void) => void setTimeout(send, 1, { token: 1 })],
  ])('sends an `auth` that is %s with the question', async (_what, auth) => {
    const { server } = await begin({ auth })
    expect(server.socket.handshake.auth).toEqual({ token: 1, 'session:mirror': [0, 0] })
  })

  it('asks on a socket that is connected already', async () => {
    const server = await FrameServer.start()
    server.state = STATE
    const socket = open(server.url)
    await next(socket, 'connect')
    const live = mirror<State>(socket)
    expect(await live.ready).toEqual(STATE.s)
    expect(server.questions).toEqual([0])
    expect(socket.auth).toBe(undefined)
  })

  it('holds back nothing behind its question where events are sent until they are acknowledged', async () => {
    const server = await FrameServer.start()
    const socket = open(server.url, { retries: 2, ackTimeout: 20_000 })
    await next(socket, 'connect')
    mirror<State>(socket)
    const heard = next(server.socket, 'mine')
    socket.emit('mine', 1)
    expect(await heard).toBe(1)
  })

  it('asks once when a change is lost, and heals', async () => {
    const { server, live } = await begin()
    server.state = { ...STATE, t: 'tag000000003', s: { items: ['a', 'b'] } }
    server.send({ t: 'tag000000003', f: 'tag000000002', p: [] })
    server.send({ t: 'tag000000004', f: 'tag000000003', p: [[['items', 0], 'c']] })
    await live.until(({ items }) => items.length === 2)
    expect(server.questions).toEqual(['tag000000001'])
  })

  it('keeps its state without a resend when it comes back', async () => {
    const { server, socket, live } = await begin()
    const before = live.get()
    const statuses: string[] = []
    live.statuses.listen((status) => statuses.push(status))
    server.socket.conn.close()
    await next(socket, 'disconnect')
    expect([live.status, live.get()]).toEqual(['stale', before])
    await until(() => live.status === 'live')
    expect(statuses).toEqual(['stale', 'live'])
    expect(live.get()).toBe(before)
    expect(server.connections[1]!.question).toEqual(['tag000000001', 0])
  })

  it('comes back at once after the end of the session, and then has the delay of before', async () => {
    // Longer than the test may take.
    const { server, socket, live } = await begin({
      reconnectionDelay: 600_000,
      reconnectionDelayMax: 600_000,
      randomizationFactor: 0,
    })
    server.state = { t: 'tag000000002', s: { items: [] }, n: 'session00002' }
    server.send({ end: 'regenerated' })
    server.socket.conn.close()
    await live.until(({ items }) => items.length === 0)
    expect(socket.io.reconnectionDelay()).toBe(600_000)
  })

  it('tries once at once, and not without a pause, where the server is down after the end', async () => {
    const { server, socket, live } = await begin({
      reconnectionDelay: 600_000,
      reconnectionDelayMax: 600_000,
      randomizationFactor: 0,
    })
    let attempts = 0
    socket.io.on('reconnect_attempt', () => attempts++)
    server.send({ end: 'destroyed' })
    await until(() => live.status === 'switching')
    const failed = next(socket.io, 'reconnect_error')
    await server.stop()
    await failed
    await turns(500)
    expect(attempts).toBe(1)
    expect(socket.io.reconnectionDelay()).toBe(600_000)
    await server.listen()
  })

  it('has ended when the server disconnects the socket after the end', async () => {
    const { server, live } = await begin()
    server.send({ end: 'destroyed' })
    server.socket.disconnect()
    await until(() => live.status === 'ended')
    expect(live.get()).toBe(undefined)
  })

  it('shares a manager with another namespace', async () => {
    const server = await FrameServer.start({ namespaces: ['/', '/chat'] })
    server.state = STATE
    const options = { reconnectionDelay: 600_000, reconnectionDelayMax: 600_000, randomizationFactor: 0 }
    const one = open(server.url, options)
    const other = untilTheEnd(one.io.socket('/chat', {}))
    if (!other.active) other.connect()
    const lives = [mirror<State>(one), mirror<State>(other)]
    for (const live of lives) await live.ready
    server.state = { t: 'tag000000002', s: { items: [] }, n: 'session00002' }
    for (const { socket } of server.connections) server.send({ end: 'destroyed' }, socket)
    server.socket.conn.close()
    for (const live of lives) await live.until(({ items }) => items.length === 0)
    expect(one.io.reconnectionDelay()).toBe(600_000)
    expect(server.connections.map(({ question }) => question)).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ])
  })

  it('rejects ready when a middleware refuses the handshake', async () => {
    const server = await FrameServer.start()
    server.refuses = () => 'UNAUTHORIZED'
    const live = mirror<State>(open(server.url))
    await expect(live.ready).rejects.toMatchObject({ message: 'UNAUTHORIZED', data: { code: 'UNAUTHORIZED' } })
    expect(live.status).toBe('ended')
  })

  it('renews on a connection of its own, as the server reads the cookie that a connection began with', async () => {
    const server = await FrameServer.start({ namespaces: ['/', '/chat'] })
    server.state = STATE
    let cookie = ''
    server.refuses = (socket) =>
      socket.handshake.auth['session:mirror'] && !socket.request.headers.cookie ? 'RENEWAL_NEEDED' : undefined
    const one = open(server.url, {
      extraHeaders: {
        get cookie() {
          return cookie
        },
      },
    })
    // Keeps the manager's connection.
    const other = untilTheEnd(one.io.socket('/chat', {}))
    if (!other.active) other.connect()
    const live = mirror<State>(one, {
      renew: async () => {
        if (!other.connected) await next(other, 'connect')
        cookie = 'connect.sid=1'
      },
    })
    expect(await live.ready).toEqual(STATE.s)
  })
})

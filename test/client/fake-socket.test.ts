import { afterEach, describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { FakeServerSide, fakeSocket } from '../../src/client/testing/index.js'
import { next, until } from '../support/wait.js'
import { CLIENTS, FrameServer, stopServers, untilTheEnd } from './support.js'

afterEach(stopServers)

/** A socket that is not connected yet, and a server that answers the event `last` alone. */
interface Pair {
  socket: any
  /** What the server was sent, without acks. */
  received: unknown[][]
  connect(): Promise<void>
  drop(): Promise<void>
}

const answer = (received: unknown[][], args: unknown[]): void => {
  received.push(args.filter((each) => typeof each !== 'function'))
  const ack = args.at(-1)
  if (args[0] === 'last' && typeof ack === 'function') ack('answer')
}

const PAIRS: Record<string, () => Promise<Pair>> = {
  async 'the fake socket'() {
    const server = new FakeServerSide()
    const received: unknown[][] = []
    for (const event of ['one', 'two', 'last']) server.on(event, (...args) => answer(received, [event, ...args]))
    return { socket: server.socket, received, connect: async () => server.accept(), drop: async () => server.drop() }
  },
  async 'socket.io-client 4.8'() {
    const server = await FrameServer.start()
    const received: unknown[][] = []
    server.refuses = (socket) => {
      socket.onAny((...args) => answer(received, args))
      return undefined
    }
    const socket = untilTheEnd(CLIENTS[0][1](server.url, { forceNew: true, autoConnect: false, reconnection: false }))
    return {
      socket,
      received,
      async connect() {
        const connected = next(socket, 'connect')
        socket.disconnect().connect()
        await connected
      },
      async drop() {
        const gone = next(socket, 'disconnect')
        server.socket.conn.close()
        await gone
      },
    }
  },
}

describe.each(Object.entries(PAIRS))('%s', (_name, start) => {
  it('keeps what it emits until it connects, except what is volatile', async () => {
    const { socket, received, connect } = await start()
    socket.emit('one', 1)
    socket.volatile.emit('two', 2)
    socket.emit('two', 3)
    expect(received).toEqual([])
    await connect()
    expect(await socket.emitWithAck('last')).toBe('answer')
    expect(received).toEqual([['one', 1], ['two', 3], ['last']])
  })

  it('sends none of what the application has dropped from `sendBuffer`, and all that is kept when it connects', async () => {
    const { socket, received, connect } = await start()
    socket.emit('one', 1)
    socket.sendBuffer = []
    socket.emit('two', 2)
    socket.on('connect', () => {
      socket.sendBuffer = []
    })
    await connect()
    await socket.emitWithAck('last')
    expect(received).toEqual([['two', 2], ['last']])
  })

  it('rejects emitWithAck() when it disconnects, and calls no other ack', async () => {
    const { socket, connect, drop } = await start()
    await connect()
    const waiting = expect(socket.emitWithAck('one')).rejects.toThrow('socket has been disconnected')
    const limited = expect(socket.timeout(600_000).emitWithAck('one')).rejects.toThrow('socket has been disconnected')
    let called = 0
    socket.emit('one', () => called++)
    await drop()
    await waiting
    await limited
    expect(called).toBe(0)
  })

  it('answers what was emitted while it was disconnected when it is back', async () => {
    const { socket, connect, drop } = await start()
    await connect()
    await drop()
    const waiting = socket.emitWithAck('last')
    await connect()
    expect(await waiting).toBe('answer')
  })

  it('rejects after timeout(), and drops what it has not sent', async () => {
    const { socket, received, connect } = await start()
    await expect(socket.timeout(1).emitWithAck('one')).rejects.toThrow('operation has timed out')
    await connect()
    await expect(socket.timeout(1).emitWithAck('two')).rejects.toThrow('operation has timed out')
    const args = await new Promise((resolve) => socket.timeout(600_000).emit('last', (...all: unknown[]) => resolve(all)))
    expect(args).toEqual([null, 'answer'])
    expect(await socket.emitWithAck('last')).toBe('answer')
    await until(() => received.length >= 3)
    expect(received).toEqual([['two'], ['last'], ['last']])
  })
})

describe('the fake server', () => {
  it('makes a mirror live again that publishes the same state after a failure', () => {
    const { socket, server } = fakeSocket<object>()
    const live = mirror(socket)
    server.publish({ a: 1 })
    server.connect()
    server.fail('PUBLISH_FAILED')
    server.publish({ a: 1 })
    expect(live.status).toBe('live')
    const { t } = server.sent[0] as { t: string }
    expect(server.sent.at(-1)).toEqual({ t, n: server.session })
    server.publish({ a: 1 })
    expect(server.sent).toHaveLength(3)
  })

  it('answers with the failure until it publishes', () => {
    const { socket, server } = fakeSocket<object>()
    const live = mirror(socket)
    server.publish({ a: 1 })
    server.connect()
    server.disconnect()
    server.fail('TOO_LARGE_TO_PUBLISH')
    expect(server.sent).toHaveLength(1)
    server.connect()
    expect(server.sent.at(-1)).toEqual({ e: 'TOO_LARGE_TO_PUBLISH' })
    expect(live.status).toBe('stale')
    server.publish({ a: 1 })
    expect(live.status).toBe('live')
    expect(server.sent.at(-1)).toEqual({ t: expect.any(String), n: server.session })
  })

  it('sends keys in order, as the real one does', () => {
    const { socket, server } = fakeSocket<object>()
    mirror(socket)
    server.publish({ b: { d: 1, c: 2 }, a: 1 })
    server.connect()
    expect(JSON.stringify((server.sent[0] as { s: object }).s)).toBe('{"a":1,"b":{"c":2,"d":1}}')
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { hookPackets, unhookPackets } from '../../src/socket/packet-hooks.js'
import { closeApps, startApp } from '../support/app.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

describe('a client cannot forge session events', () => {
  for (const name of ['session:changed', 'session:destroyed', 'session:error']) {
    it(`${name} reaches no listener: on, once, onAny, socket.use`, async () => {
      const app = await startApp()
      const client = await app.browser().connect()
      const [socket] = app.sockets as any[]
      const heard: string[] = []
      socket.on(name, () => heard.push('on'))
      socket.once(name, () => heard.push('once'))
      socket.onAny((event: string) => heard.push(`onAny ${event}`))
      socket.prependAny((event: string) => heard.push(`prependAny ${event}`))
      socket.use(([event]: [string], done: () => void) => {
        heard.push(`use ${event}`)
        done()
      })
      client.emit(name, { keys: ['user'], session: { user: 'mallory' } })
      client.emit(name, 'with an ack', () => heard.push('ack'))
      await client.emitWithAck('get')
      expect(heard).toEqual(['prependAny get', 'onAny get', 'use get'])
    })
  }

  it('but can send other names that begin with session:', async () => {
    const app = await startApp()
    const client = await app.browser().connect()
    const arrived = next(app.sockets[0]!, 'session:mine')
    client.emit('session:mine', 1)
    expect(await arrived).toBe(1)
  })

  it('on a socket without onevent() and ack(), whose acks are held by a packet middleware', () => {
    // A future socket.io may have neither; packet middlewares are its public API.
    const middlewares: any[] = []
    const replica = { document: {}, stored: false, pendingSaveOf: () => undefined }
    const socket = { use: (middleware: any) => middlewares.push(middleware) }
    const enqueued: unknown[] = []
    const acks = { enqueue: (...args: unknown[]) => enqueued.push(args) }
    const member = { socket, replica, acks, options: { holdAcks: true }, ended: false } as any
    hookPackets(member)
    const passed: string[] = []
    for (const name of ['session:changed', 'get']) middlewares[0]([name], () => passed.push(name))
    const event: any[] = ['get', () => undefined]
    middlewares[0](event, () => event[1]('answer'))
    expect(enqueued).toMatchObject([[undefined, expect.any(Function), ['answer']]])
    unhookPackets(member)
    for (const name of ['session:changed', 'get']) middlewares[0]([name], () => passed.push(`${name} after close`))
    expect(passed).toEqual(['get', 'get after close'])
  })

  it('by an array as the name, which some parsers let through', async () => {
    const heard: unknown[] = []
    const app = await startApp({ connection: (socket) => void socket.on('session:changed', (change) => heard.push(change)) })
    const client = await app.browser().connect()
    ;(app.sockets[0] as any).onevent({ type: 2, nsp: '/', data: [['session:changed'], { forged: true }] })
    await client.emitWithAck('get')
    expect(heard).toEqual([])
  })

  it('after close()', async () => {
    const heard: unknown[] = []
    const app = await startApp({ connection: (socket) => void socket.on('session:changed', (change) => heard.push(change)) })
    const client = await app.browser().connect()
    await app.shared.close()
    client.emit('session:changed', undefined)
    await client.emitWithAck('get')
    expect(heard).toEqual([])
  })

  it('and close() keeps an onevent() that another package has put over ours, and restores the one below ours', async () => {
    const app = await startApp({
      wire(io, shared) {
        io.use((socket: any, done) => {
          const { onevent } = socket
          socket.onevent = function below(packet: unknown) {
            onevent.call(socket, packet)
          }
          done()
        })
        io.use(shared)
      },
    })
    const [browser, other] = [app.browser(), app.browser()]
    const client = await browser.connect()
    const second = await other.connect()
    const [over, socket] = app.sockets as any[]
    const { onevent } = over
    over.onevent = function above(packet: unknown) {
      onevent.call(over, packet)
    }
    await app.shared.close()
    expect(over.onevent.name).toBe('above')
    expect(socket.onevent.name).toBe('below')
    expect(await client.emitWithAck('get')).toBeDefined()
    expect(await second.emitWithAck('get')).toBeDefined()
  })
})

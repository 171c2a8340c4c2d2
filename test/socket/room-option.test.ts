import { createShardedAdapter } from '@socket.io/redis-adapter'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { refused } from '../support/handshake.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

describe('room: false', () => {
  it('a socket is only in its own room, and shared.room() throws', async () => {
    const app = await startApp({ shared: { room: false } })
    const client = await app.browser().connect()
    const [socket] = app.sockets
    expect([...socket!.rooms]).toEqual([socket!.id])
    expect([...app.io.sockets.adapter.rooms.keys()]).toEqual([socket!.id])
    expect(() => app.shared.room(socket!)).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(/room: false/) }),
    )
    expect(await client.emitWithAck('set', 'a', 1)).toBe('ok')
    await app.shared.destroy(socket!.handshake.sessionID)
    await until(() => app.shared.stats().sockets === 0)
  })

  it.each([true, false])('room: %s: nothing is kept for a socket that a later middleware refuses', async (room) => {
    const app = await startApp({
      shared: { room },
      wire(io, shared) {
        io.of('/x').use(shared)
        io.of('/x').use((_socket, done) => void setImmediate(() => done(new Error('not you'))))
      },
    })
    const main = await app.browser().connect()
    const { adapter } = app.io.of('/x')
    const before = adapter.listenerCount('leave-room')
    const error = await refused(main.io.socket('/x', {}) as any)
    expect(error.message).toBe('not you')
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
    expect(adapter.listenerCount('leave-room')).toBe(before)
    expect(adapter.rooms.size).toBe(0)
  })

  it('nothing is kept for a socket whose client leaves while another middleware decides', async () => {
    const reached = deferred()
    const app = await startApp({
      shared: { room: false },
      wire(io, shared) {
        io.use(shared)
        io.use(() => reached.resolve())
      },
    })
    const client = app.browser().open()
    await reached.promise
    expect(app.shared.stats().sockets).toBe(1)
    client.disconnect()
    await until(() => app.shared.stats().sockets === 0)
  })

  it('close() leaves a connected socket its own room', async () => {
    const app = await startApp({ shared: { room: false } })
    const client = await app.browser().connect()
    const [socket] = app.sockets
    await app.shared.close()
    const heard = next(client, 'still')
    app.io.to(socket!.id).emit('still')
    await heard
  })

  it('a socket of another instance on the store is in the room of the session, and not in that of the socket without it', async () => {
    let without!: SharedSession
    const app = await startApp({
      wrap(session) {
        without = sharedsession(session, { room: false })
        return session
      },
      wire(io, shared) {
        io.of('/without').use(without)
        io.use(shared)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const other = next(app.io.of('/without'), 'connection')
    await browser.connect({ namespace: '/without' })
    await browser.connect()
    const [socket] = app.sockets
    expect(without.session(await other)).toMatchObject({ user: 'ada' })
    expect([...socket!.rooms].sort()).toEqual([socket!.id, app.shared.room(socket!)].sort())
    await without.close()
  })

  it('no socket is recovered, because recovery needs the room of the session', async () => {
    const app = await startApp({
      shared: { room: false },
      io: { connectionStateRecovery: {} },
      wire: (io, shared) => void shared.attach(io),
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
    const [socket] = app.sockets
    socket!.join('secret')
    socket!.emit('offset')
    await next(client, 'offset')
    client.io.engine.close()
    await until(() => app.sockets.length === 2)
    expect(app.sockets[1]!.recovered).toBe(false)
    expect([...app.sockets[1]!.rooms]).toEqual([app.sockets[1]!.id])
  })
})

await withService('Redis', startRedis, (redis) => {
  it.each([
    [true, 1],
    [false, 0],
  ])('the sharded adapter, with room: %s, subscribes to %i channel more per live session', async (room, more) => {
    const clients = await Promise.all([1, 2, 3].map(() => nodeRedis(redis().port)))
    const [publisher, subscriber, asker] = clients as [any, any, any]
    const channels = async (): Promise<string[]> => asker.command('PUBSUB', 'SHARDCHANNELS')
    const isThere = (name: string) => until(async () => (await channels()).some((channel) => channel.includes(`#${name}#`)))
    const app = await startApp({
      shared: { room, bus: false },
      io: { adapter: createShardedAdapter(publisher.client, subscriber.client) },
      // Joined after all that is done for the session: the adapter subscribes in that order.
      connection: (socket, { sockets }) => void socket.join(`marker ${sockets.length}`),
    })
    await app.browser().connect()
    await isThere('marker 1')
    expect(await channels()).toHaveLength(2 + 1 + more)
    await app.browser().connect()
    await isThere('marker 2')
    expect(await channels()).toHaveLength(2 + 2 + 2 * more)
    await closeApps()
    // What the adapter has sent when it closed is answered before that.
    for (const { client } of clients) await client.ping()
    for (const { end } of clients) await end()
  })
})

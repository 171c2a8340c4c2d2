import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn, sidOf } from '../support/handshake.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

/** A client with a room, data and a missed packet to recover, on a server that runs the middlewares for it too. */
async function away(options: AppOptions = {}) {
  const store = new ControlledStore()
  const app = await startApp({
    store,
    wire: (io, shared) => void shared.attach(io),
    ...options,
    io: { connectionStateRecovery: { skipMiddlewares: false }, ...options.io },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 })
  const socket = app.sockets[0] as Socket
  socket.join('secret room')
  socket.data.secret = 'of ada'
  socket.emit('first')
  await next(client, 'first')
  client.io.reconnection(false)
  const gone = next(socket, 'disconnect')
  client.io.engine.close()
  await gone
  client.io.reconnection(true)
  return { app, store, browser, client, sid: sidOf(browser) }
}

describe('a recovered socket for which the middlewares run', () => {
  it.each(['/destroy', '/regenerate'])(
    'is not let in with its old rooms when %s ends its session between the two',
    async (path) => {
      const { app, store, browser, client, sid } = await away()
      // The first read is for the recovery, the second for the middleware.
      store.pass('get', sid)
      const get = store.hold('get', { afterwards: true, sid })
      client.connect()
      await get.called
      client.io.opts.extraHeaders = { cookie: browser.cookie! }
      await Object.assign(app.browser(), { cookie: browser.cookie }).get(path)
      get.release()
      await until(() => app.sockets.length === 2)
      const [, back] = app.sockets as [Socket, Socket]
      expect([back.recovered, back.rooms.has('secret room'), back.data]).toEqual([false, false, {}])
    },
  )

  it('does not keep its old rooms if it is the first socket of io.use(shared)', async () => {
    const { app, client } = await away({
      wire(io, shared) {
        // As after a restart, with an adapter that keeps the state in a database.
        io.use((socket, done) => (socket.recovered ? shared(socket, done) : done()))
      },
    })
    const mallory = app.browser()
    await mallory.get('/set?user=mallory')
    client.io.opts.extraHeaders = { cookie: mallory.cookie! }
    client.connect()
    await until(() => app.sockets.length === 2)
    const [, back] = app.sockets as [Socket, Socket]
    expect([back.recovered, back.rooms.has('secret room'), back.data]).toEqual([false, false, {}])
  })
})

describe('a client that reconnects while its session is regenerated', () => {
  it('reconnects with its new cookie, to the new session', async () => {
    const regenerated = deferred()
    const answer = deferred()
    const { app, store, browser, client, sid } = await away({
      io: { connectionStateRecovery: { skipMiddlewares: true } },
      routes: (http) =>
        http.get('/login', (req, res) => {
          req.session.regenerate(async () => {
            req.session.user = 'grace'
            regenerated.resolve()
            await answer.promise
            res.end()
          })
        }),
    })
    const login = browser.get('/login')
    await regenerated.promise
    const reads = store.count('get')
    client.connect()
    await until(() => store.count('get') > reads)
    answer.resolve()
    await login
    client.io.opts.extraHeaders = { cookie: browser.cookie! }
    await until(() => app.sockets.length === 2)
    expect(sidOf(browser)).not.toBe(sid)
    expect(app.sockets[1]!.handshake.sessionID).toBe(sidOf(browser))
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'grace' })
  })
})

describe('a connection handler that throws', () => {
  it('is an unhandled rejection for a recovered socket, as without this package', async () => {
    const { app, client } = await away({
      io: { connectionStateRecovery: { skipMiddlewares: true } },
      connection(socket) {
        if (socket.recovered) throw new Error('of the application')
      },
    })
    const before = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    try {
      const rejected = next<Error>(process, 'unhandledRejection')
      client.connect()
      await letIn(client)
      expect((await rejected).message).toBe('of the application')
      expect(app.shared.stats().sockets).toBe(1)
    } finally {
      process.removeAllListeners('unhandledRejection')
      for (const listener of before) process.on('unhandledRejection', listener)
    }
  })
})

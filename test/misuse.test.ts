import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import expressSession from 'express-session'
import { Server } from 'socket.io'
import { type Socket as Client, io as connect } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../src/index.js'
import { express } from './support/app.js'
import { refused } from './support/handshake.js'
import { thrown } from './support/live.js'
import { next, until } from './support/wait.js'
import { expectWarning } from './support/warnings.js'

const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false })
const uncalled = sharedsession as any
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** A server of each kind, wired by the test. */
async function start(wire: (io: Server, http: ReturnType<typeof express>) => void) {
  const http = express()
  // Otherwise Express prints it.
  const errors: any[] = []
  const server = createServer(http)
  const io = new Server(server)
  wire(io, http)
  http.use((error: unknown, _req: unknown, res: any, _next: unknown) => {
    errors.push(error)
    res.status(500).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => io.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const open = (namespace = ''): Client => {
    const client = connect(url + namespace, { forceNew: true, transports: ['websocket'], reconnection: false })
    ends.push(() => client.disconnect())
    return client
  }
  return { url, errors, open, io }
}

const clear = (message: RegExp) => ({
  name: 'SharedSessionError',
  code: 'BAD_ARGUMENT',
  message: expect.stringMatching(message),
})

describe('sharedsession used as a middleware without being called', () => {
  it.each(['', '/chat'])(
    'io.of(%j).use(sharedsession): each client is refused with the reason, and the server does not crash',
    async (name) => {
      const warnings = expectWarning('was given as a middleware without being called')
      const { open } = await start((io) => io.of(name || '/').use(uncalled))
      for (let times = 0; times < 2; times++) {
        const error = await refused(open(name))
        expect(error.data).toEqual({ code: 'BAD_ARGUMENT' })
        expect(error.message).toMatch(/without being called.*shared is sharedsession\(session\)/)
      }
      await until(() => warnings.length > 0)
      expect(warnings).toEqual([expect.stringContaining('io.use(sharedsession)')])
    },
  )

  it('app.use(sharedsession): each request fails with the reason', async () => {
    expectWarning('was given as a middleware without being called')
    const { url, errors } = await start((_io, http) => http.use(uncalled))
    expect((await fetch(url)).status).toBe(500)
    expect(errors).toEqual([expect.objectContaining(clear(/without being called/))])
  })

  it('io.engine.use(sharedsession): each handshake fails, with a warning', async () => {
    expectWarning('was given as a middleware without being called')
    const { open } = await start((io) => io.engine.use(uncalled))
    await refused(open())
  })

  it('socket.use(sharedsession): no event reaches a listener', async () => {
    expectWarning('was given as a middleware without being called')
    const { open, io } = await start((io) => io.on('connection', (socket) => void socket.use(uncalled)))
    const client = open()
    const [socket] = await once(io, 'connection')
    const error = next(socket, 'error')
    client.emit('hello')
    expect(await error).toMatchObject(clear(/without being called/))
  })

  it('a call with a wrong first argument still throws at once, with any other arguments', () => {
    const parser = (): never => {
      throw new Error('was called')
    }
    for (const wrong of [undefined, null, {}, 'session']) {
      expect(thrown(() => uncalled(wrong, parser))).toMatchObject(clear(/takes the middleware that express-session returns/))
    }
    expect(thrown(() => uncalled())).toMatchObject(clear(/it was given nothing/))
  })
})

describe('the middleware of sharedsession() used elsewhere than on a namespace', () => {
  it('app.use(sharedsession(session)): each request fails with what to write', async () => {
    expectWarning('What sharedsession() returns is a middleware')
    const { url, errors } = await start((_io, http) => http.use(sharedsession(session) as any))
    expect((await fetch(url)).status).toBe(500)
    expect(errors).toEqual([expect.objectContaining(clear(/app\.use\(\) takes the session middleware.*io\.use\(shared\)/))])
  })

  it('io.engine.use(sharedsession(session)): each handshake fails; a warning says what to write', async () => {
    expectWarning('What sharedsession() returns is a middleware')
    const { open, io } = await start((io) => io.engine.use(sharedsession(session)))
    const failed = next(io.engine, 'connection_error')
    await refused(open())
    expect(await failed).toMatchObject({ context: { name: 'MIDDLEWARE_FAILURE' } })
  })

  it('socket.use(sharedsession(session)): each event fails with what to write', async () => {
    expectWarning('What sharedsession() returns is a middleware')
    const { open, io } = await start((io) => io.on('connection', (socket) => void socket.use(sharedsession(session) as any)))
    const client = open()
    const [socket] = await once(io, 'connection')
    const error = next(socket, 'error')
    client.emit('hello')
    expect(await error).toMatchObject(clear(/socket\.use\(\)/))
  })

  it('called without a next(): it throws', () => {
    const shared = sharedsession(session) as any
    for (const args of [[], [undefined, () => {}], [{}], [{}, {}, () => {}]]) {
      expect(thrown(() => shared(...args))).toMatchObject(clear(/no socket/))
    }
  })
})

describe('attach() of a value that is no Socket.IO server throws, and says what to pass', () => {
  const shared = sharedsession(session) as any
  for (const [what, given, message] of [
    ['nothing', () => undefined, /shared\.attach\(io\)/],
    ['an HTTP server', () => createServer(), /shared\.attach\(io\)/],
    ['an Express app', () => express(), /shared\.attach\(io\)/],
    ['a namespace', () => new Server().of('/chat'), /given a namespace: write namespace\.use\(shared\)/],
    ['a parent namespace', () => new Server().of(/chat/), /given a namespace/],
  ] as const) {
    it(what, () => expect(thrown(() => shared.attach(given()))).toMatchObject(clear(message)))
  }
})

describe('Socket.IO below 4.6', () => {
  /** Lacks what this package needs, as it did. */
  function old(io: Server): Server {
    return Object.defineProperty(io, 'serverSideEmitWithAck', { value: undefined })
  }

  it('attach() throws BAD_ARGUMENT', () => {
    expect(thrown(() => sharedsession(session).attach(old(new Server())))).toMatchObject(clear(/Socket\.IO 4\.6 or later/))
  })

  it('io.use(shared): each client is refused, and shared.events says why', async () => {
    const shared = sharedsession(session)
    const told = next(shared.events, 'session:error')
    const { open } = await start((io) => old(io).use(shared))
    const error = await refused(open())
    expect(error.data).toEqual({ code: 'BAD_ARGUMENT' })
    expect(await told).toMatchObject(clear(/Socket\.IO 4\.6 or later/))
    await shared.close()
  })
})

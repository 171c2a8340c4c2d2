import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import expressSession from 'express-session'
import { Server, type ServerOptions } from 'socket.io'
import { io as connect, type ManagerOptions, type Socket } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { letIn, refused } from '../support/handshake.js'
import { next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const ORIGINS = ['https://a.example', 'https://b.example', 'https://c.example'] as const
const cors = (origin: string): Partial<ServerOptions> => ({ cors: { origin, credentials: true } })

/** One Socket.IO server on three HTTP servers, each with an engine and pages of its own. */
async function start(
  wire: (shared: SharedSession, io: Server, attach: () => void) => void,
  options: Partial<ServerOptions> = {},
) {
  const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false })
  const shared = sharedsession(session, { autoSave: true })
  const servers: HttpServer[] = []
  for (const _origin of ORIGINS) {
    const server = createServer((req, res) =>
      session(req as any, res as any, () => {
        ;(req as any).session.user = 'ada'
        res.end()
      }),
    )
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const io = new Server(options)
  const engines: any[] = []
  wire(shared, io, () => {
    for (const [index, server] of servers.entries()) {
      io.attach(server, cors(ORIGINS[index]!))
      engines.push(io.engine)
    }
  })
  ends.push(
    () => shared.close(),
    () => io.close(),
    ...servers.map((server) => () => {
      server.closeAllConnections()
      server.close()
    }),
  )
  const urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const open = (index: number, given: Partial<ManagerOptions> = {}): Socket => {
    const client = connect(urls[index]!, { forceNew: true, transports: ['websocket'], reconnection: false, ...given })
    ends.unshift(() => client.disconnect())
    return client
  }
  const cookieOf = async (index: number): Promise<string | undefined> => {
    const client = open(index)
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    return pairOf(lines)
  }
  const visit = async (index: number): Promise<string> => {
    const [line] = (await fetch(urls[index]!)).headers.getSetCookie()
    return line!.split(';')[0]!
  }
  return { io, shared, engines, open, cookieOf, visit }
}

describe('with several io.attach() on one server', () => {
  it('each engine sets cookies, from its first client on', async () => {
    const { cookieOf } = await start((shared, io, attach) => {
      shared.attach(io)
      attach()
    })
    for (const index of ORIGINS.keys()) expect(await cookieOf(index)).toMatch(/^connect\.sid\.socket\./)
  })

  it.each(['attach()', 'use()'])(
    '%s called after io.attach(): each engine sets cookies from its second client on',
    async (how) => {
      const { cookieOf } = await start((shared, io, attach) => {
        attach()
        if (how === 'use()') io.use(shared)
        else shared.attach(io)
      })
      for (const index of ORIGINS.keys()) {
        await cookieOf(index)
        expect(await cookieOf(index)).toMatch(/^connect\.sid\.socket\./)
      }
    },
  )

  for (const how of ['before', 'after'] as const) {
    it(`the cors option of the client’s own engine decides which pages may use a session (attach() ${how} them)`, async () => {
      expectWarning('is not allowed to use its sessions')
      const { open, visit } = await start((shared, io, attach) => {
        if (how === 'before') shared.attach(io)
        attach()
        shared.attach(io)
      })
      for (const index of ORIGINS.keys()) {
        const cookie = await visit(index)
        for (const [other, origin] of ORIGINS.entries()) {
          const client = open(index, { extraHeaders: { cookie, origin } })
          if (other === index) await letIn(client)
          else expect((await refused(client)).data).toEqual({ code: 'ORIGIN_REFUSED' })
        }
      }
    })
  }

  it('a page gets no cookie from an engine that does not allow its origin', async () => {
    const { open } = await start((shared, io, attach) => {
      shared.attach(io)
      attach()
    })
    for (const index of ORIGINS.keys()) {
      for (const [other, origin] of ORIGINS.entries()) {
        const client = open(index, { extraHeaders: { origin } })
        const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
        expect(pairOf(lines) !== undefined).toBe(other === index)
      }
    }
  })

  it('a socket is recovered on the engine of its new connection', async () => {
    const { open, visit, io } = await start(
      (shared, io, attach) => {
        attach()
        shared.attach(io)
      },
      { connectionStateRecovery: {} },
    )
    const cookie = await visit(0)
    const client = open(0, {
      extraHeaders: { cookie, origin: ORIGINS[0] },
      reconnection: true,
      reconnectionDelay: 1,
      randomizationFactor: 0,
    })
    await letIn(client)
    const [socket] = [...io.sockets.sockets.values()]
    // Recovery begins with a packet that the client has received.
    const packet = next(client, 'packet')
    socket!.emit('packet')
    await packet
    const back = next(client, 'connect')
    client.io.engine.close()
    await back
    expect(client.recovered).toBe(true)
  })

  it('close() restores all engines', async () => {
    const { shared, engines, cookieOf } = await start((shared, io, attach) => {
      attach()
      shared.attach(io)
    })
    const before = engines.map(({ opts }) => Object.getOwnPropertyDescriptor(opts, 'allowRequest')?.value === undefined)
    for (const index of ORIGINS.keys()) await cookieOf(index)
    expect(engines.every(({ opts }) => opts.allowRequest !== undefined)).toBe(true)
    await shared.close()
    expect(before.slice(0, 2)).toEqual([true, true])
    for (const engine of engines) {
      expect(engine.opts.allowRequest).toBeUndefined()
      expect(engine.listenerCount('headers')).toBe(0)
    }
  })
})

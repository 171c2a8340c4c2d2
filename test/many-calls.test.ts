import { createServer } from 'node:http'
import expressSession from 'express-session'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../src/index.js'
import { closeApps, startApp } from './support/app.js'
import { next } from './support/wait.js'
import { expectWarning } from './support/warnings.js'

afterEach(closeApps)

describe('many calls of sharedsession()', () => {
  it.each([
    ['io.of(name).use()', (io: Server, shared: SharedSession, n: number) => void io.of(`/${n}`).use(shared)],
    ['attach()', (io: Server, shared: SharedSession) => void shared.attach(io)],
  ])('by %s: one listener of the store, the HTTP server and the engine, until the last one is closed', async (_, use) => {
    const store = new expressSession.MemoryStore()
    const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false, store })
    const server = createServer()
    const io = new Server(server)
    const count = (): number[] => [
      store.listenerCount('disconnect'),
      server.listenerCount('request'),
      server.listenerCount('upgrade'),
      (io.engine as any).listenerCount('headers'),
      io.sockets.listenerCount('new_namespace' as never),
    ]
    const [disconnects, requests, upgrades, headers, namespaces] = count() as [number, number, number, number, number]
    const shareds = Array.from({ length: 12 }, () => sharedsession(session))
    for (const [n, shared] of shareds.entries()) use(io, shared, n)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    for (const n of shareds.keys()) {
      io.of(`/${n}`)
      const client = connect(`http://127.0.0.1:${port}/${n}`, { forceNew: true, reconnection: false, transports: ['polling'] })
      await next(client, 'connect')
      client.disconnect()
    }
    const own = count()
    expect(own.slice(0, 4)).toEqual([disconnects + 1, requests + 1, upgrades + 1, headers + 1])
    expect(own[4]).toBeLessThanOrEqual(namespaces + 1)
    const last = shareds.pop() as SharedSession
    for (const shared of shareds) await shared.close()
    expect(count().slice(0, 4)).toEqual(own.slice(0, 4))
    await last.close()
    expect(count()).toEqual([disconnects, requests, upgrades, headers, namespaces])
    await io.close()
  })

  it('one for each socket is told, once', async () => {
    const warnings = expectWarning('sharedsession(session) seems to be called for each socket')
    const made: SharedSession[] = []
    let session: any
    const app = await startApp({
      wrap: (given) => {
        session = given
        return given
      },
      wire(io) {
        io.use((socket, done) => {
          const shared = sharedsession(session, { autoSave: true })
          made.push(shared)
          shared(socket, done)
        })
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    for (let n = 0; n < 5; n++) await browser.connect()
    expect(warnings).toHaveLength(1)
    for (const shared of made) await shared.close()
  })
})

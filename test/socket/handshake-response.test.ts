import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, connect as dial, type Socket as NetSocket } from 'node:net'
import type { RequestHandler } from 'express'
import expressSession from 'express-session'
import { afterEach, describe, expect, it, vi } from 'vitest'
import sharedsession from '../../src/index.js'
import { type App, type AppOptions, closeApps, startApp } from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { letIn } from '../support/handshake.js'
import { deferred, until } from '../support/wait.js'

afterEach(async () => {
  closePages()
  await closeApps()
})

const start = (options: AppOptions = {}): Promise<App> => startApp({ wire: (io, shared) => void shared.attach(io), ...options })

/** Sends the request of a WebSocket's handshake without a cookie. */
async function upgrading(app: App): Promise<NetSocket> {
  const socket = dial((app.server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  return socket
}

describe('a client that leaves while it waits for its cookie', () => {
  it.each(['resets', 'ends', 'destroys'] as const)(
    '%s its connection: the process does not exit, and other clients connect',
    async (way) => {
      const asked = deferred()
      const answered = deferred()
      let slow = true
      const wrap =
        (session: RequestHandler): RequestHandler =>
        async (req, res, done) => {
          // Not when the store is looked for, at the start.
          if (slow && req.url !== '/') {
            asked.resolve()
            await answered.promise
          }
          session(req, res, done)
        }
      const app = await start({ wrap })
      const errors: unknown[] = []
      const closed = deferred()
      app.server.on('connection', (socket) => socket.once('close', () => closed.resolve()))
      const before = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.on('uncaughtException', (error) => errors.push(error))
      try {
        const socket = await upgrading(app)
        await asked.promise
        if (way === 'resets') socket.resetAndDestroy()
        else if (way === 'ends') socket.end()
        else socket.destroy()
        if (way === 'resets') await closed.promise
        slow = false
        answered.resolve()
        await letIn(app.browser().open())
        expect(errors).toEqual([])
      } finally {
        process.removeAllListeners('uncaughtException')
        for (const listener of before) process.on('uncaughtException', listener)
      }
    },
  )

  it('leaves no listener on its connection', async () => {
    const app = await start()
    const counts: number[] = []
    app.io.engine.on('connection', ({ request }: any) => counts.push(request.socket.listenerCount('error')))
    const browser = app.browser()
    await letIn(browser.open())
    await browser.get('/set?user=ada')
    await letIn(browser.open())
    await until(() => counts.length === 2)
    expect(counts[0]).toBe(counts[1])
  })
})

describe('the response to a handshake', () => {
  it.each([['websocket'], ['polling']])('keeps the cookie of an Engine.IO middleware, on %s', async (transport) => {
    const app = await start({
      wire(io, shared) {
        io.engine.use((_req: unknown, res: any, done: () => void) => {
          res.setHeader('Set-Cookie', 'sticky=1; Path=/')
          done()
        })
        shared.attach(io)
      },
    })
    const client = app.browser().open({ withCredentials: true, transports: [transport] })
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    expect(pairOf(lines)).toBeDefined()
    expect(pairOf(lines, 'sticky')).toBe('sticky=1')
  })

  it('keeps the cookie of an Engine.IO middleware where it is the one to a later poll, as the store was slow', async () => {
    const store = new ControlledStore()
    const app = await start({
      store,
      wire(io, shared) {
        io.engine.use((req: IncomingMessage, res: ServerResponse, done: () => void) => {
          if (req.url?.includes('sid=')) res.setHeader('Set-Cookie', 'sticky=1; Path=/')
          done()
        })
        shared.attach(io)
      },
    })
    const browser = new CookieBrowser()
    await browser.fetch(`${app.url}/set?user=ada`)
    store.gone(store.ids()[0] as string)
    const get = store.hold('get')
    const responses: string[][] = []
    vi.spyOn(browser, 'keep').mockImplementation((lines) => void responses.push(lines))
    const client = browser.open(app.url, { transports: ['polling'], autoConnect: false })
    await Promise.all([get.called, new Promise((resolve) => client.io.open(resolve))])
    get.release()
    await letIn(client.connect())
    const late = responses.filter((lines) => pairOf(lines) !== undefined)
    expect(late.map((lines) => pairOf(lines, 'sticky'))).toEqual(['sticky=1'])
  })

  it('sets a cookie for a client whose other cookies have similar names', async () => {
    const app = await start()
    const cookie = 'connect.sidx; xconnect.sid=1; connect.sid'
    const client = app.browser().open({ extraHeaders: { cookie } })
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    expect(pairOf(lines)).toBeDefined()
  })

  it('has no cookie of another response that waits on the same TCP connection', async () => {
    const handshake = deferred()
    const app = await start({
      routes: (http) =>
        http.get('/slow', async (_req, res) => {
          res.setHeader('Set-Cookie', 'other=1')
          await handshake.promise
          res.end('done')
        }),
    })
    app.io.engine.on('connection', () => setImmediate(handshake.resolve))
    const socket = dial((app.server.address() as AddressInfo).port, '127.0.0.1')
    const head = 'HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
    socket.write(`GET /slow ${head}GET /socket.io/?EIO=4&transport=polling ${head}`)
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    await until(() => text.includes('"sid"'))
    socket.destroy()
    const [slow, greeted] = text.split('done')
    expect(slow).toContain('other=1')
    expect(greeted).toContain('connect.sid.socket.')
    expect(greeted).not.toContain('other=1')
  })

  it.each([['websocket'], ['polling']])('sets the cookies of all instances and of the application, on %s', async (transport) => {
    const names = ['one', 'two', 'three']
    const others = names.map((name) =>
      sharedsession(expressSession({ secret: 'secret', name, resave: false, saveUninitialized: false })),
    )
    const app = await start({
      wire(io) {
        for (const other of others) other.attach(io)
        io.engine.on('initial_headers', (headers: Record<string, unknown>) => {
          headers['set-cookie'] = 'io=1; Path=/'
        })
      },
    })
    const client = app.browser().open({ withCredentials: true, transports: [transport] })
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    for (const name of [...names, 'io']) expect(pairOf(lines, name)).toBeDefined()
    for (const other of others) await other.close()
  })
})

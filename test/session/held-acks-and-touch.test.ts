import { once } from 'node:events'
import { createServer, connect as dial, type Socket as Line } from 'node:net'
import expressSession from 'express-session'
import { afterEach, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { mergeCookies } from '../../src/store/cookie.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect, live } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

it('an ack that is called in onAny, before any packet middleware, waits for the save too', async () => {
  const { client, socket, session, store, sid } = await live()
  socket.onAny((name, ...args) => {
    if (name !== 'any') return
    session.any = 1
    args.at(-1)('ok')
  })
  await client.emitWithAck('any')
  expect(store.stored(sid)).toMatchObject({ any: 1 })
})

it('a held ack sends what it was given when it was called', async () => {
  const { client, socket, session } = await live()
  socket.on('go', (ack: any) => {
    const answer = { list: [{ n: 1 }], at: new Date(0), bytes: Buffer.from('a') }
    session.written = true
    ack(answer, session)
    answer.list[0]!.n = 2
    session.later = true
  })
  const [answer, given] = await new Promise<any[]>((resolve) => client.emit('go', (...args: unknown[]) => resolve(args)))
  expect(answer).toEqual({ list: [{ n: 1 }], at: new Date(0).toJSON(), bytes: expect.anything() })
  expect(Buffer.from(answer.bytes).toString()).toBe('a')
  expect(given.written).toBe(true)
  expect(given.later).toBeUndefined()
})

it('a held ack sends what is nested deeper than the stack of a copy, and says where that cannot be sent', async () => {
  const { client, socket, session } = await live()
  const told = collect(socket, 'session:error')
  const uncaught = collect(process, 'uncaughtException')
  const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
  socket.on('echo', (levels: number, ack: (value: unknown) => void) => {
    session.levels = levels
    ack(nested(levels))
  })
  const answers: unknown[] = []
  client.emit('echo', 200_000, (answer: unknown) => answers.push(answer))
  expect(JSON.stringify(await client.emitWithAck('echo', 3000))).toBe(JSON.stringify(nested(3000)))
  expect([uncaught, answers]).toEqual([[], []])
  expect(told.map((error) => error.code)).toEqual(['LISTENER_FAILED'])
})

it('a held ack that throws is a session:error, not the end of the process', async () => {
  const { client, socket, session } = await live()
  const failed = next(socket, 'session:error')
  let caught: unknown
  socket.on('go', (ack: any) => {
    try {
      ack(1n)
    } catch (error) {
      caught = error
    }
    session.n = 1
    ack(1n)
  })
  client.emit('go', () => undefined)
  expect(await failed).toMatchObject({ code: 'LISTENER_FAILED', cause: expect.any(TypeError) })
  expect(caught).toBeInstanceOf(TypeError)
})

it('a socket that socket.io recovers has its session, where middlewares are not skipped', async () => {
  const app = await startApp({ io: { connectionStateRecovery: { skipMiddlewares: false } } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
  const told = next(client, 'offset')
  app.io.emit('offset')
  await told
  const back = next(client, 'connect')
  client.io.engine.close()
  await back
  expect(client.recovered).toBe(true)
  expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  expect(app.shared.session(app.sockets[1]!)).toMatchObject({ user: 'ada' })
})

it('two session middlewares with two stores on one namespace each have their own session', async () => {
  const options = { secret: 'secret', resave: false, saveUninitialized: true }
  const admin = expressSession({ ...options, name: 'admin.sid', store: new expressSession.MemoryStore() })
  const ofAdmin = sharedsession(admin)
  const app = await startApp({
    session: { saveUninitialized: true },
    wire(io, shared) {
      io.use(shared)
      io.use(ofAdmin)
    },
    routes(http) {
      http.get('/admin', admin, (req, res) => res.json({ id: req.session.id }))
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.connect()
  const socket = app.sockets[0]!
  expect(app.shared.session(socket)).toMatchObject({ user: 'ada' })
  expect(ofAdmin.session(socket).id).not.toBe(app.shared.session(socket).id)
  expect(ofAdmin.room(socket)).not.toBe(app.shared.room(socket))
  await ofAdmin.close()
})

it('a listener that freezes its error does not keep the session from being saved', async () => {
  const { app, socket, session, store, sid } = await live({ shared: { maxBytes: 1000 } })
  const failed = next(socket, 'session:error')
  socket.on('session:error', (error) => void Object.freeze(error))
  session.big = 'y'.repeat(2000)
  await failed
  session.big = 1
  await app.shared.flush()
  expect(store.stored(sid)).toMatchObject({ big: 1 })
})

it('a request whose response is no emitter gets its session', async () => {
  const middleware = expressSession({ secret: 'secret', resave: false, saveUninitialized: true })
  const shared = sharedsession(middleware)
  const app = await startApp()
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const request: any = { headers: { cookie: browser.cookie }, url: '/', originalUrl: '/', socket: {}, res: {} }
  await new Promise<void>((resolve, reject) => {
    middleware(request, { end() {} } as any, (error) => (error ? reject(error) : resolve()))
  })
  expect(request.session.id).toBeDefined()
  await shared.close()
})

it('a cookie that cookie-parser makes an object of is a visitor without a session, as by HTTP', async () => {
  const app = await startApp()
  const browser = app.browser()
  browser.cookie = 'connect.sid=j:{}'
  expect((await browser.get('/session')).status).toBe(200)
  browser.cookie = 'connect.sid=j:{}'
  expect(await (await browser.connect()).emitWithAck('get')).toBeDefined()
})

it('a request that shares the connection which the store opened is saved by merging as any other', async () => {
  const { store, stop } = await databaseStore()
  const [asked, answer] = [deferred(), deferred()]
  const app = await startApp({
    store,
    routes(http) {
      http.get('/rows', async (req, res) => {
        asked.resolve()
        await answer.promise
        store.query('select', () => {
          req.session.rows = 1
          res.json({})
        })
      })
    },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  const slow = browser.get('/rows')
  await asked.promise
  await client.emitWithAck('set', 'mine', 1)
  const changed = next(app.sockets[0]!, 'session:changed')
  answer.resolve()
  await slow
  expect(await changed).toMatchObject({ keys: ['rows'], origin: 'http' })
  expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada', mine: 1, rows: 1 })
  expect(JSON.parse([...store.rows.values()][0]!)).toMatchObject({ user: 'ada', mine: 1, rows: 1 })
  stop()
})

it("a touch that loses a millisecond of the maximum age changes nobody's life", () => {
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()
  const base = { originalMaxAge: 60_000, expires: at(30) }
  const theirs = { originalMaxAge: 60_000, expires: at(60) }
  expect(mergeCookies(base, { originalMaxAge: 59_999, expires: at(31) }, theirs).expires).toBe(theirs.expires)
})

/** A store over one lazily opened connection with callbacks, as the clients of databases have; the application uses it as well. */
async function databaseStore() {
  const server = createServer((line) => line.on('error', () => undefined).pipe(line)).listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  let line: Line | undefined
  const waiting: (() => void)[] = []
  class DatabaseStore extends ControlledStore {
    readonly rows = new Map<string, string>()
    query(text: string, callback: () => void): void {
      waiting.push(callback)
      line ??= dial(port, '127.0.0.1').on('data', (data) => {
        for (const _ of String(data).trim().split('\n')) waiting.shift()?.()
      })
      line.write(`${text}\n`)
    }
    override get(sid: string, callback: any): void {
      this.query('get', () => callback(null, this.rows.has(sid) ? JSON.parse(this.rows.get(sid)!) : null))
    }
    override set(sid: string, session: any, callback: any): void {
      const row = JSON.stringify(session)
      this.query('set', () => {
        this.rows.set(sid, row)
        callback?.()
      })
    }
    override touch(_sid: string, _session: any, callback: any): void {
      this.query('touch', () => callback?.())
    }
  }
  const stop = () => {
    line?.destroy()
    server.close()
  }
  return { store: new DatabaseStore(), stop }
}

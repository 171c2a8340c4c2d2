// One server process of a run: Express, Socket.IO and this package on a store that it may share with other processes.
// Started by cluster.ts, which tells it what to do by messages; it ends when that process does.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type NextFunction, type Request, type Response } from 'express'
import expressSession from 'express-session'
import { Server } from 'socket.io'
import sharedsession from '../../src/index.js'
import { emptyDocument, type Step } from './history.js'
import { perform } from './perform.js'
import { openStore, type StoreName } from './stores.js'

/** What the parent asks of a process: to save what is pending, what its MemoryStore holds, how often another process was faster since it was asked. */
export type Call = 'flush' | 'dump' | 'refusals'

export interface ProcessOptions {
  store: StoreName
  url: string
  merge: boolean
  /** Absent: the store's own. */
  driver?: 'generic' | undefined
  /** How many ms a call of the store may take. */
  timeout: number
  /** The address at which it listens. */
  host?: string
}

process.on('disconnect', () => process.exit())
// What a library must not cause: the parent counts it as a violation.
process.on('unhandledRejection', (error) => {
  process.send?.({ crash: `unhandled rejection: ${(error as Error)?.stack ?? error}` })
  process.exit(1)
})

void start(JSON.parse(process.argv[2]!))

async function start(options: ProcessOptions): Promise<void> {
  const { store, given } = await openStore(options.store, options.url)
  const settings = { secret: 'secret', store, saveUninitialized: false, cookie: { maxAge: 3_600_000 } }
  const session = expressSession({ ...settings, resave: false })
  const resaving = expressSession({ ...settings, resave: true, rolling: true })
  const shared = sharedsession(session, {
    autoSave: true,
    ...(!options.merge && { merge: false as const }),
    ...(options.driver ? { driver: options.driver } : given),
    retry: { attempts: 5, minDelay: 20, maxDelay: 300, timeout: options.timeout },
  })
  shared.events.on('session:error', () => undefined)

  const app = express()
  // Otherwise Express itself prints what express-session reports after the response.
  app.set('env', 'test')
  app.use(express.json())
  app.use((req, res, next) => (req.path === '/resave' ? resaving : session)(req, res, next))
  app.use(cutWhereUnsaved)
  app.post('/start', (req, res) => {
    Object.assign(req.session, emptyDocument())
    res.json({ sid: req.sessionID })
  })
  app.post(['/step', '/resave'], async (req, res) => {
    const { step, sid }: { step: Step; sid: string } = req.body
    // Not written to: it would be another session.
    if (req.sessionID !== sid) return void res.status(410).json({ error: 'the session was not found' })
    const save = (): Promise<void> =>
      new Promise((resolve, reject) => {
        req.session.save((error) => (error ? reject(error) : resolve()))
      })
    res.json(await perform(step, { shared, sid, session: req.session, save }))
  })
  app.post('/destroy', async (req, res) => {
    req.session.destroy((error) => res.status(error ? 500 : 200).json({ error: error && String(error) }))
  })
  app.use((error: any, _req: Request, res: Response, _next: NextFunction) => {
    if (!res.headersSent) res.status(500).json({ error: `${error?.code ?? ''} ${error?.message ?? error}` })
  })

  const server = createServer(app)
  // Clients keep their connections. One that is closed while a request is on its way would leave open what became of it.
  server.keepAliveTimeout = 0
  const io = new Server(server, { transports: ['websocket', 'polling'] })
  io.use(shared)
  io.on('connection', (socket) => {
    // An ack that waits for what could not be saved is never sent.
    socket.on('session:error', ({ code }) => socket.emit('failed', code))
    const live = shared.session(socket)
    socket.on('step', (step: Step, sid: string, ack: (answer: unknown) => void) => {
      if (socket.handshake.sessionID !== sid) return ack({ lost: true })
      perform(step, { shared, sid, session: live, save: () => live.save() }).then(ack, (error) => ack({ error: String(error) }))
    })
  })
  server.listen(0, options.host ?? '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))

  let refusals = 0
  function newRefusals(): number {
    const before = refusals
    refusals = shared.stats().refusals
    return refusals - before
  }

  process.on('message', async ({ call, ask, sid }: { call: Call; ask: number; sid: string }) => {
    // What cannot be saved was not acknowledged.
    if (call === 'flush') await shared.flush().catch(() => undefined)
    const value = call === 'dump' ? dump(sid) : call === 'refusals' ? newRefusals() : undefined
    process.send?.({ ask, value })
  })

  /** MemoryStore, read past the library. */
  function dump(sid: string): unknown {
    const json = (store as unknown as { sessions?: Record<string, string> }).sessions?.[sid]
    return json === undefined ? null : JSON.parse(json)
  }
}

/**
 * express-session ends a response as if nothing had happened where the session could not be saved. Here the connection is cut
 * instead: it must not pass for an acknowledgement.
 */
function cutWhereUnsaved(req: Request, _res: Response, next: NextFunction): void {
  const { save } = req.session
  const checked = function (this: unknown, callback?: (error?: unknown) => void): unknown {
    return save.call(req.session, (error) => {
      if (error) req.socket.destroy()
      callback?.(error)
    })
  }
  Object.defineProperty(req.session, 'save', { value: checked, configurable: true, writable: true, enumerable: false })
  next()
}

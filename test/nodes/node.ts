// One node: Express, Socket.IO and this package on a store that it shares. Started by cluster.ts, which asks it by messages.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdapter } from '@socket.io/redis-adapter'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import express from 'express'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import sharedsession, { type Bus, postgresBus } from '../../src/index.js'
import { RedisBus } from '../../src/store/drivers/redis/bus.js'
import { subscriberEndpoints } from '../../src/store/drivers/redis/subscriber.js'

export interface NodeOptions {
  store: 'redis' | 'postgres'
  url: string
  /** Where it listens, if that is not where it writes. */
  busUrl?: string
  /** Of socket.io's Redis adapter. */
  adapterUrl?: string
  revalidate?: number
}

process.on('disconnect', () => process.exit())
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error) => process.send?.({ crash: `${event}: ${(error as Error)?.stack ?? error}` }))
}

const options: NodeOptions = JSON.parse(process.argv[2]!)

async function redisAt(url: string) {
  const client = createClient({ url })
  client.on('error', () => undefined)
  return client.connect()
}

function poolAt(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 6 })
  pool.on('error', () => undefined)
  return pool
}

async function open(): Promise<{ store: Store; bus?: Bus }> {
  const { url, busUrl = url } = options
  if (options.store === 'redis') {
    const store = new RedisStore({ client: await redisAt(url) })
    if (busUrl === url) return { store }
    const places = subscriberEndpoints(await redisAt(busUrl))!
    return { store, bus: new RedisBus(places, () => Promise.reject(new Error('carried by the driver'))) }
  }
  const store = new (connectPgSimple(expressSession))({
    pool: poolAt(url),
    pruneSessionInterval: false,
    errorLog: () => undefined,
  })
  return { store, bus: postgresBus({ pool: poolAt(busUrl) }) }
}

const { store, bus } = await open()
const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false })
const shared = sharedsession(session, {
  autoSave: true,
  touch: false,
  revalidate: options.revalidate ?? false,
  retry: { attempts: 30, minDelay: 10, maxDelay: 200, timeout: 3000 },
  merge: { hits: 'sum' },
  ...(bus && { bus }),
})
shared.events.on('session:error', () => undefined)

const app = express()
app.use(session)
app.get('/set', (req, res) => {
  Object.assign(req.session, req.query)
  res.json(req.session)
})
app.get('/session', (req, res) => {
  res.json(req.session)
})
app.get('/push', (req, res, next) => {
  const session = req.session as any
  session.list = [...(session.list ?? []), req.query.value]
  session.save((error: unknown) => (error ? next(error) : res.json({})))
})
app.get('/destroy', (req, res) => {
  req.session.destroy(() => res.json({}))
})
app.get('/regenerate', (req, res) => {
  req.session.regenerate(() => {
    Object.assign(req.session, { user: 'new' })
    res.json({})
  })
})

const server = createServer(app)
const io = new Server(server, { transports: ['websocket', 'polling'] })
if (options.adapterUrl) {
  io.adapter(createAdapter(await redisAt(options.adapterUrl), await redisAt(options.adapterUrl)))
}
for (const namespace of [io.of('/'), io.of('/chat')]) {
  namespace.use(shared)
  namespace.on('connection', (socket) => {
    const live = shared.session(socket) as Record<string, any>
    socket.on('session:changed', ({ keys, origin }) => socket.emit('changed', { keys, origin, data: shared.snapshot(socket) }))
    socket.on('session:destroyed', ({ reason }) => {
      socket.emit('ended', reason)
    })
    socket.on('session:error', () => undefined)
    socket.on('set', (key: string, value: unknown, ack: () => void) => {
      live[key] = value
      ack()
    })
    socket.on('push', (value: unknown, ack: () => void) => {
      live.list ??= []
      live.list.push(value)
      live.hits = (live.hits ?? 0) + 1
      ack()
    })
    socket.on('session', (ack: (data: unknown) => void) => ack(shared.snapshot(socket)))
  })
}

const calls: Record<string, (...args: any[]) => unknown> = {
  update: (sid: string, key: string, value: unknown) =>
    shared.update(sid, (draft: any) => {
      draft[key] = value
    }),
  increment: (sid: string) =>
    shared.update(sid, (draft: any) => {
      draft.count = (draft.count ?? 0) + 1
    }),
  destroy: (sid: string) => shared.destroy(sid),
  snapshot: (sid: string) => shared.snapshot(sid),
  stats: () => shared.stats(),
  emit: (namespace: string, sid: string, text: string) => io.of(namespace).to(shared.room(sid)).emit('hello', text),
  flush: () => shared.flush(),
}

process.on('message', async ({ ask, call, args }: { ask: number; call: string; args: unknown[] }) => {
  try {
    process.send?.({ ask, value: (await calls[call]!(...args)) ?? null })
  } catch (error) {
    process.send?.({ ask, error: `${(error as any).code}: ${(error as Error).message}` })
  }
})

server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))

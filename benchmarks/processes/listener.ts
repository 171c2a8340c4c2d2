// A node whose moments are known: when a request wrote, when the store had it, when a listener ran.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RedisStore } from 'connect-redis'
import express from 'express'
import expressSession, { type Store } from 'express-session'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import { HttpWire } from '../http-wire.js'
import { cookieOf, SECRET, storedOf } from '../session.js'
import { Wire } from '../wire.js'
import { serve } from '../worker.js'

type Package = typeof import('../../src/index.js')

export interface ListenerConfig {
  /** Without it: a MemoryStore. */
  redis?: string
}

/** When a change did what, in µs; one clock for all processes of a machine. */
export interface Moments {
  /** The handler wrote. */
  wrote: number
  /** The store was given the session. */
  asked: number
  /** The store had answered. */
  stored: number
}

export interface Heard {
  at: number
  /** In the turn in which the store had answered. */
  sameTurn: boolean
}

export type ListenerOffers = Awaited<ReturnType<typeof open>>

const CHANNEL = 'bare'
const now = (): number => Number(process.hrtime.bigint()) / 1000

async function open({ redis }: ListenerConfig) {
  const { default: sharedsession }: Package = await import(process.env.BENCH_PACKAGE!)
  const moments: Moments = { wrote: 0, asked: 0, stored: 0 }
  let sameTurn = false
  const stored = (): void => {
    moments.stored = now()
    sameTurn = true
    setImmediate(() => (sameTurn = false))
  }
  const client = redis ? await connected(redis) : undefined
  const store: Store = client ? new RedisStore({ client }) : new expressSession.MemoryStore()
  if (client) {
    // The driver writes by a script, past the store's own methods.
    for (const name of ['eval', 'evalSha'] as const) {
      const original = client[name].bind(client) as (...args: any[]) => Promise<unknown>
      Object.assign(client, {
        [name]: async (...args: any[]) => {
          moments.asked = now()
          const answer = await original(...args)
          stored()
          return answer
        },
      })
    }
  } else {
    const original = store.set.bind(store)
    store.set = (sid, session, callback) => {
      moments.asked = now()
      original(sid, session, (error) => {
        stored()
        callback?.(error)
      })
    }
  }
  const session = expressSession({ secret: SECRET, store, resave: false, saveUninitialized: false })
  const shared = sharedsession(session, { autoSave: true })
  const app = express().use(session)
  app.get('/write', (req, res) => {
    const session = req.session as unknown as { n: number }
    session.n++
    moments.wrote = now()
    res.json({})
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const io = new Server(server)
  io.use(shared)
  let heard: (heard: Heard) => void = () => undefined
  let next: Promise<Heard>
  io.on('connection', (socket) => {
    socket.on('session:changed', () => heard({ at: now(), sameTurn }))
  })
  let wire: HttpWire | undefined

  return {
    async fill(sid: string, bytes: number) {
      await new Promise((resolve) => store.set(sid, storedOf(bytes) as never, resolve))
    },
    /** A socket of the session. A handshake subscribes to it before the socket connects. */
    async join(sid: string) {
      await Wire.connect(port, cookieOf(sid))
    },
    /** From now on, the next `session:changed` or message of the bare channel is the one that `heard` tells of. */
    expect() {
      next = new Promise<Heard>((resolve) => {
        heard = resolve
      })
    },
    heard: () => next,
    /** One request that writes. */
    async request(sid: string): Promise<Moments> {
      wire ??= await HttpWire.connect(port, '/write', cookieOf(sid))
      await new Promise<void>((resolve) => wire!.send(resolve))
      return moments
    },
    async update(sid: string): Promise<Moments> {
      const wrote = now()
      await shared.update(sid, (draft: any) => void draft.n++)
      return { wrote, asked: moments.asked, stored: now() }
    },
    async subscribe() {
      const subscriber = await client!.duplicate().connect()
      await subscriber.subscribe(CHANNEL, (text) => {
        const at = now()
        // The message is JSON there too, as every message of use is.
        JSON.parse(text)
        heard({ at, sameTurn: false })
      })
    },
    /** How long the messages of a change are. */
    async lengthOfMessage(sid: string) {
      const spy = await client!.duplicate().connect()
      let heard: (length: number) => void
      const length = new Promise<number>((resolve) => {
        heard = resolve
      })
      await spy.pSubscribe('sharedsession:*', (text) => heard(text.length))
      await shared.update(sid, (draft: any) => void draft.n++)
      await length
      spy.destroy()
      return length
    },
    /** @param stores writes the session before, as whoever does this by hand has to */
    async publish(length: number, stores: number | undefined): Promise<number> {
      const text = JSON.stringify({ pad: 'x'.repeat(length - 10) })
      const document = stores && JSON.stringify(storedOf(stores))
      const start = now()
      if (document) await client!.set('by-hand', document, { EX: 86_400 })
      await client!.publish(CHANNEL, text)
      return start
    },
  }
}

async function connected(url: string) {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

serve(open)

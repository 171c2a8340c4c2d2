// A server with one contender on it, and with the same handlers and routes as any other.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getHeapStatistics } from 'node:v8'
import express from 'express'
import expressSession from 'express-session'
import { Server, type Socket } from 'socket.io'
import { Feed } from '../feed.js'
import { InsideClient } from '../inside-client.js'
import { peers } from '../peers/index.js'
import type { PeerName } from '../peers/peer.js'
import { type BenchData, SECRET, storedOf } from '../session.js'
import { type Calls, openStore, type StoreName, type Urls } from '../stores.js'
import { serve } from '../worker.js'

export interface ServerConfig {
  peer: PeerName
  store: StoreName
  urls: Urls
}

export type ServerOffers = Awaited<ReturnType<typeof open>>

async function open({ peer: name, store: kind, urls }: ServerConfig) {
  const { store, counted } = await openStore(kind, urls, name)
  const original = { get: store.get.bind(store), set: store.set.bind(store) }
  const session = expressSession({ secret: SECRET, store, resave: false, saveUninitialized: false })
  const app = express()
  const server = createServer(app)
  const io = new Server(server)
  const peer = await peers[name](io, session)
  app.use(session)
  let n = 0
  app.get('/read', (req, res) => {
    res.json({ name: (req.session as unknown as BenchData).user.name })
  })
  app.get('/write', (req, res) => {
    ;(req.session as unknown as BenchData).n = ++n
    res.json({ n })
  })
  let readsAtOnce = false
  let seen: string | undefined
  io.on('connection', (socket) => {
    const session = peer.session(socket)
    if (readsAtOnce) seen = session().user.name
    socket.on('read', (ack: (name: string) => void) => ack(session().user.name))
    socket.on('write', (key: string, value: number, ack: () => void) => {
      session()[key] = value
      peer.changed(session, ack)
    })
  })
  // A server that was restarted has a queue for all who return; the system limits it.
  server.listen(0, '127.0.0.1', 16_384)
  await once(server, 'listening')

  const set = (sid: string, value: object) =>
    new Promise<void>((resolve, reject) => original.set(sid, value as never, (error) => (error ? reject(error) : resolve())))
  let peak = 0
  const feeds = new WeakMap<Socket, Feed>()
  const inside: InsideClient[] = []
  const cpu = (): number => {
    const { user, system } = process.cpuUsage()
    return user + system
  }
  const settled = async (): Promise<void> => {
    await peer.settled?.()
    await counted.settled()
  }
  return {
    port: () => (server.address() as AddressInfo).port,
    /** Whether each socket's session is read in `connection`. @returns the name that was read last */
    readAtOnce(on: boolean) {
      readsAtOnce = on
      return seen
    },
    /** Puts sessions of that size into the store. */
    async fill(sids: string[], bytes: number) {
      for (let from = 0; from < sids.length; from += 100) {
        await Promise.all(sids.slice(from, from + 100).map((sid) => set(sid, storedOf(bytes))))
      }
    },
    /** What this process has used of a processor, in µs. */
    cpu,
    /** Live bytes. */
    async heap() {
      // Sockets that were closed and messages that were sent are let go of in later turns.
      for (let time = 0; time < 4; time++) {
        await new Promise((resolve) => setTimeout(resolve, 30))
        globalThis.gc?.()
      }
      return process.memoryUsage().heapUsed
    },
    /** Begins to watch the heap. */
    watchHeap() {
      peak = 0
      const look = (): void => {
        peak = Math.max(peak, getHeapStatistics().used_heap_size)
      }
      look()
      setInterval(look, 10)
    },
    /** The most that the heap was since it is watched, garbage included, in bytes. */
    peakHeap: () => peak,
    /** Calls of the store so far. */
    calls: (): Calls => counted.calls,
    settled,
    connected: () => io.engine.clientsCount,
    /** Events that read, without a network; from then on the only socket has none. @returns µs of processor time */
    async feed(events: number) {
      const [socket] = io.sockets.sockets.values()
      const feed = feeds.get(socket!) ?? new Feed(socket!)
      feeds.set(socket!, feed)
      const before = cpu()
      await feed.read(events)
      return cpu() - before
    },
    /** Opens a socket for each id without a network, so many at once. @returns µs of processor time until the last one was connected */
    async connectInside(sids: string[], atOnce: number, writes = false) {
      const clients = sids.map((sid) => new InsideClient(server, sid, writes))
      inside.push(...clients)
      let next = 0
      const one = async (): Promise<void> => {
        while (next < clients.length) await clients[next++]!.connect()
      }
      const before = cpu()
      await Promise.all(Array.from({ length: atOnce }, one))
      if (writes) await settled()
      return cpu() - before
    },
    /** Closes the sockets without a network, but for the first `kept`. */
    async closeInside(kept: number) {
      for (const client of inside.splice(kept)) client.destroy()
      while (io.engine.clientsCount > kept) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    stored: (sid: string) =>
      new Promise<BenchData>((resolve, reject) =>
        original.get(sid, (error, found) => (error ? reject(error) : resolve(found as unknown as BenchData))),
      ),
    /** What the store alone takes for one session of that size, one at a time. */
    async alone(bytes: number, ms: number) {
      const value = storedOf(bytes)
      const before = cpu()
      const start = performance.now()
      let calls = 0
      do {
        value.n = ++calls
        await set('alone', value)
      } while (performance.now() - start < ms)
      return { calls, ms: performance.now() - start, cpu: cpu() - before }
    },
  }
}

serve(open)

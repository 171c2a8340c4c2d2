// A server whose pages show a part of the session: by the mirror, or by hand, as the whole of what they show after each change.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import expressSession from 'express-session'
import { Server } from 'socket.io'
import { type BenchData, SECRET, storedOf } from '../session.js'
import { openStore, type StoreName, type Urls } from '../stores.js'
import { serve } from '../worker.js'

type Package = typeof import('../../src/index.js')

/** How a page gets the state: `mirror`, or `hand`: an event with the whole state after each change. */
export type Way = 'mirror' | 'hand'

export interface PagesConfig {
  way: Way
  store: StoreName
  urls: Urls
}

export type PagesOffers = Awaited<ReturnType<typeof open>>

const project = ({ user, cart }: BenchData) => ({ user: user.name, items: cart.items, total: cart.total })

async function open({ way, store: kind, urls }: PagesConfig) {
  const { default: sharedsession }: Package = await import(process.env.BENCH_PACKAGE!)
  const { store } = await openStore(kind, urls, `pages-${way}`)
  const session = expressSession({ secret: SECRET, store, resave: false, saveUninitialized: false })
  const publish = (session: object) => project(session as BenchData)
  const shared = sharedsession(session, { autoSave: true, ...(way === 'mirror' && { publish }) })
  const server = createServer()
  const io = new Server(server)
  shared.attach(io)
  io.on('connection', (socket) => {
    const live = shared.session(socket) as unknown as BenchData
    const show = (): void => void socket.emit('state', project(live))
    if (way === 'hand') {
      show()
      socket.on('session:changed', show)
    }
    socket.on('write', (total: number, ack: () => void) => {
      live.cart.total = total
      if (way === 'hand') show()
      ack()
    })
    socket.on('ready', (ack: () => void) => ack())
  })
  server.listen(0, '127.0.0.1', 16_384)
  await once(server, 'listening')
  return {
    port: () => (server.address() as AddressInfo).port,
    async fill(sids: string[], bytes: number) {
      for (const sid of sids) await new Promise((resolve) => store.set(sid, storedOf(bytes) as never, resolve))
    },
    /** So many commits of one session, one after the other. @returns µs of processor time */
    async commits(sid: string, times: number) {
      const before = process.cpuUsage()
      for (let time = 1; time <= times; time++) {
        await shared.update(sid, (draft: any) => {
          draft.cart.total++
        })
      }
      const { user, system } = process.cpuUsage(before)
      return user + system
    },
    /** What this process holds after collection, buffers included, in bytes. */
    async memory() {
      for (let time = 0; time < 4; time++) {
        await new Promise((resolve) => setTimeout(resolve, 30))
        globalThis.gc?.()
      }
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    },
    connected: () => io.engine.clientsCount,
  }
}

serve(open)

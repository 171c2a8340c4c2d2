import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import expressSession, { type Store } from 'express-session'
import { Server, type ServerOptions } from 'socket.io'
import sharedsession, { type SharedSession, type SharedSessionOptions } from '../../src/index.js'
import { express } from '../support/app.js'

/** What the page has of the session. */
export interface Published {
  user?: string
  items: string[]
  n?: number
}

export interface ShopOptions {
  store: Store
  port?: number
  io?: Partial<ServerOptions>
  shared?: SharedSessionOptions
  routes?(app: Express, shared: SharedSession): void
}

/** A node of an application whose pages have a mirror: items come by event, and who is logged in by HTTP. */
export interface Shop {
  url: string
  port: number
  io: Server
  shared: SharedSession
  /** How often `publish` ran. */
  projections: number
  /** While set, `publish` throws it. */
  fault: Error | undefined
  close(): Promise<void>
}

export async function startShop({ store, port = 0, routes, ...options }: ShopOptions): Promise<Shop> {
  const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false })
  const shared = sharedsession(session, {
    autoSave: true,
    revalidate: false,
    publish: ({ user, items, n }): Published => {
      shop.projections++
      if (shop.fault) throw shop.fault
      return { user, items: items ?? [], n }
    },
    ...options.shared,
  })
  shared.events.on('session:error', () => undefined)
  const app = express()
  const http = createServer(app)
  const io = shared.attach(new Server(http, options.io))
  app.use(session)
  routes?.(app, shared)
  app.post('/session', shared.renewal())
  app.post('/set', (req, res) => {
    Object.assign(req.session, req.query)
    res.json({})
  })
  app.post('/login', (req, res, next) => {
    const { items } = req.session
    req.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(req.session, { user: req.query.user, items, hidden: 'a secret' })
      res.json({})
    })
  })
  app.post('/logout', (req, res) => void req.session.destroy(() => res.json({})))
  io.on('connection', (socket) => {
    const { session: live } = socket.handshake
    socket.emit('hello')
    socket.on('add', (item, ack) => {
      live.items = [...(live.items ?? []), item]
      ack?.('added')
    })
  })
  http.listen(port, '127.0.0.1')
  await once(http, 'listening')
  const shop: Shop = {
    ...{ io, shared, projections: 0, fault: undefined },
    port: (http.address() as AddressInfo).port,
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async close() {
      http.closeAllConnections()
      await shared.close().catch(() => undefined)
      await io.close()
    },
  }
  return shop
}

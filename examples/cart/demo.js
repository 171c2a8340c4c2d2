// @ts-check
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import expressSession from 'express-session'
import sharedsession from 'sharedsession'
import { Server } from 'socket.io'

/** @typedef {ReturnType<typeof createDemo>['shared']['Published']} Published what the page has of the session */

const PUBLIC = fileURLToPath(new URL('public', import.meta.url))
const PAGE = readFileSync(`${PUBLIC}/index.html`, 'utf8')
const CLIENT = fileURLToPath(import.meta.resolve('sharedsession/client'))

const COFFEES = [
  { sku: 'guji', name: 'Guji', origin: 'Ethiopia', notes: 'Peach, jasmine, honey', price: 1450 },
  { sku: 'huila', name: 'Huila', origin: 'Colombia', notes: 'Cocoa, red apple, panela', price: 1200 },
  { sku: 'nyeri', name: 'Nyeri', origin: 'Kenya', notes: 'Cassis, lime, cane sugar', price: 1550 },
  { sku: 'gayo', name: 'Gayo', origin: 'Sumatra', notes: 'Cedar, dark cocoa, clove', price: 1300 },
]
const THEMES = /** @type {const} */ (['auto', 'light', 'dark'])

/** A shop whose log-in and preferences go by HTTP and whose cart goes by socket, on one session. */
export function createDemo({ secret = process.env.SESSION_SECRET ?? 'only for development' } = {}) {
  const session = expressSession({ secret, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } })
  const shared = sharedsession(session, {
    autoSave: true,
    // Every tab gets this, now and whenever it changes. Whatever else is in the session stays on the server.
    publish: ({ theme = 'auto', user, cart, note }) => ({
      ...{ theme, user: user?.name, items: cart?.items ?? [] },
      noted: note !== undefined,
    }),
  })

  const app = express()
  app.use(express.static(PUBLIC, { index: false }), express.json())
  app.use('/sharedsession.js', express.static(CLIENT))
  app.use(session, routes())
  app.post('/session', shared.renewal())

  const server = createServer(app)
  const io = shared.attach(new Server(server))
  io.on('connection', (socket) => serve(socket, shared.session(socket)))

  return {
    server,
    shared,
    /** Ends the sockets and the server, then saves what is left to be saved. */
    async close() {
      const closed = new Promise((resolve) => io.close(resolve))
      // Answers under way may finish; connections that are merely kept open are not waited for.
      setTimeout(() => server.closeAllConnections(), 1000).unref()
      await closed
      await shared.close()
    },
  }
}

/** The HTTP side. */
function routes() {
  const router = express.Router()

  router.get('/', (req, res) => {
    res.type('html').send(PAGE.replace('data-theme="auto"', `data-theme="${req.session.theme ?? 'auto'}"`))
  })

  router.get('/coffees', (_req, res) => {
    res.json(COFFEES)
  })

  router.post('/login', (req, res, next) => {
    const name = text(req.body?.name, 40)
    if (!name) return res.status(400).json({ error: 'A name is needed.' })
    const { theme, cart } = req.session
    // A new id for a new privilege. Sockets of the old session end, and come back with the new cookie.
    req.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(req.session, { theme, cart, user: { name } })
      res.sendStatus(204)
    })
  })

  router.post('/logout', (req, res, next) => {
    req.session.regenerate((error) => (error ? next(error) : res.sendStatus(204)))
  })

  router.post('/preferences', (req, res) => {
    const { theme, name, note } = req.body ?? {}
    if (THEMES.includes(theme)) req.session.theme = theme
    if (req.session.user && text(name, 40)) req.session.user.name = text(name, 40)
    if (req.session.user && text(note, 200)) req.session.note = text(note, 200)
    res.sendStatus(204)
  })

  return router
}

/**
 * The socket side.
 * @param {import('socket.io').Socket} socket
 * @param {import('sharedsession').LiveSession} session
 */
function serve(socket, session) {
  // Another tab or an HTTP request wrote: for the list at the side.
  socket.on('session:changed', ({ keys, origin }) => {
    socket.emit('change', { origin, keys })
  })

  // Plain assignments. The acknowledgement leaves when they have reached the store.
  handle('cart:add', (sku) => {
    const coffee = COFFEES.find((one) => one.sku === sku)
    if (!coffee) return
    session.cart ??= { items: [] }
    const item = session.cart.items.find((one) => one.sku === sku)
    if (item) item.quantity = Math.min(item.quantity + 1, 99)
    else session.cart.items.push({ sku: coffee.sku, name: coffee.name, price: coffee.price, quantity: 1 })
  })

  handle('cart:quantity', (sku, quantity) => {
    const item = session.cart?.items.find((one) => one.sku === sku)
    if (item && Number.isInteger(quantity) && quantity >= 1 && quantity <= 99) item.quantity = quantity
  })

  handle('cart:remove', (sku) => {
    const index = session.cart?.items.findIndex((one) => one.sku === sku) ?? -1
    if (index >= 0) session.cart?.items.splice(index, 1)
  })

  /**
   * A client may send anything, also nothing to acknowledge with.
   * @param {string} event
   * @param {(...args: any[]) => void} change
   */
  function handle(event, change) {
    socket.on(event, (...args) => {
      const ack = args.pop()
      if (typeof ack !== 'function') return
      change(...args)
      ack()
    })
  }
}

/**
 * @param {unknown} value
 * @param {number} length
 */
function text(value, length) {
  return typeof value === 'string' ? value.trim().slice(0, length) : ''
}

// @ts-check
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import expressSession from 'express-session'
import sharedsession from 'sharedsession'
import { Server } from 'socket.io'

/** @import { SessionData } from 'express-session' */

const PUBLIC = fileURLToPath(new URL('public', import.meta.url))
const PAGE = readFileSync(`${PUBLIC}/index.html`, 'utf8')

const COFFEES = [
  { sku: 'guji', name: 'Guji', origin: 'Ethiopia', notes: 'Peach, jasmine, honey', price: 1450 },
  { sku: 'huila', name: 'Huila', origin: 'Colombia', notes: 'Cocoa, red apple, panela', price: 1200 },
  { sku: 'nyeri', name: 'Nyeri', origin: 'Kenya', notes: 'Cassis, lime, cane sugar', price: 1550 },
  { sku: 'gayo', name: 'Gayo', origin: 'Sumatra', notes: 'Cedar, dark cocoa, clove', price: 1300 },
]
const THEMES = /** @type {const} */ (['auto', 'light', 'dark'])

/** The session's keys whose patches the browser may see. Whatever else is in the session stays on the server. */
const SHOWN = new Set(['cart', 'theme'])

/** A shop whose log-in and preferences go by HTTP and whose cart goes by socket, on one session. */
export function createDemo({ secret = process.env.SESSION_SECRET ?? 'only for development' } = {}) {
  const session = expressSession({ secret, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } })
  const shared = sharedsession(session, { autoSave: true })

  const app = express()
  app.use(express.static(PUBLIC, { index: false }), express.json(), session, routes())

  const server = createServer(app)
  const io = new Server(server)
  io.use(shared)
  // A cookie whose session is gone (log-out, restart, expiry) leads to a new one that no browser has a cookie for:
  // the page fetches /session, which stores one, and comes back.
  io.use((socket, next) => {
    const { theme } = shared.session(socket)
    next(theme ? undefined : Object.assign(new Error('No session is stored yet.'), { data: { code: 'FETCH_SESSION' } }))
  })
  io.on('connection', (socket) => serve(socket, shared.session(socket)))

  return {
    server,
    /** Ends the sockets and the server, then saves what is left to be saved. */
    async close() {
      const closed = io.close()
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

  // The first answer stores the session and sets its cookie: the sockets that follow have one to share.
  router.use((req, _res, next) => {
    req.session.theme ??= 'auto'
    next()
  })

  router.get('/', (req, res) => {
    res.type('html').send(PAGE.replace('data-theme="auto"', `data-theme="${req.session.theme}"`))
  })

  router.get('/coffees', (_req, res) => {
    res.json(COFFEES)
  })

  router.get('/session', (req, res) => {
    res.json(view(req.session))
  })

  router.post('/login', (req, res, next) => {
    const name = text(req.body?.name, 40)
    if (!name) return res.status(400).json({ error: 'A name is needed.' })
    const { theme, cart } = req.session
    // A new id for a new privilege. Sockets of the old session end, and come back with the new cookie.
    req.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(req.session, { theme, cart, user: { name } })
      res.json(view(req.session))
    })
  })

  router.post('/logout', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.sendStatus(204)))
  })

  router.post('/preferences', (req, res) => {
    const { theme, name, note } = req.body ?? {}
    if (THEMES.includes(theme)) req.session.theme = theme
    if (req.session.user && text(name, 40)) req.session.user.name = text(name, 40)
    if (req.session.user && text(note, 200)) req.session.note = text(note, 200)
    res.json(view(req.session))
  })

  return router
}

/**
 * The socket side.
 * @param {import('socket.io').Socket} socket
 * @param {import('sharedsession').LiveSession} session
 */
function serve(socket, session) {
  socket.emit('session', view(session))

  // Another tab or an HTTP request wrote. This is the server's knowledge: what the browser may see of it is decided here.
  socket.on('session:changed', ({ keys, patches, origin }) => {
    const shown = patches.filter(({ path }) => SHOWN.has(String(path[0])))
    socket.emit('change', { at: Date.now(), origin, keys, patches: shown, withheld: patches.length - shown.length })
    socket.emit('session', view(session))
  })

  socket.on('session:destroyed', ({ reason }) => {
    socket.emit('ended', { at: Date.now(), reason })
  })

  // Plain assignments; the acknowledgement leaves when they have reached the store.
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
      ack(view(session))
    })
  }
}

/**
 * What the page gets of a session; of the private note only that it is there.
 * @param {Partial<SessionData>} session
 */
function view({ theme, user, cart, note }) {
  return { theme, user: user?.name, items: cart?.items ?? [], noted: note !== undefined }
}

/**
 * @param {unknown} value
 * @param {number} length
 */
function text(value, length) {
  return typeof value === 'string' ? value.trim().slice(0, length) : ''
}

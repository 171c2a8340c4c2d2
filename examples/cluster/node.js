// @ts-check
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import expressSession from 'express-session'
import sharedsession from 'sharedsession'
import { Server } from 'socket.io'

const page = fileURLToPath(new URL('public', import.meta.url))
const client = fileURLToPath(import.meta.resolve('sharedsession/client'))

/**
 * One node: an ordinary server. Nothing in it knows of the other one, but for the store and, without Redis, socket.io's adapter.
 * @param {string} name
 * @param {import('express-session').Store} store which all nodes share
 * @param {Partial<import('socket.io').ServerOptions>} [options]
 */
export function createNode(name, store, options) {
  const session = expressSession({
    name: 'cluster.sid',
    secret: process.env.SESSION_SECRET ?? 'only for the demo',
    store,
    resave: false,
    saveUninitialized: false,
  })
  const shared = sharedsession(session, {
    autoSave: true,
    merge: { clicks: 'sum' },
    publish: ({ user, clicks, words }) => ({ user, clicks: clicks ?? 0, words: words ?? [] }),
  })

  const app = express()
  app.use((_req, res, next) => {
    res.set('X-Node', name)
    next()
  })
  app.use(express.static(page))
  app.use('/sharedsession.js', express.static(client))
  app.use(express.json())
  app.use(session)
  app.post('/session', shared.renewal())
  app.post('/login', (req, res, next) => {
    const { clicks, words } = req.session
    req.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(req.session, { clicks, words, user: String(req.body.name).slice(0, 40) })
      res.json({})
    })
  })
  app.post('/logout', (req, res, next) => {
    req.session.regenerate((error) => (error ? next(error) : res.json({})))
  })

  const server = createServer(app)
  // One connection, one node: with long polling each request could come to another one.
  const io = new Server(server, { transports: ['websocket'], ...options })
  // Not io.use(shared): with attach() the adapter is the bus from the start, also on a node that has no socket yet.
  shared.attach(io)
  io.on('connection', (socket) => {
    const { session } = socket.handshake
    socket.emit('node', { name, pid: process.pid })
    socket.on('click', (/** @type {() => void} */ saved) => {
      session.clicks = (session.clicks ?? 0) + 1
      saved()
    })
    socket.on('word', (/** @type {string} */ word, /** @type {() => void} */ saved) => {
      session.words = [...(session.words ?? []), `${word}`.slice(0, 40)].slice(-12)
      saved()
    })
    // Only in a demo: whoever asks stops the node.
    socket.on('kill', () => process.kill(process.pid, 'SIGKILL'))
    socket.on('session:changed', ({ keys, origin }) => {
      socket.emit('changed', { keys, origin })
    })
  })
  return { server, io, shared }
}

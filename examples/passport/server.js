// @ts-check
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import expressSession from 'express-session'
import passport from 'passport'
import { Strategy } from 'passport-local'
import sharedsession from 'sharedsession'
import { Server } from 'socket.io'
import { findUser, verify } from './users.js'

/** @import { Socket } from 'socket.io' */

const PUBLIC = fileURLToPath(new URL('public', import.meta.url))
const CLIENT = fileURLToPath(import.meta.resolve('sharedsession/client'))

/* Passport, as it always is. */

passport.use(
  new Strategy((username, password, done) => {
    verify(username, password).then((user) => done(null, user), done)
  }),
)
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, findUser(String(id))))
const authenticate = passport.session()

/* One session for HTTP and sockets. Behind TLS its cookie is to be `secure`. */

const secret = process.env.SESSION_SECRET ?? 'only for development'
const session = expressSession({ secret, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } })
const shared = sharedsession(session, {
  autoSave: true,
  // Every tab is told who it is.
  publish: ({ passport }) => ({ user: nameOf(passport?.user) }),
})

/** @param {string} [id] */
function nameOf(id) {
  const user = id !== undefined && findUser(id)
  return user ? user.name : null
}

/* HTTP: who logs in and out. */

const app = express()
app.use(express.static(PUBLIC), express.json({ limit: '4kb' }))
app.use('/sharedsession.js', express.static(CLIENT))
app.use(session, authenticate)

// Guests have a session too. When one of a browser's tabs logs in, its other tabs are told.
app.post('/session', shared.renewal())

app.get('/me', (req, res) => {
  res.json({ user: req.user?.name ?? null })
})

app.post('/login', (req, res, next) => {
  const answer = (/** @type {unknown} */ error, /** @type {Express.User | false} */ user) => {
    if (error) return next(error)
    if (!user) return res.status(401).json({ error: 'Wrong name or password.' })
    // Gives the session a new id: sockets of the old one end, and a browser's come back with the new cookie.
    req.logIn(user, (failure) => (failure ? next(failure) : res.json({ user: user.name })))
  }
  passport.authenticate('local', answer)(req, res, next)
})

app.post('/logout', (req, res, next) => {
  // So does this.
  req.logout((error) => (error ? next(error) : res.json({ user: null })))
})

/* Sockets: who is there, and who may do what. */

const server = createServer(app)
const io = new Server(server)
const members = io.of('/members')
shared.attach(io)
for (const namespace of [io.of('/'), members]) {
  // `socket.request` is the socket's own, and has the session where passport looks.
  namespace.use((socket, next) => authenticate(socket.request, {}, next))
}

// Nobody else gets in here,
members.use((socket, next) => next(userOf(socket) ? undefined : new Error('Log in first.')))
members.on('connection', (socket) => {
  tellMembers()
  socket.on('disconnect', tellMembers)
})

// and in here everybody does, and may not do everything.
/** @type {{ by: string, text: string }[]} */
const notes = []
io.on('connection', (socket) => {
  socket.emit('notes', notes)

  socket.on('note', (text, ack) => {
    if (typeof ack !== 'function') return
    const user = userOf(socket)
    if (!user) return ack({ error: 'Log in first.' })
    if (typeof text !== 'string' || !text.trim()) return ack({ error: 'Write something.' })
    notes.unshift({ by: user.name, text: text.trim().slice(0, 200) })
    notes.splice(20)
    io.emit('notes', notes)
    ack({})
  })
})

/**
 * Who a socket is. A login and a logout end it; where a session loses its user in another way, the live session says so.
 * @param {Socket} socket
 */
function userOf(socket) {
  return shared.session(socket).passport?.user === undefined ? undefined : socket.request.user
}

function tellMembers() {
  const names = new Set([...members.sockets.values()].flatMap((socket) => userOf(socket)?.name ?? []))
  members.emit('members', [...names].sort())
}

server.listen(Number(process.env.PORT ?? 3000), () => {
  const address = server.address()
  console.log(`Log in at http://localhost:${typeof address === 'object' ? address?.port : address}`)
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    try {
      const closed = new Promise((resolve) => io.close(resolve))
      setTimeout(() => server.closeAllConnections(), 1000).unref()
      await closed
      await shared.close()
    } catch (error) {
      console.error('Not everything was saved:', error)
      process.exitCode = 1
    }
  })
}

// An application in CommonJS, as TypeScript writes it with `esModuleInterop`.
import assert from 'node:assert/strict'
import expressSession from 'express-session'
import sharedsession, { type LiveSession, type SharedSession, SharedSessionError } from 'sharedsession'
import { Server } from 'socket.io'

const shared: SharedSession = sharedsession(expressSession({ secret: 'not so secret', resave: false, saveUninitialized: false }))
const io = new Server()
io.use(shared)
io.on('connection', (socket) => {
  const live: LiveSession = shared.session(socket)
  socket.on('session:destroyed', ({ reason }) => live.save().then(() => reason))
  // @ts-expect-error not what it is told
  socket.on('session:destroyed', (n: number) => n)
})
assert.throws(
  // @ts-expect-error not a middleware
  () => sharedsession('no middleware'),
  (error: unknown) => error instanceof SharedSessionError && error.code === 'BAD_ARGUMENT',
)
shared.close().then(() => {
  console.log('interop: works')
})

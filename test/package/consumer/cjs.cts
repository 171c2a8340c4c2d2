// An application in CommonJS, as TypeScript writes it without interoperation of defaults.
import assert = require('node:assert/strict')
import express = require('express')
import expressSession = require('express-session')
import sharedsession = require('sharedsession')
import socketio = require('socket.io')

const session = expressSession({ secret: 'not so secret', resave: false, saveUninitialized: false })
const app = express()
app.use(session)
const io = new socketio.Server()
const options: sharedsession.SharedSessionOptions = { autoSave: true }
const shared: sharedsession.SharedSession = sharedsession(session, options)
io.use(shared)
io.of('/chat').use(shared)
io.on('connection', (socket) => {
  const live: sharedsession.LiveSession = shared.session(socket)
  // @ts-expect-error not declared by the application
  live.amount
  socket.on('session:error', (error: sharedsession.SharedSessionError) => error.code)
  // @ts-expect-error not what it is told
  socket.on('session:error', (n: number) => n)
})

assert.equal(typeof sharedsession, 'function')
assert.equal(sharedsession.default, sharedsession)
assert.equal(sharedsession.sharedsession, sharedsession)
assert.equal(typeof shared, 'function')
assert.throws(
  // @ts-expect-error not a middleware
  () => sharedsession('no middleware'),
  (error: unknown) => error instanceof sharedsession.SharedSessionError && error.code === 'BAD_ARGUMENT',
)
shared.close().then(() => {
  console.log('cjs: works')
})

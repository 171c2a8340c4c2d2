// An application in ES modules.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import cookieParser from 'cookie-parser'
import express from 'express'
import expressSession from 'express-session'
import sharedsession, { type LiveSession, sharedsession as named, type SharedSession, SharedSessionError } from 'sharedsession'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'

declare module 'express-session' {
  interface SessionData {
    count: number
  }
}

interface ClientEvents {
  count: (ack: (count: number) => void) => void
}
interface ServerEvents {
  changed: (keys: string[]) => void
}

const required = createRequire(import.meta.url)('sharedsession')
assert.ok(required === sharedsession && named === sharedsession, 'import and require give one function')
assert.ok(required.SharedSessionError === SharedSessionError)
assert.throws(
  // @ts-expect-error not a middleware
  () => sharedsession('no middleware'),
  (error: unknown) => error instanceof SharedSessionError && error.code === 'BAD_ARGUMENT',
)

const secret = 'not so secret'
const session = expressSession({ secret, resave: false, saveUninitialized: false })
const app = express()
app.use(session)
app.get('/', (request, response) => {
  request.session.count = (request.session.count ?? 0) + 1
  response.json(request.session.count)
})
const server = createServer(app)
const io = new Server<ClientEvents, ServerEvents>(server)
const shared: SharedSession = sharedsession(session, cookieParser(secret), { autoSave: true })
io.use(shared)
io.on('connection', (socket) => {
  const session: LiveSession = shared.session(socket)
  // @ts-expect-error not declared by the application
  session.amount
  socket.on('count', (ack) => {
    session.count = (session.count ?? 0) + 1
    ack(session.count)
  })
  socket.on('session:changed', ({ keys }) => {
    socket.emit('changed', keys)
  })
  // @ts-expect-error not what it is told
  socket.on('session:changed', (n: number) => n)
  // @ts-expect-error not in the event map
  socket.on('amount', () => {})
})

await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const first = await fetch(address)
assert.equal(await first.json(), 1)
const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? ''
const client = connect(address, { extraHeaders: { cookie }, reconnection: false })
await new Promise<void>((resolve, reject) => client.on('connect', resolve).on('connect_error', reject))
assert.equal(await client.timeout(5000).emitWithAck('count'), 2)
const changed = new Promise((resolve) => client.once('changed', resolve))
assert.equal(await (await fetch(address, { headers: { cookie } })).json(), 3)
assert.deepEqual(await changed, ['count'])
client.close()
await shared.close()
await io.close()
console.log('esm: works')

import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import expressSession, { type Session, type SessionData, type Store } from 'express-session'
import { Server, type Socket } from 'socket.io'
import sharedsession, { type LiveSession, type PlainSession, type SharedSessionError } from '../../src/index.js'
import { type ClientEvents, type InterServerEvents, type ServerEvents, type SocketData, same } from './application.js'

const shared = sharedsession(expressSession({ secret: 'not so secret' }))
const io = new Server()
const typed = new Server<ClientEvents, ServerEvents, InterServerEvents, SocketData>()

// A middleware of every namespace, whatever event maps the server has.
io.use(shared)
io.of('/chat').use(shared)
io.of(/^\/room-\d+$/).use(shared)
io.of((_name, _auth, next) => next(null, true)).use(shared)
typed.use(shared)
typed.of('/chat').use(shared)

declare const plainSocket: Socket
declare const typedSocket: Socket<ClientEvents, ServerEvents, InterServerEvents, SocketData>
declare const request: Request

// The live session, wherever it is got from.
same<ReturnType<typeof shared.session>, LiveSession>()
same<typeof plainSocket.handshake.session, LiveSession>()
same<typeof typedSocket.handshake.session, LiveSession>()
shared.session(plainSocket)
const live = shared.session(typedSocket)
// @ts-expect-error a socket is needed
shared.session('id')
// @ts-expect-error a request is no socket
shared.session(request)

// Typed by the application's SessionData, and nothing else.
same<typeof live.user, SessionData['user'] | undefined>()
live.cart ??= { items: [] }
live.cart.items.push({ sku: 'apple', price: 1 })
live.update = 'the application has this name'
delete live.user
// @ts-expect-error not declared by the application
live.basket
// @ts-expect-error no price
live.cart.items.push({ sku: 'apple' })
// @ts-expect-error there may be none
live.user.name
// @ts-expect-error a member of `shared`, not of the session
live.snapshot
// @ts-expect-error of another type
live.update = new Date()

// A Session, in every place where one is wanted.
const session: Session & Partial<SessionData> = live
request.session = live
// @ts-expect-error a request's session does not promise: it is no live one
const notLive: LiveSession = request.session
live.id.length
live.cookie.maxAge = 1000
live.touch().save((error) => error)
live.resetMaxAge()

// Promises without a callback, express-session's way with one.
same<ReturnType<typeof saved>, Promise<void>>()
function saved() {
  return live.save()
}
live.save().then(() => {})
live.reload().catch((error: SharedSessionError) => error.code)
live.destroy().finally(() => {})
async function waits() {
  await live.save()
  await live.reload()
  await live.destroy()
}
live.save((error) => error?.message)
live.reload((error: unknown) => error)
live.destroy(() => {}).id
// @ts-expect-error no promise where there is a callback
live.save(() => {}).then(() => {})
// @ts-expect-error a callback is a function
live.save('now')

// The handshake: assignable, and with what the middleware puts beside the session.
plainSocket.handshake.session = live
const { session: taken, sessionID, sessionStore, cookies, signedCookies, secret } = typedSocket.handshake
same<typeof taken, LiveSession>()
same<typeof sessionID, string>()
same<typeof sessionStore, Store>()
same<typeof secret, string | undefined>()
cookies['connect.sid']
signedCookies['connect.sid']
// @ts-expect-error not declared by the application
taken.basket
// What socket.io has there is still there.
typedSocket.handshake.auth.token
same<typeof typedSocket.handshake.issued, number>()

// http.IncomingMessage belongs to the application.
declare const message: IncomingMessage
// @ts-expect-error not augmented
message.session
// @ts-expect-error not augmented
message.sessionID
// @ts-expect-error not augmented
plainSocket.request.session

// Targets: an id, a socket of whatever kind, and what has a sessionID.
const snapshot: PlainSession = shared.snapshot(live.id)
shared.snapshot(plainSocket)
shared.snapshot(typedSocket)
shared.snapshot(typedSocket.handshake)
shared.snapshot(request)
same<typeof snapshot.user, SessionData['user'] | undefined>()
// @ts-expect-error data only
snapshot.save
// @ts-expect-error data only
snapshot.cookie
// @ts-expect-error no target
shared.snapshot(1)
io.to(shared.room(request)).emit('anything')
typed.to(shared.room(typedSocket)).emit('price', 1)

// update(): the recipe is handed the data.
shared
  .update(request, (draft) => {
    draft.user = { id: 1, name: 'ann' }
    // @ts-expect-error of another type
    draft.user = 1
    // @ts-expect-error data only
    draft.save
  })
  .then((data) => data.user?.name)
shared.update<{ n: number }>('id', (draft) => {
  draft.n++
})
// What is expected of the result does not decide about the draft.
export const updating = (): Promise<unknown> =>
  shared.update('id', (draft) => {
    draft.user = { id: 1, name: 'ann' }
  })
export const updated: Promise<{ n: number }> = shared.update('id', (draft: { n: number }) => {
  draft.n++
})
// @ts-expect-error no recipe
shared.update('id')

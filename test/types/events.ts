import { type EventEmitter, once } from 'node:events'
import expressSession from 'express-session'
import { type Namespace, Server, type Socket } from 'socket.io'
import sharedsession, {
  type ChangeOrigin,
  type EndReason,
  type LiveSession,
  type Patch,
  type SessionChange,
  type SessionEnd,
  type SharedSessionError,
  type SharedSessionErrorCode,
} from '../../src/index.js'
import { type ClientEvents, type InterServerEvents, type ServerEvents, type SocketData, same } from './application.js'

const io = new Server()
const typed = new Server<ClientEvents, ServerEvents, InterServerEvents, SocketData>()

// Typed on a server without an event map.
io.on('connection', (socket) => {
  socket.on('session:changed', (change) => {
    same<typeof change, SessionChange>()
    same<typeof change.keys, string[]>()
    same<typeof change.patches, Patch[]>()
    same<typeof change.origin, ChangeOrigin>()
    same<typeof change.session, LiveSession>()
  })
  socket.once('session:destroyed', (end) => {
    same<typeof end, SessionEnd>()
    same<typeof end.reason, EndReason>()
  })
  socket.on('session:error', (error) => {
    same<typeof error, SharedSessionError>()
    same<typeof error.code, SharedSessionErrorCode>()
  })
  socket.on('session:changed', async ({ keys }) => {
    await keys
  })
  socket.on('session:changed', () => {}).once('session:error', () => {})
  const listener = (change: SessionChange) => change.keys
  socket.on('session:changed', listener).off('session:changed', listener)
  // @ts-expect-error the payload has another type
  socket.on('session:changed', (n: number) => n)
  // @ts-expect-error the payload has another type
  socket.once('session:destroyed', (change: SessionChange) => change)
  // @ts-expect-error the payload has another type
  socket.off('session:error', (n: number) => n)

  // Everything else is as untyped as it was.
  socket.on('cart:add', (sku, ack) => ack(sku))
  socket.once('cart:add', (sku: string) => sku)
  socket.off('cart:add', (sku: string) => sku)
  socket.on('any' as string, (...args) => args)
  socket.on('disconnect', (reason, description) => {
    same<typeof reason extends string ? true : false, true>()
    description
    // @ts-expect-error no such reason
    reason === 'boredom'
  })
  socket.on('error', (error) => error.message)
  socket.off('disconnect', () => {})
})

// Typed on a server with one, which keeps its own.
typed.on('connection', (socket) => {
  socket.on('session:changed', ({ keys, session }) => {
    same<typeof keys, string[]>()
    session.cart?.items
  })
  socket.once('session:error', (error) => error.code)
  socket.on('cart:add', (sku, ack) => {
    same<typeof sku, string>()
    ack('ok')
    // @ts-expect-error not in the map
    ack('maybe')
  })
  socket.once('ping', () => {})
  socket.on('disconnecting', (reason) => reason)
  socket.emit('price', 1)
  socket.data.joined.toFixed()
  // @ts-expect-error not in the map
  socket.on('pong', () => {})
  // @ts-expect-error not in the map
  socket.once('pong', () => {})
  // @ts-expect-error not what the map says
  socket.on('cart:add', (sku: number) => sku)
  // @ts-expect-error the payload has another type
  socket.on('session:changed', (n: number) => n)
  // @ts-expect-error not for clients
  socket.emit('session:changed', {})

  // The widest kinds take every socket.
  const widest: Socket<any, any, any, any> = socket
  const plain: Socket = socket
  const emitter: EventEmitter = socket
  takesEmitter(socket)
  once(socket, 'session:changed')
  return [widest, plain, emitter]
})

function takesEmitter(emitter: { on(event: string, listener: (...args: any[]) => void): unknown }) {
  return emitter
}

function takesNamespace(namespace: Namespace) {
  namespace.on('connection', (socket) => socket.on('session:changed', ({ keys }) => keys))
}
takesNamespace(io.of('/chat'))

// The process-wide emitter.
const { events } = sharedsession(expressSession({ secret: 'not so secret' }))
events.on('session:saved', ({ keys, patches, sessionID }) => {
  same<typeof keys, string[]>()
  same<typeof patches, Patch[]>()
  same<typeof sessionID, string>()
})
events.on('session:changed', (change) => {
  same<typeof change.origin, ChangeOrigin>()
  // @ts-expect-error it has no view of its own
  change.session
})
events.on('session:destroyed', ({ reason }) => same<typeof reason, EndReason>())
events.on('session:conflict', ({ path, mine, theirs }) => [path, mine, theirs])
events.on('session:error', (error) => same<typeof error.code, SharedSessionErrorCode>())
// @ts-expect-error no such event
events.on('session:gone', () => {})

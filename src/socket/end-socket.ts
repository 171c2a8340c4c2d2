import type { Socket } from 'socket.io'
import type { EndAction } from '../options.js'
import { getOrInsert } from '../util/maps.js'
import { settleWithin } from '../util/promises.js'
import { closeConnection } from './close-connection.js'
import { isSessionRoom } from './room.js'

/** How long an async listener of `session:destroyed` may delay the end of its socket, in ms. */
const DRAIN_TIMEOUT = 1000

/** Listeners of `session:destroyed` that still run, by the connection: the sockets of several namespaces share one. */
const drains = new WeakMap<object, Set<Promise<unknown>>>()

/**
 * Ends a socket whose session has ended: a logout or an expiry, on this node or on another one.
 * @param action what the option `onEnd` says
 * @param listeners resolves when the listeners of `session:destroyed` have ended; what they send still leaves
 * @param response resolves when the HTTP response that brings the client its next cookie has left
 * @param refuse refuses a socket that is still connecting, because another middleware has not called `next` yet
 */
export function endSocket(
  socket: Socket,
  action: EndAction,
  listeners: Promise<unknown> | undefined,
  response: Promise<unknown> | undefined,
  refuse: () => void,
): void {
  const drained = listeners && drain(socket.conn, listeners)
  if (action === 'keep') return
  const end = (): void => {
    if (action === 'reconnect') reconnect(socket)
    else if (socket.connected) socket.disconnect()
    else refuse()
  }
  const leave = async (): Promise<void> => {
    await Promise.all([drained, response])
    // A connection is closed when the listeners of its other namespaces have ended as well.
    if (action === 'reconnect') await Promise.all(drains.get(socket.conn) ?? [])
    // Not in the same tick: the callback of destroy() runs in it, and what that callback and the listeners send leaves before.
    setImmediate(end)
  }
  leave()
}

/** A client that lost its transport reconnects, a client that was disconnected does not. */
function reconnect(socket: Socket): void {
  // One tick later: sockets of other namespaces that are to stay away have been disconnected by then. What is buffered is sent.
  setImmediate(() => closeConnection(socket.conn))
}

function drain(conn: object, listeners: Promise<unknown>): Promise<unknown> {
  const running = getOrInsert(drains, conn, () => new Set())
  const drained = settleWithin(listeners, DRAIN_TIMEOUT)
  running.add(drained)
  return drained.then(() => running.delete(drained))
}

/** What socket.io calls on its sockets: there is no public way to ignore an ack, or to refuse a room. */
interface SocketInternals {
  onack: unknown
  join: unknown
}

/**
 * From now on no ack of the client reaches a callback, and the socket is in no room but its own: both were for the session that has
 * ended. Nothing is restored, because the socket is about to end.
 */
export function muteSocket(socket: Socket): void {
  // Methods that socket.io has and declares private, or not at all.
  const internals = socket as unknown as SocketInternals
  const rooms = new Set(socket.rooms)
  const join = socket.join
  internals.onack = () => undefined
  internals.join = (room: string | string[]) => (room === socket.id ? join.call(socket, room) : undefined)
  for (const room of rooms) {
    // A socket that is still connecting leaves its session's room when it is gone: `pending-socket.ts` waits for that.
    if (room !== socket.id && (socket.connected || !isSessionRoom(room))) socket.leave(room)
  }
  // A listener of 'disconnecting' finds the rooms, as with any other socket. Connection state recovery reads them later, and does not.
  socket.prependListener('disconnecting', () => Object.defineProperty(socket, 'rooms', { value: rooms, configurable: true }))
  socket.on('disconnecting', () => void Reflect.deleteProperty(socket, 'rooms'))
}

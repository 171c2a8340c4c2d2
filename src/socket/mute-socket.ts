import type { Socket } from 'socket.io'
import { isSessionRoom } from './room.js'

type Rooms = string | string[]

/** What socket.io calls on its sockets: there is no public way to refuse an answer, or a room. */
interface Inner {
  onack: unknown
  join: unknown
}

/**
 * From now on no answer of the client reaches a callback, and the socket is in no room but its own: both were for a session that it has
 * not any more. For a socket that is about to end; nothing is given back.
 */
export function muteSocket(socket: Socket): void {
  const inner = socket as unknown as Inner
  const rooms = new Set(socket.rooms)
  const join = socket.join
  inner.onack = () => undefined
  inner.join = (room: Rooms) => (room === socket.id ? join.call(socket, room) : undefined)
  for (const room of rooms) {
    // That of its session is how one that is still connecting is seen to be gone.
    if (room !== socket.id && (socket.connected || !isSessionRoom(room))) socket.leave(room)
  }
  // As without this, whoever wants to tell the others in its rooms that it has gone finds them there. Recovery does not: it asks later.
  socket.prependListener('disconnecting', () => Object.defineProperty(socket, 'rooms', { value: rooms, configurable: true }))
  socket.on('disconnecting', () => void Reflect.deleteProperty(socket, 'rooms'))
}

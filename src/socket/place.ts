import type { SocketMember } from './member.js'

/**
 * Puts the live session where applications look for it: on the handshake and on the socket's request. Not enumerable, because
 * `fetchSockets()` on a cluster sends the handshake's enumerable properties to other nodes.
 * @param parsed the names of what the cookie parser put on the handshake
 * @returns takes it away again, and that too
 */
export function placeSession(member: SocketMember, parsed: string[]): () => void {
  const { socket, live, request } = member
  const { sessionStore } = request
  // The request is nobody else's, so nothing is to be put back there: the Session that the middleware made, and with it all that the
  // middleware keeps of a request, would stay as long as the socket.
  put(request, 'session', live.face(member))
  const places: [object, string, unknown][] = [
    [socket.handshake, 'session', live.face(member)],
    [socket.handshake, 'sessionID', live.sid],
    [socket.handshake, 'sessionStore', sessionStore],
    // Namespaces of one connection share its request; each socket has its own session on one of its own.
    [socket, 'request', request],
  ]
  const taken = places.map(([target, key, value]) => put(target, key, value))
  return () => {
    for (const take of taken) take()
    for (const name of parsed) Reflect.deleteProperty(socket.handshake, name)
  }
}

function put(target: object, key: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, key)
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: false })
  return () => {
    if (before) Object.defineProperty(target, key, before)
    else Reflect.deleteProperty(target, key)
  }
}

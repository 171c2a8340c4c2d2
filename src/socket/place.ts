import type { SocketMember } from './member.js'

/** What was in a place before. */
export interface Displaced {
  target: object
  key: string
  before: PropertyDescriptor
}

/**
 * Puts the live session where applications look for it: on the handshake and on the socket's request. Not enumerable, because
 * `fetchSockets()` on a cluster sends the handshake's enumerable properties to other nodes.
 * @returns what it has displaced there
 */
export function placeSession(member: SocketMember): Displaced[] {
  const { request } = member
  const places = placesOf(member)
  const displaced = places.flatMap(([target, key]) => {
    const before = Object.getOwnPropertyDescriptor(target, key)
    return before ? [{ target, key, before }] : []
  })
  // The request is nobody else's, so nothing is to be put back there: the Session that the middleware made, and with it all that the
  // middleware keeps of a request, would stay as long as the socket.
  for (const [target, key, value] of [...places, [request, 'session', member.live.face(member)] as const]) {
    Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: false })
  }
  return displaced
}

/** @param parsed the names of what the cookie parser put on the handshake, which goes as well */
export function takeSessionAway(member: SocketMember, displaced: Displaced[], parsed: readonly string[]): void {
  for (const [target, key] of placesOf(member)) Reflect.deleteProperty(target, key)
  for (const { target, key, before } of displaced) Object.defineProperty(target, key, before)
  for (const name of parsed) Reflect.deleteProperty(member.socket.handshake, name)
}

function placesOf(member: SocketMember): [target: object, key: string, value: unknown][] {
  const { socket, live, request } = member
  return [
    [socket.handshake, 'session', live.face(member)],
    [socket.handshake, 'sessionID', live.sid],
    [socket.handshake, 'sessionStore', request.sessionStore],
    // Namespaces of one connection share its request; each socket has its own session on one of its own.
    [socket, 'request', request],
  ]
}

import { warnOnce } from '../debug.js'
import { isContainer, isList } from '../document/json.js'
import type { SocketMember } from './member.js'

/** What was in a place before. */
export interface ReplacedProperty {
  target: object
  key: string | symbol
  before: PropertyDescriptor
}

/**
 * Puts the live session where applications look for it: on the handshake and on the socket's request. Not enumerable, because
 * `fetchSockets()` on a cluster sends the handshake's enumerable properties to other nodes.
 * @returns what it has displaced there
 */
export function attachSession(member: SocketMember): ReplacedProperty[] {
  const { request } = member
  const places = placesOf(member)
  const { handshake } = member.socket
  const displaced = [...places, [handshake, 'session'] as const, [handshake, LIVE] as const].flatMap(([target, key]) => {
    const before = Object.getOwnPropertyDescriptor(target, key)
    return before ? [{ target, key, before }] : []
  })
  // The request is nobody else's, so nothing is to be put back there: the Session that the middleware made, and with it all that the
  // middleware keeps of a request, would stay as long as the socket.
  for (const [target, key, value] of places) put(target, key, value)
  for (const target of [handshake, request]) {
    put(target, LIVE, member.replica.view(member))
    Object.defineProperty(target, 'session', SESSION)
  }
  return displaced
}

/** @param parsed the names of what the cookie parser put on the handshake, which goes as well */
export function detachSession(member: SocketMember, displaced: ReplacedProperty[], parsed: readonly string[]): void {
  for (const [target, key] of placesOf(member)) Reflect.deleteProperty(target, key)
  for (const key of ['session', LIVE]) Reflect.deleteProperty(member.socket.handshake, key)
  for (const { target, key, before } of displaced) Object.defineProperty(target, key, before)
  for (const name of parsed) Reflect.deleteProperty(member.socket.handshake, name)
}

function placesOf(member: SocketMember): [target: object, key: string, value: unknown][] {
  const { socket, replica: live, request } = member
  return [
    [socket.handshake, 'sessionID', live.sid],
    [socket.handshake, 'sessionStore', request.sessionStore],
    // Namespaces of one connection share its request; each socket has its own session on one of its own.
    [socket, 'request', request],
  ]
}

function put(target: object, key: string | symbol, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: false })
}

/** Where a handshake and a request keep the live session. */
const LIVE = Symbol('sharedsession.live')

interface Place {
  [LIVE]: Record<string, unknown>
}

/**
 * The session as applications find it. Whoever assigns a whole session means its data, which the live session then has. The same for all
 * sockets: functions of each one's own would give each handshake a shape of its own.
 */
const SESSION: PropertyDescriptor & ThisType<Place> = {
  get() {
    return this[LIVE]
  },
  set(value: unknown) {
    const live = this[LIVE]
    if (value === live) return
    if (isContainer(value) && !isList(value)) {
      replace(live, value)
      return
    }
    // As express-session has it: without a session (`req.session = null`), or with another object of its class.
    put(this, 'session', value)
    if (value !== null && value !== undefined && !isSession(value)) {
      warnOnce(
        'not a session',
        'What was assigned to socket.handshake.session, or to socket.request.session, is no object with data, so it is not a session: nothing of it is shared or stored. Assign it to a key of the session.',
        'SHAREDSESSION_NOT_A_SESSION',
      )
    }
  },
  configurable: true,
  enumerable: false,
}

/** @param data of a whole session; its cookie is express-session's, and stays as it is */
function replace(live: Record<string, unknown>, data: Record<string, unknown>): void {
  const keys = Object.keys(data).filter((key) => key !== 'cookie')
  // Does not throw where a name is read-only: what is assigned may come from a client.
  for (const key of keys) Reflect.set(live, key, data[key])
  for (const key of Object.keys(live)) if (key !== 'cookie' && !keys.includes(key)) delete live[key]
}

function isSession(value: unknown): boolean {
  const { save, reload } = Object(value) as { save?: unknown; reload?: unknown }
  return typeof save === 'function' && typeof reload === 'function'
}

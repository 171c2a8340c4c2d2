import { warnOnce } from '../debug.js'
import { isContainer, isList } from '../document/json.js'
import type { SocketMember } from './socket-member.js'

/** A property that {@link attachSession} has replaced, to restore it. */
export interface ReplacedProperty {
  target: object
  key: string | symbol
  before: PropertyDescriptor
}

/**
 * Sets `session`, `sessionID` and `sessionStore` on the socket's handshake, and `session` on a request of the socket's own. Not
 * enumerable, because `fetchSockets()` on a cluster sends the handshake's enumerable properties to other nodes.
 * @returns the properties that it has replaced
 */
export function attachSession(member: SocketMember): ReplacedProperty[] {
  const { request } = member
  const properties = propertiesOf(member)
  const { handshake } = member.socket
  const replaced = [...properties, [handshake, 'session'] as const, [handshake, LIVE] as const].flatMap(([target, key]) => {
    const before = Object.getOwnPropertyDescriptor(target, key)
    return before ? [{ target, key, before }] : []
  })
  // Nothing is kept of the socket's own request: the Session that the middleware made, and all that it refers to, would stay as long as
  // the socket.
  for (const [target, key, value] of properties) setHidden(target, key, value)
  for (const target of [handshake, request]) {
    setHidden(target, LIVE, member.replica.view(member))
    Object.defineProperty(target, 'session', SESSION)
  }
  return replaced
}

/**
 * Restores what {@link attachSession} has replaced.
 * @param parsed the names of the properties that the cookie parser put on the handshake, which are removed as well
 */
export function detachSession(member: SocketMember, replaced: ReplacedProperty[], parsed: readonly string[]): void {
  for (const [target, key] of propertiesOf(member)) Reflect.deleteProperty(target, key)
  for (const key of ['session', LIVE]) Reflect.deleteProperty(member.socket.handshake, key)
  for (const { target, key, before } of replaced) Object.defineProperty(target, key, before)
  for (const name of parsed) Reflect.deleteProperty(member.socket.handshake, name)
}

function propertiesOf(member: SocketMember): [target: object, key: string, value: unknown][] {
  const { socket, replica, request } = member
  return [
    [socket.handshake, 'sessionID', replica.sid],
    [socket.handshake, 'sessionStore', request.sessionStore],
    // The sockets of a connection share its request, and each has a session of its own.
    [socket, 'request', request],
  ]
}

function setHidden(target: object, key: string | symbol, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: false })
}

/** The key under which a handshake and a request have the live session. */
const LIVE = Symbol('sharedsession.live')

interface SessionHolder {
  [LIVE]: Record<string, unknown>
}

/**
 * The property `session`. Assigning an object replaces the data of the live session. One descriptor serves all sockets: V8 would give
 * each handshake a shape of its own if each had its own functions.
 */
const SESSION: PropertyDescriptor & ThisType<SessionHolder> = {
  get() {
    return this[LIVE]
  },
  set(value: unknown) {
    const live = this[LIVE]
    if (value === live) return
    if (isContainer(value) && !isList(value)) {
      replaceData(live, value)
      return
    }
    // As with express-session: `req.session = null`, or another Session object.
    setHidden(this, 'session', value)
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

/** @param data of a whole session; its cookie is ignored, because express-session makes the cookie */
function replaceData(live: Record<string, unknown>, data: Record<string, unknown>): void {
  const keys = Object.keys(data).filter((key) => key !== 'cookie')
  // `Reflect.set` does not throw for a read-only name: what is assigned may come from a client.
  for (const key of keys) Reflect.set(live, key, data[key])
  for (const key of Object.keys(live)) if (key !== 'cookie' && !keys.includes(key)) delete live[key]
}

function isSession(value: unknown): boolean {
  const { save, reload } = Object(value) as { save?: unknown; reload?: unknown }
  return typeof save === 'function' && typeof reload === 'function'
}

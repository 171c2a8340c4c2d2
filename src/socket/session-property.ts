import { warnOnce } from '../debug.js'
import { isContainer, isList } from '../document/json.js'

/** The key under which a socket, its handshake and its request have what gives them their session. Not enumerable. */
export const MEMBER = Symbol('sharedsession.member')

/** Gives a socket, its handshake and its request their session. */
export interface SessionSource {
  /** The live session. */
  session(): Record<string, unknown>
}

export interface SessionHolder {
  [MEMBER]: SessionSource
}

/** Not enumerable, because `fetchSockets()` on a cluster sends the handshake's enumerable properties to other nodes. */
export function setHidden(target: object, key: string | symbol, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: false })
}

/** The property `session`. Assigning an object replaces the data of the live session. */
export const SESSION: PropertyDescriptor & ThisType<SessionHolder> = {
  get() {
    return this[MEMBER]?.session()
  },
  set(value: unknown) {
    const live = this[MEMBER].session()
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
  const keys = new Set(Object.keys(data))
  keys.delete('cookie')
  // `Reflect.set` does not throw for a read-only name: what is assigned may come from a client.
  for (const key of keys) Reflect.set(live, key, data[key])
  for (const key of Object.keys(live)) if (key !== 'cookie' && !keys.has(key)) delete live[key]
}

function isSession(value: unknown): boolean {
  const { save, reload } = Object(value) as { save?: unknown; reload?: unknown }
  return typeof save === 'function' && typeof reload === 'function'
}

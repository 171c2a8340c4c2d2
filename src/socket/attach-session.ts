import { getOrInsert } from '../util/bounded-map.js'
import { parseDefaultCookies } from './run-session-middleware.js'
import { MEMBER, SESSION, setHidden } from './session-property.js'
import type { SocketMember } from './socket-member.js'

/** The properties of a handshake that its prototype answers, until somebody assigns them. */
const OURS = ['session', 'sessionID', 'sessionStore'] as const
const PARSED = ['cookies', 'signedCookies', 'secret'] as const

/** What {@link attachSession} has found in place, to restore it. */
export interface AttachedHandshake {
  readonly prototype: object | null
  readonly properties: readonly (readonly [name: string | symbol, before: PropertyDescriptor])[]
  /** Another middleware had parsed its cookies. */
  readonly hasCookies: boolean
}

interface Handshake {
  [MEMBER]: SocketMember
  headers: { cookie?: string }
}

const NOTHING: AttachedHandshake = { prototype: Object.prototype, properties: [], hasCookies: false }
const prototypes = new WeakMap<object, object>()

/**
 * Gives a handshake `session`, `sessionID` and `sessionStore`, and what cookie-parser makes of its cookies. These are accessors of a prototype
 * that all handshakes share: most sockets never ask for them.
 * @returns what {@link detachSession} restores; `undefined` where nothing was in place
 */
export function attachSession(member: SocketMember): AttachedHandshake | undefined {
  const { handshake } = member.socket
  const prototype = Object.getPrototypeOf(handshake)
  const properties = takeOwn(handshake)
  Object.setPrototypeOf(handshake, heirOf(prototype))
  setHidden(handshake, MEMBER, member)
  const hasCookies = Object.hasOwn(handshake, 'cookies')
  if (properties.length === 0 && prototype === Object.prototype && !hasCookies) return undefined
  return { prototype, properties, hasCookies }
}

/** Takes properties of the handshake's own out of our way: those of another middleware, or of another store's session. */
function takeOwn(handshake: object): AttachedHandshake['properties'] {
  if (!OURS.some((name) => Object.hasOwn(handshake, name)) && !Object.hasOwn(handshake, MEMBER)) return NOTHING.properties
  const properties = [...OURS, MEMBER].flatMap((name) => {
    const before = Object.getOwnPropertyDescriptor(handshake, name)
    return before ? [[name, before] as const] : []
  })
  for (const [name] of properties) Reflect.deleteProperty(handshake, name)
  return properties
}

/**
 * Restores what {@link attachSession} has replaced.
 * @param parsed the names of the properties that the application's cookie parser put on the handshake, which are removed as well
 */
export function detachSession(member: SocketMember, attached: AttachedHandshake | undefined, parsed: readonly string[]): void {
  const { handshake } = member.socket
  const { prototype, properties, hasCookies } = attached ?? NOTHING
  if (Object.getPrototypeOf(handshake) === heirOf(prototype)) Object.setPrototypeOf(handshake, prototype)
  const ownCookies = hasCookies
    ? []
    : PARSED.filter((name) => Object.getOwnPropertyDescriptor(handshake, name)?.enumerable === false)
  for (const name of [...OURS, MEMBER, ...parsed, ...ownCookies]) Reflect.deleteProperty(handshake, name)
  for (const [name, before] of properties) Object.defineProperty(handshake, name, before)
}

function heirOf(prototype: object | null): object {
  return prototype ? getOrInsert(prototypes, prototype, () => makeHeir(prototype)) : makeHeir(null)
}

function makeHeir(prototype: object | null): object {
  const heir = Object.create(prototype, {
    session: SESSION,
    sessionID: accessor('sessionID', ({ replica }) => replica.sid),
    sessionStore: accessor('sessionStore', ({ store }) => store),
  })
  for (const name of PARSED) {
    Object.defineProperty(heir, name, {
      get(this: Handshake) {
        const { cookie } = this.headers
        for (const [parsed, value] of parseDefaultCookies(cookie))
          if (!Object.hasOwn(this, parsed)) setHidden(this, parsed, value)
        return Reflect.get(this, name)
      },
      set(this: Handshake, value: unknown) {
        Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true })
      },
      configurable: true,
    })
  }
  return heir
}

function accessor(name: string, read: (member: SocketMember) => unknown): PropertyDescriptor & ThisType<Handshake> {
  return {
    get() {
      return read(this[MEMBER])
    },
    set(value: unknown) {
      setHidden(this, name, value)
    },
    configurable: true,
  }
}

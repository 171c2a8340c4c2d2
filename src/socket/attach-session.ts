import { getOrInsert } from '../util/maps.js'
import { PARSED, parseDefaultCookies } from './handshake/run-session-middleware.js'
import { MEMBER, SESSION, setHidden } from './session-property.js'
import type { SocketMember } from './socket-member.js'
import { nextMember } from './socket-prototype.js'

/** The properties of a handshake that its prototype answers, until somebody assigns them. */
const OURS = ['session', 'sessionID', 'sessionStore'] as const

interface Handshake {
  [MEMBER]?: SocketMember
  headers: { cookie?: string }
}

/** What a handshake had before its first session, where that is not what Socket.IO has made. */
interface Before {
  readonly prototype: object | null
  /** Another middleware had parsed its cookies. */
  readonly hasCookies: boolean
}

const MADE: Before = { prototype: Object.prototype, hasCookies: false }
const befores = new WeakMap<Handshake, Before>()
/** The properties that {@link attachSession} has removed from the handshakes of these members. */
const removed = new WeakMap<SocketMember, ReadonlyMap<string, PropertyDescriptor>>()
/** By the prototype that a handshake had. */
const derivedPrototypes = new WeakMap<object, object>()
/** Stands for a handshake without a prototype. */
const NO_PROTOTYPE = {}

/**
 * Gives a handshake `session`, `sessionID` and `sessionStore`, and what cookie-parser makes of its cookies. These are accessors of a prototype
 * that all handshakes share: most sockets never ask for them. Where the handshake has them already, of another store's session, it shows this
 * member's from now on.
 */
export function attachSession(member: SocketMember): void {
  const handshake: Handshake = member.socket.handshake
  if (OURS.some((name) => Object.hasOwn(handshake, name))) removed.set(member, takeOwn(handshake))
  const isFirst = !Object.hasOwn(handshake, MEMBER)
  // Before the prototype: V8 gives each object that gets a property after another prototype a shape of its own.
  setHidden(handshake, MEMBER, member)
  if (isFirst) {
    const prototype: object | null = Object.getPrototypeOf(handshake)
    const hasCookies = Object.hasOwn(handshake, 'cookies')
    if (prototype !== Object.prototype || hasCookies) befores.set(handshake, { prototype, hasCookies })
    Object.setPrototypeOf(handshake, heirOf(prototype))
  }
}

/** Takes properties of the handshake's own out of our way: those of another middleware. */
function takeOwn(handshake: Handshake): ReadonlyMap<string, PropertyDescriptor> {
  const taken = new Map<string, PropertyDescriptor>()
  for (const name of OURS) {
    const before = Object.getOwnPropertyDescriptor(handshake, name)
    if (before) taken.set(name, before)
    Reflect.deleteProperty(handshake, name)
  }
  return taken
}

/**
 * Restores what {@link attachSession} has replaced. Where the handshake has another store's session as well, only this member's is taken away.
 * @param parsed the names of the properties that the application's cookie parser put on the handshake, which are removed as well
 */
export function detachSession(member: SocketMember, parsed: readonly string[]): void {
  const handshake: Handshake = member.socket.handshake
  const replaced = removed.get(member)
  for (const name of parsed) Reflect.deleteProperty(handshake, name)
  if (handshake[MEMBER] !== member) {
    const next = nextMember(member, handshake[MEMBER])
    if (next && replaced) removed.set(next, new Map([...replaced, ...(removed.get(next) ?? [])]))
    return
  }
  for (const name of OURS) Reflect.deleteProperty(handshake, name)
  if (member.previous) setHidden(handshake, MEMBER, member.previous)
  else removeAccessors(handshake)
  for (const [name, before] of replaced ?? []) Object.defineProperty(handshake, name, before)
}

function removeAccessors(handshake: Handshake): void {
  const { prototype, hasCookies } = befores.get(handshake) ?? MADE
  befores.delete(handshake)
  Reflect.deleteProperty(handshake, MEMBER)
  if (Object.getPrototypeOf(handshake) === heirOf(prototype)) Object.setPrototypeOf(handshake, prototype)
  if (hasCookies) return
  for (const name of PARSED) {
    if (Object.getOwnPropertyDescriptor(handshake, name)?.enumerable === false) Reflect.deleteProperty(handshake, name)
  }
}

function heirOf(prototype: object | null): object {
  return getOrInsert(derivedPrototypes, prototype ?? NO_PROTOTYPE, () => derivedPrototype(prototype))
}

function derivedPrototype(prototype: object | null): object {
  const derived = Object.create(prototype, {
    session: SESSION,
    sessionID: accessor('sessionID', ({ replica }) => replica.sid),
    sessionStore: accessor('sessionStore', ({ store }) => store),
  })
  for (const name of PARSED) {
    Object.defineProperty(derived, name, {
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
  return derived
}

function accessor(name: string, read: (member: SocketMember) => unknown): PropertyDescriptor & ThisType<Handshake> {
  return {
    get() {
      const member = this[MEMBER]
      return member && read(member)
    },
    set(value: unknown) {
      setHidden(this, name, value)
    },
    configurable: true,
  }
}

import type { Socket } from 'socket.io'
import { getOrInsert } from '../util/maps.js'
import type { Ack } from './ack-queue.js'
import { answerHandshake } from './mirror/mirror-questions.js'
import { afterEvent, beforeEvent, holdAck } from './packet-events.js'
import { MEMBER, setHidden } from './session-property.js'
import type { SocketMember } from './socket-member.js'

export type Packet = { data?: unknown[] }

/** The methods of Socket.IO's sockets that every packet goes through. A future version may have others. */
export interface PacketMethods {
  onevent?: (packet: Packet) => void
  ack?: (id: number) => Ack
  _onconnect?: () => void
}

interface OwnSocket {
  [MEMBER]?: SocketMember
}

/** By the prototype that a socket had. */
const derivedPrototypes = new WeakMap<object, object>()

/** Where the member of a socket is: on the socket itself. `undefined` for any other object. */
export function memberOn(target: object): SocketMember | undefined {
  return (target as OwnSocket)[MEMBER]
}

/** The member that was bound to this socket right after this one. @param top the last one */
export function nextMember(member: SocketMember, top: SocketMember | undefined): SocketMember | undefined {
  let next = top
  while (next && next.previous !== member) next = next.previous
  return next
}

/** The member whose hooks are on the prototype of the socket. Those of other stores' members are on the socket itself. */
function hookedMemberOn(socket: object): SocketMember | undefined {
  let member = memberOn(socket)
  while (member && !member.isOnPrototype) member = member.previous
  return member
}

/**
 * Puts our `onevent`, `ack`, `_onconnect` and `request` between a socket and its prototype. All sockets share them: nothing is made for each.
 * @returns `false` for a socket that has such members of its own, or that has the prototype already, for another store's session: it is left alone
 */
export function installPrototype(socket: Socket): boolean {
  const { onevent, ack } = Object.getPrototypeOf(socket) as PacketMethods
  const hasOwn = Object.hasOwn(socket, 'onevent') || Object.hasOwn(socket, 'ack') || Object.hasOwn(socket, 'request')
  if (hasOwn || hasDerivedPrototype(socket) || typeof onevent !== 'function' || typeof ack !== 'function') return false
  const prototype: object = Object.getPrototypeOf(socket)
  Object.setPrototypeOf(
    socket,
    getOrInsert(derivedPrototypes, prototype, () => derivedPrototype(prototype)),
  )
  return true
}

/** Has {@link installPrototype} changed the socket? */
export function hasDerivedPrototype(socket: object): boolean {
  const prototype: object = Object.getPrototypeOf(socket)
  return derivedPrototypes.get(Object.getPrototypeOf(prototype)) === prototype
}

/** Takes back what {@link installPrototype} has done. */
export function uninstallPrototype(socket: Socket): void {
  if (hasDerivedPrototype(socket)) Object.setPrototypeOf(socket, Object.getPrototypeOf(Object.getPrototypeOf(socket)))
}

function derivedPrototype(prototype: object): object {
  const methods = {
    onevent(this: object, packet: Packet): void {
      const member = hookedMemberOn(this)
      if (!beforeEvent(member, packet.data)) return
      ;(prototype as Required<PacketMethods>).onevent.call(this, packet)
      if (member) afterEvent(member)
    },
    ack(this: object, id: number): Ack {
      const ack = (prototype as Required<PacketMethods>).ack.call(this, id)
      const member = hookedMemberOn(this)
      return member?.hooked && member.options.holdAcks ? holdAck(member, ack) : ack
    },
    /** Sends the packet that says that the socket is connected. The first frame follows, before anything that the application sends. */
    _onconnect(this: object): void {
      ;(prototype as Required<PacketMethods>)._onconnect.call(this)
      answerHandshake(memberOn(this))
    },
  }
  const request: PropertyDescriptor & ThisType<object> = {
    get() {
      return hookedMemberOn(this)?.request ?? Reflect.get(prototype, 'request', this)
    },
    set(value: unknown) {
      setHidden(this, 'request', value)
    },
    configurable: true,
  }
  return Object.create(prototype, {
    onevent: { value: methods.onevent, writable: true, configurable: true },
    ack: { value: methods.ack, writable: true, configurable: true },
    _onconnect: { value: methods._onconnect, writable: true, configurable: true },
    request,
  })
}

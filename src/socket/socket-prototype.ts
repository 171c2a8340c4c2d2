import type { Socket } from 'socket.io'
import { getOrInsert } from '../util/maps.js'
import type { Ack } from './ack-queue.js'
import { answerHandshake } from './mirror-questions.js'
import { acceptEvent, eventAccepted, holdAck } from './packet-events.js'
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
const heirs = new WeakMap<object, object>()

/** Where the member of a socket is: on the socket itself. `undefined` for any other object. */
export function memberOn(target: object): SocketMember | undefined {
  return (target as OwnSocket)[MEMBER]
}

/** The member that was bound to this socket right after this one. @param top the last one */
export function memberAbove(member: SocketMember, top: SocketMember | undefined): SocketMember | undefined {
  let above = top
  while (above && above.below !== member) above = above.below
  return above
}

/** The member whose hooks are on the prototype of the socket. Those of other stores' members are on the socket itself. */
function adoptedOn(socket: object): SocketMember | undefined {
  let member = memberOn(socket)
  while (member && !member.adopted) member = member.below
  return member
}

/**
 * Puts our `onevent`, `ack`, `_onconnect` and `request` between a socket and its prototype. All sockets share them: nothing is made for each.
 * @returns `false` for a socket that has such members of its own, or that another store's session has adopted: it is left alone
 */
export function adopt(socket: Socket): boolean {
  const { onevent, ack } = Object.getPrototypeOf(socket) as PacketMethods
  const hasOwn = Object.hasOwn(socket, 'onevent') || Object.hasOwn(socket, 'ack') || Object.hasOwn(socket, 'request')
  if (hasOwn || isAdopted(socket) || typeof onevent !== 'function' || typeof ack !== 'function') return false
  const prototype: object = Object.getPrototypeOf(socket)
  Object.setPrototypeOf(
    socket,
    getOrInsert(heirs, prototype, () => makeHeir(prototype)),
  )
  return true
}

/** Has {@link adopt} changed the socket? */
export function isAdopted(socket: object): boolean {
  const prototype: object = Object.getPrototypeOf(socket)
  return heirs.get(Object.getPrototypeOf(prototype)) === prototype
}

/** Takes back what {@link adopt} has done. */
export function release(socket: Socket): void {
  if (isAdopted(socket)) Object.setPrototypeOf(socket, Object.getPrototypeOf(Object.getPrototypeOf(socket)))
}

function makeHeir(prototype: object): object {
  const methods = {
    onevent(this: object, packet: Packet): void {
      const member = adoptedOn(this)
      if (!acceptEvent(member, packet.data)) return
      ;(prototype as Required<PacketMethods>).onevent.call(this, packet)
      if (member) eventAccepted(member)
    },
    ack(this: object, id: number): Ack {
      const ack = (prototype as Required<PacketMethods>).ack.call(this, id)
      const member = adoptedOn(this)
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
      return adoptedOn(this)?.request ?? Reflect.get(prototype, 'request', this)
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

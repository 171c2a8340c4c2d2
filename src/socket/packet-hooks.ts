import { MethodPatch } from '../util/method-patch.js'
import type { Ack } from './ack-queue.js'
import { answerHandshake } from './mirror/mirror-questions.js'
import { afterEvent, beforeEvent, holdAck } from './packet-events.js'
import type { SocketMember } from './socket-member.js'
import { installPrototype, memberOn, type Packet, type PacketMethods, uninstallPrototype } from './socket-prototype.js'

type Hook = 'onevent' | 'ack' | 'request' | '_onconnect'
type Next = (error?: Error) => void

/** Of sockets whose members are not on the prototype: what was put over their own methods. */
const patches = new WeakMap<SocketMember, MethodPatch<Hook>>()

/**
 * Hooks into the events that a client sends: `packet-events.ts` says what is done for each.
 *
 * `onAny` listeners are called before packet middlewares, so `socket.onevent` is replaced, as several packages have done for many years.
 * Where a socket has no `onevent`, a packet middleware is used. It costs each event more than all that is done here.
 */
export function hookPackets(member: SocketMember): void {
  const { socket } = member
  member.hooked = true
  member.isOnPrototype = installPrototype(socket)
  if (member.isOnPrototype) return
  const { onevent, ack, _onconnect: connect } = socket as unknown as PacketMethods
  const patch = new MethodPatch<Hook>(socket)
  patches.set(member, patch)
  if (ack && member.options.holdAcks) patch.replace('ack', (id: number) => holdAck(member, ack.call(socket, id)))
  if (onevent && ack) {
    patch.replace('onevent', (packet: Packet) => {
      if (!beforeEvent(member, packet.data)) return
      onevent.call(socket, packet)
      afterEvent(member)
    })
  } else {
    socket.use((event, next) => {
      const last = event.length - 1
      const holds = member.hooked && !ack && member.options.holdAcks && typeof event[last] === 'function'
      if (holds) event[last] = holdAck(member, event[last] as Ack)
      passEvent(member, event, next)
    })
  }
  if (connect) {
    patch.replace('_onconnect', () => {
      connect.call(socket)
      answerHandshake(memberOn(socket))
    })
  }
  patch.replace('request', member.request as never)
}

/** Removes the hooks. A packet middleware goes on ignoring reserved names: the application's listeners expect them from us only. */
export function unhookPackets(member: SocketMember): void {
  const { socket } = member
  // The connection is about to close, and what its client sends until then stays ignored.
  if (!member.ended) {
    member.hooked = false
    patches.get(member)?.restore()
    if (member.isOnPrototype) uninstallPrototype(socket)
    socket.use((event, next: Next) => passEvent(member, event, next))
  }
}

function passEvent(member: SocketMember, event: readonly unknown[], next: Next): void {
  if (!beforeEvent(member, event)) return
  next()
  afterEvent(member)
}

import type { Socket } from 'socket.io'
import type { SessionManager } from '../session/session-manager.js'
import { getOrInsert } from '../util/bounded-map.js'
import { attachSession, detachSession, type ReplacedProperty } from './attach-session.js'
import type { HandshakeContext } from './context.js'
import { PacketHooks } from './packet-hooks.js'
import { watchPendingSocket } from './pending-socket.js'
import { roomOfReplica } from './room.js'
import type { SocketMember } from './socket-member.js'

/** The sockets that have a session of a store, for all instances on that store. */
const membersByManager = new WeakMap<SessionManager, WeakMap<object, SocketMember>>()

/** The sockets that one instance has given their sessions. */
export class SocketBindings {
  readonly #context: HandshakeContext
  readonly #onBound: (socket: Socket) => void
  readonly #bindings = new Map<SocketMember, SocketBinding>()

  /** @param onBound is called with each socket that has got its session */
  constructor(context: HandshakeContext, onBound: (socket: Socket) => void) {
    this.#context = context
    this.#onBound = onBound
  }

  /** The socket as a member of a session of this store, whichever instance has bound it. */
  memberOf(socket: object): SocketMember | undefined {
    return this.#members()?.get(socket)
  }

  /** Has this instance bound it? */
  has(member: SocketMember): boolean {
    return this.#bindings.has(member)
  }

  /**
   * Gives a socket its session, until the socket is gone.
   * @param parsed the names of the properties that the cookie parser put on its handshake
   */
  bind(member: SocketMember, parsed: readonly string[]): void {
    this.#members()?.set(member.socket, member)
    this.#bindings.set(member, new SocketBinding(member, parsed, this.#onGone))
    this.#onBound(member.socket)
  }

  /** Leaves the sockets as they were. */
  close(): void {
    for (const [{ socket }, binding] of [...this.#bindings]) {
      binding.end()
      this.#members()?.delete(socket)
    }
  }

  readonly #onGone = (member: SocketMember): void => void this.#bindings.delete(member)

  #members(): WeakMap<object, SocketMember> | undefined {
    const { manager } = this.#context
    return manager && getOrInsert(membersByManager, manager, () => new WeakMap<object, SocketMember>())
  }
}

/** All that is done to one socket for its session, from the handshake until the socket is gone. */
class SocketBinding {
  readonly #member: SocketMember
  readonly #parsed: readonly string[]
  readonly #onGone: (member: SocketMember) => void
  readonly #packets: PacketHooks
  readonly #replaced: ReplacedProperty[]
  #stopWatching: (() => void) | undefined

  constructor(member: SocketMember, parsed: readonly string[], onGone: (member: SocketMember) => void) {
    const { socket } = member
    this.#member = member
    this.#parsed = parsed
    this.#onGone = onGone
    this.#replaced = attachSession(member)
    this.#packets = new PacketHooks(member)
    socket.join(roomFor(member))
    socket.on('disconnect', this.#gone)
    if (!socket.connected) this.#stopWatching = watchPendingSocket(socket, this.#gone, () => this.#connected())
  }

  /** Leaves the socket as it was. */
  end(): void {
    const { socket, options } = this.#member
    this.#gone()
    this.#packets.leave()
    detachSession(this.#member, this.#replaced, this.#parsed)
    if (options.room) socket.leave(roomFor(this.#member))
  }

  /** From now on the socket emits 'disconnect' when it is gone, and can no longer be refused. */
  #connected(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.#member.refuse = undefined
  }

  readonly #gone = (): void => {
    this.#member.socket.off('disconnect', this.#gone)
    this.#connected()
    this.#onGone(this.#member)
    this.#member.replica.leave(this.#member)
  }
}

/** The room of the session; with the option `room: false` the socket's own, so that it is in a room while it is pending. */
function roomFor({ replica, options, socket }: SocketMember): string {
  return options.room ? roomOfReplica(replica) : socket.id
}

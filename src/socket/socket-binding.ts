import { attachSession, detachSession, type ReplacedProperty } from './attach-session.js'
import type { SocketMember } from './member.js'
import { PacketHooks } from './packet-hooks.js'
import { watchPendingSocket } from './pending-socket.js'
import { joins } from './room.js'

/** A socket's stay in its session: all that is done to the socket for it, from the handshake until it is gone. */
export class SocketBinding {
  readonly #member: SocketMember
  readonly #parsed: readonly string[]
  readonly #over: (member: SocketMember) => void
  readonly #packets: PacketHooks
  readonly #displaced: ReplacedProperty[]
  #stopWatching: (() => void) | undefined

  /**
   * @param parsed the names of what the cookie parser put on its handshake
   * @param over is told when it is gone
   */
  constructor(member: SocketMember, parsed: readonly string[], over: (member: SocketMember) => void) {
    const { socket } = member
    this.#member = member
    this.#parsed = parsed
    this.#over = over
    this.#displaced = attachSession(member)
    this.#packets = new PacketHooks(member)
    socket.join(joins(member))
    socket.on('disconnect', this.#gone)
    if (!socket.connected) this.#stopWatching = watchPendingSocket(socket, this.#gone, () => this.#connected())
  }

  /** Lets go of the socket, and leaves it as it was. */
  end(): void {
    const { socket, options } = this.#member
    this.#gone()
    this.#packets.leave()
    detachSession(this.#member, this.#displaced, this.#parsed)
    if (options.room) socket.leave(joins(this.#member))
  }

  /** From now on it says itself when it is gone, and nobody can refuse it. */
  #connected(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.#member.refuse = undefined
  }

  readonly #gone = (): void => {
    this.#member.socket.off('disconnect', this.#gone)
    this.#connected()
    this.#over(this.#member)
    this.#member.replica.leave(this.#member)
  }
}

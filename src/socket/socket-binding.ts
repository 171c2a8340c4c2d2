import type { Socket } from 'socket.io'
import { attachSession, detachSession } from './attach-session.js'
import type { InstanceContext } from './instance-context.js'
import { answerHandshake } from './mirror/mirror-questions.js'
import { hookPackets, unhookPackets } from './packet-hooks.js'
import { watchPendingSocket } from './pending-socket.js'
import { roomOf } from './room.js'
import { MEMBER, setHidden } from './session-property.js'
import { SocketMember } from './socket-member.js'
import { memberOn, nextMember } from './socket-prototype.js'

/** The sockets that one instance has given their sessions, from the handshake until the socket is gone. */
export class SocketBindings {
  readonly #context: InstanceContext
  readonly #onBound: (socket: Socket) => void
  readonly #members = new Set<SocketMember>()
  /** The names of the properties that the application's cookie parser put on their handshakes. */
  readonly #parsed = new Map<SocketMember, readonly string[]>()
  /** Bound in this tick. */
  #pending: SocketMember[] = []
  readonly #stops = new Map<SocketMember, () => void>()

  /** @param onBound is called with each socket that has got its session */
  constructor(context: InstanceContext, onBound: (socket: Socket) => void) {
    this.#context = context
    this.#onBound = onBound
  }

  /** The socket as a member of a session of this store, whichever instance has bound it. */
  memberOf(socket: object): SocketMember | undefined {
    const { leasedManager: manager } = this.#context
    let member = manager && memberOn(socket)
    while (member && member.manager !== manager) member = member.previous
    return member
  }

  /** Has this instance bound it? */
  has(member: SocketMember): boolean {
    return this.#members.has(member)
  }

  /**
   * Gives a socket its session, until the socket is gone.
   * @param parsed the names of the properties that the cookie parser put on its handshake
   */
  bind(member: SocketMember, parsed: readonly string[]): void {
    const { socket } = member
    this.#members.add(member)
    member.previous = memberOn(socket)
    setHidden(socket, MEMBER, member)
    attachSession(member)
    if (parsed.length > 0) this.#parsed.set(member, parsed)
    hookPackets(member)
    member.roomName = roomFor(member)
    socket.join(member.roomName)
    socket.on('disconnect', onDisconnect)
    member.onGone = this.#onGone
    if (!socket.connected) this.#watchLater(member)
    this.#onBound(socket)
    // One that connection state recovery has restored: the hook of its connection came too late.
    if (socket.connected) answerHandshake(member)
  }

  /** Leaves the sockets as they were, but with their session. */
  close(): void {
    for (const member of [...this.#members]) {
      const parsed = this.#parsed.get(member) ?? []
      const isReplaced = Object.hasOwn(member.socket.handshake, 'session')
      this.#onGone(member)
      unhookPackets(member)
      detachSession(member, parsed)
      if (member.options.room && member.roomName) member.socket.leave(member.roomName)
      unlink(member)
      if (!isReplaced) keepSession(member)
    }
    this.#context.mirrors.close()
  }

  /** Most sockets are connected, or refused, by the end of the tick. Those that another middleware keeps waiting are watched. */
  #watchLater(member: SocketMember): void {
    if (this.#pending.push(member) > 1) return
    setImmediate(() => {
      const pending = this.#pending
      this.#pending = []
      for (const each of pending) if (this.#members.has(each)) this.#watch(each)
    })
  }

  #watch(member: SocketMember): void {
    const { socket } = member
    if (socket.connected) member.settled()
    // A socket that is refused leaves its rooms.
    else if (socket.rooms.size === 0 || socket.conn.readyState !== 'open') this.#onGone(member)
    else {
      const onConnected = (): void => {
        this.#stopWatching(member)
        member.settled()
      }
      this.#stops.set(
        member,
        watchPendingSocket(socket, () => this.#onGone(member), onConnected),
      )
    }
  }

  #stopWatching(member: SocketMember): void {
    this.#stops.get(member)?.()
    this.#stops.delete(member)
  }

  readonly #onGone = (member: SocketMember): void => {
    if (!this.#members.delete(member)) return
    this.#parsed.delete(member)
    this.#stopWatching(member)
    member.settled()
    member.mirror?.leave()
    member.socket.off('disconnect', onDisconnect)
    member.replica.leave(member)
  }
}

/** The socket has its other members only. One whose session has ended, and that came last, goes on muting it. */
function unlink(member: SocketMember): void {
  const { socket, previous } = member
  const next = nextMember(member, memberOn(socket))
  if (next) next.previous = previous
  else if (member.ended) return
  else if (previous) setHidden(socket, MEMBER, previous)
  else Reflect.deleteProperty(socket, MEMBER)
}

/**
 * A handler may be in the middle of its work, and looks for the session where it was before: it is still there, unless the socket has another one.
 * What is written to it is saved, as long as the store can be reached.
 */
function keepSession({ socket, request }: SocketMember): void {
  const handshake = socket.handshake as { session?: unknown }
  if (handshake.session === undefined) {
    Object.defineProperty(handshake, 'session', {
      get: () => request.session,
      set: (value: typeof request.session) => {
        request.session = value
      },
      configurable: true,
      enumerable: false,
    })
  }
  // A WebTransport session has no request.
  const { session } = Object(socket.request) as { session?: unknown }
  if (session === undefined && !Object.hasOwn(socket, 'request')) setHidden(socket, 'request', request)
}

/** A listener of a socket's 'disconnect'. One function for all sockets. */
function onDisconnect(this: Socket): void {
  for (let member = memberOn(this); member; member = member.previous) member.onGone?.(member)
}

/** The room of the session; with the option `room: false` the socket's own, so that it is in a room while it is pending. */
function roomFor({ replica, options, socket }: SocketMember): string {
  if (!options.room) return socket.id
  // The same string for all sockets of a session: each of them keeps the names of its rooms.
  if (replica.members.size > 1) {
    for (const other of replica.members) {
      if (other instanceof SocketMember && other.options.room && other.roomName) return other.roomName
    }
  }
  return roomOf(replica.sid)
}

import { MethodPatch } from '../util/method-patch.js'
import type { Ack } from './ack-queue.js'
import { isReservedEvent } from './events.js'
import type { SocketMember } from './socket-member.js'

type Packet = { data?: unknown[] }
type Next = (error?: Error) => void

/** Without a maximum age, stores keep a session for about a day. */
const DAY = 86_400_000

/**
 * Hooks into the events that a client sends: ignores those with reserved names, holds acks back, touches the session.
 *
 * `onAny` listeners are called before packet middlewares, so `socket.onevent` is replaced, as several packages have done for many years.
 * Where a socket has no `onevent`, a packet middleware is used. It costs each event more than all that is done here.
 */
export class PacketHooks {
  readonly #member: SocketMember
  readonly #patch: MethodPatch<'onevent' | 'ack'>
  readonly #isPatched: boolean
  #active = true
  #touchedAt = 0

  constructor(member: SocketMember) {
    this.#member = member
    const { socket } = member
    const { onevent, ack } = socket as unknown as { onevent?: (packet: Packet) => void; ack?: (id: number) => Ack }
    this.#patch = new MethodPatch(socket)
    if (ack && member.options.holdAcks) this.#patch.replace('ack', (id: number) => this.#holdAck(ack.call(socket, id)))
    this.#isPatched = onevent !== undefined && ack !== undefined
    if (onevent && this.#isPatched) {
      this.#patch.replace('onevent', (packet: Packet) => {
        if (!this.#accepts(packet.data?.[0])) return
        onevent.call(socket, packet)
        this.#scanLater()
      })
    } else {
      socket.use((event, next) => {
        const last = event.length - 1
        const holds = this.#active && !ack && member.options.holdAcks && typeof event[last] === 'function'
        if (holds) event[last] = this.#holdAck(event[last] as Ack)
        this.#onPacket(event[0], next)
      })
    }
  }

  /** Removes the hooks. A packet middleware goes on ignoring reserved names: the application's listeners expect them from us only. */
  leave(): void {
    // The connection is about to close, and what its client sends until then stays ignored.
    if (this.#member.ended) return
    this.#active = false
    this.#patch.restore()
    if (this.#isPatched) this.#member.socket.use(([name], next: Next) => this.#onPacket(name, next))
  }

  #onPacket(name: unknown, next: Next): void {
    if (!this.#accepts(name)) return
    next()
    this.#scanLater()
  }

  /** Is the event to reach the application? If so, the session is touched. */
  #accepts(name: unknown): boolean {
    if (isForged(name)) return false
    if (!this.#active) return true
    if (this.#member.ended) return false
    const now = Date.now()
    if (touchDue(this.#member, now, this.#touchedAt)) {
      this.#touchedAt = now
      this.#member.replica.touch()
    }
    return true
  }

  /** The handler may have changed a raw object that it assigned in an earlier event, which no proxy sees. */
  #scanLater(): void {
    const { replica } = this.#member
    if (this.#active && replica.document.hasRawObjects) setImmediate(() => replica.scanRawObjects())
  }

  /** An ack that is sent when what the handler has written before calling it is saved. */
  #holdAck(ack: Ack): Ack {
    const member = this.#member
    const { acks, replica } = member
    const start = { lastWrite: member.lastWrite, refusals: member.refusals, writes: replica.document.writeCount }
    // The handler runs in the next tick. Handlers of packets that arrived together with this one run before it: what was rejected of their
    // writes does not fail this ack. Their other writes may delay it, but must not fail it after the end of the session.
    process.nextTick(() => {
      if (replica.ended) start.lastWrite = member.lastWrite
      start.refusals = member.refusals
      start.writes = replica.document.writeCount
    })
    return (...args) => acks.enqueue(replica.pendingSaveOf(member, start), ack, args)
  }
}

/** Some parsers let an array or object through as a name, which becomes a string in the emitter. */
function isForged(name: unknown): boolean {
  return isReservedEvent(name) || typeof name === 'object'
}

function touchDue({ options, replica }: SocketMember, now: number, touchedAt: number): boolean {
  const { touch } = options
  if (touch === false || !replica.stored || replica.ended) return false
  if (typeof touch === 'number') return now - touchedAt >= touch
  const { originalMaxAge } = replica.cookie
  if (typeof originalMaxAge !== 'number' || replica.expires === undefined) {
    return now - Math.max(touchedAt, replica.confirmedAt) >= DAY / 10
  }
  return replica.expires - now < originalMaxAge * 0.9
}

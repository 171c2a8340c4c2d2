import { MethodPatch } from '../util/method-patch.js'
import type { Ack } from './ack-queue.js'
import { isReservedEvent } from './local-events.js'
import type { SocketMember } from './member.js'

type Packet = { data?: unknown[] }
type Next = (error?: Error) => void

/** Without a maximum age, stores keep a session for about a day. */
const DAY = 86_400_000

/**
 * Follows what a client sends: refuses the names that only this package emits, holds acks, keeps the session alive.
 *
 * `onAny` listeners hear an event before any packet middleware does, so events are met where the packet arrives. Several packages have
 * hooked in there for many years; where it should be gone, there are still packet middlewares. One of these costs every event more
 * than all that is done here, so there is one only where it is needed.
 */
export class PacketHooks {
  readonly #member: SocketMember
  readonly #takeover: MethodPatch<'onevent' | 'ack'>
  readonly #meets: boolean
  #followed = true
  #touched = 0

  constructor(member: SocketMember) {
    this.#member = member
    const { socket } = member
    const { onevent, ack } = socket as unknown as { onevent?: (packet: Packet) => void; ack?: (id: number) => Ack }
    this.#takeover = new MethodPatch(socket)
    if (ack && member.options.holdAcks) this.#takeover.replace('ack', (id: number) => this.#held(ack.call(socket, id)))
    this.#meets = onevent !== undefined && ack !== undefined
    if (onevent && this.#meets) {
      this.#takeover.replace('onevent', (packet: Packet) => {
        if (!this.#accepts(packet.data?.[0])) return
        onevent.call(socket, packet)
        this.#scanLater()
      })
    } else {
      socket.use((event, next) => {
        const last = event.length - 1
        const holds = this.#followed && !ack && member.options.holdAcks && typeof event[last] === 'function'
        if (holds) event[last] = this.#held(event[last] as Ack)
        this.#onPacket(event[0], next)
      })
    }
  }

  /** Takes the hooks away, as far as socket.io lets it. Not after close() either: a client would reach the listeners that expect a change. */
  leave(): void {
    // Its connection is about to end, and what its client sends until then reaches nobody.
    if (this.#member.ended) return
    this.#followed = false
    this.#takeover.restore()
    if (this.#meets) this.#member.socket.use(([name], next: Next) => this.#onPacket(name, next))
  }

  #onPacket(name: unknown, next: Next): void {
    if (!this.#accepts(name)) return
    next()
    this.#scanLater()
  }

  /** Is an event of that name to reach the application? The session lives on by it. */
  #accepts(name: unknown): boolean {
    if (isForged(name)) return false
    if (!this.#followed) return true
    // For a session that was rotated away.
    if (this.#member.ended) return false
    const now = Date.now()
    if (touchDue(this.#member, now, this.#touched)) {
      this.#touched = now
      this.#member.replica.touch()
    }
    return true
  }

  /** A handler may go on with a raw object that it took in an earlier event, which no trap sees. */
  #scanLater(): void {
    const { replica: live } = this.#member
    if (this.#followed && live.document.hasRawObjects) setImmediate(() => live.scanRawObjects())
  }

  #held(ack: Ack): Ack {
    const member = this.#member
    const { acks, replica: live } = member
    const at = { lastWrite: member.lastWrite, refusals: member.refusals, writes: live.document.writeCount }
    // When the handler begins: those of packets that came with this one have run by then, and what they wrote is not this one's.
    process.nextTick(() => {
      if (live.ended) at.lastWrite = member.lastWrite
      at.refusals = member.refusals
      at.writes = live.document.writeCount
    })
    return (...args) => acks.enqueue(live.pendingSaveOf(member, at), ack, args)
  }
}

/** An array or object as a name, which some parsers let through, becomes a string only in the emitter. */
function isForged(name: unknown): boolean {
  return isReservedEvent(name) || typeof name === 'object'
}

function touchDue(member: SocketMember, now: number, touched: number): boolean {
  const { touch } = member.options
  const { replica: live } = member
  if (touch === false || !live.stored || live.ended) return false
  if (typeof touch === 'number') return now - touched >= touch
  const { originalMaxAge } = live.cookie
  if (typeof originalMaxAge !== 'number' || live.expires === undefined)
    return now - Math.max(touched, live.confirmedAt) >= DAY / 10
  return live.expires - now < originalMaxAge * 0.9
}

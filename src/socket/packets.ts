import type { Socket } from 'socket.io'
import { Takeover } from '../store/takeover.js'
import type { Ack } from './acks.js'
import { isLocal } from './local.js'
import type { SocketMember } from './member.js'

type Packet = { data?: unknown[] }

/** Without a maximum age, stores keep a session for about a day. */
const DAY = 86_400_000

/**
 * Follows what a client sends: refuses the names that only this package emits, holds acks, keeps the session alive.
 * @returns takes the hooks away, as far as socket.io lets it
 */
export function followPackets(member: SocketMember): () => void {
  const { socket, live } = member
  let followed = true
  let touched = 0
  const arrival = meetArrival(socket, member)

  socket.use((event, next) => {
    // Not after close() either: a client would reach the listeners that expect a change.
    if (isForged(event[0]) || (followed && member.muted)) return
    if (!followed) return next()
    const ack = event[event.length - 1]
    if (member.options.holdAcks && !arrival.holdsAcks && typeof ack === 'function') {
      event[event.length - 1] = held(member, ack as Ack)
    }
    const now = Date.now()
    if (touchDue(member, now, touched)) {
      touched = now
      live.touch()
    }
    next()
    // A handler may go on with a raw object that it took in an earlier event, which no trap sees.
    if (live.ledger.watching) setImmediate(() => live.poll())
  })
  return () => {
    followed = false
    arrival.restore()
  }
}

/** Forged, or for a session that was rotated away. */
function unwanted(member: SocketMember, name: unknown): boolean {
  return isForged(name) || member.muted
}

/** An array or object as a name, which some parsers let through, becomes a string only in the emitter. */
function isForged(name: unknown): boolean {
  return isLocal(name) || typeof name === 'object'
}

/**
 * `onAny` listeners hear an event before any packet middleware does, so a forged one is stopped, and acks are held, where the packet
 * arrives. Several packages have hooked in there for many years; where it should be gone, the packet middleware is still there.
 */
function meetArrival(socket: Socket, member: SocketMember): { holdsAcks: boolean; restore(): void } {
  const { onevent, ack } = socket as unknown as { onevent?: (packet: Packet) => void; ack?: (id: number) => Ack }
  const takeover = new Takeover<'onevent' | 'ack'>(socket)
  if (onevent) {
    takeover.put('onevent', (packet: Packet) => {
      if (!unwanted(member, packet.data?.[0])) onevent.call(socket, packet)
    })
  }
  const holdsAcks = ack !== undefined
  if (holdsAcks && member.options.holdAcks) takeover.put('ack', (id: number) => held(member, ack.call(socket, id)))
  return { holdsAcks, restore: () => takeover.restore() }
}

function held(member: SocketMember, ack: Ack): Ack {
  const { acks, live } = member
  const before = member.lastWrite
  // Whoever ended the session itself waits for no save; to anybody else a write that is not in the store is not acknowledged.
  const unsaved = () => live.endedBy(member)
  return (...args) => acks.push(live.unsavedBy(member, before), unsaved, ack, args)
}

function touchDue(member: SocketMember, now: number, touched: number): boolean {
  const { touch } = member.options
  const { live } = member
  if (touch === false || !live.stored || live.ended) return false
  if (typeof touch === 'number') return now - touched >= touch
  const { originalMaxAge } = live.cookie
  if (typeof originalMaxAge !== 'number' || live.expires === undefined) return now - Math.max(touched, live.seen) >= DAY / 10
  return live.expires - now < originalMaxAge * 0.9
}

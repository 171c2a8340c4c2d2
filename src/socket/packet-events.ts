import { MIRROR_EVENT } from '../client/protocol.js'
import { isMemoryStore } from '../store/drivers/memory.js'
import type { Ack } from './ack-queue.js'
import { EventMark } from './event-mark.js'
import { isReservedEvent } from './events.js'
import { answerQuestion } from './mirror/mirror-questions.js'
import type { SocketMember } from './socket-member.js'

// What is done for each event that a client sends: those with reserved names do not reach listeners, the session is touched, acks are held back.

/** ms between two touches of a session without a maximum age: how long its store keeps it is not known here. */
const WITHOUT_MAX_AGE = 60_000

/**
 * Is the event to reach the application? If so, the session is touched.
 * @param member `undefined` where the socket has no session any more
 */
export function beforeEvent(member: SocketMember | undefined, [name, held]: readonly unknown[] = []): boolean {
  const isHooked = member?.hooked && !member.ended
  if (isHooked && name === MIRROR_EVENT) answerQuestion(member, held)
  if (isForged(name)) return false
  if (!member?.hooked) return true
  if (!isHooked) return false
  const now = Date.now()
  if (isTouchDue(member, now)) {
    member.replica.touchedAt = now
    member.replica.touch()
  }
  return true
}

/** The tick in which an event came in ends. */
export function afterEvent(member: SocketMember): void {
  const { hooked, replica, ackMark } = member
  ackMark?.tickEnds()
  member.ackMark = undefined
  // The handler may change a raw object that it assigned in an earlier event, which no proxy sees.
  if (hooked && replica.hasWatchedObjects) setImmediate(() => replica.scanWatchedObjects())
}

/** An ack that is sent when what the handler has written before calling it is saved. */
export function holdAck(member: SocketMember, ack: Ack): Ack {
  const mark = new EventMark(member)
  member.ackMark = mark
  process.nextTick(() => mark.handlerBegins())
  return (...args) => member.acks.enqueue(member.replica.pendingSaveOf(member, mark), ack, args)
}

/** Some parsers let an array or object through as a name, which becomes a string in the emitter. */
function isForged(name: unknown): boolean {
  return isReservedEvent(name) || typeof name === 'object'
}

function isTouchDue(member: SocketMember, now: number): boolean {
  const { options, replica } = member
  const { touch } = options
  if (touch === false || !replica.stored || replica.ended) return false
  const { touchedAt, liveSinceMs } = replica
  if (typeof touch === 'number') return now - touchedAt >= touch
  const { originalMaxAge, expires } = replica
  if (typeof originalMaxAge === 'number' && expires !== undefined) return expires - now < originalMaxAge * 0.9
  // A later read of the store counts for nothing: it does not make the session's life longer.
  return now - Math.max(touchedAt, liveSinceMs) >= WITHOUT_MAX_AGE && endsWithoutMaxAge(member)
}

/** May the store end a session that has no maximum age, unless it is touched? MemoryStore does not, and one without `touch` cannot be asked. */
function endsWithoutMaxAge({ manager, store }: SocketMember): boolean {
  if (typeof store.touch !== 'function') return false
  // A subclass of it may have its own way; the driver is also that of memorystore, which ends them after a day.
  return manager.choice.driver.name !== 'memory' || !isMemoryStore(store)
}

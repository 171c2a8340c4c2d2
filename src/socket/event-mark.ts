import type { Member } from '../session/member.js'
import type { SessionReplica } from '../session/replica.js'
import type { WriteMark } from '../session/write-outcomes.js'

interface Writer extends Pick<Member, 'lastWrite' | 'rejections'> {
  readonly replica: Pick<SessionReplica, 'writeCount' | 'ended'>
}

/**
 * How far a socket and its session were when an event came in. `onAny` listeners and packet middlewares run in the same tick, the event's handler in
 * the next tick. Handlers of packets that arrived together with this one run in between: what was rejected of their writes does not fail this
 * event's ack. Their other writes may delay it, but must not fail it after the end of the session.
 */
export class EventMark implements WriteMark {
  lastWrite: number
  rejections: number
  readonly writes: number
  otherWritesFrom: number
  otherWritesTo: number
  readonly #member: Writer
  /** `rejections` and `lastWrite` of the member when the tick in which the event came in ended. */
  #rejections: number
  #lastWrite: number

  constructor(member: Writer) {
    const { lastWrite, rejections } = member
    const writes = member.replica.writeCount
    this.lastWrite = this.#lastWrite = lastWrite
    this.rejections = this.#rejections = rejections
    this.writes = this.otherWritesFrom = this.otherWritesTo = writes
    this.#member = member
  }

  /** The tick in which the event came in ends. */
  tickEnds(): void {
    const { lastWrite, rejections, replica } = this.#member
    this.#lastWrite = lastWrite
    this.#rejections = rejections
    this.otherWritesFrom = this.otherWritesTo = replica.writeCount
  }

  /** The event's handler runs next. */
  handlerBegins(): void {
    const { lastWrite, rejections, replica } = this.#member
    this.rejections += rejections - this.#rejections
    this.otherWritesTo = replica.writeCount
    if (replica.ended && this.#lastWrite === this.lastWrite) this.lastWrite = lastWrite
  }
}

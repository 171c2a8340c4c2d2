import { SharedSessionError } from '../errors.js'
import type { Member } from './member.js'

/** What the sockets of a session write after its end, or after they have asked for it. Writes are known by their count. */
export class LateWrites {
  /** Sockets that destroy the session, with the last write before that. */
  readonly #enders = new Map<Member, number>()
  readonly #tell: (member: Member, error: SharedSessionError) => void
  /** The last write before the end. */
  #atEnd: number | undefined
  /** Sockets that were told in this turn. */
  #told: Set<Member> | undefined

  /** @param tell tells a socket that it has written too late */
  constructor(tell: (member: Member, error: SharedSessionError) => void) {
    this.#tell = tell
  }

  destroying(member: Member, count: number): void {
    this.#enders.set(member, count)
  }

  /** The store has failed to. */
  notDestroyed(member: Member): void {
    this.#enders.delete(member)
  }

  /** @param ended why nothing is saved any more */
  ended(count: number, ended: SharedSessionError): void {
    this.#atEnd = count
    for (const [member, before] of this.#enders) if (member.lastWrite > before) this.wrote(member, ended)
  }

  /** Told once for each handler, as far as that can be known: one that writes ten keys is told once. */
  wrote(member: Member, { message }: SharedSessionError): void {
    if (!this.#told) setImmediate(() => (this.#told = undefined))
    this.#told ??= new Set()
    if (this.#told.has(member)) return
    this.#told.add(member)
    this.#tell(member, tooLate(message))
  }

  /** Was that written after the end? */
  isLate(write: number): boolean {
    return this.#atEnd !== undefined && write > this.#atEnd
  }

  /** Did that socket end the session itself, after that write? Whoever ends a session waits for no save of it. */
  isEndedBy(member: Member, write: number): boolean {
    return this.#atEnd !== undefined && write <= (this.#enders.get(member) ?? -1)
  }
}

/** Whose stack reaches to the write: what lies between is more than the ten frames that V8 keeps. */
function tooLate(message: string): SharedSessionError {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 50
  try {
    return new SharedSessionError('SESSION_ENDED', `A socket has written to a session after its end. ${message}`)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

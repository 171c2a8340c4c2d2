import { SharedSessionError } from '../errors.js'
import type { Member } from './member.js'

/** How far a socket and its session were when an event came in. */
export interface Moment extends Pick<Member, 'lastWrite' | 'refusals'> {
  /** The count of the ledger's writes. */
  writes: number
}

/** A write of an object, of which something could not be kept. */
interface Unkept {
  member: Member
  write: number
}

/** So many are remembered for the acks that may still ask. */
const MOST = 100
const NONE: readonly Unkept[] = []

/** The writes of one session that were not made, because they cannot be kept. */
export class RejectedWrites {
  #unkept = NONE

  /** @param write where that was found when an assigned object was saved: the count of the write that assigned it */
  add(error: SharedSessionError, member: Member, write: number | undefined): void {
    member.refused = error
    if (write === undefined) member.refusals++
    else this.#unkept = [...this.#unkept.slice(1 - MOST), { member, write }]
  }

  /** Was one of the member's writes not made since then? */
  isRefused(member: Member, since: Moment): boolean {
    return member.refusals > since.refusals
  }

  /** Throws for such a write that was found at a save. @param upTo the count of the last write that the ack is for */
  assertKept(member: Member, since: Moment, upTo: number): void {
    const isMeant = (one: Unkept): boolean => one.member === member && one.write > since.writes && one.write <= upTo
    if (this.#unkept.some(isMeant)) throw notMade()
  }

  /** Throws what was refused to the member since it asked last. */
  throwFor(member: Member | undefined): void {
    const refused = member?.refused
    if (member) member.refused = undefined
    if (refused) throw refused
  }
}

export const notMade = (): SharedSessionError =>
  new SharedSessionError('NOT_STORABLE', 'A write that this ack is for was not made.')

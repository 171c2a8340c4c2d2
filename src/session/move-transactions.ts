import type { JsonObject } from '../document/json.js'
import { mergeTwoWay } from '../document/merge.js'
import { diff } from '../document/patch.js'
import { SharedSessionError } from '../errors.js'
import { includesCommit } from '../store/commit-history.js'
import { Snapshot } from '../store/snapshot.js'
import type { Proposal, Transaction } from '../store/transaction.js'
import { sha256 } from '../util/hash.js'
import { assertSize } from './errors.js'

// What moving a session commits, see session-moves.ts.

/**
 * Marks a session as moved, and keeps its data. Where another process has marked it before, its target counts: the data is joined to one
 * session only.
 */
export class TakeTransaction implements Transaction {
  readonly origin = 'remote'
  readonly mustExist = true
  /** What the session had when it was marked. */
  data: JsonObject | undefined
  /** The session to which it is moved. */
  target: string
  /** The mark is in the store. */
  isMarked = false
  readonly #to: string
  readonly #taken: (target: string, isStored: boolean) => void

  /** @param taken is called before anything else is written to the session, also where it is not in the store */
  constructor(to: string, taken: (target: string, isStored: boolean) => void) {
    this.#to = to
    this.target = to
    this.#taken = taken
  }

  moves(): boolean {
    return true
  }

  rebase(theirs: Snapshot | undefined): Proposal | undefined {
    this.data = theirs?.data
    this.target = theirs?.movedTo ?? this.#to
    if (theirs && theirs.movedTo === undefined) return { snapshot: theirs, write: true, patches: [], movedTo: this.#to }
    this.#taken(this.target, theirs !== undefined)
    return undefined
  }

  committed(): void {
    this.isMarked = true
    this.#taken(this.target, true)
  }

  aborted(): void {}
}

/** Leaves nothing but the mark of a move. */
export function emptyTransaction(target: string): Transaction {
  return changeMoved(target, ({ cookie, data }) => {
    if (Object.keys(data).length === 0) return undefined
    return { snapshot: new Snapshot({ cookie, data: {} }), write: true, patches: [], movedTo: target }
  })
}

/** Takes the mark of a move of a session that had data away again, unless another process has joined that to the target. */
export function takeBackTransaction(target: string): Transaction & { readonly wasJoined: boolean } {
  let wasJoined = false
  const transaction = changeMoved(target, (snapshot) => {
    wasJoined = Object.keys(snapshot.data).length === 0
    return wasJoined ? undefined : { snapshot, write: true, patches: [] }
  })
  return {
    ...transaction,
    get wasJoined() {
      return wasJoined
    },
  }
}

/** Changes a session that is marked as moved to `target`. */
function changeMoved(target: string, change: (theirs: Snapshot) => Proposal | undefined): Transaction {
  return {
    origin: 'remote',
    mustExist: true,
    moves: () => true,
    rebase: (theirs) => (theirs?.movedTo === target ? change(theirs) : undefined),
    committed() {},
    aborted() {},
  }
}

/** Joins data to a session, unless that makes it too large: then it stays as it is. */
export function joinTransaction(
  data: JsonObject,
  id: string,
  maxBytes: number,
): Transaction & { readonly tooLarge: SharedSessionError | undefined } {
  let tooLarge: SharedSessionError | undefined
  return {
    origin: 'remote',
    mustExist: true,
    get tooLarge() {
      return tooLarge
    },
    // It was moved on with the data.
    moves: (gone) => gone !== undefined && includesCommit(gone, id),
    rebase(theirs) {
      tooLarge = undefined
      if (!theirs || includesCommit(theirs, id)) return undefined
      const joined = mergeTwoWay(theirs.data, data)
      const dataText = JSON.stringify(joined)
      try {
        assertSize(dataText, maxBytes)
      } catch (error) {
        const dropped =
          "What a browser's sockets had in another session was not joined to the session of its requests, and is dropped."
        tooLarge = new SharedSessionError('TOO_LARGE', `${dropped} ${(error as Error).message}`)
        return undefined
      }
      const snapshot = new Snapshot({ cookie: theirs.cookie, data: joined, dataText })
      return { snapshot, write: true, patches: diff(theirs.data, joined), id }
    },
    committed() {},
    aborted() {},
  }
}

/** As long as other commits' ids. */
export function moveId(sid: string, to: string): string {
  return sha256(`sharedsession move\0${sid}\0${to}`).slice(0, 12)
}

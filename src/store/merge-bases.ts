import { Attached } from '../util/attached.js'
import { getOrInsert } from '../util/maps.js'
import type { CommitHistory } from './commit-history.js'
import type { Moment } from './session-clock.js'
import type { Snapshot } from './snapshot.js'

/** What a request had loaded, against which its save is compared. */
export interface MergeBase {
  sid: string
  /** Most requests save nothing, so its data is parsed only when somebody asks for it. */
  state: Snapshot
  /** When its cookie was loaded. */
  loadedMoment: Moment
  /** It was in the store; otherwise it was live in this process. */
  stored: boolean
  /** What it was live in, where it was not in the store. It is kept as long as the base: nobody else knows that it was stored since. */
  live?: { readonly stored: boolean } | undefined
  /** Present where the state is all that the store held then. */
  whole?: WholeBase | undefined
}

/** What makes a base the snapshot that the store held. */
export interface WholeBase {
  /** When the store held it: at the beginning of the read, or by the commit. */
  heldMoment: Moment
  history: CommitHistory | undefined
}

/** A save that a request has asked for and that has not ended. */
export interface PendingSave {
  mine: Snapshot
}

/**
 * The merge bases of HTTP writers: per `Session` object, and per result of `store.get` for code that calls `store.set(sid, data)`
 * itself. They live as long as that object does.
 */
export class MergeBases {
  readonly #bases = new Attached<MergeBase>()
  readonly #pending = new Attached<Set<PendingSave>>()

  of(session: object): MergeBase | undefined {
    return this.#bases.get(session)
  }

  /** Sets what a request has loaded. */
  set(session: object, base: MergeBase): void {
    this.#bases.set(session, base)
  }

  /** Makes what was saved the session's base. @param whole where it is all that the store holds */
  saved(session: object, sid: string, state: Snapshot, now: Moment, whole?: WholeBase): void {
    // Its cookie is still the one it had loaded, whatever others have made of it.
    const loadedMoment = this.#bases.get(session)?.loadedMoment ?? now
    this.#bases.set(session, { sid, state, loadedMoment, stored: true, whole })
  }

  /** The saves of a request that have not ended: a change shown to it meanwhile has to be in them too, or they would undo it. */
  pendingSaves(session: object): Set<PendingSave> {
    return getOrInsert(this.#pending, session, () => new Set())
  }

  /** A `Session` made of data that `store.get` gave has the same base. */
  inherit(from: object, to: object): void {
    const base = this.#bases.get(from)
    if (base) this.#bases.set(to, base)
  }
}

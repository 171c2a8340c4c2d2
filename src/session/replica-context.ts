import type { Cookie } from 'express-session'
import type { StrategyTable } from '../document/merge-strategy.js'
import type { RebaseResult } from '../document/tracked-document.js'
import type { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import type { Committer } from '../store/committer.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Moment } from '../store/session-clock.js'
import type { Snapshot } from '../store/snapshot.js'
import type { Notifier } from './notifier.js'

/** A save that was given up. */
export interface SaveFailure {
  readonly error: SharedSessionError
  /** Its changes are unsaved, and not taken back. */
  readonly isKept: boolean
}

/** What a replica uses of its store's `SessionManager`. */
export interface ReplicaContext<Replica> {
  readonly options: StoreOptions
  /** The strategies of the option `merge`. */
  readonly strategies: StrategyTable | undefined
  readonly notifier: Notifier
  readonly committer: Committer
  readonly registry: {
    /** The application gets a view of a replica. @returns the session's replica: this one, unless it was forgotten, and there is another */
    held(replica: Replica): Replica
    /** Keeps the replica in memory, or leaves it to the garbage collector. */
    setPinned(replica: Replica, pinned: boolean): void
    /** All that was to be saved is, unless there is a failure. */
    saveEnded(replica: Replica, failure?: SaveFailure): void
  }
  readonly counts: { merges: number; retries: number }
  destroy(sid: string): Promise<void>
  /** Destroys the session that this one was moved to a short while ago, if it was. */
  destroyTarget(sid: string): Promise<void>
  /** The store does not have the session, although it was stored. */
  onMissingInStore(sid: string): void
  reportMerge(sid: string, found: Pick<RebaseResult, 'conflicts'> & Partial<RebaseResult>): void
  /** `Session.prototype`, of the copy of express-session that the store uses. */
  readonly sessionPrototype: object
  /** Makes a session's cookie as the store does. */
  cookieOf(cookie: CookieJson): Cookie
  /** Begins to receive other processes' messages about the session. @param readMoment see {@link ReplicaInit} */
  subscribe(sid: string, readMoment: Moment | undefined): void
  unsubscribe(sid: string): void
}

/** Is told what the store holds of a session, after each commit and each read. */
export interface StoredObserver {
  /** @param snapshot whose data is not to be changed */
  stored(snapshot: Snapshot): void
}

/** What express-session has made of a session. */
export interface SessionTemplate {
  readonly cookie: Cookie
  /** `Session.prototype`, of the copy of express-session that the application uses. */
  readonly prototype: object
}

/** What a replica starts with. */
export interface ReplicaInit {
  sid: string
  /** What is known of the session. Others may have the same snapshot. */
  snapshot: Snapshot
  /** The session is in the store. */
  stored: boolean
  /** When the read began by which the session is known. `undefined`: not by a read, or by an earlier one. */
  readMoment?: Moment | undefined
  /** Where express-session has made the session already. */
  template?: SessionTemplate | undefined
}

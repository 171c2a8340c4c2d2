import type { Cookie } from 'express-session'
import type { JsonObject } from '../document/json.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import type { RebaseResult } from '../document/tracked-document.js'
import type { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import type { Committer } from '../store/committer.js'
import type { Notifier } from './notifier.js'

/** What a replica uses of its store's `SessionManager`. */
export interface ReplicaContext<Replica> {
  readonly options: StoreOptions
  /** The strategies of the option `merge`. */
  readonly strategies: StrategyTable | undefined
  readonly notifier: Notifier
  readonly committer: Committer
  readonly counts: { merges: number; retries: number }
  destroy(sid: string): Promise<void>
  /** The store does not have the session, although it was stored. */
  onMissingInStore(sid: string): void
  reportMerge(sid: string, found: Pick<RebaseResult, 'conflicts'> & Partial<RebaseResult>): void
  /** Keeps the replica in memory, or leaves it to the garbage collector. */
  setPinned(replica: Replica, pinned: boolean): void
  saveFailed(replica: Replica, error: SharedSessionError): void
  /** Begins or stops to receive other processes' messages about the session. */
  setSubscribed(sid: string, subscribed: boolean): void
}

/** What a replica starts with. */
export interface ReplicaInit {
  sid: string
  data: JsonObject
  cookie: Cookie
  /** express-session's `Session.prototype`, of the copy that the application uses. */
  prototype: object
  /** The session is in the store. */
  stored: boolean
}

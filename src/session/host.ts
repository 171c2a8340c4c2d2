import type { Cookie } from 'express-session'
import type { JsonObject } from '../document/json.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import type { Conflict, RebaseResult } from '../document/tracked-document.js'
import type { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import type { Snapshot } from '../store/snapshot.js'
import type { CommitResult, Transaction } from '../store/transaction.js'
import type { Notifier } from './notifier.js'
import type { SessionReplica } from './replica.js'

/** What a live session needs of the process around it. */
export interface SessionHost {
  readonly options: StoreOptions
  /** The strategies of the option `merge`. */
  readonly strategies: StrategyTable | undefined
  readonly notifier: Notifier
  commit(sid: string, writer: Transaction): Promise<CommitResult>
  inspect(sid: string, see: (found: Snapshot | undefined) => void): Promise<void>
  refresh(live: SessionReplica): Promise<void>
  destroy(sid: string): Promise<void>
  onMissingInStore(sid: string): void
  conflicts(sid: string, conflicts: Conflict[]): void
  /** Merge functions that failed. */
  mergesFailed(sid: string, problems: RebaseResult['problems']): void
  count(what: 'merges'): void
  /** Something of the session could not be saved. */
  unsaved(live: SessionReplica, error: SharedSessionError): void
  setPinned(live: SessionReplica, held: boolean): void
  /** Listens to the other processes for a session that has sockets here, or does so no more. */
  listen(sid: string, listens: boolean): void
  retrying(): void
}

/** How a session starts to be live. */
export interface Start {
  sid: string
  data: JsonObject
  cookie: Cookie
  prototype: object
  /** It is in the store. */
  stored: boolean
}

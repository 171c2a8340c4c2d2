import type { Cookie } from 'express-session'
import type { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import type { CommitResult, Writer } from '../store/contract.js'
import type { Document } from '../store/document.js'
import type { JsonObject } from '../tracking/json.js'
import type { Absorbed, Conflict } from '../tracking/ledger.js'
import type { Rules } from '../tracking/rules.js'
import type { Herald } from './herald.js'
import type { LiveSession } from './live.js'

/** What a live session needs of the process around it. */
export interface SessionHost {
  readonly options: StoreOptions
  /** The strategies of the option `merge`. */
  readonly rules: Rules | undefined
  readonly herald: Herald
  commit(sid: string, writer: Writer): Promise<CommitResult>
  inspect(sid: string, see: (found: Document | undefined) => void): Promise<void>
  refresh(live: LiveSession): Promise<void>
  destroy(sid: string): Promise<void>
  gone(sid: string): void
  conflicts(sid: string, conflicts: Conflict[]): void
  /** Merge functions that failed. */
  mergesFailed(sid: string, problems: Absorbed['problems']): void
  count(what: 'merges'): void
  /** Something of the session could not be saved. */
  unsaved(live: LiveSession, error: SharedSessionError): void
  hold(live: LiveSession, held: boolean): void
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

import type { Patch } from '../document/patch.js'
import type { SharedSessionError } from '../errors.js'
import type { ChangeOrigin, EndReason, LiveSession } from '../types.js'

/** A socket as a member of its session: an author of writes and a recipient of notifications. */
export interface Member {
  readonly autoSave: boolean
  /** Top-level keys that only this member's view of the session has. */
  readonly perSocket?: ReadonlySet<string> | undefined
  /** What `session.req` is in this member's view. */
  readonly request: object
  /** The session as this member has it, once it was asked for. */
  view: LiveSession | undefined
  /** The sequence number of this member's last write. */
  lastWrite: number
  /** The number of its last write that may be lost: the store did not say whether it has it, or has refused it, and it is not written again. */
  lastLost: number
  /** The error of the store's refusal, where that was it. */
  lossError: SharedSessionError | undefined
  /** What `lastLost` was when a `save()` last failed for it. */
  reportedLost: number
  /** How many of its writes were rejected because JSON cannot hold them. */
  rejections: number
  /** The error of the last rejected write, until a `save()` has thrown it. */
  rejected: SharedSessionError | undefined
  /** Does the application listen to `session:changed` on this socket? */
  readonly hasChangeListeners: boolean
  changed(change: { keys: string[]; patches: Patch[]; origin: ChangeOrigin }): void
  /** @param after settles when the member's transport may be closed; `undefined`: at once */
  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void
  /** @returns whether the socket had a listener for the error */
  failed(error: SharedSessionError): boolean
}

import type { Patch } from '../document/patch.js'
import type { SharedSessionError } from '../errors.js'
import type { ChangeOrigin, EndReason, LiveSession } from '../types.js'

/** A socket as a member of its session: an author of writes and a recipient of notifications. */
export abstract class Member {
  /** The session as this member has it, once it was asked for. */
  view: LiveSession | undefined
  /** The sequence number of this member's last write. */
  lastWrite = 0
  /** The number of its last write that may be lost: the store did not say whether it has it, or has refused it, and it is not written again. */
  lastLost = 0
  /** The error of the store's refusal, where that was it. */
  lossError: SharedSessionError | undefined
  /** What `lastLost` was when a `save()` last failed for it. */
  reportedLost = 0
  /** How many of its writes were rejected because JSON cannot hold them. */
  rejections = 0
  /** The error of the last rejected write, until a `save()` has thrown it. */
  rejected: SharedSessionError | undefined
  abstract readonly autoSave: boolean
  /** Top-level keys that only this member's view of the session has. */
  abstract readonly perSocket: ReadonlySet<string> | undefined
  /** What `session.req` is in this member's view. */
  abstract readonly request: object
  /** Does the application listen to `session:changed` on this socket? */
  abstract readonly hasChangeListeners: boolean
  abstract emitChange(change: { keys: string[]; patches: Patch[]; origin: ChangeOrigin }): void
  /** @param after settles when the member's transport may be closed; `undefined`: at once */
  abstract onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void
  /** @returns whether the socket had a listener for the error */
  abstract emitError(error: SharedSessionError): boolean
}

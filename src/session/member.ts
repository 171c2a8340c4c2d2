import type { Patch } from '../document/patch.js'
import type { SharedSessionError } from '../errors.js'
import type { ChangeOrigin, EndReason } from '../types.js'

/** A socket as its session knows it: who wrote, and who is to be told. */
export interface Member {
  readonly autoSave: boolean
  /** Top-level keys that only its own view of the session has. */
  readonly perSocket?: ReadonlySet<string> | undefined
  /** What `session.req` is on this member's face. */
  readonly request: object
  /** The count of the session's writes when this member last wrote. */
  lastWrite: number
  /** The same for its last write that may have been lost: nobody knows whether it is in the store, and it is not written again. */
  lastLost: number
  /** How many of its writes were not made, because they cannot be kept. */
  refusals: number
  /** Why the last of them was not, until a save has said so. */
  refused: SharedSessionError | undefined
  /** Does anybody listen to its `session:changed`? */
  readonly hasChangeListeners: boolean
  changed(change: { keys: string[]; patches: Patch[]; origin: ChangeOrigin }): void
  /** @param after what to wait for before its transport is closed */
  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void
  /** @returns whether somebody listened */
  failed(error: SharedSessionError): boolean
}

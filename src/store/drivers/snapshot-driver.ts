import type { Bus } from '../../bus.js'
import type { Snapshot } from '../snapshot.js'
import type { StoreFields } from '../store-fields.js'
import type { TtlPolicy } from '../transaction.js'
import type { DriverMessage } from './store-driver.js'

/** The store's answer to a conditional write. */
export type WriteResult =
  | { written: true; current: Snapshot }
  | {
      written: false
      /** What the store holds instead, if anything: no read is needed to try again. */
      current: Snapshot | undefined
      /** The client library may have sent the write more than once: this may be the answer to the second time. */
      resent?: boolean
    }

/** What both have. */
interface BaseDriver {
  /** As `stats()` names it. */
  readonly name: string
  /** The arguments of a successful callback of the store's own methods. Absent: those that they last called back with. */
  readonly done?: readonly (null | undefined)[] | undefined
  /** The store is configured to do nothing on a touch. `undefined`: not known before the first touch. */
  readonly touchDisabled?: boolean | undefined
  /** Listeners of the bus may have no right to read the store: messages say that a session changed, and not how. */
  readonly opaque?: boolean
  /** The last message that it was to publish was refused. */
  readonly publishRefused?: boolean
  read(sid: string): Promise<Snapshot | undefined>
  /**
   * The same without a promise, of a store that is in this process. Throws as {@link read} rejects.
   * @param known what the store held before: it is returned where that is still so
   */
  readNow?(sid: string, known?: Snapshot): Snapshot | undefined
  /** @param message is published in the same step */
  destroy(sid: string, message?: DriverMessage): Promise<void>
  /** Reads several sessions in one round trip, in the order of the ids. Absent where the store cannot. */
  readMany?: ((sids: readonly string[]) => Promise<(Snapshot | undefined)[]>) | undefined
  /** The bus of the store's own server, ready to be started. */
  bus?(): Bus | undefined
  /** The session's topic on the bus. Absent: a digest of the id. */
  topic?(sid: string): string | undefined
}

/** A store that can compare and set: its writes hold across processes. Any driver of the public contract, by contract-driver.ts. */
export interface CompareAndSetDriver extends BaseDriver {
  readonly compares: true
  /** The store's own `get` answers `null` for a missing session, and not `undefined`. */
  readonly missingValue?: null | undefined
  /** A touch changes what is stored, and with it the etag. */
  readonly touchChangesContent?: boolean
  /**
   * Writes the snapshot if the store still holds what is expected. One round trip.
   * @param expected `undefined`: the session is not in the store
   * @param message is published in the same step if the snapshot is written; only by the driver that the bus names as `publishedByDriver`
   * @throws {IndeterminateWriteError} where it was sent and the answer lost. After any other error nothing was written
   */
  write(
    sid: string,
    snapshot: Snapshot,
    expected: Snapshot | undefined,
    ttl: TtlPolicy,
    message?: DriverMessage,
  ): Promise<WriteResult>
  /** `write` without a promise, of a store that is in this process: it is called in place of `write`. Throws as `write` rejects. */
  readonly writeNow?: (sid: string, snapshot: Snapshot, expected: Snapshot | undefined, ttl: TtlPolicy) => WriteResult
  /** Refreshes a session's life. @returns whether the store still has it */
  touch(sid: string, snapshot: Snapshot): Promise<boolean>
}

/** A store that can only `get` and `set`, by generic.ts: its caller reads before it writes, and keeps the writers of this process apart. */
export interface PlainDriver extends BaseDriver {
  readonly compares: false
  readonly storeFields: StoreFields
  /** The store has no touch, so that a touch writes all of the session: it has to be what the store holds at that moment. */
  readonly touchWrites: boolean
  /** @param current what the store holds, by a read just before */
  write(sid: string, snapshot: Snapshot, current: Snapshot | undefined, ttl: TtlPolicy): Promise<void>
  /**
   * Refreshes a session's life.
   * @param snapshot what the store holds, under the cookie to store: the touch of some stores is their set
   * @returns whether the store still has it
   */
  touch(sid: string, snapshot: Snapshot): Promise<boolean>
}

/** A store as the committer uses it: by snapshots. What a driver implements is `StoreDriver`. */
export type SnapshotDriver = CompareAndSetDriver | PlainDriver

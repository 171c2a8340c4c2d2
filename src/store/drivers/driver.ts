import type { Bus } from '../../bus.js'
import type { Snapshot } from '../snapshot.js'
import type { StoreFields } from '../store-fields.js'
import type { OutgoingMessage, TtlPolicy } from '../transaction.js'

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

/** A write was sent, and its answer lost: it may have happened, and may still happen. */
export class IndeterminateWriteError extends Error {
  constructor(cause: unknown) {
    super((cause as Error | undefined)?.message, { cause })
  }
}

/** A connection that only subscribes to channels. */
export interface SubscriberConnection {
  /** Resolves when it is connected. */
  connect(): Promise<unknown>
  /** Resolves when messages of all these channels are received. */
  subscribe(channels: string[]): Promise<unknown>
  unsubscribe(channels: string[]): Promise<unknown>
  ping(): Promise<unknown>
  /** Closes it at once, whatever the server does. */
  destroy(): void
}

export interface SubscriberListener {
  message(channel: string, text: string): void
  /** The connection is lost, or of no use. Called at least once for that. */
  lost(): void
}

/** Where to subscribe to a channel. */
export interface SubscriberEndpoint {
  /** The same for channels that one connection serves. */
  name: string
  open(listener: SubscriberListener): SubscriberConnection
}

/** Publish and subscribe on the server that has the sessions. */
export interface PubSub {
  /** Where to subscribe to a channel; `undefined` while that is not known. */
  endpointOf(channel: string): SubscriberEndpoint | undefined
  publish(channel: string, text: string): Promise<unknown>
  /** @param listener is called when all endpoints have changed; replaces the one before */
  onMoved(listener: () => void): void
}

/** What a bus needs of a Postgres that has the sessions. */
export interface PostgresServer {
  query(text: string, values: unknown[]): Promise<unknown>
  /** Of a connection. They may be known only after the first query. */
  readonly options: object
  /** `Client` of the package pg. */
  readonly Client: unknown
}

/** The part that all drivers have. The head of choose.ts says how to add one. */
interface BaseDriver {
  /** As `stats()` names it. */
  readonly name: string
  /** The arguments of a successful callback of the store's own methods. Absent: those that they last called back with. */
  readonly done?: readonly (null | undefined)[]
  /** The store is configured to do nothing on a touch. `undefined`: not known before the first touch. */
  readonly touchDisabled?: boolean | undefined
  /** Listeners of the bus may have no right to read the store: messages say that a session changed, and not how. */
  readonly opaque?: boolean
  read(sid: string): Promise<Snapshot | undefined>
  /**
   * The same without a promise, of a store that is in this process. Throws as {@link read} rejects.
   * @param known what the store held before: it is returned where that is still so
   */
  readNow?(sid: string, known?: Snapshot): Snapshot | undefined
  /** @param message is published in the same step */
  destroy(sid: string, message?: OutgoingMessage): Promise<void>
  /** Reads several sessions in one round trip, in the order of the ids. Absent where the store cannot. */
  readMany?(sids: readonly string[]): Promise<(Snapshot | undefined)[]>
  /** Publish and subscribe on the store's own server; `undefined` where the store's client cannot subscribe. */
  pubSub?(): PubSub | undefined
  /** The Postgres that has the sessions, where the driver publishes with its writes by NOTIFY. */
  readonly postgres?: PostgresServer | undefined
  /** The bus of the store's own server, ready to be started. */
  bus?(): Bus | undefined
  /** The session's topic on the bus. It does not show the session id. Absent: a digest of the id. */
  topic?(sid: string): string
}

/** A driver for a store that can compare and set: its writes hold across processes. */
export interface CompareAndSetDriver extends BaseDriver {
  readonly compares: true
  /** The store's own `get` answers `null` for a missing session, and not `undefined`. */
  readonly missingValue?: null
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
    message?: OutgoingMessage,
  ): Promise<WriteResult>
  /** Refreshes a session's life. @returns whether the store still has it */
  touch(sid: string, snapshot: Snapshot): Promise<boolean>
}

/** A driver for a store that can only `get` and `set`: its caller reads before it writes, and keeps the writers of this process apart. */
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

/** How one kind of store reads and writes. */
export type Driver = CompareAndSetDriver | PlainDriver

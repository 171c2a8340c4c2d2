import { randomBytes } from 'node:crypto'
import type { Bus } from '../bus.js'
import { debug } from '../debug.js'
import type { CommitHistory } from '../store/commit-history.js'
import type { SnapshotDriver } from '../store/drivers/snapshot-driver.js'
import type { DriverMessage } from '../store/drivers/store-driver.js'
import { topicOf } from '../store/topic.js'
import type { CommitStep, CommittedChange } from '../store/transaction.js'
import { asPromise } from '../util/promises.js'
import { encodeMessage, MAX_ENVELOPE, type Message, type Revision } from './message.js'

/** How many messages wait for a bus. More are lost, which they may be. */
const MOST_WAITING = 1000
/** How long a lost message counts, in ms: where the driver publishes with its writes, the next message by the bus may be hours away. */
const FAILURE_COUNTS = 300_000

/**
 * Publishes to the other processes what this one did to a session. Where the store's driver publishes in the same step as it writes, this
 * makes the driver's message; otherwise it publishes by the bus after the write.
 */
export class ClusterPublisher {
  /** The bus in use; set by `ClusterSync`. */
  bus: Bus | undefined
  /** What is to be published when it is known which bus there is; `undefined`: it is. */
  #waiting: (() => void)[] | undefined
  /** How many messages were published. */
  published = 0
  /** The id of this process in messages. */
  readonly node = randomBytes(9).toString('base64url')
  /** When the last message that the bus was given was lost. */
  #failedAt = Number.NEGATIVE_INFINITY
  readonly #driver: SnapshotDriver
  readonly #maxBytes: number

  /** @param maxBytes the largest change that other processes accept, in bytes */
  constructor(driver: SnapshotDriver, maxBytes: number) {
    this.#driver = driver
    this.#maxBytes = maxBytes
  }

  topic(sid: string): string {
    return this.#driver.topic?.(sid) ?? topicOf(sid)
  }

  /** Somebody without access to the store may be on the bus: messages name the commit only, and each process reads the session. */
  get namesOnly(): boolean {
    return this.#driver.opaque === true || this.bus?.isPublic === true
  }

  /** The last message was not published: of those that the driver publishes with its writes, or lately of the others. */
  get publishFailed(): boolean {
    return performance.now() - this.#failedAt < FAILURE_COUNTS || this.#driver.publishRefused === true
  }

  /** Nobody knows yet which bus there is: what is published waits for {@link flush}. */
  holdBack(): void {
    this.#waiting = []
  }

  /** Publishes what has waited, if there is a bus. */
  flush(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const publish of waiting) publish()
  }

  /** The message of a commit, for a driver that publishes it. */
  commitMessage({ sid, next, from }: CommitStep): DriverMessage | undefined {
    if (!this.#isPublishedByDriver) return undefined
    if (next.movedTo !== undefined) return this.endMessage(sid, 'regenerated', false)
    return this.#compose(sid, this.#commit(from, next.snapshot.history, next))
  }

  /** Publishes a commit, unless the driver has. */
  publishCommit(change: CommittedChange): void {
    const { sid, from, next } = change
    if (!next.write) return
    if (this.#waiting) {
      // They are made now: what they are made of may change when the commit has ended.
      void next.patches
      this.#later(() => this.publishCommit(change))
    } else if (next.movedTo !== undefined) this.publishEnd(sid, 'regenerated', false)
    else if (this.#isPublishedByDriver) this.published++
    // The patches of the message are made for a bus only.
    else if (this.bus) this.#publish(sid, this.#commit(from, next.snapshot.history, next))
  }

  /** The message of a destroy, for a driver that publishes it. */
  endMessage(sid: string, reason: 'destroyed' | 'regenerated', answered: boolean): DriverMessage | undefined {
    if (!this.#isPublishedByDriver) return undefined
    return this.#compose(sid, { kind: 'end', reason, answered })
  }

  /** Publishes the end of a session, unless the driver has. */
  publishEnd(sid: string, reason: 'destroyed' | 'regenerated', answered: boolean): void {
    if (this.#isPublishedByDriver) this.published++
    else this.#publish(sid, { kind: 'end', reason, answered })
  }

  /** Publishes that a browser which still had the cookie of this ended session was given another session. */
  publishReplaced(sid: string): void {
    this.#publish(sid, { kind: 'end', reason: 'destroyed', answered: false })
  }

  /** Publishes once more that the session was rotated away. An {@link publishCookieSent} message follows. */
  publishRotation(sid: string): void {
    this.#publish(sid, { kind: 'end', reason: 'regenerated', answered: true })
  }

  /** Publishes that the response with the client's new cookie has left: that of a request, or that of a handshake. */
  publishCookieSent(sid: string): void {
    this.#publish(sid, { kind: 'answered' })
  }

  /** Publishes that a handshake's cookie names this session, and that the store has none. */
  publishMissing(sid: string): void {
    this.#publish(sid, { kind: 'missing' })
  }

  get #isPublishedByDriver(): boolean {
    return this.bus !== undefined && this.bus.publishedByDriver === this.#driver.name
  }

  #commit(from: CommitHistory | undefined, to: CommitHistory | undefined, next: CommitStep['next']): Message {
    const change = this.namesOnly ? undefined : { patches: next.patches, cookie: next.snapshot.cookie }
    return { kind: 'commit', from: revisionOf(from), to: revisionOf(to) as Revision, change }
  }

  #compose(sid: string, message: Message): DriverMessage {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.bus ?? {}
    return {
      topic: this.topic(sid),
      text: encodeMessage(message, this.node, Math.min(maxBytes, this.#maxBytes + MAX_ENVELOPE)),
    }
  }

  #later(publish: () => void): void {
    if (this.#waiting && this.#waiting.length < MOST_WAITING) this.#waiting.push(publish)
  }

  #publish(sid: string, message: Message): void {
    const { bus } = this
    if (this.#waiting) this.#later(() => this.#publish(sid, message))
    else if (bus) this.#send(bus, sid, message)
  }

  #send(bus: Bus, sid: string, message: Message): void {
    this.published++
    const publish = (): unknown => {
      const { topic, text } = this.#compose(sid, message)
      return bus.publish(topic, text)
    }
    // A driver may have no topic: the store's client may have been replaced by one that cannot be used.
    asPromise(publish).then(
      () => {
        this.#failedAt = Number.NEGATIVE_INFINITY
      },
      (error) => {
        this.#failedAt = performance.now()
        debug('a message could not be published: %s', error?.message)
      },
    )
  }
}

function revisionOf(history: CommitHistory | undefined): Revision | undefined {
  const id = history?.ids.at(-1)
  return history && id !== undefined ? { v: history.v, id } : undefined
}

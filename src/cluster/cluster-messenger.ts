import { randomBytes } from 'node:crypto'
import { debug } from '../debug.js'
import type { CommitHistory } from '../store/commit-history.js'
import type { Driver } from '../store/drivers/driver.js'
import type { CommitStep, CommittedChange, OutgoingMessage } from '../store/transaction.js'
import { topicOf } from '../util/hash.js'
import { settleWithin } from '../util/timeout.js'
import type { CommitMessage } from './apply-remote-commit.js'
import type { Bus, BusListener } from './bus.js'
import { decodeMessage, encodeMessage, isFromSelf, type Message, type Received, type Revision } from './message.js'

/** The longest time over which the processes that hear again after a gap spread their reads, in ms. */
const SPREAD = 500
/** What a message has beside its change, in bytes, generously. */
const ENVELOPE = 4096

/** What is heard of other processes. */
export interface ClusterMessengerHost {
  /** Another process committed. @param bytes of the message */
  onRemoteCommit(sid: string, message: CommitMessage, bytes: number): void
  /**
   * Another process says that it ended the session.
   * @param after settles when the sockets may be ended; `undefined`: at once
   */
  onRemoteEnd(sid: string, reason: 'destroyed' | 'regenerated', after: Promise<unknown> | undefined): void
  /** These sessions may have changed. */
  mayBeStale(sids: Iterable<string>): void
}

/** What is settled for all messages of a store. */
export interface ClusterMessengerOptions {
  /** The largest message believed, in bytes, but for what every message has. */
  maxBytes: number
  /** How long a rotated session's sockets wait for the response that brings the new cookie, in ms. */
  rotationWait: number
}

/** The other processes that use the store: what they are told of commits and ends here, and what they tell. */
export class ClusterMessenger implements BusListener {
  readonly counts = { messages: 0, published: 0 }
  readonly #host: ClusterMessengerHost
  readonly #driver: Driver
  readonly #options: ClusterMessengerOptions
  readonly #me = randomBytes(9).toString('base64url')
  /** Sessions with sockets here, by topic. */
  readonly #watched = new Map<string, string>()
  /** Sessions with sockets here, while there is no bus. */
  readonly #waitingForBus = new Set<string>()
  /** By topic: what is waited for when a session was rotated on another process. */
  readonly #rotations = new Map<string, { answered(): void; over: Promise<unknown> }>()
  #bus: Bus | undefined
  #gap: NodeJS.Timeout | undefined

  constructor(host: ClusterMessengerHost, driver: Driver, options: ClusterMessengerOptions) {
    this.#host = host
    this.#driver = driver
    this.#options = options
  }

  /** Is there a way to the other processes? */
  get connected(): boolean {
    return this.#bus !== undefined
  }

  get bus(): Bus | undefined {
    return this.#bus
  }

  start(bus: Bus): void {
    this.#bus = bus
    bus.start(this)
    for (const [topic, sid] of this.#watched) this.#subscribeTopic(topic, sid)
    for (const sid of this.#waitingForBus) this.subscribe(sid)
    this.#waitingForBus.clear()
  }

  /** Lets go of the bus. */
  close(): void {
    const bus = this.#bus
    this.#bus = undefined
    clearTimeout(this.#gap)
    this.#gap = undefined
    for (const { answered } of [...this.#rotations.values()]) answered()
    Promise.resolve()
      .then(() => bus?.close())
      .catch((error) => debug('the bus could not be closed: %s', error?.message))
  }

  /** Listens for a session that has a socket here. */
  subscribe(sid: string): void {
    if (!this.#bus) {
      this.#waitingForBus.add(sid)
      return
    }
    const topic = this.#topic(sid)
    if (this.#watched.has(topic)) return
    this.#watched.set(topic, sid)
    // Still listened to for the end of a rotation.
    if (!this.#rotations.has(topic)) this.#subscribeTopic(topic, sid)
    else this.#host.mayBeStale([sid])
  }

  /** Its last socket is gone. */
  unsubscribe(sid: string): void {
    if (this.#waitingForBus.delete(sid)) return
    const topic = this.#topic(sid)
    if (this.#watched.delete(topic) && !this.#rotations.has(topic)) this.#unsubscribeTopic(topic)
  }

  /** What a commit tells, where the driver tells it in the same step. */
  commitMessage({ sid, next, from }: CommitStep): OutgoingMessage | undefined {
    if (!this.#isPublishedByDriver) return undefined
    if (next.movedTo !== undefined) return this.endMessage(sid, 'regenerated', false)
    return this.#compose(sid, this.#commit(from, next.snapshot.history, next))
  }

  /** Tells of a commit, unless the driver has. */
  committed({ sid, from, ...next }: CommittedChange): void {
    if (!next.write) return
    if (next.movedTo !== undefined) this.ended(sid, 'regenerated', false)
    else if (this.#isPublishedByDriver) this.counts.published++
    else this.#publish(sid, this.#commit(from, next.snapshot.history, next))
  }

  /** What a destroy tells in the same step. */
  endMessage(sid: string, reason: 'destroyed' | 'regenerated', answered: boolean): OutgoingMessage | undefined {
    if (!this.#isPublishedByDriver) return undefined
    return this.#compose(sid, { kind: 'end', reason, answered })
  }

  /** Tells of a destroyed session, unless the driver has. */
  ended(sid: string, reason: 'destroyed' | 'regenerated', answered: boolean): void {
    if (this.#isPublishedByDriver) this.counts.published++
    else this.#publish(sid, { kind: 'end', reason, answered })
  }

  /** A browser that still had the cookie of this session, which is gone, has been given another one. */
  replaced(sid: string): void {
    this.#publish(sid, { kind: 'end', reason: 'destroyed', answered: false })
  }

  /** The response that takes the client its new cookie has left. */
  answered(sid: string): void {
    this.#publish(sid, { kind: 'answered' })
  }

  heard(topic: string, given: string): void {
    const sid = this.#watched.get(topic)
    if (!this.#bus || (sid === undefined && !this.#rotations.has(topic))) return
    // An application's own bus may hand over anything.
    const text = String(given)
    if (isFromSelf(text, this.#me)) return
    const message = decodeMessage(text, this.#options.maxBytes + ENVELOPE)
    if (message?.node === this.#me) return
    this.counts.messages++
    if (message?.kind === 'answered') this.#rotations.get(topic)?.answered()
    else if (sid === undefined) return
    else if (message?.kind === 'commit') this.#host.onRemoteCommit(sid, this.#believed(message), text.length)
    else if (message?.kind === 'end') this.#endedElsewhere(sid, topic, message)
    else this.#host.mayBeStale([sid])
  }

  gap(): void {
    if (this.#gap || !this.#bus) return
    this.#gap = setTimeout(() => {
      this.#gap = undefined
      this.#host.mayBeStale([...this.#watched.values()])
    }, Math.random() * SPREAD)
    this.#gap.unref()
  }

  get #isPublishedByDriver(): boolean {
    return this.#bus !== undefined && this.#bus.publishedByDriver === this.#driver.name
  }

  #topic(sid: string): string {
    return this.#driver.topic?.(sid) ?? topicOf(sid)
  }

  #subscribeTopic(topic: string, sid: string): void {
    const bus = this.#bus
    if (!bus) return
    // What happened between the handshake's read and this was heard by nobody.
    const listening = (): void => {
      if (this.#watched.get(topic) === sid) this.#host.mayBeStale([sid])
    }
    attempt(() => bus.subscribe(topic)).then(listening, (error) => debug('the bus does not listen yet: %s', error?.message))
  }

  #unsubscribeTopic(topic: string): void {
    attempt(() => this.#bus?.unsubscribe(topic)).catch((error) => debug('the bus listens on: %s', error?.message))
  }

  #endedElsewhere(sid: string, topic: string, { reason, answered }: Received & { kind: 'end' }): void {
    this.#host.onRemoteEnd(sid, reason, answered ? this.#rotation(topic) : undefined)
  }

  /** Settles when the response has left. Waits once, however often it is told. */
  #rotation(topic: string): Promise<unknown> {
    const known = this.#rotations.get(topic)
    if (known) return known.over
    let answered = (): void => undefined
    const response = new Promise<void>((resolve) => {
      answered = resolve
    })
    const over = settleWithin(response, this.#options.rotationWait)
    this.#rotations.set(topic, { answered, over })
    over.then(() => {
      this.#rotations.delete(topic)
      if (!this.#watched.has(topic)) this.#unsubscribeTopic(topic)
    })
    return over
  }

  /** Somebody may be on the bus who has no right to the store. */
  get #namesOnly(): boolean {
    return this.#driver.opaque === true || this.#bus?.isPublic === true
  }

  #believed(message: CommitMessage): CommitMessage {
    return this.#namesOnly ? { ...message, change: undefined } : message
  }

  #commit(from: CommitHistory | undefined, to: CommitHistory | undefined, { patches, snapshot }: CommitStep['next']): Message {
    const change = this.#namesOnly ? undefined : { patches, cookie: snapshot.cookie }
    return { kind: 'commit', from: versionOf(from), to: versionOf(to) as Revision, change }
  }

  #compose(sid: string, message: Message): OutgoingMessage {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#bus ?? {}
    return {
      topic: this.#topic(sid),
      text: encodeMessage(message, this.#me, Math.min(maxBytes, this.#options.maxBytes + ENVELOPE)),
    }
  }

  #publish(sid: string, message: Message): void {
    const bus = this.#bus
    if (!bus) return
    this.counts.published++
    const { topic, text } = this.#compose(sid, message)
    attempt(() => bus.publish(topic, text)).catch((error) => debug('the other processes could not be told: %s', error?.message))
  }
}

function versionOf(record: CommitHistory | undefined): Revision | undefined {
  const id = record?.ids.at(-1)
  return record && id !== undefined ? { v: record.v, id } : undefined
}

/** An application's own bus may throw where it should reject. */
async function attempt(action: () => void | Promise<void>): Promise<void> {
  await action()
}

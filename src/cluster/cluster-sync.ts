import type { Server } from 'socket.io'
import type { Bus, OwnBusListener } from '../bus.js'
import type { Committer } from '../store/committer.js'
import type { SnapshotDriver } from '../store/drivers/snapshot-driver.js'
import type { Moment, SessionClock } from '../store/session-clock.js'
import type { Snapshot } from '../store/snapshot.js'
import type { EndReason } from '../types.js'
import { BusChoice, closeBus } from './bus-choice.js'
import { type CommitMessage, decodeMessage, isFromSelf, MAX_ENVELOPE, type Message } from './message.js'
import type { ClusterPublisher } from './publisher.js'
import { RefreshQueue } from './refresh-queue.js'
import { RemoteRotations } from './remote-rotations.js'
import { Subscriptions } from './subscriptions.js'

/** After a gap the processes spread their reads over so long, in ms. */
const SPREAD = 500
/** How many commit messages of one session wait for its lock. Where there are more, the session is read instead. */
const MOST_WAITING = 32

/** How another process says that it ended a session. */
export interface ReportedEnd {
  reason: EndReason
  /** Settles when the sockets may be ended; `undefined`: at once. */
  after: Promise<unknown> | undefined
}

/** A live session of this process. */
interface Replica {
  readonly sid: string
  readonly stored: boolean
  /** @returns what the commit makes of the session; `'known'` where it was seen before; `undefined` where the session has to be read */
  afterCommitMessage(message: CommitMessage, bytes: number): Snapshot | 'known' | undefined
  receiveCommit(snapshot: Snapshot, origin: 'remote', messageBytes: number): void
}

/** The sessions of the store in this process. */
export interface ClusterTarget {
  readonly clock: SessionClock
  /** How sessions are said to have ended, until the store was read. */
  readonly reportedEnds: Map<string, ReportedEnd>
  noteReportedEnd(sid: string, end: ReportedEnd): void
  /** The replica of a session that has not ended. */
  living(sid: string): Replica | undefined
  /** A session that was stored is not in the store any more. */
  onMissingInStore(sid: string): void
}

export interface ClusterOptions {
  driver: SnapshotDriver
  /** `undefined`: the store's, else socket.io's adapter; `false`: none. */
  bus: false | Bus | undefined
  /** The largest change that is accepted from a message, in bytes. */
  maxBytes: number
  /** How long a rotated session's sockets wait for the response with the new cookie, in ms. */
  rotationWait: number
  /**
   * Another process says that the session has ended.
   * @param answered the browser gets another session; settles when the response with its cookie has left
   */
  onReportedEnd(sid: string, answered?: Promise<unknown>): void
  /** Another process needs the session, and the store has none. */
  onReportedMissing(sid: string): void
}

/**
 * Keeps the live sessions of this process up to date with what other processes do to them. It subscribes to the sessions that have sockets
 * here, and applies what other processes publish, or reads the session from the store.
 *
 * | File                   | What it does                                                                              |
 * | ---------------------- | ----------------------------------------------------------------------------------------- |
 * | publisher.ts           | outbound: publishes commits and ends of this process                                      |
 * | cluster-sync.ts        | inbound: messages, reported ends                                                          |
 * | subscriptions.ts       | which sessions are subscribed to, and which replicas were read before that                |
 * | message.ts             | the messages as text, and which of them are believed; topicOf in store/topic.ts: a session's name on a bus |
 * | remote-rotations.ts    | rotations of other processes whose responses have not left yet                            |
 * | bus-choice.ts          | which bus it is, where that is not known from the start                                   |
 * | refresh-queue.ts       | reads sessions in batches that may be out of date                                         |
 * | bus.ts, buses/         | the public contract of a bus, and socket.io's adapter; those of stores are beside drivers |
 *
 * A message that follows on what is known is applied without a read. Any other one, a gap, and an end make the session be read: messages may
 * be lost, late or forged, and only the store is believed.
 */
export class ClusterSync implements OwnBusListener {
  /** How many messages of other processes came in. */
  messages = 0
  readonly #target: ClusterTarget
  readonly #committer: Committer
  readonly #publisher: ClusterPublisher
  readonly #options: ClusterOptions
  readonly #refreshQueue: RefreshQueue
  readonly subscriptions: Subscriptions
  readonly #rotations: RemoteRotations
  /** By session: how many commit messages wait for its turn. */
  readonly #waiting = new Map<string, number>()
  readonly #choice = new BusChoice(
    (bus) => this.#start(bus),
    () => this.#publisher.flush(),
  )
  #gap: NodeJS.Timeout | undefined

  constructor(target: ClusterTarget, committer: Committer, publisher: ClusterPublisher, options: ClusterOptions) {
    this.#target = target
    this.#committer = committer
    this.#publisher = publisher
    this.#options = options
    // One that was never stored may have been reported as ended: its browser was given another session.
    const living = (sid: string): Replica | undefined => {
      const replica = target.living(sid)
      return replica?.stored || target.reportedEnds.has(sid) ? replica : undefined
    }
    this.#refreshQueue = new RefreshQueue(committer, target.clock, living, (sid, snapshot) => this.#onRead(sid, snapshot))
    this.#rotations = new RemoteRotations(options.rotationWait, (topic) => {
      if (!this.subscriptions.ofTopic(topic)) this.subscriptions.leave(topic)
    })
    this.subscriptions = new Subscriptions(publisher, target.clock, {
      isHeard: (topic) => this.#rotations.has(topic),
      read: (sids) => this.#refreshQueue.enqueue(sids),
    })
  }

  get bus(): Bus | undefined {
    return this.#publisher.bus
  }

  /** Starts the store's bus, again after {@link close}. */
  open(): void {
    this.#refreshQueue.open()
    const { bus, driver } = this.#options
    if (bus === false || this.bus || this.#choice.isOffered) return
    const own = bus ?? driver.bus?.()
    if (own?.isAvailable) this.#publisher.holdBack()
    if (own) this.#choice.offer(own)
  }

  /** Uses the adapter of a Socket.IO server as the bus where the store has none. */
  offerAdapter(io: Server): void {
    if (this.#options.bus !== false && !this.bus) this.#choice.offerAdapter(io)
  }

  /** Stops timers, and closes the bus. */
  close(): void {
    const { bus } = this
    this.#refreshQueue.close()
    this.#publisher.bus = undefined
    clearTimeout(this.#gap)
    this.#gap = undefined
    this.#rotations.close()
    this.subscriptions.stop()
    this.#choice.close()
    if (bus) closeBus(bus)
  }

  #start(bus: Bus): void {
    bus.start(this)
    this.#publisher.bus = bus
    this.subscriptions.start()
  }

  /**
   * Receives messages about a session, until {@link unsubscribe} is called as often as this and {@link subscribeReplica} were. A handshake
   * subscribes before it reads the session, so that one read is enough: what happens before the read is in it, and what happens after it is
   * in messages. It unsubscribes when its socket has joined the replica, or when it has failed.
   * @returns resolves when the bus delivers the session's messages, or when it has not said so for a second: then the handshake reads the
   * session all the same, and it is read again when the bus does. Never rejects. `undefined`: there is nothing to wait for. The session is
   * subscribed to, or there is no bus, or the bus has just kept others waiting in vain
   */
  subscribe(sid: string): Promise<void> | undefined {
    return this.#options.bus === false ? undefined : this.subscriptions.subscribe(sid)
  }

  /**
   * The same for a replica, when its first socket joins, and in that tick. The session is read again, unless what the replica has was read
   * while all messages were received: the bus had confirmed the subscription when the read began, there was no gap since, and no message
   * came while there was no replica to apply it to. Where the bus has not confirmed the subscription yet, the session is read when it does.
   * @param readMoment when the read began whose content the replica has. Omitted: it is not known, or the replica is one that had
   * no socket for a while, and that did not take what was read
   */
  subscribeReplica(sid: string, readMoment?: Moment): void {
    this.subscribe(sid)
    this.subscriptions.refreshUnlessCurrent(sid, readMoment)
  }

  /** Ends one subscription. The last one ends that of the bus. */
  unsubscribe(sid: string): void {
    this.subscriptions.unsubscribe(sid)
  }

  /** Reads a live session, until the store answers. */
  refresh(sid: string): void {
    this.#refreshQueue.enqueue([sid])
  }

  /** The bus has a message. */
  heard(topic: string, given: string): void {
    const subscription = this.subscriptions.ofTopic(topic)
    if (!this.bus || (!subscription && !this.#rotations.has(topic))) return
    // An application's own bus may hand over anything.
    const text = String(given)
    const { node } = this.#publisher
    if (isFromSelf(text, node)) return
    const message = decodeMessage(text, this.#options.maxBytes + MAX_ENVELOPE)
    if (message?.node === node) return
    this.messages++
    if (message?.kind === 'answered' && this.#rotations.has(topic)) {
      this.#rotations.noteCookieSent(topic)
      return
    }
    if (!subscription) return
    const { sid } = subscription
    if (message?.kind === 'answered') {
      this.#options.onReportedEnd(sid, Promise.resolve())
      return
    }
    if (message?.kind === 'missing') {
      this.#options.onReportedMissing(sid)
      return
    }
    this.subscriptions.noteMessage(subscription)
    if (message?.kind === 'commit') {
      this.subscriptions.noteCommit(subscription)
      this.#onCommit(sid, this.#publisher.namesOnly ? { ...message, change: undefined } : message, text.length)
    } else if (message?.kind === 'end') this.#onEnd(sid, topic, message)
    else this.#refreshQueue.enqueue([sid])
  }

  /** The bus may have lost messages: all sessions are read, spread over a while. */
  gap(): void {
    if (!this.bus) return
    this.subscriptions.noteGap()
    if (this.#gap) return
    this.#gap = setTimeout(() => {
      this.#gap = undefined
      this.#refreshQueue.enqueue(this.subscriptions.sids())
    }, Math.random() * SPREAD)
    this.#gap.unref()
  }

  /** All live sessions are read as well. */
  moved(): void {
    this.#rotations.forget()
    this.subscriptions.restart()
  }

  /** Another process says that it committed. Applied while holding the session's lock, so that it cannot get between a save and its answer. */
  #onCommit(sid: string, message: CommitMessage, bytes: number): void {
    const waiting = this.#waiting.get(sid) ?? 0
    if (waiting >= MOST_WAITING) {
      this.#refreshQueue.enqueue([sid])
      return
    }
    this.#waiting.set(sid, waiting + 1)
    const applied = this.#committer.runExclusive(sid, async () => {
      const replica = this.#target.living(sid)
      const snapshot = replica?.afterCommitMessage(message, bytes)
      if (snapshot === undefined) this.#refreshQueue.enqueue([sid])
      else if (snapshot !== 'known') this.#apply(replica as Replica, snapshot, bytes)
    })
    applied.catch(() => this.#refreshQueue.enqueue([sid])).finally(() => this.#applied(sid))
  }

  #applied(sid: string): void {
    const waiting = (this.#waiting.get(sid) ?? 1) - 1
    if (waiting > 0) this.#waiting.set(sid, waiting)
    else this.#waiting.delete(sid)
  }

  /**
   * Another process says that it ended the session. A stored one ends only if a read finds it missing; for one that was never stored
   * nothing could disprove the message. Connections that wait for its successor reconnect when the browser has the cookie.
   */
  #onEnd(sid: string, topic: string, { reason, answered }: Message & { kind: 'end' }): void {
    const after = answered ? this.#rotations.over(topic) : undefined
    const replica = this.#target.living(sid)
    if (after || !replica?.stored) this.#options.onReportedEnd(sid, after)
    if (!replica) return
    // One that was never stored can only have been replaced by another session, to which its sockets reconnect.
    this.#target.noteReportedEnd(sid, { reason: replica.stored ? reason : 'regenerated', after })
    this.#refreshQueue.enqueue([sid])
  }

  /** The store was read, while holding the session's lock. */
  #onRead(sid: string, snapshot: Snapshot | undefined): void {
    const replica = this.#target.living(sid)
    const { reportedEnds } = this.#target
    if (replica && !snapshot) {
      if (replica.stored || reportedEnds.has(sid)) this.#target.onMissingInStore(sid)
      return
    }
    // What came in during the read is looked up next.
    if (!this.#refreshQueue.has(sid)) reportedEnds.delete(sid)
    if (replica && snapshot) this.#apply(replica, snapshot)
  }

  /** @param messageBytes of the message that the snapshot comes from; 0 where the store was read */
  #apply(replica: Replica, snapshot: Snapshot, messageBytes = 0): void {
    this.#target.clock.noteCommit(replica.sid)
    replica.receiveCommit(snapshot, 'remote', messageBytes)
  }
}

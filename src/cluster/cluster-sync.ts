import type { Server } from 'socket.io'
import { debug } from '../debug.js'
import type { Committer } from '../store/committer.js'
import type { Driver } from '../store/drivers/driver.js'
import type { SessionClock } from '../store/session-clock.js'
import type { Snapshot } from '../store/snapshot.js'
import type { EndReason } from '../types.js'
import { evictOldest } from '../util/bounded-map.js'
import { asPromise, settleWithin } from '../util/timeout.js'
import type { CommitMessage, KnownRevision } from './apply-remote-commit.js'
import type { Bus, BusListener } from './bus.js'
import { storeBus } from './buses/redis.js'
import { AdapterBus, isClusterAdapter } from './buses/socketio-adapter.js'
import { decodeMessage, isFromSelf, MAX_ENVELOPE, type Message } from './message.js'
import type { ClusterPublisher } from './publisher.js'
import { RefreshQueue } from './refresh-queue.js'

/** After a gap the processes spread their reads over so long, in ms. */
const SPREAD = 500
/** How many reported ends are remembered: those of sessions whose sockets have gone are never looked up. */
const MOST_REPORTED = 10_000
/** How many commit messages of one session wait for its turn. Where there are more, the session is read instead. */
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
  readonly inbound: KnownRevision & {
    applyRemoteCommit(message: CommitMessage, bytes: number): Snapshot | 'known' | undefined
  }
  onRemoteSnapshot(snapshot: Snapshot, origin: 'remote', messageBytes: number): void
}

/** The sessions of the store in this process. */
export interface ClusterTarget {
  readonly clock: SessionClock
  /** Filled here, until the store has confirmed the end. */
  readonly reportedEnds: Map<string, ReportedEnd>
  /** The replica of a session that has not ended. */
  living(sid: string): Replica | undefined
  /** A session that was stored is not in the store any more. */
  onMissingInStore(sid: string): void
  /** Another process says that the session has ended. */
  onReportedEnd(sid: string): void
}

export interface ClusterOptions {
  driver: Driver
  /** `undefined`: the store's, else socket.io's adapter; `false`: none. */
  bus: false | Bus | undefined
  /** The largest change that is accepted from a message, in bytes. */
  maxBytes: number
  /** How long a rotated session's sockets wait for the response with the new cookie, in ms. */
  rotationWait: number
}

/**
 * Keeps the live sessions of this process up to date with what other processes do to them. It subscribes to the sessions that have sockets
 * here, and applies what other processes publish, or reads the session from the store.
 *
 * | File                   | What it does                                                                              |
 * | ---------------------- | ----------------------------------------------------------------------------------------- |
 * | publisher.ts           | outbound: publishes commits and ends of this process                                      |
 * | cluster-sync.ts        | inbound: subscriptions, messages, reported ends                                           |
 * | message.ts             | the messages as text, and which of them are believed; topicOf in util/hash.ts: a session's name on a bus |
 * | apply-remote-commit.ts | the document that a commit message leads to, where the message follows on what is known   |
 * | refresh-queue.ts       | reads sessions in batches that may be out of date                                         |
 * | bus.ts, buses/         | the public contract of a bus, and the three buses: Redis, Postgres, socket.io's adapter   |
 *
 * A message that follows on what is known is applied without a read. Any other one, a gap, and an end make the session be read: messages may
 * be lost, late or forged, and only the store is believed.
 */
export class ClusterSync implements BusListener {
  /** How many messages of other processes came in. */
  messages = 0
  readonly #target: ClusterTarget
  readonly #committer: Committer
  readonly #publisher: ClusterPublisher
  readonly #options: ClusterOptions
  readonly #refreshQueue: RefreshQueue
  /** Sessions with sockets here, by topic. */
  readonly #subscribed = new Map<string, string>()
  /** Sessions with sockets here, while there is no bus. */
  readonly #waitingForBus = new Set<string>()
  /** By topic: rotations of another process whose response has not left yet. */
  readonly #rotations = new Map<string, { answered(): void; over: Promise<unknown> }>()
  /** By session: how many commit messages wait for its turn. */
  readonly #waiting = new Map<string, number>()
  #gap: NodeJS.Timeout | undefined

  constructor(target: ClusterTarget, committer: Committer, publisher: ClusterPublisher, options: ClusterOptions) {
    this.#target = target
    this.#committer = committer
    this.#publisher = publisher
    this.#options = options
    // One that was never stored may have been reported as ended: its browser was given another session.
    const isLive = (sid: string): boolean => target.living(sid)?.stored === true || target.reportedEnds.has(sid)
    this.#refreshQueue = new RefreshQueue(committer, target.clock, isLive, (sid, snapshot) => this.#onRead(sid, snapshot))
  }

  get bus(): Bus | undefined {
    return this.#publisher.bus
  }

  /** Starts the store's bus, again after {@link close}. */
  open(): void {
    this.#refreshQueue.open()
    const { bus, driver } = this.#options
    if (bus === false || this.bus) return
    const own = bus ?? storeBus(driver)
    if (own) this.#start(own)
  }

  /** Uses the adapter of a Socket.IO server as the bus where the store has none. */
  server(io: Server): void {
    if (this.#options.bus !== false && !this.bus && isClusterAdapter(io)) this.#start(new AdapterBus(io))
  }

  /** Stops timers, and closes the bus. */
  close(): void {
    const { bus } = this
    this.#refreshQueue.close()
    this.#publisher.bus = undefined
    clearTimeout(this.#gap)
    this.#gap = undefined
    for (const { answered } of [...this.#rotations.values()]) answered()
    Promise.resolve()
      .then(() => bus?.close())
      .catch((error) => debug('the bus could not be closed: %s', error?.message))
  }

  #start(bus: Bus): void {
    this.#publisher.bus = bus
    bus.start(this)
    for (const [topic, sid] of this.#subscribed) this.#subscribeTopic(topic, sid)
    for (const sid of this.#waitingForBus) this.subscribe(sid)
    this.#waitingForBus.clear()
  }

  /** Receives messages about a session, which has a socket here. */
  subscribe(sid: string): void {
    if (!this.bus) {
      this.#waitingForBus.add(sid)
      return
    }
    const topic = this.#publisher.topic(sid)
    if (this.#subscribed.has(topic)) return
    this.#subscribed.set(topic, sid)
    // The topic is still subscribed for the end of a rotation.
    if (!this.#rotations.has(topic)) this.#subscribeTopic(topic, sid)
    else this.#refreshQueue.enqueue([sid])
  }

  /** The session's last socket has gone. */
  unsubscribe(sid: string): void {
    if (this.#waitingForBus.delete(sid)) return
    const topic = this.#publisher.topic(sid)
    if (this.#subscribed.delete(topic) && !this.#rotations.has(topic)) this.#unsubscribeTopic(topic)
  }

  #subscribeTopic(topic: string, sid: string): void {
    const { bus } = this
    if (!bus) return
    // What happened between the handshake's read and this moment was in no message.
    const subscribed = (): void => {
      if (this.#subscribed.get(topic) === sid) this.#refreshQueue.enqueue([sid])
    }
    asPromise(() => bus.subscribe(topic)).then(subscribed, (error) => debug('not subscribed yet: %s', error?.message))
  }

  #unsubscribeTopic(topic: string): void {
    asPromise(() => this.bus?.unsubscribe(topic)).catch((error) => debug('not unsubscribed: %s', error?.message))
  }

  /** The bus has a message. */
  heard(topic: string, given: string): void {
    const sid = this.#subscribed.get(topic)
    if (!this.bus || (sid === undefined && !this.#rotations.has(topic))) return
    // An application's own bus may hand over anything.
    const text = String(given)
    const { node, namesOnly } = this.#publisher
    if (isFromSelf(text, node)) return
    const message = decodeMessage(text, this.#options.maxBytes + MAX_ENVELOPE)
    if (message?.node === node) return
    this.messages++
    if (message?.kind === 'answered') this.#rotations.get(topic)?.answered()
    else if (sid === undefined) return
    else if (message?.kind === 'commit') {
      this.#onCommit(sid, namesOnly ? { ...message, change: undefined } : message, text.length)
    } else if (message?.kind === 'end') this.#onEnd(sid, topic, message)
    else this.#refreshQueue.enqueue([sid])
  }

  /** The bus may have lost messages: all sessions are read, spread over a while. */
  gap(): void {
    if (this.#gap || !this.bus) return
    this.#gap = setTimeout(() => {
      this.#gap = undefined
      this.#refreshQueue.enqueue([...this.#subscribed.values()])
    }, Math.random() * SPREAD)
    this.#gap.unref()
  }

  /** Another process says that it committed. Applied in the session's turn, so that it cannot get between a save and its answer. */
  #onCommit(sid: string, message: CommitMessage, bytes: number): void {
    const waiting = this.#waiting.get(sid) ?? 0
    if (waiting >= MOST_WAITING) {
      this.#refreshQueue.enqueue([sid])
      return
    }
    this.#waiting.set(sid, waiting + 1)
    const applied = this.#committer.inTurn(sid, async () => {
      const replica = this.#target.living(sid)
      const snapshot = replica?.inbound.applyRemoteCommit(message, bytes)
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
   * Another process says that it ended the session. A stored session ends only if a read of the store finds it missing. A session that was
   * never stored has nothing there that could disprove the message. Connections that wait for a successor of the session reconnect at once.
   */
  #onEnd(sid: string, topic: string, { reason, answered }: Message & { kind: 'end' }): void {
    const after = answered ? this.#rotation(topic) : undefined
    this.#target.onReportedEnd(sid)
    const replica = this.#target.living(sid)
    if (!replica) return
    const { reportedEnds } = this.#target
    // One that was never stored can only have been replaced by another session, to which its sockets reconnect.
    reportedEnds.set(sid, { reason: replica.stored ? reason : 'regenerated', after })
    evictOldest(reportedEnds, MOST_REPORTED)
    this.#refreshQueue.enqueue([sid])
  }

  /** Settles when the response of another process's rotation has left. All messages about one rotation share it. */
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
      if (!this.#subscribed.has(topic)) this.#unsubscribeTopic(topic)
    })
    return over
  }

  /** The store was read, in the session's turn. */
  #onRead(sid: string, snapshot: Snapshot | undefined): void {
    const replica = this.#target.living(sid)
    if (!replica) return
    if (snapshot) {
      this.#target.reportedEnds.delete(sid)
      this.#apply(replica, snapshot)
    } else if (replica.stored || this.#target.reportedEnds.has(sid)) this.#target.onMissingInStore(sid)
  }

  /** @param messageBytes of the message that the snapshot comes from; 0 where the store was read */
  #apply(replica: Replica, snapshot: Snapshot, messageBytes = 0): void {
    this.#target.clock.committed(replica.sid)
    replica.onRemoteSnapshot(snapshot, 'remote', messageBytes)
  }
}

import { debug } from '../debug.js'
import type { Moment, SessionClock } from '../store/session-clock.js'
import { getOrInsert } from '../util/maps.js'
import { asPromise, deferred, isThenable, settleWithin } from '../util/promises.js'
import type { ClusterPublisher } from './publisher.js'

/** How long a handshake waits for a subscription, in ms. Then it reads the session before it is subscribed to, and once more afterwards. */
const SUBSCRIBE_WAIT = 1000
/** Before all that the clock counts. */
const NEVER = -1 as Moment

/** A session whose messages are received. */
export interface Subscription {
  readonly sid: string
  readonly topic: string
  /** How many handshakes, replicas and others hold it. */
  holds: number
  /** What it waits for. */
  confirmation: Confirmation | undefined
  /** A read that began earlier may lack something that no message will tell. `NEVER`: not confirmed. */
  sinceMoment: Moment
  /** When another process was last heard to commit. */
  committedMoment: Moment
  /** Are called when another process has committed. */
  listeners: Set<() => void> | undefined
}

/** The bus's answer to the subscriptions that were sent together. */
interface Confirmation {
  readonly subscriptions: Subscription[]
  /** Sessions whose replicas were read too early. */
  readonly toRead: Set<string>
  /** Resolves when the bus has answered, or after {@link SUBSCRIBE_WAIT}. */
  readonly waited: Promise<void>
  stopWaiting(): void
}

interface Host {
  /** The bus delivers the topic's messages, although no session of this process is subscribed to it. */
  isHeard(topic: string): boolean
  /** These sessions have to be read. */
  read(sids: Iterable<string>): void
}

/** Which sessions are subscribed to, and since when; cluster-sync.ts has the contract. */
export class Subscriptions {
  readonly #publisher: Pick<ClusterPublisher, 'bus' | 'topic'>
  readonly #clock: SessionClock
  readonly #host: Host
  readonly #bySid = new Map<string, Subscription>()
  readonly #byTopic = new Map<string, Subscription>()
  /** How often each session is held, while there is no bus. */
  readonly #waitingForBus = new Map<string, number>()
  /** By the promise of the bus, until it is settled. */
  readonly #confirmations = new WeakMap<object, Confirmation>()
  /** The last moment at which messages may have been lost. */
  #gapMoment = NEVER
  /** The bus has not confirmed in time that it delivers messages, and not since. */
  isLate = false

  constructor(publisher: Pick<ClusterPublisher, 'bus' | 'topic'>, clock: SessionClock, host: Host) {
    this.#publisher = publisher
    this.#clock = clock
    this.#host = host
  }

  ofTopic(topic: string): Subscription | undefined {
    return this.#byTopic.get(topic)
  }

  sids(): Iterable<string> {
    return this.#bySid.keys()
  }

  /** There is a bus: subscribes to all that were held before. Their replicas were read earlier, and are read again. */
  start(): void {
    const waiting = [...this.#waitingForBus]
    this.#waitingForBus.clear()
    for (const [sid, holds] of waiting) {
      this.#add(sid, holds)
      this.refreshUnlessCurrent(sid)
    }
  }

  /** The bus was closed. What is held waits for the next one. */
  stop(): void {
    for (const { sid, holds, confirmation } of this.#bySid.values()) {
      this.#waitingForBus.set(sid, holds)
      confirmation?.stopWaiting()
    }
    this.#bySid.clear()
    this.#byTopic.clear()
    this.isLate = false
  }

  /** The bus has no subscription any more, and topics may have other names. */
  restart(): void {
    this.stop()
    this.start()
  }

  subscribe(sid: string): Promise<void> | undefined {
    const known = this.#bySid.get(sid)
    if (known) known.holds++
    else if (!this.#publisher.bus) {
      this.#waitingForBus.set(sid, (this.#waitingForBus.get(sid) ?? 0) + 1)
      return undefined
    }
    const { confirmation } = known ?? this.#add(sid, 1)
    return this.isLate ? undefined : confirmation?.waited
  }

  unsubscribe(sid: string): void {
    const waiting = this.#waitingForBus.get(sid)
    if (waiting !== undefined) {
      if (waiting > 1) this.#waitingForBus.set(sid, waiting - 1)
      else this.#waitingForBus.delete(sid)
      return
    }
    const subscription = this.#bySid.get(sid)
    if (!subscription || --subscription.holds > 0) return
    this.#bySid.delete(sid)
    this.#byTopic.delete(subscription.topic)
    if (!this.#host.isHeard(subscription.topic)) this.leave(subscription.topic)
  }

  /** Ends the subscription to a topic on the bus. */
  leave(topic: string): void {
    const { bus } = this.#publisher
    // An application's own bus may throw, or reject.
    if (bus) asPromise(() => bus.unsubscribe(topic)).catch((error) => debug('not unsubscribed: %s', error?.message))
  }

  refreshUnlessCurrent(sid: string, readMoment = NEVER): void {
    const subscription = this.#bySid.get(sid)
    if (!subscription) return
    const { confirmation, sinceMoment } = subscription
    confirmation?.toRead.add(sid)
    // A gap during the read of a handshake that did not wait: the confirmation may be far away.
    const isRead = readMoment >= Math.max(sinceMoment, this.#gapMoment)
    if (!isRead && (sinceMoment > NEVER || readMoment > NEVER)) this.#host.read([sid])
  }

  /**
   * A message came: what it tells is not in a read that began before, whose replica is not there yet. Where the bus had refused to subscribe, it has
   * done so since.
   */
  noteMessage(subscription: Subscription): void {
    if (!subscription.confirmation) subscription.sinceMoment = this.#clock.advance()
  }

  /** Another process has committed to a session that is subscribed to. */
  noteCommit(subscription: Subscription): void {
    subscription.committedMoment = this.#clock.advance()
    for (const listener of subscription.listeners ?? []) listener()
  }

  /**
   * Waits until another process commits to a session that is subscribed to.
   * @returns whether one has, since that moment, or within `ms` milliseconds
   */
  async nextCommit(sid: string, since: Moment, ms: number): Promise<boolean> {
    const subscription = this.#bySid.get(sid)
    const hasCommitted = (): boolean => subscription !== undefined && subscription.committedMoment > since
    if (hasCommitted()) return true
    const { promise, resolve } = deferred()
    if (subscription) subscription.listeners = (subscription.listeners ?? new Set()).add(resolve)
    await settleWithin(promise, ms)
    subscription?.listeners?.delete(resolve)
    return hasCommitted()
  }

  /** Has a message about the session come after that moment? Also `true` where one may have been lost. */
  heardSince(sid: string, since: Moment): boolean {
    return Math.max(this.#bySid.get(sid)?.sinceMoment ?? NEVER, this.#gapMoment) > since
  }

  noteGap(): void {
    this.#gapMoment = this.#clock.advance()
  }

  #add(sid: string, holds: number): Subscription {
    const topic = this.#publisher.topic(sid)
    const subscription: Subscription = {
      sid,
      topic,
      holds,
      confirmation: undefined,
      sinceMoment: NEVER,
      committedMoment: NEVER,
      listeners: undefined,
    }
    this.#bySid.set(sid, subscription)
    this.#byTopic.set(topic, subscription)
    if (this.#host.isHeard(topic)) subscription.sinceMoment = this.#clock.advance()
    else this.#send(subscription)
    return subscription
  }

  #send(subscription: Subscription): void {
    let answer: unknown
    try {
      answer = this.#publisher.bus?.subscribe(subscription.topic)
    } catch (error) {
      notSubscribed(error)
      return
    }
    if (!isThenable(answer)) {
      subscription.sinceMoment = this.#clock.advance()
      return
    }
    const promise = answer
    const confirmation = getOrInsert(this.#confirmations, promise, () => this.#confirmationOf(promise))
    confirmation.subscriptions.push(subscription)
    subscription.confirmation = confirmation
  }

  /** One for all topics to which the bus has returned the same promise. */
  #confirmationOf(answer: PromiseLike<unknown>): Confirmation {
    const { promise: waited, resolve: goOn } = deferred()
    const timer = setTimeout(() => {
      this.isLate = true
      goOn()
    }, SUBSCRIBE_WAIT)
    timer.unref()
    const stopWaiting = (): void => {
      clearTimeout(timer)
      goOn()
    }
    const confirmation: Confirmation = { subscriptions: [], toRead: new Set(), waited, stopWaiting }
    const answered = (sinceMoment: Moment): void => {
      // The bus may return it again.
      this.#confirmations.delete(answer)
      for (const subscription of confirmation.subscriptions) {
        subscription.confirmation = undefined
        subscription.sinceMoment = sinceMoment
      }
      stopWaiting()
    }
    Promise.resolve(answer).then(
      () => {
        this.isLate = false
        answered(this.#clock.advance())
        this.#host.read(confirmation.toRead)
      },
      (error) => {
        answered(NEVER)
        notSubscribed(error)
      },
    )
    return confirmation
  }
}

/** The bus keeps trying, and reports a gap when it has succeeded: then all sessions are read. */
function notSubscribed(error: unknown): void {
  debug('not subscribed yet: %s', (error as Error | undefined)?.message)
}

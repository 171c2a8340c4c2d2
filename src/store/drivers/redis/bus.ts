import type { Bus, OwnBusListener } from '../../../bus.js'
import { BUS_NAME } from '../../../bus-name.js'
import { getOrInsert } from '../../../util/maps.js'
import type { SubscriberConnection, SubscriberEndpoint } from '../subscriber/connection.js'
import { ReconnectingSubscriber } from '../subscriber/reconnecting-subscriber.js'

/**
 * Redis as the bus. The driver publishes with its write. This subscribes, on connections of its own, to the sessions that are live in
 * this process. On a cluster by sharded pub/sub, on the node that has the session; each node has a subscriber of its own.
 */
export class RedisBus implements Bus {
  readonly [BUS_NAME] = 'redis'
  readonly publishedByDriver = 'redis'
  readonly #endpointOf: (channel: string) => SubscriberEndpoint | undefined
  readonly #publish: (topic: string, text: string) => Promise<void>
  /** By the name of their endpoint. */
  readonly #subscribers = new Map<string, ReconnectingSubscriber>()
  #listener: OwnBusListener | undefined

  /**
   * @param endpointOf where to subscribe to a channel; `undefined` while that is not known
   * @param publish for a message that no write carries
   */
  constructor(
    endpointOf: (channel: string) => SubscriberEndpoint | undefined,
    publish: (topic: string, text: string) => Promise<void>,
  ) {
    this.#endpointOf = endpointOf
    this.#publish = publish
  }

  start(listener: OwnBusListener): void {
    this.#listener = listener
  }

  subscribe(topic: string): Promise<void> | undefined {
    return (this.#subscriberOf(topic) ?? this.#subscriberFor(topic)).subscribe(topic)
  }

  unsubscribe(topic: string): void {
    this.#subscriberOf(topic)?.unsubscribe(topic)
  }

  publish(topic: string, text: string): Promise<void> {
    return this.#publish(topic, text)
  }

  /** All endpoints have changed. */
  moved(): void {
    this.#closeAll()
    this.#listener?.moved?.()
  }

  close(): void {
    this.#closeAll()
    this.#listener = undefined
  }

  #closeAll(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.close()
    this.#subscribers.clear()
  }

  /** The one that is subscribed to it: on a cluster its slot may have moved since. */
  #subscriberOf(topic: string): ReconnectingSubscriber | undefined {
    for (const subscriber of this.#subscribers.values()) if (subscriber.has(topic)) return subscriber
    return undefined
  }

  #subscriberFor(topic: string): ReconnectingSubscriber {
    const name = this.#nameFor(topic)
    return getOrInsert(this.#subscribers, name, () => {
      const open = (lost: () => void): SubscriberConnection => {
        const message = (channel: string, text: string): void => this.#onMessage(channel, text)
        return this.#endpoint(name, subscriber).open({ message, lost })
      }
      const subscriber = new ReconnectingSubscriber(open, () => this.#listener?.gap())
      return subscriber
    })
  }

  /** Of the endpoint; empty while a cluster does not know its nodes. */
  #nameFor(topic: string): string {
    return this.#endpointOf(topic)?.name ?? ''
  }

  /** Looked up for each connection: a cluster does not know its nodes at first, and moves slots. The node refuses the topics of other nodes. */
  #endpoint(name: string, subscriber: ReconnectingSubscriber): SubscriberEndpoint {
    this.#handOver(
      subscriber,
      [...subscriber.channels()].filter((topic) => this.#nameFor(topic) !== name),
    )
    const [topic] = subscriber.channels()
    const endpoint = topic === undefined ? undefined : this.#endpointOf(topic)
    if (!endpoint) throw new Error('the cluster does not know its nodes yet')
    return endpoint
  }

  /** Subscribes to topics at their present endpoints. */
  #handOver(former: ReconnectingSubscriber, topics: readonly string[]): void {
    if (topics.length === 0) return
    const confirmed = topics.map(async (topic) => {
      const settled = former.release(topic)
      await this.#subscriberFor(topic).subscribe(topic)
      settled()
    })
    // Messages in between were missed.
    Promise.all(confirmed).then(() => this.#listener?.gap())
  }

  #onMessage(channel: string, text: string): void {
    if (this.#subscriberOf(channel)) this.#listener?.heard(channel, text)
  }
}
